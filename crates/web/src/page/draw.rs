//! What is drawn: risk bars, sparklines, the chart. SVG by attributes alone, since the page's policy forbids `style=`.

use std::fmt::Write as _;

use jiff::Timestamp;
use logrisk_catalogue::{Activation, Bucket};
use serde::Serialize;

use super::text::short_version;

/// Width of a risk bar, of 40.
pub(crate) fn bar_width(score: f64) -> u8 {
    // 0 to 40: a score is 0 to 10.
    (4.0 * score).round().clamp(0.0, 40.0) as u8
}

/// Pixels of a sparkline's highest bar.
const HEIGHT: f64 = 16.0;

/// The path of a sparkline 18 high, its bars 3 apart. `seen` is how many buckets ago the pattern was first seen: before
/// that there is nothing, after it a zero is one pixel, so that new looks new.
pub(crate) fn sparkline(history: &[u32], seen: usize) -> String {
    let highest = f64::from(history.iter().copied().max().unwrap_or(0).max(1));
    let mut path = String::with_capacity(history.len() * 12);
    for (place, count) in history.iter().enumerate().skip(history.len().saturating_sub(seen + 1)) {
        let height = match count {
            0 => 1.0,
            count => (HEIGHT * (f64::from(*count) / highest).sqrt()).round().max(2.0),
        };
        _ = write!(path, "M{} 18v-{height}h2v{height}z", place * 3);
    }
    path
}

/// The four levels of the chart, the worst first: name and lowest risk.
const LEVELS: [(&str, usize); 4] = [("emergency", 10), ("critical", 8), ("error", 6), ("warning", 4)];
/// Pixels of the chart's two plots.
const LEVELS_HIGH: f64 = 88.0;
const VOLUME_HIGH: f64 = 20.0;
const WIDE: usize = 720;

/// The chart of a window.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Chart {
    /// The path of all lines.
    pub(crate) volume: String,
    /// One path a level, the worst first.
    pub(crate) levels: Vec<(&'static str, String)>,
    /// Ticks below buckets that hold risk 8 or more.
    pub(crate) ticks: String,
    /// Lines a minute at the top of the scale, and at its middle.
    pub(crate) top: String,
    pub(crate) middle: String,
    /// Lines a second at the top of the volume's scale.
    pub(crate) volume_top: String,
    /// Times on the axis.
    pub(crate) times: Vec<Timestamp>,
    /// Where models changed: place and name.
    pub(crate) marks: Vec<(usize, String)>,
    /// Seconds since the epoch where the first bucket begins, and seconds of all.
    pub(crate) begin: i64,
    pub(crate) seconds: u32,
    /// Emergency, critical, error, warning and all lines of each bucket.
    pub(crate) counts: Vec<[u64; 5]>,
    /// Whether there are no lines at all.
    pub(crate) empty: bool,
}

/// Lines of each level, the worst first, and all.
fn level_counts(by_risk: &[u64]) -> [u64; 5] {
    let mut counts = [0; 5];
    for (risk, lines) in by_risk.iter().enumerate() {
        let level = LEVELS.iter().position(|(_, lowest)| risk >= *lowest);
        if let Some(count) = level.and_then(|level| counts.get_mut(level)) {
            *count += lines;
        }
        counts[4] += lines;
    }
    counts
}

impl Chart {
    /// Draws buckets that span `seconds`.
    pub(crate) fn new(buckets: &[Bucket], seconds: u32, activations: &[Activation]) -> Self {
        let counts: Vec<[u64; 5]> = buckets.iter().map(|bucket| level_counts(&bucket.by_risk)).collect();
        let step = f64::from(seconds) / counts.len().max(1) as f64;
        let risky = |bucket: &[u64; 5]| bucket.iter().take(4).sum::<u64>();
        let per_minute = counts.iter().map(risky).max().unwrap_or(0) as f64 * 60.0 / step;
        let per_second = counts.iter().map(|bucket| bucket[4]).max().unwrap_or(0) as f64 / step;
        let (top, volume_top) = (nice(per_minute), nice(per_second));
        let column = WIDE / counts.len().max(1);
        let mut levels: Vec<_> = LEVELS.iter().map(|(name, _)| (*name, String::new())).collect();
        let (mut volume, mut ticks) = (String::new(), String::new());
        for (place, bucket) in counts.iter().enumerate() {
            let x = place * column;
            let mut below = 0.0;
            for ((_, path), (level, lines)) in levels.iter_mut().zip(bucket.iter().enumerate()) {
                if *lines == 0 {
                    continue;
                }
                let least = if level < 2 { 2.0 } else { 1.0 };
                let height = (LEVELS_HIGH * *lines as f64 * 60.0 / step / top).max(least);
                let y = LEVELS_HIGH - below;
                _ = write!(path, "M{x} {y:.1}v-{height:.1}h{}v{height:.1}z", column - 1);
                below += height;
            }
            if bucket[0] + bucket[1] > 0 {
                _ = write!(ticks, "M{x} 5l3.5 -5l3.5 5z");
            }
            if bucket[4] > 0 {
                let height = (VOLUME_HIGH * bucket[4] as f64 / step / volume_top).max(1.0);
                _ = write!(volume, "M{x} 20v-{height:.1}h{}v{height:.1}z", column - 1);
            }
        }
        let begin = buckets.first().map_or(0, |bucket| bucket.begin.as_second());
        let place = |at: Timestamp| {
            usize::try_from(at.as_second() - begin)
                .ok()
                .map(|offset| offset * WIDE / seconds.max(1) as usize)
                .filter(|x| *x < WIDE)
        };
        let marks = activations
            .iter()
            .filter_map(|activation| Some((place(activation.at)?, short_version(&activation.version))))
            .collect();
        let times =
            (0..5).filter_map(|fifth| Timestamp::from_second(begin + i64::from(seconds) * fifth / 5).ok());
        Self {
            volume,
            levels,
            ticks,
            top: compact(top),
            middle: compact(top / 2.0),
            volume_top: compact(volume_top),
            times: times.collect(),
            marks,
            begin,
            seconds,
            empty: counts.iter().all(|bucket| bucket[4] == 0),
            counts,
        }
    }

    /// Lines of each level and of all, over the window.
    pub(crate) fn sums(&self) -> [u64; 5] {
        let mut sums = [0; 5];
        for bucket in &self.counts {
            for (sum, lines) in sums.iter_mut().zip(bucket) {
                *sum += lines;
            }
        }
        sums
    }

    /// Buckets with lines, for the table.
    pub(crate) fn rows(&self) -> Vec<(Timestamp, [u64; 5])> {
        let step = i64::from(self.seconds) / self.counts.len().max(1) as i64;
        let begins =
            (0..).map(|place: i64| Timestamp::from_second(self.begin + place * step).unwrap_or_default());
        begins.zip(self.counts.iter().copied()).filter(|(_, counts)| counts[4] > 0).collect()
    }
}

/// The next of 1, 2, 5, 10, 20, … that is not below.
fn nice(value: f64) -> f64 {
    let mut scale = 1.0;
    while scale < 1e12 {
        for step in [1.0, 2.0, 5.0] {
            if step * scale >= value {
                return step * scale;
            }
        }
        scale *= 10.0;
    }
    scale
}

/// Few characters for an axis: 12k.
fn compact(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e3 => format!("{}k", value / 1e3),
        value => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_looks_new() {
        assert_eq!(sparkline(&[0, 0, 0, 4], 0), "M9 18v-16h2v16z");
        assert_eq!(sparkline(&[0, 0, 1, 4], 1), "M6 18v-8h2v8zM9 18v-16h2v16z");
        assert_eq!(sparkline(&[0; 4], 1), "M6 18v-1h2v1zM9 18v-1h2v1z");
        assert!(sparkline(&[u32::MAX; 32], 32).len() <= 600);
    }

    #[test]
    fn a_few_critical_lines_stay_visible_among_many_warnings() {
        let bucket = |critical, warning| {
            let mut by_risk = [0; 11];
            (by_risk[9], by_risk[4]) = (critical, warning);
            Bucket { begin: Timestamp::UNIX_EPOCH, by_risk }
        };
        let chart = Chart::new(&[bucket(1, 10_000), bucket(0, 0)], 120, &[]);
        assert!(chart.levels[1].1.contains("v-2.0"), "{:?}", chart.levels);
        assert_eq!((chart.top.as_str(), chart.sums()), ("20k", [0, 1, 0, 10_000, 10_001]));
    }
}
