//! What the server asks of the rest of logrisk. The binary implements it over its pipeline; tests over a few lines.

use std::{borrow::Cow, sync::Arc};

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
    /// Where the risk lies with high probability, for models that are calibrated.
    pub interval: Option<(Risk, Risk)>,
    /// The model should not be trusted on this text.
    pub unsure: bool,
}

/// A model with its masks, rules and cache: one unit, so that a swap never mixes two models' answers.
///
/// Everything but [`Self::assess`], [`Self::explain`] and [`Self::records`] takes microseconds and may run on an async
/// thread.
pub trait Engine: Send + Sync {
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
