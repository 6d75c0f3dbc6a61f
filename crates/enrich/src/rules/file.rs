//! A rule file as it is written, and the errors that lead back to the place in it.

use std::fmt;

use logrisk_base::{Level, Risk, Tag};
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::{Location, Spanned};

/// The whole file. Unknown fields are refused: a misspelt `examples` must not go unnoticed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFile {
    pub(super) extends: Option<Parent>,
    pub(super) levels: Option<Levels>,
    pub(super) max_bonus: Option<Risk>,
    pub(super) negations: Option<NegationsEntry>,
    #[serde(default)]
    pub(super) rules: Vec<RuleEntry>,
}

/// What a file builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Parent {
    /// The rules that ship.
    Default,
}

/// What a level alone says.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Base {
    pub(super) risk: Risk,
    pub(super) tag: Tag,
}

/// The base of every level, and of a line without one. All are required, so that no level is forgotten.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Levels {
    trace: Base,
    debug: Base,
    info: Base,
    #[serde(alias = "verbose")]
    notice: Base,
    #[serde(alias = "warn")]
    warning: Base,
    error: Base,
    critical: Base,
    alert: Base,
    fatal: Base,
    #[serde(alias = "emerg", alias = "panic")]
    emergency: Base,
    none: Base,
}

impl Levels {
    pub(super) fn base(&self, level: Option<Level>) -> Base {
        match level {
            None => self.none,
            Some(Level::Trace) => self.trace,
            Some(Level::Debug) => self.debug,
            Some(Level::Info) => self.info,
            Some(Level::Notice) => self.notice,
            Some(Level::Warn) => self.warning,
            Some(Level::Error) => self.error,
            Some(Level::Critical) => self.critical,
            Some(Level::Alert) => self.alert,
            Some(Level::Fatal) => self.fatal,
            Some(Level::Emergency) => self.emergency,
        }
    }
}

/// Expressions that take a match back, by where they stand to it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NegationsEntry {
    #[serde(default)]
    pub(super) before: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) after: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) line: Vec<Spanned<String>>,
}

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleEntry {
    pub(super) name: Spanned<String>,
    pub(super) keyword: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) keywords: Vec<Spanned<String>>,
    pub(super) regex: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) word: bool,
    #[serde(default)]
    pub(super) case_sensitive: bool,
    #[serde(default = "yes")]
    pub(super) negatable: bool,
    pub(super) on: Option<Spanned<String>>,
    pub(super) tag: Option<Tag>,
    pub(super) risk: Option<RiskRange>,
    pub(super) bonus: Option<Risk>,
    #[serde(default)]
    pub(super) unless: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) unless_level: Vec<Level>,
    #[serde(default)]
    pub(super) examples: Vec<ExampleEntry>,
}

fn yes() -> bool {
    true
}

/// A line and what the rule, and the whole file, must make of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExampleEntry {
    pub(super) line: Spanned<String>,
    pub(super) level: Option<Level>,
    #[serde(default = "yes")]
    pub(super) matches: bool,
    pub(super) tag: Option<Tag>,
    pub(super) risk: Option<RiskRange>,
}

/// One risk (`7`) or a range of them (`5-7`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RiskRange {
    /// The lowest risk of the range.
    pub low: Risk,
    /// The highest risk of the range.
    pub high: Risk,
}

impl RiskRange {
    /// Whether the risk lies in the range.
    #[must_use]
    pub fn contains(self, risk: Risk) -> bool {
        self.low <= risk && risk <= self.high
    }
}

impl fmt::Display for RiskRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high {
            write!(formatter, "{}", self.low)
        } else {
            write!(formatter, "{}-{}", self.low, self.high)
        }
    }
}

impl<'de> Deserialize<'de> for RiskRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = RiskRange;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a risk such as 7 or a range such as 5-7, within 0 to 10")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<RiskRange, E> {
                self.visit_str(&value.to_string())
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<RiskRange, E> {
                self.visit_str(&value.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RiskRange, E> {
                let risk = |part: &str| part.trim().parse().ok().and_then(|number| Risk::new(number).ok());
                let (low, high) = text.split_once('-').unwrap_or((text, text));
                match (risk(low), risk(high)) {
                    (Some(low), Some(high)) if low <= high => Ok(RiskRange { low, high }),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A rule file that cannot be used. Says where and why; never quotes the file's lines beyond the part named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", Place { line: *line, column: *column, rule: rule.as_deref() })]
pub struct RulesError {
    /// The line, from 1; 0 where the YAML reader knows none.
    pub line: u64,
    /// The column, from 1; 0 where the YAML reader knows none.
    pub column: u64,
    /// The name of the rule at that place.
    pub rule: Option<String>,
    /// What is wrong there, and the remedy.
    pub problem: String,
}

impl RulesError {
    pub(super) fn at(location: Location, rule: Option<&str>, problem: String) -> Self {
        let rule = rule.map(str::to_owned);
        Self { line: location.line(), column: location.column(), rule, problem }
    }

    pub(super) fn nowhere(problem: String) -> Self {
        Self { line: 0, column: 0, rule: None, problem }
    }
}

struct Place<'a> {
    line: u64,
    column: u64,
    rule: Option<&'a str>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(formatter, "line {} column {}: ", self.line, self.column)?;
        }
        self.rule.map_or(Ok(()), |rule| write!(formatter, "rule {rule}: "))
    }
}

/// Reads the YAML of a rule file.
pub(super) fn read(yaml: &str) -> Result<RuleFile, RulesError> {
    // No snippet: a rule's neighbour in the file may hold what should not reach a log.
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(yaml, options).map_err(|error| {
        let location = error.location().unwrap_or(Location::UNKNOWN);
        let rule = rule_around(yaml, location.line());
        RulesError::at(location, rule, without_place(&error.to_string()))
    })
}

/// The name of the rule that a line of the file belongs to: that of the nearest `- name:` at or above it.
fn rule_around(yaml: &str, line: u64) -> Option<&str> {
    let line = usize::try_from(line).unwrap_or(usize::MAX);
    let names = yaml.lines().take(line).filter_map(|line| line.trim_start().strip_prefix("- name:"));
    names.last().map(str::trim)
}

/// The reader's sentence without its own ` at line 3, column 5`, which our error says in front, and on one line.
fn without_place(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let end = first.find(" at line ").unwrap_or(first.len());
    first.get(..end).unwrap_or(first).trim_start_matches("error: ").to_owned()
}
