//! What happened during a training: the figures of every evaluation, kept as `training_history.json`.

use serde::{Deserialize, Serialize};

/// Means over the examples of a stretch of training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossParts {
    /// What is minimised.
    pub total: f64,
    /// Cross-entropy of the risks.
    pub risk: f64,
    /// Squared distance of the cumulative distributions, before its factor.
    pub cumulative: f64,
    /// Cross-entropy of the tags; examples without one count as 0.
    pub tag: f64,
}

/// How well held-out examples are judged. The true risk is the most likely one of the target; the judged risk is the
/// expected score, rounded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The loss that training minimises, without dropout.
    pub loss: f64,
    /// Share of examples judged exactly right.
    pub exact: f64,
    /// Share of examples judged at most one off.
    pub within_one: f64,
    /// Mean absolute difference of judged and true risk.
    pub mae: f64,
    /// Cohen's kappa with quadratic weights: 1 is agreement, 0 is chance.
    pub kappa: f64,
    /// Share of the tags judged right, of the examples that have one.
    pub tag_accuracy: f64,
}

/// One look at the training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Steps taken.
    pub step: u64,
    /// Passes over the data, with the fraction of the present one.
    pub epoch: f64,
    /// Since the start, evaluations included.
    pub seconds: f64,
    /// Of the last step.
    pub learning_rate: f32,
    /// Mean since the evaluation before, before clipping.
    pub gradient_norm: f64,
    /// Training speed since the evaluation before.
    pub lines_per_second: f64,
    /// Means since the evaluation before.
    pub training: LossParts,
    /// Absent where there are no held-out examples.
    pub validation: Option<Figures>,
}

/// Why a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// All epochs are done.
    Epochs,
    /// The number of steps is reached.
    Steps,
    /// The time is spent.
    Time,
    /// No better figure for so many evaluations.
    Patience,
    /// The caller asked for it; there is a checkpoint to go on from.
    Interrupted,
}

/// What happened during a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// In order.
    pub evaluations: Vec<Evaluation>,
    /// The step whose weights were returned.
    pub best_step: u64,
    /// Why it ended; absent while it runs.
    pub ending: Option<Ending>,
}
