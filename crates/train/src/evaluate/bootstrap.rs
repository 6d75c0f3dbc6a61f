//! Intervals: what figures are on lines drawn anew from the same lines, with replacement.

use std::thread;

use serde::Serialize;

use super::figures::{Compute, Sample};
use crate::dataset::random::Random;

/// How the intervals are made.
#[derive(Debug, Clone, Copy)]
pub struct Bootstrap {
    /// How often lines are drawn anew; 0 for no intervals.
    pub rounds: usize,
    /// The seed of the draws.
    pub seed: u64,
}

/// A value, and the middle 95 % of what it is on lines drawn anew.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// On all lines.
    pub value: f64,
    /// The lower end; the value itself without a bootstrap.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// One figure of one judge: itself, and the first judge's minus it on the same draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub(super) own: Interval,
    pub(super) lead: Option<Interval>,
}

/// The figures of several judges of the same lines: for each judge, one entry a figure, `None` where a figure has no
/// meaning on these lines. Rounds are shared among threads; what is drawn in a round depends on the seed alone.
pub(super) fn measure(
    judges: &[Vec<Sample>],
    figures: &[Compute],
    bootstrap: Bootstrap,
) -> Vec<Vec<Option<Measured>>> {
    let values: Vec<Vec<Option<f64>>> =
        judges.iter().map(|samples| figures.iter().map(|figure| figure(samples)).collect()).collect();
    let rounds = draw_all(judges, figures, &values, bootstrap);
    let interval = |value: f64, mut drawn: Vec<f64>| {
        drawn.sort_by(f64::total_cmp);
        let at = |share: f64| drawn.get((share * (drawn.len().max(1) - 1) as f64).round() as usize).copied();
        Interval { value, low: at(0.025).unwrap_or(value), high: at(0.975).unwrap_or(value) }
    };
    let of = |judge: usize, figure: usize| -> Option<f64> { *values.get(judge)?.get(figure)? };
    let drawn =
        |round: &Round, judge: usize, figure: usize| -> Option<f64> { *round.get(judge)?.get(figure)? };
    let measured = |judge: usize, figure: usize| -> Option<Measured> {
        let value = of(judge, figure)?;
        let own = interval(value, rounds.iter().filter_map(|round| drawn(round, judge, figure)).collect());
        let lead = of(0, figure).filter(|_| judge > 0).map(|first| {
            let leads = rounds
                .iter()
                .filter_map(|round| Some(drawn(round, 0, figure)? - drawn(round, judge, figure)?))
                .collect();
            interval(first - value, leads)
        });
        Some(Measured { own, lead })
    };
    (0..judges.len())
        .map(|judge| (0..figures.len()).map(|figure| measured(judge, figure)).collect())
        .collect()
}

/// One draw's figures by judge.
type Round = Vec<Vec<Option<f64>>>;

fn draw_all(
    judges: &[Vec<Sample>],
    figures: &[Compute],
    values: &[Vec<Option<f64>>],
    bootstrap: Bootstrap,
) -> Vec<Round> {
    let numbers: Vec<u64> = (0..bootstrap.rounds as u64).collect();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = numbers.len().div_ceil(threads).max(1);
    let draw_share = |numbers: &[u64]| -> Vec<Round> {
        let mut drawn = Vec::new();
        let mut one_round = |number: u64| -> Round {
            judges
                .iter()
                .zip(values)
                .map(|(samples, values)| {
                    // The same draws for every judge: what makes their differences comparable.
                    let mut random = Random::part(bootstrap.seed, number);
                    drawn.clear();
                    drawn.extend((0..samples.len()).filter_map(|_| samples.get(random.below(samples.len()))));
                    let known = figures.iter().zip(values);
                    // A figure that has no meaning on all lines has none on some of them; most of the work is saved.
                    known.map(|(figure, value)| value.and_then(|_| figure(&drawn))).collect()
                })
                .collect()
        };
        numbers.iter().map(|number| one_round(*number)).collect()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = numbers.chunks(share).map(|share| scope.spawn(|| draw_share(share))).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
