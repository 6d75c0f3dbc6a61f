//! Reports: what was measured of each way of judging.

use logrisk_base::Risk;
use serde::Serialize;

use super::{
    Answer, Bootstrap, By, Interval, Miss,
    bootstrap::{Measured, measure},
    figures::{self, Bin, Compute, Confusion, FIGURES, Sample},
    group, misses,
};
use crate::dataset::Truth;

/// One way of judging, and its answers to all lines in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Judge {
    /// A model's version, or a baseline.
    pub name: String,
    /// One for each truth.
    pub answers: Vec<Answer>,
}

/// What to measure besides the figures of all lines.
#[derive(Debug, Clone)]
pub struct Options {
    /// How intervals are made.
    pub bootstrap: Bootstrap,
    /// Which groups to measure apart.
    pub by: Vec<By>,
    /// Groups with fewer lines are one group, `other`.
    pub smallest_group: usize,
}

/// One figure of a report.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figure {
    /// Its key, for example `within_1`.
    pub name: &'static str,
    /// The figure with its interval.
    #[serde(flatten)]
    pub interval: Interval,
    /// The first report's figure minus this one, on the same draws; absent in the first report. Where the interval
    /// excludes 0, chance does not explain the difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lead: Option<Interval>,
}

/// The figures of some of the lines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// What the lines have in common.
    pub by: By,
    /// What it is in this group; `other` for small groups, `unknown` where the data does not say.
    pub name: String,
    /// Its lines, those without a risk included.
    pub lines: usize,
    /// As in [`Report::figures`].
    pub figures: Vec<Figure>,
}

/// The probability of a risk or more against how often it was true.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reliability {
    /// That risk.
    pub risk: u8,
    /// By tenths of the probability.
    pub bins: [Bin; 10],
}

/// The scores given to lines of one truth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    /// The truth.
    pub risk: Risk,
    /// How many lines have it.
    pub lines: usize,
    /// The scores below which lie 5, 25, 50, 75 and 95 % of them.
    pub quantiles: [f32; 5],
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
    /// Pairs of a safer and a riskier line.
    pub pairs: usize,
    /// Messages with the level that a developer chose.
    pub severities: usize,
    /// Every figure that has a meaning on these lines.
    pub figures: Vec<Figure>,
    /// The same figures for the groups that were asked for.
    pub groups: Vec<Group>,
    /// Rows are truths, columns are answers.
    pub confusion: Confusion,
    /// Of 5 or more and of 7 or more; empty where answers came without probabilities.
    pub reliability: Vec<Reliability>,
    /// The scores by truth, for truths that occur.
    pub spreads: Vec<Spread>,
    /// The answers furthest from the truth, worst first.
    pub misses: Vec<Miss>,
}

impl Report {
    /// A figure by its key.
    #[must_use]
    pub fn figure(&self, name: &str) -> Option<&Figure> {
        find(&self.figures, name)
    }
}

impl Group {
    /// A figure by its key.
    #[must_use]
    pub fn figure(&self, name: &str) -> Option<&Figure> {
        find(&self.figures, name)
    }
}

fn find<'a>(figures: &'a [Figure], name: &str) -> Option<&'a Figure> {
    figures.iter().find(|figure| figure.name == name)
}

/// Measures every judge on the same lines and the same draws; the first is the one that the others are compared with.
/// A judge's answers belong to the truths of the same places; the longer list's rest is ignored.
#[must_use]
pub fn compare(truths: &[Truth], judges: &[Judge], options: &Options) -> Vec<Report> {
    let samples: Vec<Vec<Sample>> = judges.iter().map(|judge| samples(truths, &judge.answers)).collect();
    let all = figures_of(&samples, options.bootstrap);
    let groups: Vec<(By, String, Vec<usize>)> = options
        .by
        .iter()
        .flat_map(|&by| {
            let groups = group::divide(truths, by, options.smallest_group);
            groups.into_iter().map(move |(name, places)| (by, name, places))
        })
        .collect();
    let mut reports: Vec<Report> = judges
        .iter()
        .zip(&samples)
        .zip(all)
        .map(|((judge, samples), figures)| Report::new(judge, truths, samples, figures))
        .collect();
    for (by, name, places) in groups {
        let part: Vec<Vec<Sample>> = samples
            .iter()
            .map(|samples| places.iter().filter_map(|place| samples.get(*place)).copied().collect())
            .collect();
        for (report, figures) in reports.iter_mut().zip(figures_of(&part, options.bootstrap)) {
            report.groups.push(Group { by, name: name.clone(), lines: places.len(), figures });
        }
    }
    reports
}

fn samples(truths: &[Truth], answers: &[Answer]) -> Vec<Sample> {
    truths
        .iter()
        .zip(answers)
        .map(|(truth, answer)| Sample {
            truth: truth.risk,
            range: truth.range,
            risky: truth.risky,
            error: truth.error,
            safer_twin: truth.safer_twin.and_then(|twin| answers.get(twin)).map(|answer| answer.score),
            answer: *answer,
        })
        .collect()
}

fn figures_of(judges: &[Vec<Sample>], bootstrap: Bootstrap) -> Vec<Vec<Figure>> {
    let computes: Vec<Compute> = FIGURES.iter().map(|(_, compute)| *compute).collect();
    let named = |measured: Vec<Option<Measured>>| {
        let figures = FIGURES.iter().zip(measured);
        let known = figures.filter_map(|((name, _), measured)| Some((*name, measured?)));
        known.map(|(name, Measured { own, lead })| Figure { name, interval: own, lead }).collect()
    };
    measure(judges, &computes, bootstrap).into_iter().map(named).collect()
}

impl Report {
    fn new(judge: &Judge, truths: &[Truth], samples: &[Sample], figures: Vec<Figure>) -> Self {
        let count = |has: fn(&Sample) -> bool| samples.iter().filter(|sample| has(sample)).count();
        let reliability = |risk| Some(Reliability { risk, bins: figures::reliability(samples, risk)? });
        Self {
            name: judge.name.clone(),
            lines: count(|sample| sample.truth.is_some()),
            traps: count(|sample| sample.risky.is_some()),
            pairs: count(|sample| sample.safer_twin.is_some()),
            severities: count(|sample| sample.error.is_some()),
            figures,
            groups: Vec::new(),
            confusion: figures::confusion(samples),
            reliability: [5, 7].into_iter().filter_map(reliability).collect(),
            spreads: spreads(samples),
            misses: misses::worst(truths, &judge.answers),
        }
    }
}

fn spreads(samples: &[Sample]) -> Vec<Spread> {
    let of = |risk: Risk| {
        let mut scores: Vec<f32> = samples
            .iter()
            .filter(|sample| sample.truth == Some(risk))
            .map(|sample| sample.answer.score)
            .collect();
        scores.sort_by(f32::total_cmp);
        let at = |share: f32| scores.get((share * (scores.len() - 1) as f32).round() as usize).copied();
        if scores.is_empty() {
            return None;
        }
        let quantiles = [0.05, 0.25, 0.5, 0.75, 0.95].map(|share| at(share).unwrap_or_default());
        Some(Spread { risk, lines: scores.len(), quantiles })
    };
    Risk::all().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use logrisk_enrich::rules::Rules;

    use super::{
        super::{Baseline, render_table},
        *,
    };

    fn truths() -> Vec<Truth> {
        let texts = [
            "INFO started",
            "ERROR kernel panic - not syncing: VFS",
            "WARNING disk space low",
            "DEBUG cache hit",
        ];
        let rows = texts.iter().zip([2, 10, 5, 1]).cycle().take(40);
        rows.map(|(text, risk)| Truth {
            text: (*text).into(),
            risk: Risk::new(risk).ok(),
            ..Truth::default()
        })
        .collect()
    }

    fn judge(baseline: &Baseline, truths: &[Truth]) -> Judge {
        let lines: Vec<&str> = truths.iter().map(|truth| truth.text.as_str()).collect();
        Judge { name: baseline.name().to_owned(), answers: baseline.judge(&lines) }
    }

    fn options(rounds: usize) -> Options {
        Options { bootstrap: Bootstrap { rounds, seed: 1 }, by: vec![By::Level], smallest_group: 1 }
    }

    #[test]
    fn a_report_has_values_inside_their_intervals_and_repeats() {
        let truths = truths();
        let judges = [judge(&Baseline::SeedRules, &truths), judge(&Baseline::AlwaysThree, &truths)];
        let reports = compare(&truths, &judges, &options(100));
        assert_eq!(reports, compare(&truths, &judges, &options(100)));
        assert_eq!((reports[0].lines, reports[0].traps), (40, 0));
        for figure in reports.iter().flat_map(|report| &report.figures) {
            for Interval { value, low, high } in [Some(figure.interval), figure.lead].into_iter().flatten() {
                assert!(low <= value && value <= high, "{figure:?}");
            }
        }
        assert_eq!(reports[0].groups.len(), 1);
        assert_eq!(reports[0].groups[0].figures, reports[0].figures, "one group of all lines is all lines");
        let table = render_table(&reports);
        assert!(table.contains("within 1") && table.contains("seed rules"), "{table}");
    }

    #[test]
    fn the_lead_over_oneself_is_zero_with_certainty() {
        let truths = truths();
        let judges = [judge(&Baseline::SeedRules, &truths), judge(&Baseline::SeedRules, &truths)];
        let reports = compare(&truths, &judges, &options(50));
        assert_eq!(reports[0].figure("mae").unwrap().lead, None);
        let zero = Interval { value: 0.0, low: 0.0, high: 0.0 };
        assert!(reports[1].figures.iter().all(|figure| figure.lead == Some(zero)));
    }

    #[test]
    fn our_rules_beat_the_constant() {
        let truths = truths();
        let ours = Baseline::Rules(Box::new(Rules::builtin().unwrap()));
        let judges = [judge(&ours, &truths), judge(&Baseline::AlwaysThree, &truths)];
        let lead = compare(&truths, &judges, &options(100))[1].figure("mae").unwrap().lead.unwrap();
        assert!(lead.high < 0.0, "a smaller error, beyond chance: {lead:?}");
    }
}
