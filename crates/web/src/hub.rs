//! Who watches the stream, and what each of them is told.
//!
//! Every watcher owns a small buffer that is emptied four times a second. When more happens than it holds, rows of one
//! pattern become one row, what is new or risky goes first, and an even sample of the rest; `seen` always tells the true
//! number. So a slow browser never slows scoring.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use logrisk_base::{Risk, Tag};

use crate::view::LineRow;

/// Rows of one event; four events a second are all that a page can show.
const ROWS: usize = 50;
/// Other events that wait for a watcher.
const EVENTS: usize = 32;
/// Watchers at once.
const WATCHERS: usize = 256;

/// Which lines a watcher wants.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Risks below are left out.
    pub(crate) min_risk: Option<Risk>,
    /// Risks above are left out.
    pub(crate) max_risk: Option<Risk>,
    /// Only this tag.
    pub(crate) tag: Option<Tag>,
    /// Only this source.
    pub(crate) source: Option<String>,
    /// Only lines that contain this, whatever the case of ASCII letters.
    pub(crate) text: Option<String>,
    /// Only patterns first seen since start.
    pub(crate) novel: bool,
    /// Lines of one pattern become one row.
    pub(crate) ranked: bool,
}

/// A watcher's buffer. Dropping it ends the watching.
#[derive(Debug)]
pub(crate) struct Watcher {
    filter: Filter,
    pending: Mutex<Pending>,
    hub: Weak<Hub>,
}

#[derive(Debug, Default)]
struct Pending {
    rows: Vec<LineRow>,
    seen: u64,
    shown: u64,
    events: Vec<(&'static str, String)>,
}

/// What a watcher is told at once.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Changed rows.
    pub(crate) rows: Vec<LineRow>,
    /// Lines that matched since the last news.
    pub(crate) seen: u64,
    /// Lines that the rows stand for.
    pub(crate) shown: u64,
    /// Other events: name and JSON.
    pub(crate) events: Vec<(&'static str, String)>,
}

/// All watchers.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    watchers: Mutex<Vec<Weak<Watcher>>>,
    count: AtomicUsize,
    /// Numbers of events, for `id:`.
    sequence: AtomicU64,
}

impl Hub {
    /// Begins to watch; `None` if too many do.
    pub(crate) fn watch(self: &Arc<Self>, filter: Filter) -> Option<Arc<Watcher>> {
        let mut watchers = lock(&self.watchers);
        watchers.retain(|watcher| watcher.strong_count() > 0);
        if watchers.len() >= WATCHERS {
            return None;
        }
        let watcher = Arc::new(Watcher { filter, pending: Mutex::default(), hub: Arc::downgrade(self) });
        watchers.push(Arc::downgrade(&watcher));
        self.count.store(watchers.len(), Ordering::Relaxed);
        Some(watcher)
    }

    /// How many watch.
    #[must_use]
    pub(crate) fn watchers(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Tells of a line.
    pub(crate) fn line(&self, row: &LineRow) {
        self.each(|watcher| watcher.line(row));
    }

    /// Tells everybody of an event.
    pub(crate) fn event(&self, name: &'static str, json: &str) {
        self.each(|watcher| {
            let mut pending = lock(&watcher.pending);
            if pending.events.len() < EVENTS {
                pending.events.push((name, json.to_owned()));
            }
        });
    }

    /// The number of the next event.
    pub(crate) fn next_id(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn each(&self, tell: impl Fn(&Watcher)) {
        if self.watchers() == 0 {
            return;
        }
        let watchers: Vec<_> = lock(&self.watchers).iter().filter_map(Weak::upgrade).collect();
        for watcher in watchers {
            tell(&watcher);
        }
    }
}

impl Watcher {
    /// Takes what happened since the last time.
    #[must_use]
    pub(crate) fn take(&self) -> News {
        let pending = std::mem::take(&mut *lock(&self.pending));
        News { rows: pending.rows, seen: pending.seen, shown: pending.shown, events: pending.events }
    }

    fn line(&self, row: &LineRow) {
        if !self.filter.matches(row) {
            return;
        }
        let mut pending = lock(&self.pending);
        pending.seen += 1;
        if self.filter.ranked
            && let Some(same) = pending.rows.iter_mut().find(|other| other.pattern_id == row.pattern_id)
        {
            row.clone_into(same);
            pending.shown += 1;
        } else if pending.rows.len() < ROWS {
            pending.rows.push(row.clone());
            pending.shown += 1;
        } else if let Some(place) = pending.place(row) {
            // In order of arrival, so that a tail reads as the lines came.
            pending.rows.remove(place);
            pending.rows.push(row.clone());
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade() {
            let mut watchers = lock(&hub.watchers);
            watchers.retain(|watcher| watcher.strong_count() > 0);
            hub.count.store(watchers.len(), Ordering::Relaxed);
        }
    }
}

impl Pending {
    /// The row that gives way to this one: one of lower rank; among equals every line has the same chance, so that what
    /// is shown is an even sample.
    fn place(&self, row: &LineRow) -> Option<usize> {
        let rank = |row: &LineRow| u8::from(row.novel) * 2 + u8::from(row.risk_label >= 6);
        let (place, lowest) = self.rows.iter().map(rank).enumerate().min_by_key(|(_, rank)| *rank)?;
        if rank(row) > lowest {
            return Some(place);
        }
        if rank(row) < lowest {
            return None;
        }
        let equals: Vec<usize> = (0..self.rows.len())
            .filter(|index| self.rows.get(*index).is_some_and(|row| rank(row) == lowest))
            .collect();
        // A hash of the running number instead of a random one.
        let draw = (self.seen.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % self.seen.max(1);
        equals.get(usize::try_from(draw).unwrap_or(usize::MAX)).copied()
    }
}

impl Filter {
    fn matches(&self, row: &LineRow) -> bool {
        self.min_risk.is_none_or(|minimum| row.risk_label >= minimum.get())
            && self.max_risk.is_none_or(|maximum| row.risk_label <= maximum.get())
            && self.tag.is_none_or(|tag| tag.as_str() == row.tag)
            && self.source.as_ref().is_none_or(|source| *source == row.source)
            && (!self.novel || row.novel)
            && self.text.as_ref().is_none_or(|text| {
                let needle = text.as_bytes();
                needle.is_empty()
                    || row.text.as_bytes().windows(needle.len()).any(|part| part.eq_ignore_ascii_case(needle))
            })
    }
}

/// Nothing panics while one of these locks is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
