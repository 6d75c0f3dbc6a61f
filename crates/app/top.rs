//! What a run found: counts by risk, and the patterns with a sample each.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use foldhash::HashMap;
use logrisk_base::{PatternId, Risk};

use crate::{
    pipeline::{Known, Scored},
    render::mark,
    terminal::{RESET, colour_of, grouped, push_harmless},
};

/// Patterns counted one by one; of more, those at risk 5 and above are still counted. Bounds memory at about 60 MB.
const PATTERNS: usize = 100_000;
/// Characters of a sample that are kept.
const SAMPLE: usize = 400;

/// Counts of one thread, merged at the end.
#[derive(Default)]
pub struct Tally {
    pub lines: u64,
    pub records: u64,
    unsure: u64,
    by_risk: [u64; Risk::COUNT],
    patterns: HashMap<PatternId, Entry>,
    /// Records of patterns that were not counted one by one.
    uncounted: u64,
}

struct Entry {
    known: Arc<Known>,
    count: u64,
    sample: Box<str>,
}

impl Tally {
    /// Counts one record.
    pub fn count(&mut self, scored: &Scored<'_>) {
        self.records += 1;
        self.unsure += u64::from(scored.known.unsure);
        if let Some(count) = self.by_risk.get_mut(usize::from(scored.known.label.get())) {
            *count += 1;
        }
        let full = self.patterns.len() >= PATTERNS;
        if let Some(entry) = self.patterns.get_mut(&scored.known.pattern) {
            entry.count += 1;
        } else if full && scored.known.label.get() < 5 {
            self.uncounted += 1;
        } else {
            let sample = scored.text.chars().take(SAMPLE).collect::<String>().into();
            self.patterns
                .insert(scored.known.pattern, Entry { known: Arc::clone(&scored.known), count: 1, sample });
        }
    }

    /// Adds another thread's counts.
    pub fn merge(&mut self, other: Self) {
        self.lines += other.lines;
        self.records += other.records;
        self.unsure += other.unsure;
        self.uncounted += other.uncounted;
        for (mine, theirs) in self.by_risk.iter_mut().zip(other.by_risk) {
            *mine += theirs;
        }
        for (id, entry) in other.patterns {
            self.patterns.entry(id).and_modify(|mine| mine.count += entry.count).or_insert(entry);
        }
    }

    /// The riskiest patterns, as a table for people. Equal risks: the rarer first, since what is rare is news.
    pub fn top(&self, limit: usize, minimum: Risk, unsure_only: bool, colour: bool) -> String {
        let wanted = |known: &Known| known.label >= minimum && (known.unsure || !unsure_only);
        let mut entries: Vec<_> = self.patterns.values().filter(|entry| wanted(&entry.known)).collect();
        entries.sort_by(|left, right| {
            right
                .known
                .label
                .cmp(&left.known.label)
                .then(right.known.score.total_cmp(&left.known.score))
                .then(left.count.cmp(&right.count))
                .then(left.known.pattern.cmp(&right.known.pattern))
        });
        let mut text = String::from("RISK     COUNT  TAG        SAMPLE\n");
        for entry in entries.iter().take(limit) {
            let label = entry.known.label;
            let (begin, end) = if colour { (colour_of(label), RESET) } else { ("", "") };
            let (mark, count) = (mark(&entry.known), grouped(entry.count));
            _ = write!(text, "{begin}{label:>4}{end}{mark} {count:>8}  {:<9}  ", entry.known.tag);
            push_harmless(&entry.sample, &mut text);
            text.push('\n');
        }
        if entries.len() > limit {
            _ = writeln!(
                text,
                "and {} more patterns; see them with --top={}",
                grouped((entries.len() - limit) as u64),
                entries.len()
            );
        }
        text
    }

    /// One paragraph: how much there was, how risky it was, how fast it went.
    pub fn summary(&self, elapsed: Duration, colour: bool) -> String {
        let mut text = format!(
            "{} lines, {} records, {}{} patterns in {:.2} s ({} lines/s)\n",
            grouped(self.lines),
            grouped(self.records),
            if self.uncounted > 0 { "over " } else { "" },
            grouped(self.patterns.len() as u64),
            elapsed.as_secs_f64(),
            grouped((self.lines as f64 / elapsed.as_secs_f64().max(1e-9)) as u64),
        );
        if self.unsure > 0 {
            let share = 100.0 * self.unsure as f64 / self.records.max(1) as f64;
            _ = writeln!(
                text,
                "{} records unsure (?), {share:.1} %; see them with --unsure",
                grouped(self.unsure)
            );
        }
        let most = self.by_risk.iter().copied().max().unwrap_or(0).max(1) as f64;
        for (risk, count) in
            Risk::all().rev().zip(self.by_risk.into_iter().rev()).filter(|(_, count)| *count > 0)
        {
            // A square root: three critical lines among a million stay visible.
            let width = ((count as f64 / most).sqrt() * 40.0).ceil() as usize;
            let (begin, end) = if colour { (colour_of(risk), RESET) } else { ("", "") };
            _ = writeln!(
                text,
                "{risk:>4} {:<9} {:>12} {begin}{}{end}",
                risk.level_name(),
                grouped(count),
                "█".repeat(width)
            );
        }
        text
    }
}
