//! A local adapter from a site's corrections: which weights, how far they reach, how much the base set may suffer.
//!
//! ```text
//! corrections ─► one a pattern ─► residuals: risk − what the model expects
//!                                   └─► kernel ridge for each (length, noise) ─► scale that the base set bears
//!                                         └─► leave one pattern out, in closed form ─► the best of them
//! ```
//! The residuals are a Gaussian process with mean zero: far from every correction nothing changes. Leaving a pattern out
//! needs no second fit: with `C = (K + noise)⁻¹` and `w = C r`, the residual that the others leave at `i` is `wᵢ / Cᵢᵢ`; and
//! that at `j` when `i` is left out too follows from the 2 × 2 block of `C`. So length and noise are chosen for each pattern
//! without it, and the figures say what the choice is worth on a pattern that it never saw. (The scale alone is that of all
//! patterns together: it looks at the base set only.)
//!
//! The base set is a sample of the authored catalogue, in the binary: lines of some hundred programs with known risks.

mod base;
mod linear;
mod near;

use logrisk_base::Risk;
use logrisk_score::{
    adapter::{Adapter, Correction, Point, changed},
    model::{Model, ModelScratch},
};
use serde::Serialize;

use base::BaseSet;
use linear::{inverse, times};
use near::Pairs;

/// Lengths tried, as shares of the usual squared distance between two lines of the base set.
const SQUARED_LENGTHS: [f32; 6] = [0.02, 0.05, 0.1, 0.2, 0.4, 0.8];
/// Noise tried: how much of a single correction is a slip, against a prior variance of one.
const NOISES: [f64; 4] = [0.1, 0.3, 1.0, 3.0];
/// With fewer patterns nothing can be measured, so only the patterns themselves are corrected.
const FEWEST: usize = 5;
/// The inverse of a thousand takes seconds; who has more corrections has enough to train on.
const MOST: usize = 1_000;

/// One pattern and the risk that a person gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Corrected {
    /// The masked text.
    pub pattern: String,
    /// The risk.
    pub risk: Risk,
    /// How many opinions it stands for.
    pub weight: f32,
}

/// Figures before and after.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Change {
    /// The model alone.
    pub before: f32,
    /// With the adapter.
    pub after: f32,
}

/// How good an adapter was found to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdaptReport {
    /// Corrected patterns.
    pub patterns: usize,
    /// Mean absolute error on a pattern that was left out.
    pub mae: Change,
    /// The share of labels within one of the correction, on a pattern that was left out.
    pub within_one: Change,
    /// Lines of the base set.
    pub base_lines: usize,
    /// Mean absolute error on them.
    pub base_mae: Change,
    /// How far their score moved on average.
    pub base_moved: f32,
    /// How many of them moved at all.
    pub base_touched: usize,
    /// The most that their error may grow.
    pub max_base_loss: f32,
    /// The chosen noise.
    pub noise: f64,
}

/// Corrections that make no adapter.
#[derive(Debug, thiserror::Error)]
pub enum AdaptError {
    /// Not a single one has a token.
    #[error("no correction has text that the model could read; give lines, not labels alone")]
    Nothing,
    /// Enough to train on.
    #[error(
        "{0} patterns are corrected, and an adapter takes {MOST}; train on them instead: logrisk train --base MODEL --data FILE"
    )]
    TooMany(usize),
    /// The bound is no bound.
    #[error("the bound on the base set's loss is {0}; give a number of 0 or more")]
    Bound(f32),
}

/// One way to correct: weights, and what they do to the base set.
struct Candidate {
    length: f32,
    noise: f64,
    scale: f32,
    weights: Vec<f64>,
    /// Of the pattern in the row and the one in the column, both left out: the error of the one in the column.
    without_two: Vec<f32>,
    /// The score of each pattern as the others would have it.
    left_out: Vec<f32>,
}

/// Makes the adapter of a model for some corrections, at most one a pattern. The model must not have an adapter already.
///
/// # Errors
/// [`AdaptError`].
pub fn adapt(
    model: &Model,
    digest: String,
    corrections: &[Corrected],
    max_base_loss: f32,
) -> Result<(Adapter, AdaptReport), AdaptError> {
    if max_base_loss.is_nan() || max_base_loss < 0.0 {
        return Err(AdaptError::Bound(max_base_loss));
    }
    if corrections.is_empty() {
        return Err(AdaptError::Nothing);
    }
    if corrections.len() > MOST {
        return Err(AdaptError::TooMany(corrections.len()));
    }
    let patterns: Vec<&str> = corrections.iter().map(|each| each.pattern.as_str()).collect();
    let (points, expected) = look(model, &patterns);
    let truths: Vec<f32> = corrections.iter().map(|each| f32::from(each.risk.get())).collect();
    let base = BaseSet::new(model, &patterns);

    let candidates = if corrections.len() < FEWEST {
        Vec::new()
    } else {
        let site = Site { corrections, points: &points, expected: &expected, truths: &truths };
        candidates(&site, &base, max_base_loss)
    };
    let errors: Vec<f32> = expected.iter().zip(&truths).map(|(score, truth)| (score - truth).abs()).collect();
    let left_out: Vec<f32> = (0..patterns.len())
        .map(|out| {
            let rest = errors.iter().sum::<f32>() - errors[out];
            let row = |each: &Candidate| -> f32 {
                each.without_two[out * errors.len()..][..errors.len()].iter().sum()
            };
            choose(&candidates, row, rest).map_or(expected[out], |best| best.left_out[out])
        })
        .collect();
    let total = |each: &Candidate| mean_error(&each.left_out, &truths);
    let chosen = choose(&candidates, total, mean_error(&expected, &truths));

    let (length, scale, noise) = chosen.map_or((1.0, 0.0, 0.0), |best| (best.length, best.scale, best.noise));
    let weights = chosen.map_or_else(|| vec![0.0; patterns.len()], |best| best.weights.clone());
    let moved: Vec<f32> = match chosen {
        Some(best) => {
            let kernel = Pairs::new(&base.points, &points).kernel(length);
            kernel.changes(&best.weights).iter().map(|change| scale * change).collect()
        }
        None => vec![0.0; base.expected.len()],
    };
    let after: Vec<f32> =
        base.expected.iter().zip(&moved).map(|(score, change)| changed(*score, *change)).collect();
    let report = AdaptReport {
        patterns: patterns.len(),
        mae: Change { before: mean_error(&expected, &truths), after: mean_error(&left_out, &truths) },
        within_one: Change { before: within_one(&expected, &truths), after: within_one(&left_out, &truths) },
        base_lines: after.len(),
        base_mae: Change {
            before: mean_error(&base.expected, &base.truths),
            after: mean_error(&after, &base.truths),
        },
        base_moved: mean_error(&after, &base.expected),
        base_touched: after.iter().zip(&base.expected).filter(|(after, before)| after != before).count(),
        max_base_loss,
        noise,
    };
    let corrections = corrections
        .iter()
        .zip(weights)
        .map(|(each, weight)| Correction {
            pattern: each.pattern.clone(),
            risk: each.risk,
            weight: weight as f32,
        })
        .collect();
    let mut adapter = Adapter::new(model.version().to_owned(), digest, length, scale, corrections);
    adapter.figures = serde_json::to_value(&report).unwrap_or_default();
    Ok((adapter, report))
}

/// The candidate with the smallest error, if it is smaller than that of no correction at all.
fn choose(candidates: &[Candidate], error: impl Fn(&Candidate) -> f32, alone: f32) -> Option<&Candidate> {
    let scored = candidates.iter().map(|each| (error(each), each));
    scored
        .filter(|(error, _)| *error < alone)
        .min_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, each)| each)
}

/// The points of texts, and what the model expects of them.
fn look(model: &Model, texts: &[&str]) -> (Vec<Point>, Vec<f32>) {
    let mut scratch = ModelScratch::default();
    let features = model.features(texts, &mut scratch);
    let width = features.len() / texts.len().max(1);
    let points = texts
        .iter()
        .zip(features.chunks(width.max(1)))
        .map(|(text, features)| Point::new(features, text))
        .collect();
    let mut answers = Vec::with_capacity(texts.len());
    model.assess(texts, &mut scratch, &mut answers);
    (points, answers.iter().map(|answer| answer.expected()).collect())
}

/// What is known of the site.
struct Site<'a> {
    corrections: &'a [Corrected],
    points: &'a [Point],
    expected: &'a [f32],
    truths: &'a [f32],
}

fn candidates(site: &Site<'_>, base: &BaseSet, max_base_loss: f32) -> Vec<Candidate> {
    let count = site.points.len();
    let usual = base.usual_squared_distance();
    let (own, to_base) = (Pairs::new(site.points, site.points), Pairs::new(&base.points, site.points));
    let residuals: Vec<f64> =
        site.truths.iter().zip(site.expected).map(|(truth, score)| f64::from(truth - score)).collect();
    let mut candidates = Vec::new();
    for share in SQUARED_LENGTHS {
        let length = (share * usual).sqrt();
        let (kernel, base_kernel) = (own.kernel(length), to_base.kernel(length));
        for noise in NOISES {
            let mut noisy = kernel.values.clone();
            for (index, each) in site.corrections.iter().enumerate() {
                // Ten like opinions leave little doubt; ten thousand copies of a line are still one opinion.
                noisy[index * count + index] += noise / f64::from(each.weight.clamp(0.1, 10.0));
            }
            let Some(inverse) = inverse(noisy, count) else { continue };
            let weights = times(&inverse, &residuals);
            let changes = base_kernel.changes(&weights);
            let scale = base.scale(&changes, max_base_loss);
            let (without_two, left_out) = leave_out(site, &inverse, &weights, &residuals, scale);
            candidates.push(Candidate { length, noise, scale, weights, without_two, left_out });
        }
    }
    candidates
}

/// The errors with two patterns left out, and the scores with one.
fn leave_out(
    site: &Site<'_>,
    inverse: &[f64],
    weights: &[f64],
    residuals: &[f64],
    scale: f32,
) -> (Vec<f32>, Vec<f32>) {
    let count = weights.len();
    let at = |row: usize, column: usize| inverse[row * count + column];
    let score =
        |index: usize, left: f64| changed(site.expected[index], scale * (residuals[index] - left) as f32);
    let mut without_two = vec![0.0; count * count];
    for one in 0..count {
        for other in (0..count).filter(|&other| other != one) {
            let determinant = at(one, one) * at(other, other) - at(one, other) * at(one, other);
            let left = (at(one, one) * weights[other] - at(one, other) * weights[one]) / determinant;
            without_two[one * count + other] = (score(other, left) - site.truths[other]).abs();
        }
    }
    let left_out = (0..count).map(|index| score(index, weights[index] / at(index, index))).collect();
    (without_two, left_out)
}

fn mean_error(scores: &[f32], truths: &[f32]) -> f32 {
    let sum: f32 = scores.iter().zip(truths).map(|(score, truth)| (score - truth).abs()).sum();
    sum / scores.len().max(1) as f32
}

fn within_one(scores: &[f32], truths: &[f32]) -> f32 {
    let near = |score: &f32, truth: &f32| (f32::from(Risk::nearest(*score).get()) - truth).abs() < 1.5;
    scores.iter().zip(truths).filter(|(score, truth)| near(score, truth)).count() as f32
        / scores.len().max(1) as f32
}

#[cfg(test)]
mod tests;
