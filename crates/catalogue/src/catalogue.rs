//! The catalogue: one lock around the patterns, none for corrections.

use std::{
    cmp::Ordering,
    collections::HashSet,
    mem,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use foldhash::{HashMap, HashMapExt as _};
use jiff::Timestamp;
use logrisk_base::{PatternId, Risk, Tag};

use crate::{
    Activation, Bucket, CatalogueError, Correction, Page, Pattern, PatternQuery, Series, Sort,
    correction::Corrections,
    store::{Contents, Store},
};

/// Patterns kept; a busy site has a few thousand. With their samples they stay below 100 MB.
const PATTERNS: usize = 100_000;
/// The part that is thrown out at once when there are more: those longest unseen, the harmless first.
const THROWN_OUT: usize = 16;
/// Beyond so many bytes of samples a pattern keeps its newest line only.
const SAMPLE_BYTES: usize = 16 << 20;

/// A line that was scored.
#[derive(Debug, Clone, Copy)]
pub struct Sighting<'a> {
    /// Its pattern.
    pub pattern: PatternId,
    /// The pattern's text.
    pub masked: &'a str,
    /// The line as it may be shown.
    pub text: &'a str,
    /// Where it came from.
    pub source: &'a str,
    /// When.
    pub at: Timestamp,
    /// What model and rules say.
    pub risk: Risk,
    /// The expected risk.
    pub score: f32,
    /// What holds the risk with 80 %: lowest and highest.
    pub interval: (Risk, Risk),
    /// A person should look.
    pub unsure: bool,
    /// What model and rules say.
    pub tag: Tag,
    /// The model that said it.
    pub model_version: &'a str,
}

/// What the catalogue says to a line.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Lines of the pattern, this one included.
    pub count: u64,
    /// The first line of a pattern that was never seen.
    pub first: bool,
    /// The pattern was first seen since this program started.
    pub novel: bool,
    /// When the pattern was first seen.
    pub first_seen: Timestamp,
    /// Kept out of sight.
    pub silenced: bool,
    /// The correction in force.
    pub correction: Option<Arc<Correction>>,
}

/// Everything that was seen, said and decided.
#[derive(Debug)]
pub struct Catalogue {
    inner: Mutex<Inner>,
    corrections: ArcSwap<Corrections>,
    /// Held while corrections change, so that two changes do not lose one.
    correcting: Mutex<()>,
    activations: Mutex<Vec<Activation>>,
    store: Option<Store>,
    /// Held while patterns are written: a second writer finds its own already written.
    flushing: Mutex<()>,
    started: Timestamp,
}

#[derive(Debug, Default)]
struct Inner {
    patterns: HashMap<PatternId, Pattern>,
    /// The most patterns that are kept.
    capacity: usize,
    series: Series,
    changed: HashSet<PatternId, foldhash::fast::RandomState>,
    forgotten: Vec<PatternId>,
    sample_bytes: usize,
    lines: u64,
    new_patterns: u64,
}

impl Catalogue {
    /// An empty catalogue that forgets everything at the end.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::with(Contents::default(), None)
    }

    /// Opens the catalogue in a folder.
    ///
    /// # Errors
    /// A folder that another process uses or that cannot be written, and a store that cannot be read.
    pub fn open(folder: &Path) -> Result<Self, CatalogueError> {
        let store = Store::open(folder)?;
        Ok(Self::with(store.read()?, Some(store)))
    }

    fn with(contents: Contents, store: Option<Store>) -> Self {
        let mut inner = Inner {
            patterns: HashMap::with_capacity(contents.patterns.len()),
            capacity: PATTERNS,
            ..Inner::default()
        };
        for pattern in contents.patterns {
            inner.sample_bytes += pattern.sample_bytes();
            inner.patterns.insert(pattern.id, pattern);
        }
        Self {
            inner: Mutex::new(inner),
            corrections: ArcSwap::from_pointee(Corrections::new(contents.corrections)),
            correcting: Mutex::default(),
            activations: Mutex::new(contents.activations),
            store,
            flushing: Mutex::default(),
            started: Timestamp::now(),
        }
    }

    /// Counts lines, in order.
    pub fn record(&self, sightings: &[Sighting<'_>]) -> Vec<Recorded> {
        let corrections = self.corrections.load();
        let mut inner = lock(&self.inner);
        sightings
            .iter()
            .map(|sighting| {
                let correction = corrections.of(sighting.pattern, sighting.at).cloned();
                inner.record(sighting, correction)
            })
            .collect()
    }

    /// A pattern.
    #[must_use]
    pub fn pattern(&self, id: PatternId) -> Option<Pattern> {
        lock(&self.inner).patterns.get(&id).cloned()
    }

    /// The patterns that a query asks for.
    #[must_use]
    pub fn patterns(&self, query: &PatternQuery, now: Timestamp) -> Page {
        let corrections = self.corrections.load();
        let inner = lock(&self.inner);
        let mut matching: Vec<(&Pattern, Option<&Arc<Correction>>)> = inner
            .patterns
            .values()
            .map(|pattern| (pattern, corrections.of(pattern.id, now)))
            .filter(|(pattern, correction)| query.matches(pattern, correction.map(|found| &**found), now))
            .collect();
        let effective = |(pattern, correction): &(&Pattern, Option<&Arc<Correction>>)| {
            correction.map_or((pattern.risk, pattern.score), |correction| {
                (correction.risk, f32::from(correction.risk.get()))
            })
        };
        let lines = matching.iter().map(|(pattern, _)| pattern.count).sum();
        matching.sort_unstable_by(|left, right| {
            let order = match query.sort {
                Sort::Risk => {
                    let (left, right) = (effective(left), effective(right));
                    right.0.cmp(&left.0).then(right.1.total_cmp(&left.1))
                }
                Sort::Count => right.0.count.cmp(&left.0.count),
                Sort::FirstSeen => right.0.first_seen.cmp(&left.0.first_seen),
                Sort::LastSeen => Ordering::Equal,
                Sort::Unsure => {
                    let width = |(pattern, correction): &(&Pattern, Option<&Arc<Correction>>)| {
                        if correction.is_some() {
                            0
                        } else {
                            pattern.interval.1.get() - pattern.interval.0.get()
                        }
                    };
                    width(right).cmp(&width(left)).then(right.0.count.cmp(&left.0.count))
                }
            };
            let order = order.then(right.0.last_seen.cmp(&left.0.last_seen)).then(left.0.id.cmp(&right.0.id));
            if query.ascending { order.reverse() } else { order }
        });
        Page {
            total: matching.len(),
            lines,
            patterns: matching
                .into_iter()
                .skip(query.offset)
                .take(query.limit)
                .map(|(pattern, correction)| (pattern.clone(), correction.cloned()))
                .collect(),
        }
    }

    /// Marks a pattern as seen by a person, or takes that back. `None` if there is no such pattern.
    pub fn acknowledge(&self, id: PatternId, at: Option<Timestamp>) -> Option<Pattern> {
        self.change(id, |pattern| pattern.acknowledged = at)
    }

    /// Keeps a pattern out of sight until a time, or shows it again. `None` if there is no such pattern.
    pub fn silence(&self, id: PatternId, until: Option<Timestamp>) -> Option<Pattern> {
        self.change(id, |pattern| pattern.silenced = until)
    }

    fn change(&self, id: PatternId, change: impl FnOnce(&mut Pattern)) -> Option<Pattern> {
        let mut inner = lock(&self.inner);
        let pattern = inner.patterns.get_mut(&id)?;
        change(pattern);
        let changed = pattern.clone();
        inner.changed.insert(id);
        Some(changed)
    }

    /// Lines by time and risk: the `seconds` before `now` in `buckets` parts. Restarts begin it anew.
    #[must_use]
    pub fn series(&self, now: Timestamp, seconds: u32, buckets: usize) -> Vec<Bucket> {
        lock(&self.inner).series.window(now, seconds, buckets)
    }

    /// Lines recorded and new patterns found since start.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        let inner = lock(&self.inner);
        (inner.lines, inner.new_patterns)
    }

    /// Lines of each source over all patterns that are known.
    #[must_use]
    pub fn sources(&self) -> HashMap<String, u64> {
        let inner = lock(&self.inner);
        let mut sources = HashMap::new();
        for (source, count) in inner.patterns.values().flat_map(|pattern| &pattern.sources) {
            if let Some(sum) = sources.get_mut(source) {
                *sum += count;
            } else {
                sources.insert(source.clone(), *count);
            }
        }
        sources
    }

    /// How many patterns people said they saw, since a time.
    #[must_use]
    pub fn acknowledged_since(&self, since: Timestamp) -> u64 {
        let inner = lock(&self.inner);
        let seen =
            inner.patterns.values().filter(|pattern| pattern.acknowledged.is_some_and(|at| at >= since));
        seen.count() as u64
    }

    /// When the newest pattern was first seen.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        lock(&self.inner).patterns.values().map(|pattern| pattern.first_seen).max()
    }

    /// Patterns known.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.inner).patterns.len()
    }

    /// Whether no pattern is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When this catalogue was opened; what was first seen later is novel.
    #[must_use]
    pub const fn started(&self) -> Timestamp {
        self.started
    }

    /// The newest line of each of the patterns with most lines: what a new model is warmed up with.
    #[must_use]
    pub fn busiest(&self, limit: usize) -> Vec<String> {
        let inner = lock(&self.inner);
        let mut patterns: Vec<&Pattern> = inner.patterns.values().collect();
        patterns.sort_unstable_by_key(|pattern| std::cmp::Reverse(pattern.count));
        let newest = |pattern: &Pattern| pattern.samples.back().map(|sample| sample.text.clone());
        patterns.into_iter().take(limit).filter_map(newest).collect()
    }

    /// Notes that a model was put in use.
    ///
    /// # Errors
    /// When the store fails.
    pub fn activate(&self, activation: Activation) -> Result<(), CatalogueError> {
        let mut activations = lock(&self.activations);
        if let Some(store) = &self.store {
            store.write_activation(activations.len() as u64, &activation)?;
        }
        activations.push(activation);
        Ok(())
    }

    /// Models put in use, the last one last.
    #[must_use]
    pub fn activations(&self) -> Vec<Activation> {
        lock(&self.activations).clone()
    }

    /// Writes what changed since the last time; it is on disk when this returns. Does nothing without a store.
    ///
    /// # Errors
    /// When the store fails; what was to be written is then written next time.
    pub fn flush(&self) -> Result<(), CatalogueError> {
        let Some(store) = &self.store else { return Ok(()) };
        let _one_at_a_time = lock(&self.flushing);
        let (changed, forgotten, bytes) = {
            let mut inner = lock(&self.inner);
            let changed = mem::take(&mut inner.changed);
            let forgotten = mem::take(&mut inner.forgotten);
            let bytes: Result<Vec<_>, serde_json::Error> = changed
                .iter()
                .filter_map(|id| inner.patterns.get(id))
                .map(|pattern| Ok((pattern.id.get(), serde_json::to_vec(pattern)?)))
                .collect();
            (changed, forgotten, bytes)
        };
        if changed.is_empty() && forgotten.is_empty() {
            return Ok(());
        }
        let ids: Vec<u64> = forgotten.iter().map(|id| id.get()).collect();
        let written =
            bytes.map_err(CatalogueError::from).and_then(|bytes| store.write_patterns(&bytes, &ids));
        if written.is_err() {
            let mut inner = lock(&self.inner);
            inner.changed.extend(changed);
            inner.forgotten.extend(forgotten);
        }
        written
    }
}

impl Inner {
    fn record(&mut self, sighting: &Sighting<'_>, correction: Option<Arc<Correction>>) -> Recorded {
        let Sighting { pattern: id, masked, text, source, at, model_version, .. } = *sighting;
        let Sighting { risk, score, interval, unsure, tag, .. } = *sighting;
        let first = !self.patterns.contains_key(&id);
        if first && self.patterns.len() >= self.capacity {
            self.throw_out();
        }
        let roomy = self.sample_bytes < SAMPLE_BYTES;
        let pattern = self.patterns.entry(id).or_insert_with(|| Pattern {
            id,
            masked: masked.to_owned(),
            risk,
            score,
            interval,
            unsure,
            tag,
            model_version: model_version.to_owned(),
            count: 0,
            first_seen: at,
            last_seen: at,
            acknowledged: None,
            silenced: None,
            sources: Vec::new(),
            samples: std::collections::VecDeque::new(),
            slots: std::collections::VecDeque::new(),
            hours: std::collections::VecDeque::new(),
            novel: true,
        });
        pattern.count += 1;
        pattern.last_seen = pattern.last_seen.max(at);
        (pattern.risk, pattern.score, pattern.tag) = (risk, score, tag);
        (pattern.interval, pattern.unsure) = (interval, unsure);
        if pattern.model_version != model_version {
            model_version.clone_into(&mut pattern.model_version);
        }
        pattern.count_slot(at);
        pattern.count_source(source);
        let before = pattern.sample_bytes();
        pattern.sample(at, source, text, roomy);
        let recorded = Recorded {
            count: pattern.count,
            first,
            novel: pattern.novel,
            first_seen: pattern.first_seen,
            silenced: pattern.is_silenced(at),
            correction,
        };
        self.sample_bytes = self.sample_bytes + pattern.sample_bytes() - before;
        self.changed.insert(id);
        self.lines += 1;
        self.new_patterns += u64::from(first);
        let effective = recorded.correction.as_ref().map_or(risk, |correction| correction.risk);
        self.series.count(at, effective);
        recorded
    }

    /// Makes room: patterns of low risk that nobody spoke of go first, the longest unseen of them first.
    fn throw_out(&mut self) {
        let mut candidates: Vec<(bool, Timestamp, PatternId)> = self
            .patterns
            .values()
            .map(|pattern| (pattern.risk.get() >= 6, pattern.last_seen, pattern.id))
            .collect();
        candidates.sort_unstable();
        for (_, _, id) in candidates.into_iter().take(self.capacity / THROWN_OUT) {
            if let Some(pattern) = self.patterns.remove(&id) {
                self.sample_bytes -= pattern.sample_bytes().min(self.sample_bytes);
            }
            self.changed.remove(&id);
            self.forgotten.push(id);
        }
    }
}

/// A panic while a lock is held leaves counts that are at worst one line behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

mod corrections;
mod groups;

pub use groups::Group;

#[cfg(test)]
mod tests;
