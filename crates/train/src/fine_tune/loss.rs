//! The loss of one example and its gradient with respect to the logits.

use logrisk_base::{Risk, Tag};
use serde::{Deserialize, Serialize};

use super::options::{Loss, Options};
use crate::example::Example;

/// The loss's parts, summed over examples; divide by [`Self::weight`] for means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct LossSum {
    /// Cross-entropy of the risks.
    pub(super) risk: f64,
    /// Squared distance of the cumulative distributions, before its factor.
    pub(super) cumulative: f64,
    /// Cross-entropy of the tags, over the examples that have one.
    pub(super) tag: f64,
    /// What is minimised.
    pub(super) total: f64,
    /// The examples' weights.
    pub(super) weight: f64,
}

impl LossSum {
    /// Adds another sum.
    pub(super) fn add(&mut self, other: &Self) {
        self.risk += other.risk;
        self.cumulative += other.cumulative;
        self.tag += other.tag;
        self.total += other.total;
        self.weight += other.weight;
    }
}

/// A row of the loss: what the logits should be, and how much that counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goal {
    risk: [f32; Risk::COUNT],
    tag: Option<[f32; Tag::COUNT]>,
    /// The example's weight in the sum of its batch.
    pub(super) weight: f32,
}

/// Numerically safe softmax.
pub(super) fn probabilities<const N: usize>(logits: &[f32]) -> [f32; N] {
    let mut values = [0.0; N];
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for (value, logit) in values.iter_mut().zip(logits) {
        *value = (logit - largest).exp();
    }
    let total: f32 = values.iter().sum();
    values.map(|value| value / total)
}

impl Goal {
    /// Applies the options' smoothing, class weights and kind of loss to an example.
    pub(super) fn new(example: &Example, options: &Options) -> Self {
        let smooth = |share: f32, classes: usize| {
            share * (1.0 - options.label_smoothing) + options.label_smoothing / classes as f32
        };
        let mut target = example.target;
        if options.loss == Loss::Ce {
            let best =
                (0..Risk::COUNT).fold(0, |best, risk| if target[risk] > target[best] { risk } else { best });
            target = std::array::from_fn(|risk| if risk == best { 1.0 } else { 0.0 });
        }
        let class_weight = options
            .class_weights
            .map_or(1.0, |weights| weights.iter().zip(&target).map(|(weight, share)| weight * share).sum());
        let tag = example.tag.map(|tag| {
            std::array::from_fn(|index| smooth(if Tag::ALL[index] == tag { 1.0 } else { 0.0 }, Tag::COUNT))
        });
        Self {
            risk: target.map(|share| smooth(share, Risk::COUNT)),
            tag,
            weight: example.weight * class_weight,
        }
    }

    /// Adds this row's loss to `sum`, and replaces the logits by `scale` times the gradient of the total.
    pub(super) fn differentiate(
        &self,
        risk_logits: &mut [f32],
        tag_logits: &mut [f32],
        options: &Options,
        scale: f32,
        sum: &mut LossSum,
    ) {
        let weight = f64::from(self.weight);
        let factor = self.weight * scale;
        let risk: [f32; Risk::COUNT] = probabilities(risk_logits);
        let entropy = cross_entropy(&self.risk, &risk);
        let mut total = entropy;
        for ((logit, probability), target) in risk_logits.iter_mut().zip(risk).zip(self.risk) {
            *logit = factor * (probability - target);
        }
        if options.loss == Loss::Ordinal {
            let (distance, gradient) = cumulative_distance(&risk, &self.risk);
            for (logit, gradient) in risk_logits.iter_mut().zip(gradient) {
                *logit += factor * options.cumulative * gradient;
            }
            total += f64::from(options.cumulative) * distance;
            sum.cumulative += weight * distance;
        }
        match &self.tag {
            Some(target) => {
                let tag: [f32; Tag::COUNT] = probabilities(tag_logits);
                let entropy = cross_entropy(target, &tag);
                for ((logit, probability), target) in tag_logits.iter_mut().zip(tag).zip(target) {
                    *logit = factor * options.tag * (probability - target);
                }
                total += f64::from(options.tag) * entropy;
                sum.tag += weight * entropy;
            }
            None => tag_logits.fill(0.0),
        }
        sum.risk += weight * entropy;
        sum.total += weight * total;
        sum.weight += weight;
    }
}

/// `−Σ target ln probability`; a probability that underflowed counts as the smallest number, not as infinity.
fn cross_entropy(target: &[f32], probabilities: &[f32]) -> f64 {
    target
        .iter()
        .zip(probabilities)
        .map(|(&target, &probability)| {
            // Not `f32::max`, which would turn a NaN into a number and hide that training has failed.
            let probability = if probability < f32::MIN_POSITIVE { f32::MIN_POSITIVE } else { probability };
            -f64::from(target) * f64::from(probability).ln()
        })
        .sum()
}

/// `Σ_k (F_k − G_k)²` of the cumulative sums F and G of both distributions, and its gradient with respect to the
/// logits behind `probabilities`.
fn cumulative_distance(
    probabilities: &[f32; Risk::COUNT],
    target: &[f32; Risk::COUNT],
) -> (f64, [f32; Risk::COUNT]) {
    let mut difference = 0.0;
    let mut distance = 0.0;
    let mut differences = [0.0; Risk::COUNT];
    for risk in 0..Risk::COUNT {
        difference += probabilities[risk] - target[risk];
        differences[risk] = difference;
        distance += f64::from(difference) * f64::from(difference);
    }
    // With respect to p_j: every cumulative sum from j on contains it.
    let mut slopes = [0.0; Risk::COUNT];
    let mut slope = 0.0;
    for risk in (0..Risk::COUNT).rev() {
        slope += 2.0 * differences[risk];
        slopes[risk] = slope;
    }
    let mean: f32 = slopes.iter().zip(probabilities).map(|(slope, probability)| slope * probability).sum();
    (distance, std::array::from_fn(|risk| probabilities[risk] * (slopes[risk] - mean)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(tag: Option<Tag>) -> Example {
        let mut target = [0.0; Risk::COUNT];
        target[6] = 0.7;
        target[7] = 0.2;
        target[9] = 0.1;
        Example { text: String::new(), target, tag, weight: 0.8 }
    }

    #[test]
    fn gradients_are_finite_differences() {
        let mut weights = [1.0; Risk::COUNT];
        weights[6] = 3.0;
        for loss in [Loss::Soft, Loss::Ce, Loss::Ordinal] {
            for tag in [None, Some(Tag::Error)] {
                let options = Options {
                    loss,
                    label_smoothing: 0.05,
                    class_weights: Some(weights),
                    ..Options::default()
                };
                let goal = Goal::new(&example(tag), &options);
                let logits: Vec<f32> = (0..16).map(|index| ((index * 7) % 11) as f32 * 0.3 - 1.0).collect();
                let evaluate = |logits: &[f32]| {
                    let mut gradient = logits.to_vec();
                    let mut sum = LossSum::default();
                    let (risk, tag) = gradient.split_at_mut(Risk::COUNT);
                    goal.differentiate(risk, tag, &options, 1.0, &mut sum);
                    (sum.total, gradient)
                };
                let (_, gradient) = evaluate(&logits);
                for index in 0..logits.len() {
                    let shifted = |by: f32| {
                        let mut logits = logits.clone();
                        logits[index] += by;
                        evaluate(&logits).0
                    };
                    let difference = (shifted(0.01) - shifted(-0.01)) / 0.02;
                    assert!((difference - f64::from(gradient[index])).abs() < 1e-4, "{loss} {tag:?} {index}");
                }
            }
        }
    }

    #[test]
    fn nan_logits_give_a_nan_loss() {
        let options = Options::default();
        let mut sum = LossSum::default();
        let (mut risk, mut tag) = ([f32::NAN; 11], [0.0; 5]);
        Goal::new(&example(None), &options).differentiate(&mut risk, &mut tag, &options, 1.0, &mut sum);
        assert!(sum.total.is_nan());
    }
}
