//! Extensible rules: from a level and a masked text to a tag and a weak risk, with reasons.
//!
//! Rules label what no person has labelled yet, so they are the first teacher of the model and the baseline that it has
//! to beat. They read the canonical masked text and nothing else: their verdict is a property of the pattern, as the
//! model's is, and can be cached with it.
//!
//! ```text
//! masked text ─► one Aho-Corasick pass ─┬─► keywords ───────────────────────────┬─► unless? negated? ─► verdict
//!                                       └─► beginnings of expressions ─► regex ─┘
//! ```
//!
//! How a verdict comes about: the declared level gives the base risk; the bonuses of the rules that match are added, at
//! most `max_bonus`; the first rule of the file with a `risk` moves the sum into its range. The first rule with a `tag`
//! names the tag; otherwise the tag is that of the level, or of the risk where rules have moved it.

mod compile;
mod context;
mod examples;
mod expression;
mod file;
pub mod seed;

use std::{ops::Range, sync::Arc};

use logrisk_base::{Level, Risk, Tag};

pub use examples::{Failure, Report};
pub use file::{RiskRange, RulesError};

use compile::{Compiled, Rule};
use context::Negations;
use file::{Base, Levels};

/// The rules that ship with logrisk: `config/rules.yaml`.
pub const DEFAULT_RULES: &str = include_str!("../../../config/rules.yaml");

/// What the rules say of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The tag.
    pub tag: Tag,
    /// The weak risk label.
    pub risk: Risk,
    /// The rules that matched, in the order of the file: why the verdict is what it is.
    pub matched: Vec<Matched>,
}

/// One rule's part in a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// The rule's name.
    pub rule: Arc<str>,
    /// The bytes of the masked text that the rule was found in.
    pub phrase: Range<usize>,
    /// What the rule added to the base risk, before the cap on all bonuses.
    pub bonus: u8,
    /// The range that the rule moved the risk into; `None` where an earlier rule had decided, or the rule has none.
    pub risk: Option<RiskRange>,
    /// The tag that the rule named; `None` where an earlier rule had decided, or the rule has none.
    pub tag: Option<Tag>,
}

/// A compiled rule file.
#[derive(Debug)]
pub struct Rules {
    levels: Levels,
    max_bonus: u8,
    negations: Negations,
    compiled: Compiled,
    examples: Vec<examples::Example>,
}

impl Rules {
    /// Compiles the rules that ship with logrisk.
    ///
    /// # Errors
    /// None for the file as released; a test compiles it.
    pub fn builtin() -> Result<Self, RulesError> {
        compile::rules(file::read(DEFAULT_RULES)?, true)
    }

    /// Compiles a rule file. A file that says `extends: default` puts its rules before those that ship, so that it can
    /// overrule them; what it leaves out (levels, negations) is then the default's.
    ///
    /// # Errors
    /// [`RulesError`] with line, column and rule for anything that is not a valid rule file: YAML that cannot be read,
    /// unknown fields, duplicate names, expressions that do not compile, a rule that matches nothing.
    pub fn from_yaml(yaml: &str) -> Result<Self, RulesError> {
        if yaml.trim().is_empty() {
            return Err(RulesError::nowhere(
                "the rule file is empty; begin with `extends: default`".to_owned(),
            ));
        }
        compile::rules(file::read(yaml)?, false)
    }

    /// Applies all rules in one pass over the canonical masked text.
    ///
    /// The declared level at the front of the text is not searched: `error db: connected` is no match for the word
    /// "error".
    #[must_use]
    pub fn apply(&self, level: Option<Level>, masked: &str) -> Verdict {
        let base = self.levels.base(level);
        let mut verdict = Verdict { tag: base.tag, risk: base.risk, matched: Vec::new() };
        self.compiled.search(level, masked, message_start(level, masked), |rule, phrase| {
            let holds = !(rule.negatable && self.negations.negate(masked, &phrase));
            if holds {
                verdict.add(rule, phrase);
            }
            holds
        });
        verdict.settle(base, self.max_bonus);
        verdict
    }

    /// The names of the rules, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.compiled.rules.iter().map(|rule| &*rule.name)
    }

    /// Checks every example of the file against the rules.
    #[must_use]
    pub fn test(&self) -> Report {
        examples::run(self)
    }
}

impl Verdict {
    fn add(&mut self, rule: &Rule, phrase: Range<usize>) {
        let risk = rule.risk.filter(|_| self.matched.iter().all(|earlier| earlier.risk.is_none()));
        let tag = rule.tag.filter(|_| self.matched.iter().all(|earlier| earlier.tag.is_none()));
        self.matched.push(Matched { rule: Arc::clone(&rule.name), phrase, bonus: rule.bonus, risk, tag });
    }

    fn settle(&mut self, base: Base, max_bonus: u8) {
        let bonus = self.matched.iter().map(|rule| u32::from(rule.bonus)).sum::<u32>();
        // Both addends are at most 10, so the sum fits.
        let sum = base.risk.get() + bonus.min(u32::from(max_bonus)) as u8;
        let risk = self
            .matched
            .iter()
            .find_map(|rule| rule.risk)
            .map_or(sum, |range| sum.clamp(range.low.get(), range.high.get()));
        self.risk = Risk::nearest(f32::from(risk));
        let named = self.matched.iter().find_map(|rule| rule.tag);
        self.tag = named.unwrap_or(if self.risk == base.risk { base.tag } else { tag_of(self.risk) });
    }
}

/// The tag that a risk asks for where neither level nor rule names one.
#[must_use]
pub fn tag_of(risk: Risk) -> Tag {
    match risk.get() {
        0 | 1 => Tag::Debug,
        2 | 3 => Tag::Info,
        4 | 5 => Tag::Warn,
        _ => Tag::Error,
    }
}

/// Where the text that rules search begins: behind the level's word.
fn message_start(level: Option<Level>, masked: &str) -> usize {
    let word = level.map_or("", Level::as_str);
    match masked.strip_prefix(word) {
        Some(rest) if !word.is_empty() && rest.starts_with([' ', ':']) => word.len() + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
