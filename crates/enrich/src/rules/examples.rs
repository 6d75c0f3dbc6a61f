//! The examples of a rule file: its documentation and its tests.

use std::{fmt, sync::Arc};

use logrisk_base::{Level, Tag};

use super::{
    Rules, Verdict,
    file::{ExampleEntry, RiskRange},
};
use crate::{
    mask::mask_into,
    parse::{self, parse},
};

/// One example, with the rule that it belongs to.
#[derive(Debug)]
pub(super) struct Example {
    rule: Arc<str>,
    place: u64,
    line: String,
    level: Option<Level>,
    matches: bool,
    tag: Option<Tag>,
    risk: Option<RiskRange>,
}

impl Example {
    pub(super) fn new(rule: &Arc<str>, entry: ExampleEntry) -> Self {
        Self {
            rule: Arc::clone(rule),
            place: entry.line.referenced.line(),
            line: entry.line.value,
            level: entry.level,
            matches: entry.matches,
            tag: entry.tag,
            risk: entry.risk,
        }
    }

    /// Whether it shows a line that the rule matches.
    #[cfg(test)]
    pub(super) fn shows(&self, rule: &str) -> bool {
        self.matches && &*self.rule == rule
    }

    #[cfg(test)]
    pub(super) fn line(&self) -> &str {
        &self.line
    }
}

/// How the examples of a file fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many rules the file has, with those that it extends.
    pub rules: usize,
    /// How many examples were checked.
    pub examples: usize,
    /// The examples whose verdict is not the expected one, in the order of the file.
    pub failures: Vec<Failure>,
}

/// An example whose verdict is not the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The rule that the example belongs to.
    pub rule: Arc<str>,
    /// The line of the rule file, from 1.
    pub place: u64,
    /// The example's log line.
    pub line: String,
    /// What the file expects, such as `matches, risk 7`.
    pub expected: String,
    /// What came out, with the rules that matched.
    pub actual: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "line {}: rule {}: {:?}", self.place, self.rule, self.line)?;
        writeln!(formatter, "  expected  {}", self.expected)?;
        write!(formatter, "  actual    {}", self.actual)
    }
}

pub(super) fn run(rules: &Rules) -> Report {
    let failures = rules.examples.iter().filter_map(|example| check(rules, example)).collect();
    Report { rules: rules.compiled.rules.len(), examples: rules.examples.len(), failures }
}

fn check(rules: &Rules, example: &Example) -> Option<Failure> {
    let (level, masked) = canonical(example);
    let verdict = rules.apply(level, &masked);
    let matched = verdict.matched.iter().any(|matched| matched.rule == example.rule);
    let right = matched == example.matches
        && example.tag.is_none_or(|tag| tag == verdict.tag)
        && example.risk.is_none_or(|range| range.contains(verdict.risk));
    if right {
        return None;
    }
    Some(Failure {
        rule: Arc::clone(&example.rule),
        place: example.place,
        line: example.line.clone(),
        expected: expected(example),
        actual: actual(matched, &verdict, &masked),
    })
}

/// What the pipeline makes of the example's line; a level given beside it counts as declared.
fn canonical(example: &Example) -> (Option<Level>, String) {
    let unwrapped = parse::unwrap(&example.line);
    let mut parsed = parse(&unwrapped.content);
    parsed.level = example.level.or(parsed.level);
    let mut masked = String::new();
    mask_into(&parsed, &mut masked);
    (parsed.level, masked)
}

fn expected(example: &Example) -> String {
    let mut text = String::from(if example.matches { "matches" } else { "no match" });
    if let Some(risk) = example.risk {
        text.push_str(&format!(", risk {risk}"));
    }
    if let Some(tag) = example.tag {
        text.push_str(&format!(", tag {tag}"));
    }
    text
}

fn actual(matched: bool, verdict: &Verdict, masked: &str) -> String {
    let state = if matched { "matches" } else { "no match" };
    let names: Vec<&str> = verdict.matched.iter().map(|matched| &*matched.rule).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!(
        "{state}, risk {}, tag {}; rules that matched: {names}; text: {masked:?}",
        verdict.risk, verdict.tag
    )
}
