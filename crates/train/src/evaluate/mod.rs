//! How good answers are: figures with intervals, beside baselines, for all lines and for groups of them.
//!
//! ```text
//! truths ──┐                                      ┌─► table
//!          ├─► samples ─► figures ─► bootstrap ─► reports ─► JSON, page
//! answers ─┘     └─ by software, format …         └─► requirements: hold or not
//! ```
//!
//! A figure without an interval invites conclusions from three lines; so each has the middle 95 % of what it is on
//! samples drawn from the same lines with a fixed seed. All ways of judging are measured on the same draws, so that the
//! difference of two has an interval of its own, which is narrower than the two intervals suggest.

mod baselines;
mod bootstrap;
pub mod figures;
mod group;
mod html;
mod language;
mod learned;
mod logistic;
mod misses;
mod report;
mod require;
mod table;
mod vectorize;

use logrisk_base::Risk;

pub use baselines::Baseline;
pub use bootstrap::{Bootstrap, Interval};
pub use group::By;
pub use html::render as render_html;
pub use learned::{Learned, examples as learning_examples};
pub use misses::Miss;
pub use report::{Figure, Group, Judge, Options, Reliability, Report, Spread, compare};
pub use require::{Requirement, Verdict};
pub use table::render as render_table;

/// What was answered to one line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// The risk.
    pub label: Risk,
    /// The expected risk: finer than the label.
    pub score: f32,
    /// Of each risk, where there are probabilities.
    pub probabilities: Option<[f32; Risk::COUNT]>,
    /// Where the risk lies with a probability of 80 %, if the answer says so.
    pub interval: Option<(f32, f32)>,
    /// Whether the line was marked for a person to look at, if answers are.
    pub unsure: Option<bool>,
}

impl Answer {
    /// A bare label, as rules give it.
    #[must_use]
    pub fn of_label(label: Risk) -> Self {
        let score = f32::from(label.get());
        Self { label, score, probabilities: None, interval: None, unsure: None }
    }

    /// The label and score that a distribution over the risks stands for.
    #[must_use]
    pub fn of_probabilities(probabilities: &[f32; Risk::COUNT], label: Risk) -> Self {
        let score = crate::dataset::expected_risk(probabilities);
        Self { score, probabilities: Some(*probabilities), ..Self::of_label(label) }
    }

    /// The probability of that risk or more, where there are probabilities.
    #[must_use]
    pub fn at_least(&self, risk: u8) -> Option<f32> {
        Some(self.probabilities?.iter().skip(usize::from(risk)).sum())
    }
}
