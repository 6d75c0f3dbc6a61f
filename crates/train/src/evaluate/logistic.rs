//! Multinomial logistic regression on sparse rows, fitted by L-BFGS (Liu and Nocedal 1989).
//!
//! Own code, because no library of ours or of others learns it from sparse rows with targets that are distributions. The
//! objective is scikit-learn's: `mean of cross-entropies + ‖W‖² / (2·C·n)`, intercepts free. A test compares the
//! probabilities with those that scikit-learn gives.

use std::{collections::VecDeque, thread};

use logrisk_base::Risk;

use crate::sparse::Row;

/// scikit-learn's default for the inverse strength of the penalty.
const C: f64 = 1.0;
/// Pairs of steps and gradients that approximate the curvature: the usual choice.
const MEMORY: usize = 10;
/// Steps; 200,000 masked lines end here, where ten more lower the objective by less than 0.1 %.
const STEPS: usize = 200;
/// The largest slope at which the search ends before that. scikit-learn's 1e-4 would be too early: a word that one line in
/// 10,000 has moves the mean by less.
const FLAT: f32 = 1e-6;
/// The rows are summed in so many parts, whatever the number of processors: sums in another order round differently.
const PARTS: usize = 4;

/// A logit for each risk.
type Logits = [f32; Risk::COUNT];

/// The fitted coefficients.
#[derive(Debug)]
pub(super) struct Logistic {
    /// One for each column, then the intercepts.
    coefficients: Vec<Logits>,
}

/// What is learnt from.
pub(super) struct Data<'a> {
    pub(super) rows: &'a [Row],
    pub(super) columns: usize,
    /// Of each row: how likely each risk is, sums to 1.
    pub(super) targets: &'a [Logits],
    /// How much each row counts.
    pub(super) weights: &'a [f32],
}

impl Logistic {
    /// Fits the coefficients; repeatable to the bit.
    pub(super) fn fit(data: &Data<'_>) -> Self {
        let start = vec![0.0; (data.columns + 1) * Risk::COUNT];
        let solution = minimise(start, |at, slope| data.objective(at, slope));
        Self { coefficients: solution.as_chunks().0.to_vec() }
    }

    /// How likely each risk is.
    pub(super) fn probabilities(&self, row: &Row) -> Logits {
        softmax(logits(&self.coefficients, row)).0
    }
}

fn logits(coefficients: &[Logits], row: &Row) -> Logits {
    let mut logits = coefficients.last().copied().unwrap_or_default();
    for (column, value) in row {
        if let Some(coefficients) = coefficients.get(*column as usize) {
            logits
                .iter_mut()
                .zip(coefficients)
                .for_each(|(logit, coefficient)| *logit += value * coefficient);
        }
    }
    logits
}

/// Probabilities, and the logarithm of their sum before they were brought to 1, relative to the logits.
fn softmax(logits: Logits) -> (Logits, f32) {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = logits.map(|logit| (logit - highest).exp());
    let sum: f32 = powers.iter().sum();
    (powers.map(|power| power / sum), highest + sum.ln())
}

impl Data<'_> {
    /// The objective; its gradient is written to `slope`.
    fn objective(&self, at: &[f32], slope: &mut [f32]) -> f64 {
        let coefficients: &[Logits] = at.as_chunks().0;
        let size = self.rows.len().div_ceil(PARTS).max(1);
        let parts: Vec<(f64, Vec<Logits>)> = thread::scope(|scope| {
            let rows = self.rows.chunks(size).zip(self.targets.chunks(size)).zip(self.weights.chunks(size));
            let workers: Vec<_> = rows
                .map(|((rows, targets), weights)| {
                    scope.spawn(|| part_of_objective(coefficients, rows, targets, weights))
                })
                .collect();
            let join = |worker: thread::ScopedJoinHandle<'_, _>| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            workers.into_iter().map(join).collect()
        });
        let total = self.weights.iter().map(|weight| f64::from(*weight)).sum::<f64>().max(f64::MIN_POSITIVE);
        slope.fill(0.0);
        let mut loss = 0.0;
        for (part, gradient) in &parts {
            loss += part;
            slope.iter_mut().zip(gradient.as_flattened()).for_each(|(slope, part)| *slope += part);
        }
        let penalty = (1.0 / (C * total)) as f32;
        let scale = (1.0 / total) as f32;
        let penalised = self.columns * Risk::COUNT;
        let mut length = 0.0;
        for (index, (slope, value)) in slope.iter_mut().zip(at).enumerate() {
            *slope *= scale;
            if index < penalised {
                *slope += penalty * value;
                length += f64::from(*value) * f64::from(*value);
            }
        }
        loss / total + 0.5 * length / (C * total)
    }
}

/// The weighted sum of some rows' cross-entropies and its gradient.
fn part_of_objective(
    coefficients: &[Logits],
    rows: &[Row],
    targets: &[Logits],
    weights: &[f32],
) -> (f64, Vec<Logits>) {
    let mut gradient = vec![[0.0; Risk::COUNT]; coefficients.len()];
    let mut loss = 0.0;
    for ((row, target), weight) in rows.iter().zip(targets).zip(weights) {
        let logits = logits(coefficients, row);
        let (probabilities, log_sum) = softmax(logits);
        let mut slope = [0.0; Risk::COUNT];
        for risk in 0..Risk::COUNT {
            loss += f64::from(weight * target[risk] * (log_sum - logits[risk]));
            slope[risk] = weight * (probabilities[risk] - target[risk]);
        }
        for (column, value) in row {
            if let Some(gradient) = gradient.get_mut(*column as usize) {
                gradient.iter_mut().zip(slope).for_each(|(gradient, slope)| *gradient += value * slope);
            }
        }
        if let Some(intercepts) = gradient.last_mut() {
            intercepts.iter_mut().zip(slope).for_each(|(gradient, slope)| *gradient += slope);
        }
    }
    (loss, gradient)
}

/// One remembered step: how far, how the gradient changed, and the inverse of their product.
struct Step {
    moved: Vec<f32>,
    turned: Vec<f32>,
    inverse: f64,
}

/// Finds the minimum of a convex function from its values and gradients.
fn minimise(mut at: Vec<f32>, objective: impl Fn(&[f32], &mut [f32]) -> f64) -> Vec<f32> {
    let mut slope = vec![0.0; at.len()];
    let mut value = objective(&at, &mut slope);
    let mut memory: VecDeque<Step> = VecDeque::with_capacity(MEMORY);
    let (mut next, mut next_slope) = (at.clone(), slope.clone());
    for _ in 0..STEPS {
        if slope.iter().all(|slope| slope.abs() <= FLAT) {
            break;
        }
        let direction = direction(&slope, &memory);
        let descent = inner(&direction, &slope);
        // The first step knows nothing of the curvature: it goes a distance of one.
        let mut length = if memory.is_empty() { 1.0 / inner(&slope, &slope).sqrt() } else { 1.0 };
        let reached = loop {
            for ((next, at), direction) in next.iter_mut().zip(&at).zip(&direction) {
                *next = at + length as f32 * direction;
            }
            let reached = objective(&next, &mut next_slope);
            // Armijo's condition with the usual constant.
            if reached <= value + 1e-4 * length * descent {
                break reached;
            }
            length /= 2.0;
            // f32 resolves nothing finer: this is the minimum.
            if length < 1e-6 {
                return at;
            }
        };
        let moved: Vec<f32> = next.iter().zip(&at).map(|(next, at)| next - at).collect();
        let turned: Vec<f32> = next_slope.iter().zip(&slope).map(|(next, slope)| next - slope).collect();
        let product = inner(&moved, &turned);
        if product > 0.0 {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back(Step { moved, turned, inverse: 1.0 / product });
        }
        std::mem::swap(&mut at, &mut next);
        std::mem::swap(&mut slope, &mut next_slope);
        value = reached;
    }
    at
}

/// Downhill, corrected by the curvature that the remembered steps met: the two-loop recursion.
fn direction(slope: &[f32], memory: &VecDeque<Step>) -> Vec<f32> {
    let mut direction: Vec<f32> = slope.iter().map(|slope| -slope).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for step in memory.iter().rev() {
        let share = step.inverse * inner(&step.moved, &direction);
        add(&mut direction, -share, &step.turned);
        shares.push(share);
    }
    if let Some(last) = memory.back() {
        let scale = 1.0 / (last.inverse * inner(&last.turned, &last.turned));
        direction.iter_mut().for_each(|value| *value *= scale as f32);
    }
    for (step, share) in memory.iter().zip(shares.into_iter().rev()) {
        let correction = share - step.inverse * inner(&step.turned, &direction);
        add(&mut direction, correction, &step.moved);
    }
    direction
}

fn add(to: &mut [f32], share: f64, from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += share as f32 * from);
}

fn inner(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
}
