//! Which patterns, in which order, and how many at a time.

use jiff::Timestamp;
use logrisk_base::{Risk, Tag};

use crate::{Correction, Pattern};

/// A question about patterns. The default asks for everything, riskiest first.
#[derive(Debug, Clone, Default)]
pub struct PatternQuery {
    /// Risks below are left out; corrected patterns count with their correction.
    pub min_risk: Option<Risk>,
    /// Risks above are left out.
    pub max_risk: Option<Risk>,
    /// Only this tag.
    pub tag: Option<Tag>,
    /// Only patterns whose masked text or newest line contains this, whatever the case.
    pub text: Option<String>,
    /// Only patterns of this source.
    pub source: Option<String>,
    /// Only those last seen at or after this time.
    pub since: Option<Timestamp>,
    /// Only those first seen at or after this time.
    pub first_since: Option<Timestamp>,
    /// Only those first seen at or before this time.
    pub until: Option<Timestamp>,
    /// Which part of the catalogue.
    pub state: State,
    /// The order.
    pub sort: Sort,
    /// The order turned round.
    pub ascending: bool,
    /// Patterns to skip.
    pub offset: usize,
    /// Patterns to return.
    pub limit: usize,
}

/// A part of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Everything that is not silenced.
    #[default]
    All,
    /// First seen since start, and nobody acknowledged or corrected it yet: the inbox.
    New,
    /// With a correction in force.
    Corrected,
    /// Out of sight for now.
    Silenced,
    /// Acknowledged.
    Acknowledged,
}

/// An order of patterns; ties are broken by the last sighting, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// Highest risk first.
    #[default]
    Risk,
    /// Most lines first.
    Count,
    /// Newest pattern first.
    FirstSeen,
    /// Latest line first.
    LastSeen,
    /// Widest interval first, among equals most lines: where a correction teaches most.
    Unsure,
}

/// One page of an answer.
#[derive(Debug, Clone)]
pub struct Page {
    /// The patterns asked for, each with its correction if one is in force.
    pub patterns: Vec<(Pattern, Option<std::sync::Arc<Correction>>)>,
    /// How many match in all.
    pub total: usize,
    /// Lines so far of all that match.
    pub lines: u64,
}

impl PatternQuery {
    /// Whether a pattern is meant. `correction` is the one in force.
    pub(crate) fn matches(&self, pattern: &Pattern, correction: Option<&Correction>, now: Timestamp) -> bool {
        let risk = correction.map_or(pattern.risk, |correction| correction.risk);
        let tag = correction.and_then(|correction| correction.tag).unwrap_or(pattern.tag);
        let silenced = pattern.is_silenced(now);
        let in_state = match self.state {
            State::All => !silenced,
            State::New => {
                pattern.novel && pattern.acknowledged.is_none() && correction.is_none() && !silenced
            }
            State::Corrected => correction.is_some(),
            State::Silenced => silenced,
            State::Acknowledged => pattern.acknowledged.is_some(),
        };
        in_state
            && self.min_risk.is_none_or(|minimum| risk >= minimum)
            && self.max_risk.is_none_or(|maximum| risk <= maximum)
            && self.tag.is_none_or(|wanted| wanted == tag)
            && self.since.is_none_or(|since| pattern.last_seen >= since)
            && self.first_since.is_none_or(|since| pattern.first_seen >= since)
            && self.until.is_none_or(|until| pattern.first_seen <= until)
            && self
                .source
                .as_ref()
                .is_none_or(|source| pattern.sources.iter().any(|(name, _)| name == source))
            && self.text.as_ref().is_none_or(|text| {
                contains(&pattern.masked, text)
                    || pattern.samples.back().is_some_and(|sample| contains(&sample.text, text))
            })
    }
}

/// Whether `text` contains `needle`, ASCII letters of either case being equal.
fn contains(text: &str, needle: &str) -> bool {
    let needle = needle.as_bytes();
    needle.is_empty()
        || text.as_bytes().windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}
