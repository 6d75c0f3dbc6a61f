//! Weak labels by rules: the first teacher of a model, before any person has labelled a line.

use std::borrow::Cow;

use logrisk_base::{PatternId, Risk, Tag};
use logrisk_enrich::rules::Rules;

use crate::dataset::Canonical;

/// What the rules say of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeakLabel {
    /// The record's pattern.
    pub pattern_id: PatternId,
    /// The weak risk.
    pub risk: Risk,
    /// The tag.
    pub tag: Tag,
}

/// Labels records, one after the other, by the real path and the rules. Verdicts are kept by pattern, up to a bound:
/// the rules only read the masked text, so the same pattern has the same verdict.
#[derive(Debug)]
pub struct Labeller {
    rules: Rules,
    canonical: Canonical,
    masked: String,
    verdicts: foldhash::HashMap<PatternId, (Risk, Tag)>,
}

/// 16 bytes each: 16 MiB at most.
const KEPT_VERDICTS: usize = 1 << 20;

impl Labeller {
    /// A labeller by these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let (canonical, masked) = (Canonical::new(), String::new());
        Self { rules, canonical, masked, verdicts: foldhash::HashMap::default() }
    }

    /// The label of one raw record; may hold newlines.
    pub fn label(&mut self, record: &str) -> WeakLabel {
        self.masked.clear();
        let level = self.canonical.append(record, true, &mut self.masked);
        let pattern_id = PatternId::of(&self.masked);
        let (risk, tag) = *self.verdicts.entry(pattern_id).or_insert_with(|| {
            let verdict = self.rules.apply(level, &self.masked);
            (verdict.risk, verdict.tag)
        });
        if self.verdicts.len() >= KEPT_VERDICTS {
            self.verdicts.clear();
        }
        WeakLabel { pattern_id, risk, tag }
    }

    /// The record without secrets: what may be stored with its label.
    #[must_use]
    pub fn redact<'a>(&self, record: &'a str) -> Cow<'a, str> {
        self.canonical.redact(record)
    }

    /// The masked text of the record that was labelled last.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.masked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_pattern_share_their_label() {
        let mut labeller = Labeller::new(Rules::builtin().unwrap());
        let one = labeller
            .label("2025-03-17 09:12:44,123 ERROR [main] org.acme.Db - connection to 10.0.0.7:5432 refused");
        let other = labeller
            .label("2025-03-17 11:40:01,500 ERROR [main] org.acme.Db - connection to 10.9.1.2:5432 refused");
        assert_eq!(one, other);
        assert!(one.risk.get() >= 5, "{one:?}");
        assert!(labeller.label("INFO nginx started").risk.get() <= 3);
    }
}
