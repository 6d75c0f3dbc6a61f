//! A local adapter: what one site's corrections change about a model's answers, kept beside the model and apart from it.
//!
//! ```text
//! text ─► model ─► probabilities ──────────────────────────────┬─► tilted to score + change ─► answer
//!           └─► point: what the heads see, and the words ──► change = scale × Σ weight × nearness to each correction
//! ```
//! The encoder is frozen; the corrections pull on the expected score of what lies near them, and nearness fades so fast
//! that far lines keep their answer to the last bit. A pattern that was itself corrected gets exactly its new risk. The
//! eleven probabilities are tilted (`p × e^(θ × risk)`, θ chosen for the new mean): of all distributions with that mean it
//! is the one nearest to the model's own, so that what the model was unsure about it stays unsure about.
//!
//! The file is JSON: the corrected patterns (masked texts), their risks and weights. What the heads see of them is computed
//! when it is opened, on the same path as every line, so the file is small and the same for every processor.

mod file;

use std::collections::HashMap;

use logrisk_base::Risk;

use crate::model::Assessment;

pub use file::{Adapter, AdapterError, Correction};

/// A change of the expected score below this is none: it would move no label that was not on the edge, and far lines are
/// left exactly as they were.
const SMALLEST_CHANGE: f32 = 0.05;
/// The score stays this far inside the scale, since no distribution over 0 to 10 that leaves a doubt has its mean at an end.
const EDGE: f32 = 0.1;
/// How much of nearness two texts without a common word can have. Chosen by leave-one-out on seven systems' lines: what the
/// heads see says which lines are alike in risk, words say which are alike in kind, and both together were best.
const WITHOUT_COMMON_WORDS: f32 = 0.25;

/// Where a text lies: what the model's heads see of it, and its words.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    features: Vec<f32>,
    /// Lower case, sorted, each once.
    words: Vec<Box<str>>,
}

impl Point {
    /// The point of a text whose [`crate::model::Model::features`] are these.
    #[must_use]
    pub fn new(features: &[f32], text: &str) -> Self {
        let mut words: Vec<Box<str>> = text
            .split(|character: char| character.is_whitespace() || character == ':')
            .filter(|word| !word.is_empty())
            .map(|word| word.to_lowercase().into())
            .collect();
        words.sort_unstable();
        words.dedup();
        Self { features: features.to_vec(), words }
    }

    /// The squared distance between what the heads see.
    #[must_use]
    pub fn squared_distance(&self, other: &Self) -> f32 {
        self.features.iter().zip(&other.features).map(|(one, other)| (one - other) * (one - other)).sum()
    }

    /// The cosine between the sets of words, 0 to 1.
    #[must_use]
    pub fn common_words(&self, other: &Self) -> f32 {
        let (mut common, mut rest) = (0usize, other.words.iter().peekable());
        for word in &self.words {
            while rest.next_if(|candidate| *candidate < word).is_some() {}
            common += usize::from(rest.next_if_eq(&word).is_some());
        }
        let sizes = self.words.len() * other.words.len();
        if sizes == 0 { 0.0 } else { common as f32 / (sizes as f32).sqrt() }
    }
}

/// How near two points are, 0 to 1, and 1 for a point and itself: a Gaussian of the distance, times the words that they
/// share. A product of two kernels, hence one itself.
#[must_use]
pub fn nearness(squared_distance: f32, common_words: f32, length: f32) -> f32 {
    let alike = (-squared_distance / (2.0 * length * length)).exp();
    alike * (WITHOUT_COMMON_WORDS + (1.0 - WITHOUT_COMMON_WORDS) * common_words)
}

/// An adapter on its model: the corrections with their points.
#[derive(Debug)]
pub(crate) struct Fitted {
    points: Vec<(Point, f32)>,
    risks: HashMap<String, Risk>,
    length: f32,
    scale: f32,
}

impl Fitted {
    /// `features` holds the features of all corrections, in order.
    pub(crate) fn new(adapter: Adapter, features: &[f32]) -> Self {
        let width = features.len() / adapter.corrections.len().max(1);
        let points = features
            .chunks(width.max(1))
            .zip(&adapter.corrections)
            .map(|(features, correction)| (Point::new(features, &correction.pattern), correction.weight))
            .collect();
        let risks =
            adapter.corrections.into_iter().map(|correction| (correction.pattern, correction.risk)).collect();
        Self { points, risks, length: adapter.length, scale: adapter.scale }
    }

    /// Changes the model's answer to a text.
    pub(crate) fn apply(&self, text: &str, features: &[f32], answer: &mut Assessment) {
        if let Some(&risk) = self.risks.get(text) {
            answer.probabilities = corrected(risk);
            return;
        }
        let point = Point::new(features, text);
        let pull: f32 = self
            .points
            .iter()
            .map(|(other, weight)| {
                let distance = point.squared_distance(other);
                weight * nearness(distance, point.common_words(other), self.length)
            })
            .sum();
        let change = self.scale * pull;
        if change.abs() >= SMALLEST_CHANGE {
            answer.probabilities = tilted(&answer.probabilities, answer.expected() + change);
        }
    }
}

/// The expected score after a change, as [`crate::model::Model`] will answer: for those who choose an adapter's weights.
#[must_use]
pub fn changed(expected: f32, change: f32) -> f32 {
    if change.abs() < SMALLEST_CHANGE { expected } else { (expected + change).clamp(EDGE, 10.0 - EDGE) }
}

/// What a person's correction says: nearly sure, since people give one value and not a range.
#[must_use]
pub fn corrected(risk: Risk) -> [f32; Risk::COUNT] {
    let mut shares = [0.0; Risk::COUNT];
    for (share, value) in shares.iter_mut().zip(0u8..) {
        *share = match value.abs_diff(risk.get()) {
            0 => 0.8,
            1 => 0.1,
            _ => 0.0,
        };
    }
    let sum: f32 = shares.iter().sum();
    shares.map(|share| share / sum)
}

/// `p × e^(θ × risk)`, scaled to sum to 1, with the θ that makes the mean what is asked for (kept inside the scale).
fn tilted(probabilities: &[f32; Risk::COUNT], mean: f32) -> [f32; Risk::COUNT] {
    let wanted = f64::from(mean.clamp(EDGE, 10.0 - EDGE));
    let tilt = |theta: f64| {
        let mut shares = [0.0f64; Risk::COUNT];
        for ((share, &probability), risk) in shares.iter_mut().zip(probabilities).zip(0u8..) {
            // A risk that the model rules out altogether could never be reached.
            *share = f64::from(probability.max(1e-9)).ln() + theta * f64::from(risk);
        }
        let highest = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        shares = shares.map(|share| (share - highest).exp());
        let sum: f64 = shares.iter().sum();
        shares.map(|share| share / sum)
    };
    // The mean rises with θ; 60 means e^600 between neighbours nobody needs, and 50 halvings are exact in f32.
    let (mut low, mut high) = (-60.0f64, 60.0f64);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        let mean: f64 = tilt(middle).iter().zip(0u8..).map(|(share, risk)| share * f64::from(risk)).sum();
        if mean < wanted { low = middle } else { high = middle }
    }
    tilt(high).map(|share| share as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(peak: usize) -> Assessment {
        let mut probabilities = [0.02; Risk::COUNT];
        probabilities[peak] = 0.8;
        Assessment { probabilities, ..Assessment::NOTHING }
    }

    #[test]
    fn a_tilted_distribution_sums_to_one_and_has_the_mean_that_was_asked_for() {
        for peak in 0..Risk::COUNT {
            for wanted in [0.1f32, 0.7, 3.2, 5.0, 9.4, 9.9] {
                let probabilities = tilted(&answer(peak).probabilities, wanted);
                let tilted = Assessment { probabilities, ..Assessment::NOTHING };
                assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                assert!((tilted.expected() - wanted).abs() < 1e-3, "{peak} {wanted} {}", tilted.expected());
            }
        }
        // The same mean: the same distribution.
        let same = tilted(&answer(4).probabilities, answer(4).expected());
        assert!(same.iter().zip(answer(4).probabilities).all(|(one, other)| (one - other).abs() < 1e-4));
        let certain = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert!(tilted(&certain, 8.0).iter().all(|share| share.is_finite()));
    }

    #[test]
    fn a_correction_is_its_own_label_under_both_rules() {
        for risk in Risk::all() {
            let answer = Assessment { probabilities: corrected(risk), ..Assessment::NOTHING };
            assert_eq!((answer.label(), answer.most_likely()), (risk, risk));
        }
    }

    #[test]
    fn nearness_fades() {
        let point = |features: &[f32], text| Point::new(features, text);
        let here = point(&[1.0, 0.0], "error: Disk is full");
        assert_eq!(here.common_words(&point(&[], "full disk error is")), 1.0);
        assert_eq!(here.common_words(&point(&[], "")), 0.0);
        assert!((here.common_words(&point(&[], "disk gone")) - 1.0 / 8f32.sqrt()).abs() < 1e-6);
        let near = |other: &Point| nearness(here.squared_distance(other), here.common_words(other), 0.5);
        assert_eq!(near(&here), 1.0);
        assert!(near(&point(&[1.0, 0.3], "disk is full")) > near(&point(&[1.0, 0.3], "link down")));
        assert!(near(&point(&[9.0, 0.0], "error: disk is full")) < 1e-20);
    }
}
