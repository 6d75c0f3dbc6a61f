//! Many patterns at once: an inbox of thousands is a handful of sources.

use foldhash::{HashMap, HashMapExt as _};
use jiff::Timestamp;
use logrisk_base::Risk;

use super::{Catalogue, Inner, lock};
use crate::PatternQuery;

/// Patterns that mostly come from one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The source.
    pub source: String,
    /// How many patterns.
    pub patterns: u64,
    /// Their lines so far.
    pub lines: u64,
    /// Patterns with a single line.
    pub once: u64,
    /// The highest risk among them.
    pub highest: Risk,
}

impl Catalogue {
    /// The patterns that a query asks for, grouped by where most of their lines come from; the largest group first.
    /// Order, offset and limit of the query do not count.
    #[must_use]
    pub fn groups(&self, query: &PatternQuery, now: Timestamp) -> Vec<Group> {
        let corrections = self.corrections.load();
        let inner = lock(&self.inner);
        let mut groups = HashMap::<&str, Group>::new();
        for pattern in inner.patterns.values() {
            let correction = corrections.of(pattern.id, now).map(|found| &**found);
            if !query.matches(pattern, correction, now) {
                continue;
            }
            let source = pattern.main_source();
            let group = groups.entry(source).or_insert_with(|| Group {
                source: source.to_owned(),
                patterns: 0,
                lines: 0,
                once: 0,
                highest: Risk::MIN,
            });
            group.patterns += 1;
            group.lines += pattern.count;
            group.once += u64::from(pattern.count == 1);
            let risk = correction.map_or(pattern.risk, |correction| correction.risk);
            group.highest = group.highest.max(risk);
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_unstable_by(|left, right| {
            right.patterns.cmp(&left.patterns).then(left.source.cmp(&right.source))
        });
        groups
    }

    /// Silences the patterns that a query asks for and that mostly come from one source; tells how many.
    pub fn silence_source(
        &self,
        query: &PatternQuery,
        source: &str,
        now: Timestamp,
        until: Option<Timestamp>,
    ) -> u64 {
        let corrections = self.corrections.load();
        let mut inner = lock(&self.inner);
        let Inner { patterns, changed, .. } = &mut *inner;
        let mut silenced = 0;
        for pattern in patterns.values_mut() {
            let correction = corrections.of(pattern.id, now).map(|found| &**found);
            if pattern.main_source() == source && query.matches(pattern, correction, now) {
                pattern.silenced = until;
                changed.insert(pattern.id);
                silenced += 1;
            }
        }
        silenced
    }
}
