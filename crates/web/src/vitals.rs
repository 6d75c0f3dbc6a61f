//! The server's figures of the last hour, minute by minute: what the health page draws.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// Minutes that are kept.
pub(crate) const MINUTES: usize = 60;

/// What is told of one minute. Each is per mille of what it is measured by, so that one drawing fits all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Vitals {
    /// Of the queue's limit.
    pub(crate) queue: u32,
    /// Of the texts asked for: those not found in the cache.
    pub(crate) misses: u32,
    /// Of the lines: those whose pattern was never seen before.
    pub(crate) new_patterns: u32,
    /// Of the lines: those that the model should not be trusted on.
    pub(crate) unsure: u32,
}

/// Counters at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    pub(crate) queue_lines: u64,
    pub(crate) queue_limit_lines: u64,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) lines: u64,
    pub(crate) new_patterns: u64,
    pub(crate) unsure: u64,
}

/// The last hour.
#[derive(Debug, Default)]
pub(crate) struct Hour(Mutex<(Counted, VecDeque<Vitals>)>);

impl Hour {
    /// Notes a minute that ends now.
    pub(crate) fn note(&self, now: Counted) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = inner.0;
        // A new model's cache counts from zero again.
        let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        let per_mille = |part: u64, whole: u64| {
            u32::try_from((1000 * part).checked_div(whole).unwrap_or(0)).unwrap_or(u32::MAX)
        };
        let (hits, misses) = (since(now.hits, before.hits), since(now.misses, before.misses));
        let lines = since(now.lines, before.lines);
        let vitals = Vitals {
            queue: per_mille(now.queue_lines, now.queue_limit_lines),
            misses: per_mille(misses, hits + misses),
            new_patterns: per_mille(since(now.new_patterns, before.new_patterns), lines),
            unsure: per_mille(since(now.unsure, before.unsure), lines),
        };
        inner.0 = now;
        inner.1.push_back(vitals);
        if inner.1.len() > MINUTES {
            inner.1.pop_front();
        }
    }

    /// The minutes that are known, oldest first.
    pub(crate) fn minutes(&self) -> Vec<Vitals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_tells_what_came_in_it() {
        let hour = Hour::default();
        let counted = Counted {
            queue_limit_lines: 512,
            hits: 90,
            misses: 10,
            lines: 100,
            new_patterns: 5,
            ..Counted::default()
        };
        hour.note(counted);
        hour.note(Counted { queue_lines: 256, hits: 190, lines: 200, unsure: 1, ..counted });
        // Another model: its cache is empty.
        hour.note(Counted { hits: 1, misses: 1, lines: 200, unsure: 1, ..counted });
        let told: Vec<_> =
            hour.minutes().iter().map(|one| (one.queue, one.misses, one.new_patterns, one.unsure)).collect();
        assert_eq!(told, [(0, 100, 50, 0), (500, 0, 0, 10), (0, 500, 0, 0)]);
        for _ in 0..100 {
            hour.note(counted);
        }
        assert_eq!(hour.minutes().len(), MINUTES);
    }
}
