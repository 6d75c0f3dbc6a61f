//! Patterns, corrections and series, as they leave the server.

use jiff::Timestamp;
use logrisk_base::{PatternId, Risk, Tag};
use logrisk_catalogue::{Bucket, Correction, Pattern, Sample};
use serde::Serialize;
use utoipa::ToSchema;

use super::{numbers, rounded};

/// Sparkline buckets, and the seconds that they span.
const HISTORY: (u32, usize) = (960, 32);

/// A pattern in a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PatternRow {
    /// Its name.
    #[schema(value_type = String)]
    pub pattern_id: PatternId,
    /// The text that all its lines share.
    pub masked: String,
    /// The risk in force.
    pub risk_label: u8,
    /// The expected risk, or the person's.
    pub risk_score: f64,
    /// The name of the risk's level.
    pub level: &'static str,
    /// The tag in force.
    pub tag: &'static str,
    /// `model` or `human`.
    pub label_source: &'static str,
    /// The model's risk, whatever people said.
    pub model_risk: u8,
    /// What holds the model's risk with 80 %: lowest and highest.
    #[schema(value_type = Vec<u8>)]
    pub model_interval: [u8; 2],
    /// Whether the model should not be trusted on it; never for a corrected pattern.
    pub unsure: bool,
    /// The model that judged it last.
    pub model_version: String,
    /// First seen since start.
    pub novel: bool,
    /// Lines so far.
    pub count: u64,
    /// The first of them.
    #[schema(value_type = String)]
    pub first_seen: Timestamp,
    /// The last of them.
    #[schema(value_type = String)]
    pub last_seen: Timestamp,
    /// When somebody said that it was seen.
    #[schema(value_type = Option<String>)]
    pub acknowledged: Option<Timestamp>,
    /// Until when it is kept out of sight.
    #[schema(value_type = Option<String>)]
    pub silenced: Option<Timestamp>,
    /// The correction in force.
    pub correction: Option<CorrectionView>,
    /// Where its lines come from, with counts.
    pub sources: Vec<SourceCount>,
    /// Its newest line, redacted.
    pub sample: Option<String>,
    /// Lines in each half minute of the last sixteen minutes, oldest first.
    pub history: Vec<u32>,
}

/// Lines from one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SourceCount {
    /// The place.
    pub source: String,
    /// Its lines.
    pub count: u64,
}

impl PatternRow {
    /// The row of a pattern with the correction in force.
    #[must_use]
    pub fn new(pattern: &Pattern, correction: Option<&Correction>, now: Timestamp) -> Self {
        let risk = correction.map_or(pattern.risk, |correction| correction.risk);
        Self {
            pattern_id: pattern.id,
            masked: pattern.masked.clone(),
            risk_label: risk.get(),
            risk_score: correction.map_or_else(|| rounded(pattern.score), |_| f64::from(risk.get())),
            level: risk.level_name(),
            tag: correction.and_then(|correction| correction.tag).unwrap_or(pattern.tag).as_str(),
            label_source: if correction.is_some() { "human" } else { "model" },
            model_risk: pattern.risk.get(),
            model_interval: numbers(pattern.interval),
            unsure: pattern.unsure && correction.is_none(),
            model_version: pattern.model_version.clone(),
            novel: pattern.novel,
            count: pattern.count,
            first_seen: pattern.first_seen,
            last_seen: pattern.last_seen,
            acknowledged: pattern.acknowledged,
            silenced: pattern.silenced.filter(|until| *until > now),
            correction: correction.map(|correction| CorrectionView::new(correction, now)),
            sources: pattern
                .sources
                .iter()
                .map(|(source, count)| SourceCount { source: source.clone(), count: *count })
                .collect(),
            sample: pattern.samples.back().map(|sample| sample.text.clone()),
            history: pattern.history(now, HISTORY.0, HISTORY.1),
        }
    }
}

/// A page of patterns.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PatternPage {
    /// The patterns.
    pub patterns: Vec<PatternRow>,
    /// How many match in all.
    pub total: usize,
    /// The `offset` of the next page, if there is one.
    pub next_offset: Option<usize>,
}

/// Everything that is known of a pattern.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PatternDetail {
    /// What lists tell.
    #[serde(flatten)]
    pub pattern: PatternRow,
    /// Why it has its risk, if asked for, as `/predict` says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub explanation: Option<serde_json::Value>,
    /// Some lines, oldest first.
    pub samples: Vec<SampleView>,
    /// All corrections of the pattern, the newest first.
    pub corrections: Vec<CorrectionView>,
}

/// A line of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SampleView {
    /// When it came.
    #[schema(value_type = String)]
    pub time: Timestamp,
    /// Where from.
    pub source: String,
    /// Its text, redacted, at most 2,000 characters.
    pub text: String,
}

impl From<&Sample> for SampleView {
    fn from(sample: &Sample) -> Self {
        Self { time: sample.at, source: sample.source.clone(), text: sample.text.clone() }
    }
}

/// A person's correction.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CorrectionView {
    /// Its number: `DELETE /feedback/{id}` takes it back.
    pub id: u64,
    /// The pattern.
    #[schema(value_type = String)]
    pub pattern_id: PatternId,
    /// The pattern's text.
    pub masked: String,
    /// The line that it was made on.
    pub log: Option<String>,
    /// The risk that the person set.
    pub risk_label: u8,
    /// The tag that the person set.
    #[schema(value_type = Option<String>)]
    pub tag: Option<Tag>,
    /// Why.
    pub comment: Option<String>,
    /// The name of the key that it came with.
    pub by: Option<String>,
    /// The risk that stood there before.
    pub was: Option<u8>,
    /// When it was made.
    #[schema(value_type = String)]
    pub created: Timestamp,
    /// When it ends by itself.
    #[schema(value_type = Option<String>)]
    pub expires: Option<Timestamp>,
    /// When it was taken back or replaced.
    #[schema(value_type = Option<String>)]
    pub revoked: Option<Timestamp>,
    /// Whether it is in force.
    pub active: bool,
}

impl CorrectionView {
    /// A correction as it stands now.
    #[must_use]
    pub fn new(correction: &Correction, now: Timestamp) -> Self {
        Self {
            id: correction.id,
            pattern_id: correction.pattern,
            masked: correction.masked.clone(),
            log: correction.log.clone(),
            risk_label: correction.risk.get(),
            tag: correction.tag,
            comment: correction.comment.clone(),
            by: correction.by.clone(),
            was: correction.was.map(Risk::get),
            created: correction.created,
            expires: correction.expires,
            revoked: correction.revoked,
            active: correction.active(now),
        }
    }
}

/// All corrections.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CorrectionList {
    /// The newest first.
    pub corrections: Vec<CorrectionView>,
    /// How many are in force.
    pub active: usize,
}

/// Lines over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SeriesView {
    /// The seconds that the buckets span.
    pub seconds: u32,
    /// Oldest first.
    pub buckets: Vec<BucketView>,
}

/// One part of a series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BucketView {
    /// Where it begins.
    #[schema(value_type = String)]
    pub begin: Timestamp,
    /// Lines of each risk, 0 to 10.
    #[schema(value_type = Vec<u64>)]
    pub by_risk: [u64; Risk::COUNT],
    /// All its lines.
    pub lines: u64,
}

impl From<Bucket> for BucketView {
    fn from(bucket: Bucket) -> Self {
        Self { begin: bucket.begin, by_risk: bucket.by_risk, lines: bucket.by_risk.iter().sum() }
    }
}
