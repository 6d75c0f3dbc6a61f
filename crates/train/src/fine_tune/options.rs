//! How a training runs: every choice in one place, with defaults that suit masked log lines.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use logrisk_base::Risk;
use logrisk_score::encoder::{Isa, gemm::Factors};
use serde::Serialize;

/// What the risk head is trained to match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// Cross-entropy to the target distribution.
    Soft,
    /// Cross-entropy to the most likely risk of the target alone.
    Ce,
    /// [`Self::Soft`] plus the squared distance of the cumulative distributions, which knows that 9 is nearer to 10
    /// than 2 is.
    Ordinal,
}

/// How the learning rate falls after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// In a straight line to zero.
    Linear,
    /// Along half a cosine to zero.
    Cosine,
    /// Not at all.
    Constant,
}

/// A word that names none of the choices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is unknown; choose one of {known}")]
pub struct UnknownChoice {
    word: String,
    known: &'static str,
}

impl FromStr for Loss {
    type Err = UnknownChoice;

    fn from_str(word: &str) -> Result<Self, UnknownChoice> {
        match word {
            "soft" => Ok(Self::Soft),
            "ce" => Ok(Self::Ce),
            "ordinal" => Ok(Self::Ordinal),
            _ => Err(UnknownChoice { word: word.to_owned(), known: "soft, ce, ordinal" }),
        }
    }
}

impl FromStr for Decay {
    type Err = UnknownChoice;

    fn from_str(word: &str) -> Result<Self, UnknownChoice> {
        match word {
            "linear" => Ok(Self::Linear),
            "cosine" => Ok(Self::Cosine),
            "constant" => Ok(Self::Constant),
            _ => Err(UnknownChoice { word: word.to_owned(), known: "linear, cosine, constant" }),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Soft => "soft",
            Self::Ce => "ce",
            Self::Ordinal => "ordinal",
        })
    }
}

impl fmt::Display for Decay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Linear => "linear",
            Self::Cosine => "cosine",
            Self::Constant => "constant",
        })
    }
}

/// Everything that a training can be told. Serialised into the manifest and the history, and compared on resume.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Options {
    /// Passes over the data.
    pub epochs: usize,
    /// Stop after so many steps, if that comes first.
    pub max_steps: Option<usize>,
    /// Stop after so long, evaluations included, if that comes first; the learning rate then falls with the time.
    pub time: Option<Duration>,
    /// The most lines of a step.
    pub batch_lines: usize,
    /// The most tokens of a step. Lines of a step have similar lengths, so that short ones come in larger batches.
    pub batch_tokens: usize,
    /// The most tokens of a line; of a longer one, head and tail are kept.
    pub line_tokens: usize,
    /// At the end of the warm-up.
    pub learning_rate: f32,
    /// The share of the training in which the rate rises from zero.
    pub warmup: f32,
    /// How the rate falls after the warm-up.
    pub decay: Decay,
    /// Decoupled (AdamW), on matrices only: biases and layer norms are left alone.
    pub weight_decay: f32,
    /// Gradients with a larger global norm are scaled down to this one.
    pub clip: f32,
    /// The share dropped after embeddings, attention, feed-forward, and around the head's dense layer.
    pub dropout: f32,
    /// The share of attention probabilities dropped.
    pub attention_dropout: f32,
    /// What the risk head is trained to match.
    pub loss: Loss,
    /// Factor of the cumulative distance in [`Loss::Ordinal`].
    pub cumulative: f32,
    /// Factor of the tag head's cross-entropy.
    pub tag: f32,
    /// The share of each target that is spread evenly over all classes.
    pub label_smoothing: f32,
    /// How much each risk counts: an example counts the mean of these under its target.
    pub class_weights: Option<[f32; Risk::COUNT]>,
    /// Keep an exponential moving average of the weights with this factor a step, and evaluate and return it.
    pub average: Option<f32>,
    /// Leave word, position and embedding norm as they are; saves time and memory.
    pub freeze_embeddings: bool,
    /// Of the shuffle, the augmentation and the dropout.
    pub seed: u64,
    /// The same result needs the same number.
    pub threads: usize,
    /// Round the factors of matrix products to bf16; sums, weights, gradients and everything between stay f32.
    pub bf16: bool,
    /// Evaluate after so many steps; at the end of every epoch without it.
    pub evaluate_every: Option<usize>,
    /// Stop after so many evaluations in a row without a better one.
    pub patience: Option<usize>,
    /// Where checkpoints and the history are written; without it nothing is.
    #[serde(skip)]
    pub folder: Option<PathBuf>,
    /// Write a checkpoint after so many steps; at the end of every epoch without it.
    pub checkpoint_every: Option<usize>,
    /// Go on from the folder's checkpoint if there is one.
    #[serde(skip)]
    pub resume: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            epochs: 3,
            max_steps: None,
            time: None,
            batch_lines: 64,
            batch_tokens: 2048,
            line_tokens: 128,
            learning_rate: 1e-4,
            warmup: 0.06,
            decay: Decay::Linear,
            weight_decay: 0.01,
            clip: 1.0,
            dropout: 0.1,
            attention_dropout: 0.0,
            loss: Loss::Ordinal,
            cumulative: 0.5,
            tag: 0.3,
            label_smoothing: 0.0,
            class_weights: None,
            average: None,
            freeze_embeddings: false,
            seed: 1,
            threads: 1,
            // Twice as fast where the CPU has it, and training is too noisy to tell the difference.
            bf16: Factors::fastest(Isa::detect()) == Factors::Bf16,
            evaluate_every: None,
            patience: None,
            folder: None,
            checkpoint_every: None,
            resume: false,
        }
    }
}
