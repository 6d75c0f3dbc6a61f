//! The answers furthest from the truth: what to look at first.

use logrisk_base::Risk;
use serde::Serialize;

use super::Answer;
use crate::dataset::{Canonical, Truth};

/// How many are kept.
const KEPT: usize = 20;
/// Characters of a line that are kept.
const LENGTH: usize = 240;

/// One answer far from the truth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Miss {
    /// The line of the file where it begins.
    pub line: u64,
    /// What it is.
    pub truth: Risk,
    /// What was answered, finer than the label.
    pub score: f32,
    /// What prints it, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software: Option<String>,
    /// The beginning of the line, without secrets.
    pub text: String,
}

/// The worst answers, worst first; of equal ones the first in the file.
pub(super) fn worst(truths: &[Truth], answers: &[Answer]) -> Vec<Miss> {
    let canonical = Canonical::new();
    let mut missed: Vec<(f32, &Truth, Risk, &Answer)> = truths
        .iter()
        .zip(answers)
        .filter_map(|(truth, answer)| {
            let risk = truth.risk?;
            Some(((answer.score - f32::from(risk.get())).abs(), truth, risk, answer))
        })
        .filter(|(distance, ..)| *distance >= 1.0)
        .collect();
    missed.sort_by(|one, other| other.0.total_cmp(&one.0));
    missed
        .into_iter()
        .take(KEPT)
        .map(|(_, truth, risk, answer)| {
            let clean = canonical.redact(&truth.text);
            let mut text: String = clean.chars().take(LENGTH).collect();
            if text.len() < clean.len() {
                text.push('…');
            }
            Miss {
                line: truth.line,
                truth: risk,
                score: answer.score,
                software: truth.software.clone(),
                text,
            }
        })
        .collect()
}
