//! How far what a model judges is from what it was trained on.

use std::sync::{Mutex, PoisonError};

use logrisk_base::Risk;
use logrisk_web::DriftFigures;

/// Counts what a pipeline judged. Texts that its cache holds are not judged again, hence count once.
#[derive(Debug)]
pub struct Drift(Mutex<DriftFigures>);

impl Drift {
    /// Nothing was judged yet; `expected` is the share of each risk in training, if that is known.
    pub fn new(expected: Option<[f64; Risk::COUNT]>) -> Self {
        Self(Mutex::new(DriftFigures { expected, ..DriftFigures::default() }))
    }

    /// Counts texts of so many tokens, `unknown` of them outside the vocabulary.
    pub fn count(&self, tokens: usize, unknown: usize, risks: impl Iterator<Item = Risk>) {
        let mut drift = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drift.tokens += tokens as u64;
        drift.unknown_tokens += unknown as u64;
        for risk in risks {
            if let Some(count) = drift.by_risk.get_mut(usize::from(risk.get())) {
                *count += 1;
            }
        }
    }

    /// What was counted so far.
    pub fn figures(&self) -> DriftFigures {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
