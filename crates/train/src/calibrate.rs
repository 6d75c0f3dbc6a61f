//! Fits what a model's answers are worth, on lines that it never saw, and puts it into the archive.
//!
//! ```text
//! judged texts ─► the int8 model, uncalibrated ─► log-probabilities ─► Newton's method: temperature, 11 biases
//!                                                        └─► two halves by family, each judged by the other's fit ─► figures
//! ```
//! The logits that serve are int8's, so those are set right. A softmax forgets what is added to all logits alike, so that
//! log-probabilities serve as logits.
//!
//! Whose lines decides what is learnt: the biases are the frequencies of the risks. The messages that people read stand
//! as often as they do in programs; authored templates are full of danger, to teach it, and would calibrate a model to a
//! world on fire. So a recipe's templates are left out here.
//!
//! The targets are the labels themselves, not spread as in training: what readers disagree about is in the labels
//! already, and would count twice.

mod fit;

use foldhash::HashMap;
use logrisk_base::Risk;
use logrisk_score::{
    archive::Archive,
    calibration::Calibration,
    encoder::{Isa, Precision},
    known::KnownPatterns,
    model::{Assessment, Model, ModelError, ModelScratch, softmax},
};
use serde::Serialize;
use serde_json::json;

pub use fit::fit;

/// A text that somebody gave a risk, and that the model was not trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedText {
    /// The canonical masked text.
    pub text: String,
    /// Its risk.
    pub risk: Risk,
    /// Texts of one family (a program, a pattern) resemble each other: they are fitted on, or measured on, together.
    pub family: String,
}

/// How good the answers were before and after. After: each half by the fit of the other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CalibrationFigures {
    /// Texts fitted on.
    pub texts: usize,
    /// Uncalibrated.
    pub before: Figures,
    /// Calibrated.
    pub after: Figures,
    /// The share whose risk lies in the 80 % interval.
    pub coverage: f64,
    /// The share that is unsure.
    pub unsure: f64,
    /// The mean absolute error of the unsure answers.
    pub unsure_mae: f64,
    /// And of the others.
    pub sure_mae: f64,
    /// The share of each risk among the calibrated answers: what a server compares the risks that it gives with.
    pub risk_shares: [f64; Risk::COUNT],
}

/// How good probabilities are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Expected calibration error of the probability of a risk of 7 or more, ten bins.
    pub calibration_error_7: f64,
    /// Mean negative logarithm of the probability of the true risk.
    pub log_loss: f64,
    /// Mean absolute error of the label.
    pub mae: f64,
}

/// Why a model could not be calibrated.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// Hardly anything to fit on.
    #[error("{found} texts are too few to calibrate on; label at least {FEWEST_TEXTS}")]
    TooFew {
        /// How many there were.
        found: usize,
    },
    /// Answers and labels go different ways.
    #[error(
        "the model's answers do not follow these labels (the best temperature is not above 0); \
         are the labels risks from 0 to 10 of lines of this kind?"
    )]
    Unrelated,
    /// Nothing that answers.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Twelve numbers are fitted, and half of the texts must do to measure by.
pub const FEWEST_TEXTS: usize = 50;

/// The share of answers that should be unsure: as many as a person may care to look at.
const UNSURE: f64 = 0.1;

/// Calibrates the archive's model, and gives how much better it became, which the manifest then says too.
///
/// # Errors
/// [`CalibrationError`]; the archive is then as it was.
pub fn calibrate(
    archive: &mut Archive,
    texts: &[JudgedText],
) -> Result<CalibrationFigures, CalibrationError> {
    if texts.len() < FEWEST_TEXTS {
        return Err(CalibrationError::TooFew { found: texts.len() });
    }
    let model = raw_model(archive)?;
    let borrowed: Vec<&str> = texts.iter().map(|each| each.text.as_str()).collect();
    let mut answers = Vec::with_capacity(texts.len());
    model.assess(&borrowed, &mut ModelScratch::default(), &mut answers);
    let logits: Vec<_> = answers.iter().map(logits).collect();
    let risks: Vec<Risk> = texts.iter().map(|each| each.risk).collect();

    let mut calibration = fit(&logits, &risks).ok_or(CalibrationError::Unrelated)?;
    let calibrated: Vec<_> = logits.iter().map(|logits| answer(&calibration, logits)).collect();
    calibration.unsure_width = unsure_width(&calibrated);

    let mut after = vec![Assessment::NOTHING; texts.len()];
    let halves = halves(texts);
    for measured in [false, true] {
        let of = |half: bool| (0..texts.len()).filter(|&index| halves[index] == half).collect::<Vec<_>>();
        let fitted = of(!measured);
        let half: Vec<_> = fitted.iter().map(|&index| logits[index]).collect();
        let half_risks: Vec<_> = fitted.iter().map(|&index| risks[index]).collect();
        let half = fit(&half, &half_risks).ok_or(CalibrationError::Unrelated)?;
        for index in of(measured) {
            after[index] = answer(&half, &logits[index]);
        }
    }
    let (unsure, sure): (Vec<_>, Vec<_>) =
        after.iter().zip(&risks).partition(|(answer, _)| calibration.is_unsure(answer));
    let covered = after.iter().zip(&risks).filter(|(answer, risk)| {
        let (low, high) = answer.interval();
        (low..=high).contains(risk)
    });
    let share = |count: usize| count as f64 / texts.len() as f64;
    let figures = CalibrationFigures {
        texts: texts.len(),
        before: measure(answers.iter().zip(&risks)),
        after: measure(after.iter().zip(&risks)),
        coverage: share(covered.count()),
        unsure: share(unsure.len()),
        unsure_mae: measure(unsure.into_iter()).mae,
        sure_mae: measure(sure.into_iter()).mae,
        risk_shares: std::array::from_fn(|risk| {
            share(calibrated.iter().filter(|answer| usize::from(answer.label().get()) == risk).count())
        }),
    };
    let description = &mut archive.description;
    description.calibration = Some(calibration);
    if description.figures.is_null() || description.figures.is_object() {
        description.figures["calibration"] = json!(figures);
    }
    Ok(figures)
}

/// Patterns to show beside an answer: those whose risk is known, each text once.
#[must_use]
pub fn known(patterns: Vec<(String, Risk)>) -> KnownPatterns {
    KnownPatterns::new(&distinct(patterns))
}

fn raw_model(archive: &Archive) -> Result<Model, ModelError> {
    let mut raw = archive.clone();
    raw.description.calibration = None;
    raw.known = None;
    Model::load(raw, Precision::Int8, Isa::detect())
}

/// Each text once, in the order of first appearance, with the highest risk that it was given.
fn distinct(patterns: Vec<(String, Risk)>) -> Vec<(String, Risk)> {
    let mut places: HashMap<String, usize> = HashMap::default();
    let mut distinct: Vec<(String, Risk)> = Vec::with_capacity(patterns.len());
    for (text, risk) in patterns {
        match places.get(&text) {
            Some(&place) => distinct[place].1 = distinct[place].1.max(risk),
            None => {
                places.insert(text.clone(), distinct.len());
                distinct.push((text, risk));
            }
        }
    }
    distinct
}

/// As good as the logits: a softmax forgets what is added to all alike. What underflowed is as good as impossible.
fn logits(answer: &Assessment) -> [f32; Risk::COUNT] {
    answer.probabilities.map(|probability| probability.max(1e-30).ln())
}

fn answer(calibration: &Calibration, logits: &[f32; Risk::COUNT]) -> Assessment {
    let probabilities = softmax(&calibration.apply(logits));
    Assessment { probabilities, ..Assessment::NOTHING }
}

/// The width that the share of wider answers is nearest to [`UNSURE`] with.
fn unsure_width(answers: &[Assessment]) -> u8 {
    let wider = |width: u8| {
        let wider = answers.iter().filter(|answer| {
            let (low, high) = answer.interval();
            high.get() - low.get() > width
        });
        wider.count() as f64 / answers.len().max(1) as f64
    };
    let distance = |width: u8| (wider(width) - UNSURE).abs();
    (0..=Risk::MAX.get()).min_by(|one, other| distance(*one).total_cmp(&distance(*other))).unwrap_or_default()
}

/// Families in two halves of about the same size: the largest first, each to the smaller half.
fn halves(texts: &[JudgedText]) -> Vec<bool> {
    let mut sizes: HashMap<&str, usize> = HashMap::default();
    texts.iter().for_each(|each| *sizes.entry(&each.family).or_default() += 1);
    let mut families: Vec<(&str, usize)> = sizes.into_iter().collect();
    families.sort_unstable_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    let mut taken = [0, 0];
    let mut second: HashMap<&str, bool> = HashMap::default();
    for (family, size) in families {
        let half = taken[1] < taken[0];
        taken[usize::from(half)] += size;
        second.insert(family, half);
    }
    texts.iter().map(|each| second.get(each.family.as_str()).copied().unwrap_or_default()).collect()
}

fn measure<'a>(judged: impl Iterator<Item = (&'a Assessment, &'a Risk)>) -> Figures {
    let mut bins = [(0.0, 0.0); 10];
    let (mut loss, mut distance, mut count) = (0.0, 0.0, 0.0);
    for (answer, risk) in judged {
        let act_today = answer.probabilities[7..].iter().sum::<f32>();
        let bin = &mut bins[((act_today * 10.0) as usize).min(9)];
        bin.0 += f64::from(act_today);
        bin.1 += f64::from(u8::from(risk.get() >= 7));
        loss -= f64::from(answer.probabilities[usize::from(risk.get())].max(1e-30).ln());
        distance += f64::from(answer.label().get().abs_diff(risk.get()));
        count += 1.0;
    }
    let count = f64::max(count, 1.0);
    Figures {
        calibration_error_7: bins.iter().map(|(said, was)| (said - was).abs()).sum::<f64>() / count,
        log_loss: loss / count,
        mae: distance / count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_stay_together_in_halves_of_a_size() {
        let sizes = [("a", 50), ("b", 30), ("c", 25), ("d", 5)];
        let texts: Vec<JudgedText> = sizes
            .iter()
            .flat_map(|(family, size)| {
                (0..*size).map(move |index| JudgedText {
                    text: format!("{family} {index}"),
                    risk: Risk::MIN,
                    family: (*family).to_owned(),
                })
            })
            .collect();
        let halves = halves(&texts);
        assert_eq!(halves.iter().filter(|half| **half).count(), 55);
        assert!(
            texts.iter().zip(&halves).all(|(text, half)| *half == (text.family == "b" || text.family == "c"))
        );
    }

    #[test]
    fn the_width_leaves_about_a_tenth() {
        let around = |width: usize| {
            let mut answer = Assessment { probabilities: [0.0; 11], ..Assessment::NOTHING };
            (0..=width).for_each(|risk| answer.probabilities[risk] = 1.0 / (width + 1) as f32);
            answer
        };
        let mut answers = vec![around(2); 88];
        answers.extend(vec![around(5); 12]);
        let narrow = unsure_width(&answers);
        let wide = answers.iter().filter(|answer| {
            Calibration { unsure_width: narrow, ..Calibration::default() }.is_unsure(answer)
        });
        assert_eq!(wide.count(), 12);
    }

    #[test]
    fn a_text_with_two_risks_is_known_by_the_higher() {
        let risk = |value| Risk::new(value).unwrap();
        let patterns =
            [("a", 3), ("b", 2), ("a", 5), ("a", 1)].map(|(text, value)| (text.to_owned(), risk(value)));
        assert_eq!(distinct(patterns.to_vec()), [("a".to_owned(), risk(5)), ("b".to_owned(), risk(2))]);
    }
}
