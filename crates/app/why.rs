//! Why a pattern has its risk and its tag: kept with it, since a verdict is a property of the pattern.

use logrisk_base::{Level, Tag};
use logrisk_enrich::rules::Verdict;
use logrisk_score::explain::Explanation;
use serde::Serialize;

/// What decided the risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DecidedBy {
    /// The model.
    Model,
    /// The declared level and the rules: masking left no word, so that the model could only guess.
    Rules,
    /// Nothing was logged.
    Nothing,
}

/// What decided the tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TagBy {
    /// Rules that matched: the tag that one of them names, or that of the risk that they came to.
    Rules,
    /// The declared level.
    Level,
    /// The model: no rule matched and no level was declared.
    Model,
}

/// A rule that matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleMatch {
    /// Its name in the rule file.
    pub rule: String,
    /// What it matched.
    pub phrase: String,
    /// The tag that it named, if it was the first to name one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
}

/// Everything that is said of one pattern.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Why {
    /// What decided the risk.
    pub decided_by: DecidedBy,
    /// What decided the tag.
    pub tag_by: TagBy,
    /// The declared level.
    pub level: Option<Level>,
    /// The text that rules and model read.
    pub masked: String,
    /// Where the rules stand: `built in`, or their file.
    pub rules_file: String,
    /// The rules that matched, in the order of the file. They decide the tag; the risk only where `decided_by` says so.
    pub rules: Vec<RuleMatch>,
    /// What each word does, and what is near.
    #[serde(flatten)]
    pub explanation: Explanation,
}

impl TagBy {
    /// What decides the tag of a text with that level and verdict of the rules.
    pub fn of(level: Option<Level>, verdict: &Verdict) -> Self {
        match (verdict.matched.is_empty(), level) {
            (false, _) => Self::Rules,
            (true, Some(_)) => Self::Level,
            // The model's tag head knows more than rules that know nothing.
            (true, None) => Self::Model,
        }
    }
}

impl RuleMatch {
    /// The rules that matched a masked text.
    pub fn all(verdict: &Verdict, masked: &str) -> Vec<Self> {
        let matched = verdict.matched.iter().map(|matched| Self {
            rule: matched.rule.to_string(),
            phrase: masked.get(matched.phrase.clone()).unwrap_or_default().to_owned(),
            tag: matched.tag,
        });
        matched.collect()
    }
}
