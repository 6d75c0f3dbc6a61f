//! The figures: pure functions over what lines really are and what was answered.
//!
//! Every function returns `None` where its figure has no meaning (no positives, a single class), so that a report shows
//! a gap, not a misleading 0. Definitions are scikit-learn's; the tests hold values that it gave.

use logrisk_base::Risk;

/// One line with both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The risk that somebody gave.
    pub truth: Option<Risk>,
    /// For trap lines: is it risky at all?
    pub risky: Option<bool>,
    /// The risk that was answered.
    pub label: Risk,
    /// The expected risk that was answered: finer than the label.
    pub score: f32,
    /// The probability of 7 or more that was answered, where probabilities were.
    pub act_today: Option<f32>,
}

/// Rows are truths, columns are answers.
pub type Confusion = [[u32; Risk::COUNT]; Risk::COUNT];

/// Computes one figure; `None` where it has no meaning on these samples.
pub type Compute = fn(&[Sample]) -> Option<f64>;

/// Names and ways of all figures, in the order of the report. Names are the keys of the JSON report.
pub const FIGURES: &[(&str, Compute)] = &[
    ("accuracy", |samples| within(samples, 0)),
    ("within_1", |samples| within(samples, 1)),
    ("within_2", |samples| within(samples, 2)),
    ("mae", |samples| mean(samples, |truth, label| (truth - label).abs())),
    ("rmse", |samples| mean(samples, |truth, label| (truth - label).powi(2)).map(f64::sqrt)),
    ("macro_precision", |samples| macro_average(samples).map(|(precision, _, _)| precision)),
    ("macro_recall", |samples| macro_average(samples).map(|(_, recall, _)| recall)),
    ("macro_f1", |samples| macro_average(samples).map(|(_, _, f1)| f1)),
    ("weighted_kappa", weighted_kappa),
    ("spearman", spearman),
    ("auroc_5", |samples| auroc_at(samples, 5)),
    ("auroc_7", |samples| auroc_at(samples, 7)),
    ("precision_7", |samples| alarm(samples, 7).precision),
    ("recall_7", |samples| alarm(samples, 7).recall),
    ("f1_7", |samples| alarm(samples, 7).f1()),
    ("precision_9", |samples| alarm(samples, 9).precision),
    ("recall_9", |samples| alarm(samples, 9).recall),
    ("f1_9", |samples| alarm(samples, 9).f1()),
    ("precision_at_recall_90_of_5", |samples| precision_at_recall(samples, 5, 0.9)),
    ("calibration_error_7", |samples| calibration_error(samples, 7)),
    ("traps_auroc", traps_auroc),
];

fn labelled(samples: &[Sample]) -> impl Iterator<Item = (&Sample, f64)> {
    samples.iter().filter_map(|sample| sample.truth.map(|truth| (sample, f64::from(truth.get()))))
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

fn mean(samples: &[Sample], loss: impl Fn(f64, f64) -> f64) -> Option<f64> {
    let losses = labelled(samples).map(|(sample, truth)| loss(truth, f64::from(sample.label.get())));
    let (sum, count) = losses.fold((0.0, 0.0), |(sum, count), loss| (sum + loss, count + 1.0));
    ratio(sum, count)
}

/// The share of answers at most so far from the truth.
#[must_use]
pub fn within(samples: &[Sample], distance: u8) -> Option<f64> {
    mean(samples, |truth, label| f64::from(u8::from((truth - label).abs() <= f64::from(distance))))
}

/// The confusion matrix.
#[must_use]
pub fn confusion(samples: &[Sample]) -> Confusion {
    let mut matrix = [[0; Risk::COUNT]; Risk::COUNT];
    for sample in samples {
        if let Some(truth) = sample.truth {
            matrix[usize::from(truth.get())][usize::from(sample.label.get())] += 1;
        }
    }
    matrix
}

/// Precision, recall and F1, averaged over the risks that occur as truth or as answer; a risk without answers has
/// precision 0, one without truths recall 0.
#[must_use]
pub fn macro_average(samples: &[Sample]) -> Option<(f64, f64, f64)> {
    let matrix = confusion(samples);
    let mut sums = (0.0, 0.0, 0.0);
    let mut classes = 0.0;
    for risk in 0..Risk::COUNT {
        let hits = f64::from(matrix[risk][risk]);
        let truths: u32 = matrix[risk].iter().sum();
        let answers: u32 = matrix.iter().map(|row| row[risk]).sum();
        if truths + answers == 0 {
            continue;
        }
        classes += 1.0;
        sums.0 += ratio(hits, f64::from(answers)).unwrap_or(0.0);
        sums.1 += ratio(hits, f64::from(truths)).unwrap_or(0.0);
        sums.2 += 2.0 * hits / f64::from(truths + answers);
    }
    (classes > 0.0).then(|| (sums.0 / classes, sums.1 / classes, sums.2 / classes))
}

/// How well labels of a risk or more find truths of that risk or more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alarm {
    /// Of the alarms, the right ones; `None` without alarms.
    pub precision: Option<f64>,
    /// Of what deserved an alarm, what got one; `None` if nothing did.
    pub recall: Option<f64>,
}

impl Alarm {
    /// Their harmonic mean; 0 where something deserved an alarm and none was given.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        let recall = self.recall?;
        let precision = self.precision.unwrap_or(0.0);
        Some(ratio(2.0 * precision * recall, precision + recall).unwrap_or(0.0))
    }
}

/// [`Alarm`] at that risk.
#[must_use]
pub fn alarm(samples: &[Sample], risk: u8) -> Alarm {
    let (mut hits, mut alarms, mut deserved) = (0.0, 0.0, 0.0);
    for (sample, truth) in labelled(samples) {
        let (is, said) = (truth >= f64::from(risk), sample.label.get() >= risk);
        hits += f64::from(u8::from(is && said));
        alarms += f64::from(u8::from(said));
        deserved += f64::from(u8::from(is));
    }
    Alarm { precision: ratio(hits, alarms), recall: ratio(hits, deserved) }
}

/// The probability that a random positive scores above a random negative; ties count half. `None` without both.
#[must_use]
pub fn auroc(scored: &[(f64, bool)]) -> Option<f64> {
    let ranks = ranks(&scored.iter().map(|(score, _)| *score).collect::<Vec<_>>());
    let positives = scored.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = scored.len() as f64 - positives;
    let sum: f64 =
        scored.iter().zip(ranks).filter(|((_, positive), _)| *positive).map(|(_, rank)| rank).sum();
    ratio(sum - positives * (positives + 1.0) / 2.0, positives * negatives)
}

fn auroc_at(samples: &[Sample], risk: u8) -> Option<f64> {
    auroc(&scored_at(samples, risk))
}

fn scored_at(samples: &[Sample], risk: u8) -> Vec<(f64, bool)> {
    labelled(samples).map(|(sample, truth)| (f64::from(sample.score), truth >= f64::from(risk))).collect()
}

fn traps_auroc(samples: &[Sample]) -> Option<f64> {
    let scored = samples.iter().filter_map(|sample| Some((f64::from(sample.score), sample.risky?)));
    auroc(&scored.collect::<Vec<_>>())
}

/// The best precision of any threshold on the score that still finds that share of the truths of a risk or more.
#[must_use]
pub fn precision_at_recall(samples: &[Sample], risk: u8, recall: f64) -> Option<f64> {
    let mut scored = scored_at(samples, risk);
    scored.sort_by(|one, other| other.0.total_cmp(&one.0));
    let positives = scored.iter().filter(|(_, positive)| *positive).count() as f64;
    let mut best: Option<f64> = None;
    let mut hits = 0.0;
    for (index, (score, positive)) in scored.iter().enumerate() {
        hits += f64::from(u8::from(*positive));
        // A threshold takes all lines of equal score or none.
        let last_of_equals = scored.get(index + 1).is_none_or(|(next, _)| next < score);
        if last_of_equals && positives > 0.0 && hits >= recall * positives {
            let precision = hits / (index + 1) as f64;
            best = Some(best.map_or(precision, |best| best.max(precision)));
        }
    }
    best
}

/// Expected calibration error of the probability of a risk or more, ten bins of equal width. `None` where answers came
/// without probabilities.
#[must_use]
pub fn calibration_error(samples: &[Sample], risk: u8) -> Option<f64> {
    let mut bins = [(0.0, 0.0, 0.0); 10];
    for (sample, truth) in labelled(samples) {
        let probability = f64::from(sample.act_today?);
        let bin = &mut bins[((probability * 10.0) as usize).min(9)];
        bin.0 += probability;
        bin.1 += f64::from(u8::from(truth >= f64::from(risk)));
        bin.2 += 1.0;
    }
    let total: f64 = bins.iter().map(|bin| bin.2).sum();
    ratio(bins.iter().map(|(said, was, _)| (said - was).abs()).sum(), total)
}

/// Spearman's rank correlation of score and truth. `None` where either is constant.
#[must_use]
pub fn spearman(samples: &[Sample]) -> Option<f64> {
    let (scores, truths): (Vec<f64>, Vec<f64>) =
        labelled(samples).map(|(sample, truth)| (f64::from(sample.score), truth)).unzip();
    let (scores, truths) = (ranks(&scores), ranks(&truths));
    let center = (scores.len() as f64 + 1.0) / 2.0;
    let product =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - center) * (b - center)).sum::<f64>();
    ratio(product(&scores, &truths), (product(&scores, &scores) * product(&truths, &truths)).sqrt())
}

/// Cohen's kappa with quadratic weights: agreement beyond chance, far misses counting more. `None` where both sides
/// are one and the same constant.
#[must_use]
pub fn weighted_kappa(samples: &[Sample]) -> Option<f64> {
    let matrix = confusion(samples);
    let rows: Vec<f64> = matrix.iter().map(|row| row.iter().map(|count| f64::from(*count)).sum()).collect();
    let columns: Vec<f64> =
        (0..Risk::COUNT).map(|c| matrix.iter().map(|row| f64::from(row[c])).sum()).collect();
    let total: f64 = rows.iter().sum();
    let (mut observed, mut expected) = (0.0, 0.0);
    for (truth, row) in matrix.iter().enumerate() {
        for (label, count) in row.iter().enumerate() {
            let weight = (truth as f64 - label as f64).powi(2);
            observed += weight * f64::from(*count);
            expected += weight * rows[truth] * columns[label] / total;
        }
    }
    ratio(observed, expected).map(|share| 1.0 - share)
}

/// Ranks from 1, ties sharing the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut begin = 0;
    while begin < order.len() {
        let equal =
            order[begin..].iter().take_while(|&&index| values[index] == values[order[begin]]).count().max(1);
        let rank = begin as f64 + (equal as f64 + 1.0) / 2.0;
        order[begin..begin + equal].iter().for_each(|&index| ranks[index] = rank);
        begin += equal;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Truths, labels, scores and probabilities of twelve lines; the expected values are scikit-learn 1.9's and SciPy's.
    fn samples() -> Vec<Sample> {
        let truths = [2, 2, 7, 9, 4, 5, 6, 8, 0, 10, 3, 7];
        let labels = [2, 3, 7, 7, 4, 7, 5, 9, 2, 9, 3, 4];
        let scores = [2.1, 2.8, 6.9, 7.2, 4.4, 6.9, 5.0, 8.6, 1.6, 9.3, 2.8, 4.4];
        let act = [0.02, 0.05, 0.6, 0.72, 0.15, 0.61, 0.2, 0.93, 0.01, 0.98, 0.04, 0.18];
        (0..12)
            .map(|index| Sample {
                truth: Risk::new(truths[index]).ok(),
                risky: None,
                label: Risk::new(labels[index]).unwrap(),
                score: scores[index],
                act_today: Some(act[index]),
            })
            .collect()
    }

    fn check(name: &str, expected: f64) {
        let (_, figure) = FIGURES.iter().find(|(key, _)| *key == name).unwrap();
        let value = figure(&samples()).unwrap();
        assert!((value - expected).abs() < 1e-6, "{name}: {value} instead of {expected}");
    }

    #[test]
    fn figures_equal_those_of_scikit_learn() {
        let expected = [
            ("accuracy", 0.333333333),
            ("within_1", 0.666666667),
            ("within_2", 0.916666667),
            ("mae", 1.083333333),
            ("rmse", 1.443375673),
            ("macro_precision", 0.183333333),
            ("macro_recall", 0.300000000),
            ("macro_f1", 0.223333333),
            ("weighted_kappa", 0.859550562),
            ("spearman", 0.932982051),
            ("auroc_5", 0.985714286),
            ("auroc_7", 0.914285714),
            ("precision_7", 0.800000000),
            ("recall_7", 0.800000000),
            ("f1_7", 0.800000000),
            ("precision_9", 0.500000000),
            ("recall_9", 0.500000000),
            ("f1_9", 0.500000000),
            ("precision_at_recall_90_of_5", 0.875000000),
            ("calibration_error_7", 0.130833333),
        ];
        for (name, expected) in expected {
            check(name, expected);
        }
    }

    #[test]
    fn figures_without_meaning_are_absent() {
        for (name, figure) in FIGURES {
            assert_eq!(figure(&[]), None, "{name}");
        }
        let constant = vec![Sample { truth: Risk::new(2).ok(), ..samples()[0] }; 3];
        assert_eq!(
            (spearman(&constant), auroc_at(&constant, 5), weighted_kappa(&constant)),
            (None, None, None)
        );
        let unsure = vec![Sample { act_today: None, ..samples()[0] }];
        assert_eq!(calibration_error(&unsure, 7), None);
    }

    #[test]
    fn an_alarm_never_given_has_no_precision_and_f1_zero() {
        let quiet = vec![Sample { truth: Risk::new(8).ok(), label: Risk::MIN, ..samples()[0] }];
        let alarm = alarm(&quiet, 7);
        assert_eq!((alarm.precision, alarm.recall, alarm.f1()), (None, Some(0.0), Some(0.0)));
    }

    #[test]
    fn traps_need_no_risk() {
        let trap = |risky, score| Sample { truth: None, risky: Some(risky), score, ..samples()[0] };
        let samples = [trap(true, 8.0), trap(true, 3.0), trap(false, 3.0), trap(false, 1.0)];
        assert_eq!(traps_auroc(&samples), Some(0.875));
    }
}
