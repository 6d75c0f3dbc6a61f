//! How good answers are: figures with intervals, beside baselines.
//!
//! ```text
//! truths ──┐
//!          ├─► samples ─► figures ─► bootstrap: the same figures on lines drawn anew ─► report
//! answers ─┘
//! ```
//!
//! A figure without an interval invites conclusions from three lines; so each has the middle 95 % of what it is on
//! samples drawn from the same lines with a fixed seed.

mod baselines;
pub mod figures;
mod table;

use logrisk_base::Risk;
use serde::Serialize;

pub use baselines::Baseline;
pub use table::render as render_table;

use crate::dataset::{Truth, random::Random};
use figures::{Confusion, FIGURES, Sample};

/// What was answered to one line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// The risk.
    pub label: Risk,
    /// The expected risk.
    pub score: f32,
    /// The probability of 7 or more, where there are probabilities.
    pub act_today: Option<f32>,
}

impl Answer {
    /// A bare label, as rules give it.
    #[must_use]
    pub fn of_label(label: Risk) -> Self {
        Self { label, score: f32::from(label.get()), act_today: None }
    }

    /// The label, score and probability that a distribution over the risks stands for.
    #[must_use]
    pub fn of_probabilities(probabilities: &[f32; Risk::COUNT], label: Risk) -> Self {
        let score = crate::dataset::expected_risk(probabilities);
        Self { label, score, act_today: Some(probabilities[7..].iter().sum()) }
    }
}

/// How the intervals are made.
#[derive(Debug, Clone, Copy)]
pub struct Bootstrap {
    /// How often lines are drawn anew; 0 for no intervals.
    pub rounds: usize,
    /// The seed of the draws.
    pub seed: u64,
}

/// One figure of a report.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figure {
    /// Its key, for example `within_1`.
    pub name: &'static str,
    /// On all lines.
    pub value: f64,
    /// The lower end of the 95 % interval; the value itself without a bootstrap.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// How good one way of judging is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Who judged: a model's version, or a baseline.
    pub name: String,
    /// Lines with a risk.
    pub lines: usize,
    /// Trap lines.
    pub traps: usize,
    /// Every figure that has a meaning on these lines.
    pub figures: Vec<Figure>,
    /// Rows are truths, columns are answers.
    pub confusion: Confusion,
}

impl Report {
    /// Judges answers by the truths of the same lines, in the same order; the longer list's rest is ignored.
    #[must_use]
    pub fn new(name: &str, truths: &[Truth], answers: &[Answer], bootstrap: Bootstrap) -> Self {
        let samples: Vec<Sample> = truths
            .iter()
            .zip(answers)
            .map(|(truth, answer)| Sample {
                truth: truth.risk,
                risky: truth.risky,
                label: answer.label,
                score: answer.score,
                act_today: answer.act_today,
            })
            .collect();
        let intervals = intervals(&samples, bootstrap);
        let figures = FIGURES
            .iter()
            .zip(intervals)
            .filter_map(|((name, figure), interval)| {
                let value = figure(&samples)?;
                let (low, high) = interval.unwrap_or((value, value));
                Some(Figure { name, value, low, high })
            })
            .collect();
        Self {
            name: name.to_owned(),
            lines: samples.iter().filter(|sample| sample.truth.is_some()).count(),
            traps: samples.iter().filter(|sample| sample.risky.is_some()).count(),
            figures,
            confusion: figures::confusion(&samples),
        }
    }

    /// A figure by its key.
    #[must_use]
    pub fn figure(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }
}

/// The middle 95 % of each figure over the rounds, percentile method.
fn intervals(samples: &[Sample], bootstrap: Bootstrap) -> Vec<Option<(f64, f64)>> {
    let mut values = vec![Vec::with_capacity(bootstrap.rounds); FIGURES.len()];
    let mut drawn = samples.to_vec();
    for round in 0..bootstrap.rounds {
        let mut random = Random::part(bootstrap.seed, round as u64);
        for slot in &mut drawn {
            if let Some(sample) = samples.get(random.below(samples.len())) {
                *slot = *sample;
            }
        }
        for ((_, figure), values) in FIGURES.iter().zip(&mut values) {
            values.extend(figure(&drawn));
        }
    }
    values
        .into_iter()
        .map(|mut values| {
            values.sort_by(f64::total_cmp);
            let at =
                |share: f64| values.get((share * (values.len().max(1) - 1) as f64).round() as usize).copied();
            at(0.025).zip(at(0.975))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(text: &str, risk: u8) -> Truth {
        Truth { text: text.into(), risk: Risk::new(risk).ok(), risky: None }
    }

    fn truths() -> Vec<Truth> {
        let texts = [
            "INFO started",
            "ERROR kernel panic - not syncing: VFS",
            "WARNING disk space low",
            "DEBUG cache hit",
        ];
        texts.iter().zip([2, 10, 5, 1]).cycle().take(40).map(|(text, risk)| truth(text, risk)).collect()
    }

    #[test]
    fn a_report_has_values_inside_their_intervals_and_repeats() {
        let truths = truths();
        let lines: Vec<&str> = truths.iter().map(|truth| truth.text.as_str()).collect();
        let answers = Baseline::SeedRules.judge(&lines);
        let bootstrap = Bootstrap { rounds: 100, seed: 1 };
        let report = Report::new("seed rules", &truths, &answers, bootstrap);
        assert_eq!(report, Report::new("seed rules", &truths, &answers, bootstrap));
        assert_eq!((report.lines, report.traps), (40, 0));
        for figure in &report.figures {
            assert!(figure.low <= figure.value && figure.value <= figure.high, "{figure:?}");
        }
        let table = render_table(&[report]);
        assert!(table.contains("within 1") && table.contains("seed rules"), "{table}");
    }

    #[test]
    fn our_rules_beat_the_constant() {
        let truths = truths();
        let lines: Vec<&str> = truths.iter().map(|truth| truth.text.as_str()).collect();
        let none = Bootstrap { rounds: 0, seed: 0 };
        let mae = |baseline: Baseline| {
            Report::new(baseline.name(), &truths, &baseline.judge(&lines), none).figure("mae").unwrap().value
        };
        assert!(mae(Baseline::Rules(Box::new(Rules::builtin().unwrap()))) < mae(Baseline::AlwaysThree));
    }

    use logrisk_enrich::rules::Rules;
}
