//! What the API says and the page shows: every type that leaves the server as JSON.
//!
//! Names follow one rule: `risk_label` is what is in force, a person's correction before the model's word; `model_risk`
//! is what the model says where both are told. Times are RFC 3339 in UTC.

mod patterns;

use jiff::Timestamp;
use logrisk_base::{PatternId, Risk};
use logrisk_catalogue::{Correction, Recorded};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

pub use patterns::{
    BucketView, CorrectionList, CorrectionView, PatternDetail, PatternPage, PatternRow, SampleView,
    SeriesView, SourceCount,
};

use crate::engine::{Masked, Verdict};

/// Three decimals: more would be noise of int8.
fn rounded(number: f32) -> f64 {
    (f64::from(number) * 1000.0).round() / 1000.0
}

fn numbers((low, high): (Risk, Risk)) -> [u8; 2] {
    [low.get(), high.get()]
}

/// The answer for one line.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Answer {
    /// The risk, 0 to 10.
    #[schema(minimum = 0, maximum = 10)]
    pub risk_label: u8,
    /// The expected risk, 0.0 to 10.0; of a corrected pattern the person's risk.
    pub risk_score: f64,
    /// The name of the risk's level: trace, debug, info, notice, warning, error, critical, emergency.
    pub level: &'static str,
    /// DEBUG, INFO, WARN, ERROR or EXCEPTION.
    pub tag: &'static str,
    /// The pattern that the line belongs to.
    #[schema(value_type = String)]
    pub pattern_id: PatternId,
    /// The model that judged.
    pub model_version: String,
    /// Who decided: `model` or `human`.
    pub label_source: &'static str,
    /// Whether the model should not be trusted on this line.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unsure: bool,
    /// What holds the model's risk with 80 %: lowest and highest. Of a corrected pattern there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<u8>>)]
    pub risk_interval: Option<[u8; 2]>,
    /// The tag again, for requests that send `message`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<&'static str>,
    /// How sure the model is of the tag, for requests that send `message`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Of each risk, 0 to 10, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probabilities: Option<Vec<f64>>,
    /// Why, if asked for: `decided_by`, the `masked` text that was read, the rules that matched, and what each word adds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub explanation: Option<Value>,
}

/// What besides the risk was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Details {
    /// The eleven probabilities.
    pub probabilities: bool,
    /// Each word's part.
    pub explain: bool,
    /// `label` and `confidence`.
    pub label: bool,
}

impl Answer {
    /// The answer of a verdict, or of the correction that outranks it.
    #[must_use]
    pub fn new(
        masked: &Masked,
        verdict: &Verdict,
        correction: Option<&Correction>,
        model_version: &str,
        details: Details,
    ) -> Self {
        let risk = correction.map_or(verdict.risk, |correction| correction.risk);
        let tag = correction.and_then(|correction| correction.tag).unwrap_or(verdict.tag);
        Self {
            risk_label: risk.get(),
            risk_score: correction.map_or_else(|| rounded(verdict.score), |_| f64::from(risk.get())),
            level: risk.level_name(),
            tag: tag.as_str(),
            pattern_id: masked.pattern,
            model_version: model_version.to_owned(),
            label_source: if correction.is_some() { "human" } else { "model" },
            unsure: verdict.unsure && correction.is_none(),
            risk_interval: correction.is_none().then(|| numbers(verdict.interval)),
            label: details.label.then(|| tag.as_str()),
            confidence: details.label.then(|| rounded(verdict.confidence)),
            probabilities: details
                .probabilities
                .then(|| verdict.probabilities.iter().map(|share| rounded(*share)).collect()),
            explanation: None,
        }
    }
}

/// The answer for many lines.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct BatchAnswer {
    /// One answer a line, in order.
    pub results: Vec<Answer>,
    /// How many.
    pub count: usize,
}

/// What became of ingested lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct IngestAnswer {
    /// Records scored; lines of one stack trace are one record.
    pub records: usize,
    /// Patterns that were never seen before.
    pub new_patterns: usize,
    /// Records of each risk, 0 to 10.
    #[schema(value_type = Vec<u64>)]
    pub by_risk: [u64; Risk::COUNT],
    /// The highest risk among them.
    pub max_risk: Option<u8>,
}

impl IngestAnswer {
    /// Counts a record of that risk, `first` if its pattern was never seen before.
    pub(crate) fn add(&mut self, risk: Risk, first: bool) {
        self.records += 1;
        self.new_patterns += usize::from(first);
        if let Some(count) = self.by_risk.get_mut(usize::from(risk.get())) {
            *count += 1;
        }
        self.max_risk = self.max_risk.max(Some(risk.get()));
    }
}

/// A scored line on the stream: a row of the page's Now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LineRow {
    /// The pattern; several lines of it may be shown as one row.
    #[schema(value_type = String)]
    pub pattern_id: PatternId,
    /// The risk in force.
    pub risk_label: u8,
    /// The expected risk, or the person's.
    pub risk_score: f64,
    /// The name of the risk's level.
    pub level: &'static str,
    /// The tag in force.
    pub tag: &'static str,
    /// First seen since start.
    pub novel: bool,
    /// What holds the model's risk with 80 %, unless a person decided.
    #[schema(value_type = Option<Vec<u8>>)]
    pub risk_interval: Option<[u8; 2]>,
    /// Whether the model should not be trusted on this line.
    pub unsure: bool,
    /// `model` or `human`.
    pub label_source: &'static str,
    /// Lines of the pattern so far.
    pub count: u64,
    /// When the pattern was first seen.
    #[schema(value_type = String)]
    pub first_seen: Timestamp,
    /// When this line came.
    #[schema(value_type = String)]
    pub time: Timestamp,
    /// Where it came from.
    pub source: String,
    /// The text that all lines of the pattern share.
    pub masked: String,
    /// The line, at most 2,000 characters.
    pub text: String,
}

impl LineRow {
    /// Characters of a line that a row carries; the detail has the rest.
    const CHARACTERS: usize = 2000;

    /// The row of a line that was just recorded.
    #[must_use]
    pub fn new(
        masked: &Masked,
        verdict: &Verdict,
        recorded: &Recorded,
        time: Timestamp,
        source: &str,
        text: &str,
    ) -> Self {
        let correction = recorded.correction.as_deref();
        let risk = correction.map_or(verdict.risk, |correction| correction.risk);
        Self {
            pattern_id: masked.pattern,
            risk_label: risk.get(),
            risk_score: correction.map_or_else(|| rounded(verdict.score), |_| f64::from(risk.get())),
            level: risk.level_name(),
            tag: correction.and_then(|correction| correction.tag).unwrap_or(verdict.tag).as_str(),
            novel: recorded.novel,
            risk_interval: correction.is_none().then(|| numbers(verdict.interval)),
            unsure: verdict.unsure && correction.is_none(),
            label_source: if correction.is_some() { "human" } else { "model" },
            count: recorded.count,
            first_seen: recorded.first_seen,
            time,
            source: source.to_owned(),
            masked: masked.text.to_string(),
            text: text.chars().take(Self::CHARACTERS).collect(),
        }
    }
}

/// Changed rows on the stream, event `rows`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RowsEvent {
    /// The rows.
    pub rows: Vec<LineRow>,
    /// Lines that matched the filter since the last event.
    pub seen: u64,
    /// Lines that the rows stand for one by one; the others were left out.
    pub shown: u64,
}

/// Counts on the stream, event `totals`, once a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Totals {
    /// Lines since start.
    pub lines: u64,
    /// Lines in the last second.
    pub lines_per_second: u64,
    /// Patterns that were first seen since start.
    pub new_patterns: u64,
    /// Patterns known.
    pub patterns: usize,
    /// The model in use.
    pub model_version: Option<String>,
}

/// The models there are.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelList {
    /// The newest first.
    pub models: Vec<ModelRow>,
    /// The one in use.
    pub active: Option<String>,
    /// The one that was in use before: activating it takes no time.
    pub previous: Option<String>,
    /// When the one in use was put in use.
    #[schema(value_type = Option<String>)]
    pub since: Option<Timestamp>,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelRow {
    /// Its version.
    pub version: String,
    /// When it was made.
    pub created: String,
    /// `built-in`, or where it lies.
    pub origin: String,
    /// Whether it is in use.
    pub active: bool,
    /// The figures of its manifest.
    #[schema(value_type = Object)]
    pub figures: Value,
}

/// What a change of the model did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ModelChange {
    /// The model in use now.
    pub active: String,
    /// The model in use before.
    pub previous: Option<String>,
    /// Milliseconds of loading and warming up; requests went on meanwhile.
    pub took_ms: u64,
}

/// Whether the server is well, in the first seed's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Health {
    /// `healthy` or `unhealthy`.
    pub status: &'static str,
    /// Whether a model is in use.
    pub model_loaded: bool,
}

/// What runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Version {
    /// `logrisk`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The model in use.
    pub model_version: Option<String>,
}
