//! Lines by risk over the last day, in slots of ten seconds.

use jiff::Timestamp;
use logrisk_base::Risk;

/// Seconds of a slot: 90 of them are the page's quarter of an hour.
const SLOT_SECONDS: i64 = 10;
/// A day; 380 kB.
const SLOTS: usize = 8640;

/// Lines of all patterns by time and risk.
#[derive(Debug)]
pub struct Series {
    slots: Vec<[u32; Risk::COUNT]>,
    /// The newest slot, counted from the epoch.
    newest: i64,
}

/// One part of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Where it begins.
    pub begin: Timestamp,
    /// Lines of each risk.
    pub by_risk: [u64; Risk::COUNT],
}

impl Default for Series {
    fn default() -> Self {
        Self { slots: vec![[0; Risk::COUNT]; SLOTS], newest: 0 }
    }
}

impl Series {
    /// Counts one line. Times further back than the newest slot count into it: lines are counted as they arrive.
    pub fn count(&mut self, at: Timestamp, risk: Risk) {
        self.advance(at.as_second() / SLOT_SECONDS);
        let place = self.place(self.newest);
        if let Some(count) = self.slots.get_mut(place).and_then(|slot| slot.get_mut(usize::from(risk.get())))
        {
            *count = count.saturating_add(1);
        }
    }

    /// The `seconds` before `now` in `buckets` equal parts, oldest first. Both are brought into what is kept.
    #[must_use]
    pub fn window(&self, now: Timestamp, seconds: u32, buckets: usize) -> Vec<Bucket> {
        let slots = (i64::from(seconds) / SLOT_SECONDS).clamp(1, SLOTS as i64 - 1);
        let buckets = (buckets.clamp(1, 1000) as i64).min(slots);
        let last = now.as_second() / SLOT_SECONDS;
        let first = last - slots + 1;
        (0..buckets)
            .map(|bucket| {
                let begin = first + bucket * slots / buckets;
                let end = first + (bucket + 1) * slots / buckets;
                let mut by_risk = [0_u64; Risk::COUNT];
                for slot in begin..end {
                    // What is newer than the newest slot, or fell out of the ring, has no lines.
                    if slot > self.newest || slot <= self.newest - SLOTS as i64 {
                        continue;
                    }
                    if let Some(counts) = self.slots.get(self.place(slot)) {
                        for (sum, count) in by_risk.iter_mut().zip(counts) {
                            *sum += u64::from(*count);
                        }
                    }
                }
                let begin = Timestamp::from_second(begin * SLOT_SECONDS).unwrap_or(Timestamp::UNIX_EPOCH);
                Bucket { begin, by_risk }
            })
            .collect()
    }

    fn advance(&mut self, slot: i64) {
        let missing = (slot - self.newest).clamp(0, SLOTS as i64);
        for new in slot - missing + 1..=slot {
            let place = self.place(new);
            if let Some(counts) = self.slots.get_mut(place) {
                *counts = [0; Risk::COUNT];
            }
        }
        self.newest = self.newest.max(slot);
    }

    fn place(&self, slot: i64) -> usize {
        slot.rem_euclid(SLOTS as i64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_in_their_bucket_and_forgotten_after_a_day() {
        let risk = Risk::new(7).unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut series = Series::default();
        series.count(at(1_000_005), risk);
        series.count(at(1_000_005), risk);
        series.count(at(1_000_065), risk);
        let window = series.window(at(1_000_069), 900, 90);
        assert_eq!(window.len(), 90);
        assert_eq!((window[89].by_risk[7], window[83].by_risk[7]), (1, 2));
        assert_eq!(window[83].begin, at(1_000_000));
        let sum = |window: &[Bucket]| window.iter().flat_map(|bucket| bucket.by_risk).sum::<u64>();
        assert_eq!(sum(&series.window(at(1_000_069), 900, 7)), 3);
        series.count(at(1_000_000 + 2 * 86_400), risk);
        assert_eq!(sum(&series.window(at(1_000_000 + 2 * 86_400), 86_400, 10)), 1);
    }
}
