//! What the server asks of the rest of logrisk. The binary implements it over its pipeline; tests over a few lines.

use std::{any::Any, borrow::Cow, sync::Arc};

use logrisk_base::{Level, PatternId, Risk, Tag};

/// A line as the model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// The name of the text.
    pub pattern: PatternId,
    /// The text.
    pub text: Arc<str>,
    /// The level that the line declared.
    pub level: Option<Level>,
}

/// What model and rules say of a masked text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The risk.
    pub risk: Risk,
    /// The expected risk, 0.0 to 10.0.
    pub score: f32,
    /// The tag.
    pub tag: Tag,
    /// How sure the model is of that tag, 0.0 to 1.0.
    pub confidence: f32,
    /// Of each risk, 0 to 10; they sum to 1.
    pub probabilities: [f32; Risk::COUNT],
    /// What holds the risk with 80 %: lowest and highest.
    pub interval: (Risk, Risk),
    /// The model should not be trusted on this text.
    pub unsure: bool,
}

/// A model with its masks, rules and cache: one unit, so that a swap never mixes two models' answers.
///
/// Everything but [`Self::assess`], [`Self::explain`] and [`Self::records`] takes microseconds and may run on an async
/// thread.
pub trait Engine: Any + Send + Sync {
    /// The model's version.
    fn version(&self) -> &str;

    /// The line as it may be shown: without secrets.
    fn redact<'a>(&self, line: &'a str) -> Cow<'a, str>;

    /// The text that the model reads. Without `preprocess` it is the line itself.
    fn mask(&self, line: &str, preprocess: bool) -> Masked;

    /// The verdict, if the text was judged before.
    fn known(&self, masked: &Masked) -> Option<Verdict>;

    /// The verdicts on texts, in order. Takes about a millisecond a text.
    fn assess(&self, texts: &[Masked]) -> Vec<Verdict>;

    /// Why the text has its risk, as `logrisk score --explain` says it; `None` if this engine cannot say.
    fn explain(&self, masked: &Masked) -> Option<serde_json::Value>;

    /// Cuts a body into records, lines of one stack trace joined.
    ///
    /// # Errors
    /// A sentence for the sender of a body that holds no text.
    fn records(&self, body: &[u8]) -> Result<Vec<String>, String>;

    /// Hits and misses of the cache so far.
    fn cache(&self) -> CacheFigures;

    /// How far what it judged so far is from what it was trained on.
    fn drift(&self) -> DriftFigures;
}

/// What an engine's cache did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheFigures {
    /// Texts found.
    pub hits: u64,
    /// Texts not found.
    pub misses: u64,
    /// Texts held.
    pub entries: u64,
}

/// What an engine judged since it was loaded: each text once while the cache holds it, since a text that comes a million
/// times says no more about drift than one that comes twice.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DriftFigures {
    /// Tokens of these texts.
    pub tokens: u64,
    /// Those of them that the vocabulary does not have.
    pub unknown_tokens: u64,
    /// Texts by the model's risk.
    pub by_risk: [u64; Risk::COUNT],
    /// The share of each risk among the lines that the model was calibrated on, if its manifest says so.
    pub expected: Option<[f64; Risk::COUNT]>,
}

impl DriftFigures {
    /// Texts from which on a distance says something.
    const FEWEST: u64 = 100;

    /// How much of the distribution of risks lies elsewhere than in training: 0.0 alike, 1.0 nothing in common (the total
    /// variation distance). `None` after fewer than 100 texts, and for models that do not tell.
    #[must_use]
    pub fn distance(&self) -> Option<f64> {
        let texts: u64 = self.by_risk.iter().sum();
        let expected = self.expected.filter(|_| texts >= Self::FEWEST)?;
        let apart = self
            .by_risk
            .iter()
            .zip(expected)
            .map(|(&count, share)| (count as f64 / texts as f64 - share).abs());
        Some(apart.sum::<f64>() / 2.0)
    }
}

/// A model that can be put in use.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInfo {
    /// Its version, unique among the models listed.
    pub version: String,
    /// When it was made, as its manifest says.
    pub created: String,
    /// Where it comes from: `built-in`, or a path.
    pub origin: String,
    /// The figures of its manifest.
    pub figures: serde_json::Value,
}

/// Why a model cannot be put in use.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// There is none of that version.
    #[error("there is no model {0}; GET /models lists those there are")]
    Unknown(String),
    /// There is one, but it does not load.
    #[error("{0}")]
    Broken(String),
}

/// The models there are. Both functions read files: call them from threads that may block.
pub trait Models: Send + Sync {
    /// All models, the newest first.
    fn list(&self) -> Vec<ModelInfo>;

    /// Loads a model: that of a version, or, for `None`, the one that the configuration names, read anew.
    ///
    /// # Errors
    /// [`ModelsError`]; nothing in use is touched by that.
    fn open(&self, version: Option<&str>) -> Result<Arc<dyn Engine>, ModelsError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_the_share_that_moved() {
        let mut expected = [0.0; Risk::COUNT];
        (expected[2], expected[6]) = (0.75, 0.25);
        let mut figures = DriftFigures { expected: Some(expected), ..DriftFigures::default() };
        (figures.by_risk[2], figures.by_risk[6]) = (75, 25);
        assert_eq!(figures.distance(), Some(0.0));
        (figures.by_risk[2], figures.by_risk[6]) = (25, 75);
        assert_eq!(figures.distance(), Some(0.5));
        (figures.by_risk[2], figures.by_risk[6]) = (0, 99);
        assert_eq!(figures.distance(), None, "too few");
        figures.by_risk = [100; Risk::COUNT];
        assert_eq!(DriftFigures { expected: None, ..figures }.distance(), None);
    }
}
