//! One pattern and what is known of its lines.

use std::collections::VecDeque;

use jiff::Timestamp;
use logrisk_base::{PatternId, Risk, Tag};
use serde::{Deserialize, Serialize};

/// Lines kept of a pattern: what the page shows.
const SAMPLES: usize = 20;
/// Characters kept of a line: where the page cuts it.
const SAMPLE_CHARACTERS: usize = 2000;
/// Sources counted one by one.
const SOURCES: usize = 8;
/// Seconds of one slot of a pattern's own history, and how many non-empty ones are kept: half an hour of a busy pattern.
pub(crate) const SLOT_SECONDS: i64 = 30;
const SLOTS: usize = 64;
/// Hours of its longer history that are kept, empty ones not counted: a week of a busy pattern.
const HOURS: usize = 168;
const HOUR_SECONDS: i64 = 3600;

/// A line of the pattern, redacted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When it came.
    pub at: Timestamp,
    /// Where from.
    pub source: String,
    /// Its text, at most 2,000 characters.
    pub text: String,
}

/// A pattern.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// Its name.
    pub id: PatternId,
    /// The text that all its lines share.
    pub masked: String,
    /// The model's or the rules' risk; a correction is kept apart.
    pub risk: Risk,
    /// The expected risk, 0.0 to 10.0.
    pub score: f32,
    /// What holds the risk with 80 %: lowest and highest.
    pub interval: (Risk, Risk),
    /// The model should not be trusted on it: a person should look.
    pub unsure: bool,
    /// The tag of model or rules.
    pub tag: Tag,
    /// The model that judged it last.
    pub model_version: String,
    /// Lines so far.
    pub count: u64,
    /// The first of them.
    pub first_seen: Timestamp,
    /// The last of them.
    pub last_seen: Timestamp,
    /// When somebody said that it was seen.
    pub acknowledged: Option<Timestamp>,
    /// Until when it is kept out of sight.
    pub silenced: Option<Timestamp>,
    /// Lines by source, the first eight sources; the rest under `other`.
    pub sources: Vec<(String, u64)>,
    /// Some lines, oldest first.
    pub samples: VecDeque<Sample>,
    /// Lines by half minute since the epoch, oldest first; empty half minutes are left out.
    pub slots: VecDeque<(u32, u32)>,
    /// Lines by hour since the epoch, oldest first; empty hours are left out.
    #[serde(default)]
    pub hours: VecDeque<(u32, u32)>,
    /// Never seen before this start of the program.
    #[serde(skip)]
    pub novel: bool,
}

impl Pattern {
    /// Where most of its lines come from.
    #[must_use]
    pub fn main_source(&self) -> &str {
        self.sources.iter().max_by_key(|(_, count)| *count).map_or("", |(name, _)| name)
    }

    /// Whether it is out of sight.
    #[must_use]
    pub fn is_silenced(&self, now: Timestamp) -> bool {
        self.silenced.is_some_and(|until| until > now)
    }

    /// Lines in each of `buckets` equal parts of the `seconds` before `now`, oldest first. Finer than half a minute it
    /// puts all lines of a half minute at its beginning.
    #[must_use]
    pub fn history(&self, now: Timestamp, seconds: u32, buckets: usize) -> Vec<u32> {
        let mut counts = vec![0_u32; buckets];
        let begin = now.as_second() - i64::from(seconds);
        for &(slot, count) in &self.slots {
            let offset = (i64::from(slot) * SLOT_SECONDS + SLOT_SECONDS - 1).min(now.as_second()) - begin;
            let index = offset * buckets as i64 / i64::from(seconds.max(1));
            if let Some(bucket) = usize::try_from(index.min(buckets as i64 - 1))
                .ok()
                .filter(|_| offset >= 0)
                .and_then(|index| counts.get_mut(index))
            {
                *bucket = bucket.saturating_add(count);
            }
        }
        counts
    }

    /// Lines in each of the last `hours` hours, the current one last; a week is kept.
    #[must_use]
    pub fn hourly(&self, now: Timestamp, hours: usize) -> Vec<u32> {
        let mut counts = vec![0; hours];
        let newest = now.as_second() / HOUR_SECONDS;
        for &(hour, count) in &self.hours {
            let ago = usize::try_from(newest - i64::from(hour)).unwrap_or(usize::MAX);
            if let Some(slot) =
                hours.checked_sub(ago.saturating_add(1)).and_then(|place| counts.get_mut(place))
            {
                *slot = count;
            }
        }
        counts
    }

    pub(crate) fn count_slot(&mut self, at: Timestamp) {
        count_in(&mut self.slots, at, SLOT_SECONDS, SLOTS);
        count_in(&mut self.hours, at, HOUR_SECONDS, HOURS);
    }

    pub(crate) fn count_source(&mut self, source: &str) {
        if let Some((_, count)) = self.sources.iter_mut().find(|(name, _)| name == source) {
            *count += 1;
        } else if self.sources.len() < SOURCES {
            self.sources.push((source.to_owned(), 1));
        } else if let Some((_, count)) = self.sources.iter_mut().find(|(name, _)| name == "other") {
            *count += 1;
        } else {
            self.sources.push(("other".to_owned(), 1));
        }
    }

    /// Keeps the line if it is news: one a second, all of the first five. `roomy` says that memory allows for more than
    /// the last one.
    pub(crate) fn sample(&mut self, at: Timestamp, source: &str, text: &str, roomy: bool) {
        let due = self.samples.len() < 5
            || self.samples.back().is_none_or(|last| at.as_second() > last.at.as_second());
        if !due {
            return;
        }
        let limit = if roomy { SAMPLES } else { 1 };
        while self.samples.len() >= limit {
            self.samples.pop_front();
        }
        let text = text.chars().take(SAMPLE_CHARACTERS).collect();
        self.samples.push_back(Sample { at, source: source.to_owned(), text });
    }

    /// Bytes of the samples, roughly.
    pub(crate) fn sample_bytes(&self) -> usize {
        self.samples.iter().map(|sample| sample.text.len() + sample.source.len() + 64).sum()
    }
}

/// Counts a line in the slot of its time; a clock that went back counts into the newest.
fn count_in(slots: &mut VecDeque<(u32, u32)>, at: Timestamp, seconds: i64, most: usize) {
    let slot = u32::try_from(at.as_second() / seconds).unwrap_or(0);
    match slots.back_mut() {
        Some((last, count)) if *last >= slot => *count = count.saturating_add(1),
        _ => slots.push_back((slot, 1)),
    }
    if slots.len() > most {
        slots.pop_front();
    }
}
