//! Who watches the stream, and what each of them is told.
//!
//! Every watcher owns a small buffer that is emptied four times a second. When more happens than it holds, rows of one
//! pattern become one row, what is new or risky goes first, and an even sample of the rest; `seen` always tells the true
//! number. So a slow browser never slows scoring.
//!
//! Everything that happens has a number. The newest few hundred are remembered, so that a watcher whose connection broke
//! names the last number that it knows (`Last-Event-ID`) and misses nothing.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use logrisk_base::{Risk, Tag};

use crate::view::LineRow;

/// Rows of one event; four events a second are all that a page can show.
const ROWS: usize = 50;
/// Other events that wait for a watcher.
const EVENTS: usize = 32;
/// Watchers at once.
const WATCHERS: usize = 256;
/// Lines and events remembered for watchers that come back; 4 MB at most, mostly 200 kB.
const REMEMBERED: usize = 512;
/// So long after the last watcher left, lines are still remembered. Browsers come back after two seconds.
const LINGER: Duration = Duration::from_secs(60);

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
    client: String,
    pending: Mutex<Pending>,
    hub: Weak<Hub>,
}

#[derive(Debug, Default)]
struct Pending {
    news: News,
    /// Rows that fit: more in the first news of a watcher that came back.
    room: usize,
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
    /// The number of what happened last.
    pub(crate) number: u64,
}

/// What happens.
#[derive(Debug)]
enum Happening {
    Line(LineRow),
    Event(&'static str, String),
}

/// How a watcher begins.
#[derive(Debug)]
pub(crate) enum Begin {
    /// With what happens next.
    Now,
    /// With what it missed while it was away; all of it is there.
    Complete,
    /// With what is still remembered; more is lost.
    Incomplete,
}

/// All watchers.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    count: AtomicUsize,
    /// When a watcher left last.
    left: Mutex<Option<Instant>>,
    /// Watchers of one client at once.
    per_client: usize,
    /// Part of every id, so that numbers of an earlier start are not taken for ours.
    started: i64,
}

#[derive(Debug, Default)]
struct State {
    watchers: Vec<Weak<Watcher>>,
    /// The number of what happened last.
    number: u64,
    /// What happened last, oldest first, with its number.
    recent: VecDeque<(u64, Happening)>,
}

impl Hub {
    /// Nobody watches yet. One client may open `per_client` streams.
    pub(crate) fn new(per_client: usize) -> Self {
        let started = Timestamp::now().as_millisecond();
        Self {
            state: Mutex::default(),
            count: AtomicUsize::new(0),
            left: Mutex::default(),
            per_client,
            started,
        }
    }

    /// Begins to watch, after the event of an id if that is given. `None` if too many watch, or too many for this client.
    pub(crate) fn watch(
        self: &Arc<Self>,
        filter: Filter,
        client: &str,
        after: Option<&str>,
    ) -> Option<(Arc<Watcher>, Begin)> {
        let mut state = lock(&self.state);
        state.watchers.retain(|watcher| watcher.strong_count() > 0);
        let same =
            |watcher: &&Weak<Watcher>| watcher.upgrade().is_some_and(|watcher| watcher.client == client);
        if state.watchers.len() >= WATCHERS || state.watchers.iter().filter(same).count() >= self.per_client {
            return None;
        }
        let watcher = Arc::new(Watcher {
            filter,
            client: client.to_owned(),
            pending: Mutex::new(Pending { room: REMEMBERED, ..Pending::default() }),
            hub: Arc::downgrade(self),
        });
        lock(&watcher.pending).news.number = state.number;
        let begin = match after.map(|id| self.number(id)) {
            None => Begin::Now,
            Some(after) => {
                let missed =
                    state.recent.iter().filter(|(number, _)| after.is_none_or(|after| *number > after));
                missed.for_each(|(number, happening)| watcher.tell(*number, happening));
                let oldest = state.recent.front().map_or(state.number + 1, |(number, _)| *number);
                if after.is_some_and(|after| after.saturating_add(1) >= oldest) {
                    Begin::Complete
                } else {
                    Begin::Incomplete
                }
            }
        };
        state.watchers.push(Arc::downgrade(&watcher));
        self.count.fetch_add(1, Ordering::Relaxed);
        Some((watcher, begin))
    }

    /// How many watch.
    #[must_use]
    pub(crate) fn watchers(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether lines should be told: somebody watches, or may come back.
    #[must_use]
    pub(crate) fn listens(&self) -> bool {
        // Never held together with the state's lock, which is held while watchers are dropped.
        let expired = {
            let mut left = lock(&self.left);
            if self.watchers() > 0 || left.is_some_and(|left| left.elapsed() < LINGER) {
                return true;
            }
            left.take().is_some()
        };
        // What is not told from here on has no number: whoever comes back must not think that nothing happened.
        if expired {
            let mut state = lock(&self.state);
            state.recent.clear();
            state.number += 1;
        }
        false
    }

    /// Tells of a line.
    pub(crate) fn line(&self, row: LineRow) {
        self.happen(Happening::Line(row));
    }

    /// Tells everybody of an event.
    pub(crate) fn event(&self, name: &'static str, json: &str) {
        self.happen(Happening::Event(name, json.to_owned()));
    }

    /// The `id:` of an event.
    #[must_use]
    pub(crate) fn id(&self, number: u64) -> String {
        format!("{:x}-{number}", self.started)
    }

    /// The number in an id of this start.
    fn number(&self, id: &str) -> Option<u64> {
        let (started, number) = id.split_once('-')?;
        (i64::from_str_radix(started, 16) == Ok(self.started)).then(|| number.parse().ok()).flatten()
    }

    /// Under one lock, so that numbers come to every watcher in order.
    fn happen(&self, happening: Happening) {
        let mut state = lock(&self.state);
        state.number += 1;
        let number = state.number;
        for watcher in state.watchers.iter().filter_map(Weak::upgrade) {
            watcher.tell(number, &happening);
        }
        if state.recent.len() >= REMEMBERED {
            state.recent.pop_front();
        }
        state.recent.push_back((number, happening));
    }
}

impl Watcher {
    /// Takes what happened since the last time.
    #[must_use]
    pub(crate) fn take(&self) -> News {
        let mut pending = lock(&self.pending);
        pending.room = ROWS;
        let next = News { number: pending.news.number, ..News::default() };
        std::mem::replace(&mut pending.news, next)
    }

    fn tell(&self, number: u64, happening: &Happening) {
        let mut pending = lock(&self.pending);
        pending.news.number = number;
        match happening {
            Happening::Line(row) if self.filter.matches(row) => pending.line(row, self.filter.ranked),
            Happening::Line(_) => {}
            Happening::Event(name, json) => {
                if pending.news.events.len() < EVENTS {
                    pending.news.events.push((name, json.clone()));
                }
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade() {
            // The list is cleared of it later: whoever tells it something holds the list's lock.
            *lock(&hub.left) = Some(Instant::now());
            hub.count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Pending {
    fn line(&mut self, row: &LineRow, ranked: bool) {
        let news = &mut self.news;
        news.seen += 1;
        if ranked && let Some(same) = news.rows.iter_mut().find(|other| other.pattern_id == row.pattern_id) {
            row.clone_into(same);
            news.shown += 1;
        } else if news.rows.len() < self.room {
            news.rows.push(row.clone());
            news.shown += 1;
        } else if let Some(place) = news.place(row) {
            // In order of arrival, so that a tail reads as the lines came.
            news.rows.remove(place);
            news.rows.push(row.clone());
        }
    }
}

impl News {
    /// The row that gives way to this one: one of lower rank; among equals every line has the same chance, so that what
    /// is shown is an even sample.
    fn place(&self, row: &LineRow) -> Option<usize> {
        let rank = |row: &LineRow| u8::from(row.novel) * 2 + u8::from(row.risk_label >= 6);
        let Self { rows, seen, .. } = self;
        let (place, lowest) = rows.iter().map(rank).enumerate().min_by_key(|(_, rank)| *rank)?;
        if rank(row) > lowest {
            return Some(place);
        }
        if rank(row) < lowest {
            return None;
        }
        let equals: Vec<usize> =
            (0..rows.len()).filter(|index| rows.get(*index).is_some_and(|row| rank(row) == lowest)).collect();
        // A hash of the running number instead of a random one.
        let draw = (seen.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % (*seen).max(1);
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
