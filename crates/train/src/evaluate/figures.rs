//! The figures: pure functions over what lines really are and what was answered.
//!
//! Every function returns `None` where its figure has no meaning (no positives, a single class), so that a report shows
//! a gap, not a misleading 0. Definitions are scikit-learn's; the tests hold values that it gave.

use std::ops::RangeInclusive;

use logrisk_base::Risk;
use serde::Serialize;

use super::Answer;

/// One line with both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The risk that somebody gave.
    pub truth: Option<Risk>,
    /// The lowest and the highest risk that a careful reader may give, where somebody said so.
    pub range: Option<(Risk, Risk)>,
    /// For trap lines: is it risky at all?
    pub risky: Option<bool>,
    /// For messages from source code: did the developer call it an error or worse?
    pub error: Option<bool>,
    /// For the riskier line of a pair: the score that its safer twin was given.
    pub safer_twin: Option<f32>,
    /// What was answered.
    pub answer: Answer,
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
    ("within_range", within_range),
    ("bias", |samples| bias(samples, 0..=10)),
    ("bias_routine", |samples| bias(samples, 0..=3)),
    ("bias_rest", |samples| bias(samples, 4..=10)),
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
    ("calibration_error_5", |samples| calibration_error(samples, 5)),
    ("calibration_error_7", |samples| calibration_error(samples, 7)),
    ("traps_auroc", |samples| auroc_of(samples, |sample| sample.risky)),
    ("pairs_right", pairs_right),
    ("severity_auroc", |samples| auroc_of(samples, |sample| sample.error)),
    ("unsure", |samples| share(samples.iter().map(|sample| sample.answer.unsure))),
    ("coverage", coverage),
];

/// The names of all figures, for a message.
#[must_use]
pub fn names() -> String {
    FIGURES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn labelled(samples: &[Sample]) -> impl Iterator<Item = (&Sample, f64)> {
    samples.iter().filter_map(|sample| sample.truth.map(|truth| (sample, f64::from(truth.get()))))
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// The share of `true` among those that are known.
fn share(flags: impl Iterator<Item = Option<bool>>) -> Option<f64> {
    let (hits, count) = flags
        .flatten()
        .fold((0.0, 0.0), |(hits, count), flag| (hits + f64::from(u8::from(flag)), count + 1.0));
    ratio(hits, count)
}

fn mean(samples: &[Sample], loss: impl Fn(f64, f64) -> f64) -> Option<f64> {
    let losses = labelled(samples).map(|(sample, truth)| loss(truth, f64::from(sample.answer.label.get())));
    let (sum, count) = losses.fold((0.0, 0.0), |(sum, count), loss| (sum + loss, count + 1.0));
    ratio(sum, count)
}

/// The share of answers at most so far from the truth.
#[must_use]
pub fn within(samples: &[Sample], distance: u8) -> Option<f64> {
    mean(samples, |truth, label| f64::from(u8::from((truth - label).abs() <= f64::from(distance))))
}

/// Of the lines whose truth is a range, the share of answers inside it.
fn within_range(samples: &[Sample]) -> Option<f64> {
    share(samples.iter().map(|sample| {
        let (low, high) = sample.range?;
        Some((low..=high).contains(&sample.answer.label))
    }))
}

/// The mean of score minus truth over the lines whose truth is in that range: above 0 where risks come out too high.
#[must_use]
pub fn bias(samples: &[Sample], truths: RangeInclusive<u8>) -> Option<f64> {
    let errors = labelled(samples)
        .filter(|(sample, _)| sample.truth.is_some_and(|truth| truths.contains(&truth.get())))
        .map(|(sample, truth)| f64::from(sample.answer.score) - truth);
    let (sum, count) = errors.fold((0.0, 0.0), |(sum, count), error| (sum + error, count + 1.0));
    ratio(sum, count)
}

/// Of the pairs, the share whose riskier line got the higher score. Equal scores are wrong: they tell nobody anything.
fn pairs_right(samples: &[Sample]) -> Option<f64> {
    share(samples.iter().map(|sample| Some(sample.answer.score > sample.safer_twin?)))
}

/// The share of lines whose truth lies in the interval that came with the answer.
fn coverage(samples: &[Sample]) -> Option<f64> {
    share(labelled(samples).map(|(sample, truth)| {
        let (low, high) = sample.answer.interval?;
        Some((f64::from(low)..=f64::from(high)).contains(&truth))
    }))
}

/// The confusion matrix.
#[must_use]
pub fn confusion(samples: &[Sample]) -> Confusion {
    let mut matrix = [[0; Risk::COUNT]; Risk::COUNT];
    for sample in samples {
        if let Some(truth) = sample.truth {
            matrix[usize::from(truth.get())][usize::from(sample.answer.label.get())] += 1;
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
        let (is, said) = (truth >= f64::from(risk), sample.answer.label.get() >= risk);
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
    labelled(samples)
        .map(|(sample, truth)| (f64::from(sample.answer.score), truth >= f64::from(risk)))
        .collect()
}

fn auroc_of(samples: &[Sample], positive: impl Fn(&Sample) -> Option<bool>) -> Option<f64> {
    let scored =
        samples.iter().filter_map(|sample| Some((f64::from(sample.answer.score), positive(sample)?)));
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

/// What was said and what was, of the lines whose probability fell into one tenth.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Bin {
    /// Lines.
    pub lines: f64,
    /// The mean of their probabilities.
    pub said: f64,
    /// The share of them that has the risk or more.
    pub was: f64,
}

/// The probability of a risk or more against how often that was true, by tenths of probability: a reliability plot.
/// `None` where an answer came without probabilities, or no line has a risk.
#[must_use]
pub fn reliability(samples: &[Sample], risk: u8) -> Option<[Bin; 10]> {
    let mut bins = [Bin::default(); 10];
    for (sample, truth) in labelled(samples) {
        let probability = f64::from(sample.answer.at_least(risk)?);
        let bin = &mut bins[((probability * 10.0) as usize).min(9)];
        bin.lines += 1.0;
        bin.said += probability;
        bin.was += f64::from(u8::from(truth >= f64::from(risk)));
    }
    let mut lines = 0.0;
    for bin in bins.iter_mut().filter(|bin| bin.lines > 0.0) {
        bin.said /= bin.lines;
        bin.was /= bin.lines;
        lines += bin.lines;
    }
    (lines > 0.0).then_some(bins)
}

/// Expected calibration error of the probability of a risk or more, over the bins of [`reliability`].
#[must_use]
pub fn calibration_error(samples: &[Sample], risk: u8) -> Option<f64> {
    let bins = reliability(samples, risk)?;
    let missed: f64 = bins.iter().map(|bin| bin.lines * (bin.said - bin.was).abs()).sum();
    ratio(missed, bins.iter().map(|bin| bin.lines).sum())
}

/// Spearman's rank correlation of score and truth. `None` where either is constant.
#[must_use]
pub fn spearman(samples: &[Sample]) -> Option<f64> {
    let (scores, truths): (Vec<f64>, Vec<f64>) =
        labelled(samples).map(|(sample, truth)| (f64::from(sample.answer.score), truth)).unzip();
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
            .map(|index| {
                let mut probabilities = [0.0; Risk::COUNT];
                (probabilities[2], probabilities[8]) = (1.0 - act[index], act[index]);
                let answer = Answer {
                    score: scores[index],
                    probabilities: Some(probabilities),
                    ..Answer::of_label(Risk::new(labels[index]).unwrap())
                };
                Sample { truth: Risk::new(truths[index]).ok(), ..sample(answer) }
            })
            .collect()
    }

    fn sample(answer: Answer) -> Sample {
        Sample { truth: None, range: None, risky: None, error: None, safer_twin: None, answer }
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
            ("bias", -0.083333333),
            ("bias_routine", 0.575),
            ("bias_rest", -0.4125),
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
        let bare = vec![Sample { truth: Risk::new(2).ok(), ..sample(Answer::of_label(Risk::MIN)) }];
        assert_eq!((calibration_error(&bare, 7), reliability(&bare, 7)), (None, None));
    }

    #[test]
    fn an_alarm_never_given_has_no_precision_and_f1_zero() {
        let quiet = vec![Sample { truth: Risk::new(8).ok(), ..sample(Answer::of_label(Risk::MIN)) }];
        let alarm = alarm(&quiet, 7);
        assert_eq!((alarm.precision, alarm.recall, alarm.f1()), (None, Some(0.0), Some(0.0)));
    }

    fn scored(score: f32) -> Answer {
        Answer { score, ..Answer::of_label(Risk::nearest(score)) }
    }

    fn value(name: &str, samples: &[Sample]) -> Option<f64> {
        FIGURES.iter().find(|(key, _)| *key == name).and_then(|(_, figure)| figure(samples))
    }

    #[test]
    fn traps_and_severities_need_no_risk() {
        let rows = [(true, 8.0), (true, 3.0), (false, 3.0), (false, 1.0)];
        let traps = rows.map(|(risky, score)| Sample { risky: Some(risky), ..sample(scored(score)) });
        let severities = rows.map(|(error, score)| Sample { error: Some(error), ..sample(scored(score)) });
        assert_eq!((value("traps_auroc", &traps), value("severity_auroc", &traps)), (Some(0.875), None));
        assert_eq!(value("severity_auroc", &severities), Some(0.875));
    }

    #[test]
    fn pairs_ranges_and_intervals() {
        let twin = |score, safer| Sample { safer_twin: Some(safer), ..sample(scored(score)) };
        assert_eq!(value("pairs_right", &[twin(7.0, 2.0), twin(3.0, 3.0)]), Some(0.5));
        let risk = |value| Risk::new(value).unwrap();
        let ranged = |score| Sample { range: Some((risk(4), risk(6))), ..sample(scored(score)) };
        assert_eq!(value("within_range", &[ranged(4.0), ranged(6.4), ranged(3.4), ranged(7.0)]), Some(0.5));
        let sure = |low, high| Sample {
            truth: Some(risk(5)),
            ..sample(Answer { interval: Some((low, high)), unsure: Some(high - low > 2.0), ..scored(5.0) })
        };
        let samples = [sure(4.0, 5.5), sure(2.0, 4.9), sure(5.0, 6.0), sure(1.0, 9.0)];
        assert_eq!((value("coverage", &samples), value("unsure", &samples)), (Some(0.75), Some(0.5)));
    }
}
