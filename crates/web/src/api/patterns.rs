//! `GET /patterns` and what can be done with one; `GET /series`.

use std::{fmt::Display, ops::RangeInclusive, sync::Arc};

use axum::{
    Json,
    body::Body,
    extract::{FromRequestParts, Path, State},
    http::{HeaderMap, request::Parts},
};
use jiff::{SignedDuration, Timestamp};
use logrisk_base::{PatternId, Risk, Tag};
use logrisk_catalogue::{Page, Pattern, PatternQuery, Sort, State as Part};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use super::{blocking, document::tag};
use crate::{
    body::{Fields, Kind, json},
    error::{ApiError, ErrorBody, ValidationBody},
    service::Service,
    view::{CorrectionView, PatternDetail, PatternPage, PatternRow, SampleView, SeriesView},
};

/// Patterns of a page unless asked otherwise, and at most.
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 500;
/// The furthest that can be skipped: ten times the patterns that are kept.
const LARGEST_OFFSET: usize = 1_000_000;
/// The last second that can be written as a time.
const LAST_SECOND: i64 = 253_402_207_200;
/// Seconds of a year.
const LONGEST_WINDOW: u32 = 31_536_000;

/// Query parameters whose errors are told as FastAPI tells them.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|axum::extract::Query(query)| Self(query)).map_err(|rejection| {
            let reason = rejection.body_text();
            ApiError::field(vec!["query".into()], "value_error", format!("Value error, {reason}"))
        })
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Risks below are left out.
    #[param(minimum = 0, maximum = 10)]
    min_risk: Option<u8>,
    /// Risks above are left out.
    #[param(minimum = 0, maximum = 10)]
    max_risk: Option<u8>,
    /// DEBUG, INFO, WARN, ERROR or EXCEPTION.
    #[param(schema_with = tag, required = false)]
    tag: Option<Tag>,
    /// Only patterns whose text or newest line contains this.
    q: Option<String>,
    /// Only patterns of this source.
    source: Option<String>,
    /// Only patterns seen in the last so many seconds.
    #[param(maximum = 31_536_000)]
    window: Option<u32>,
    /// Only patterns first seen in the last so many seconds.
    #[param(maximum = 31_536_000)]
    first_window: Option<u32>,
    /// Only patterns seen at or after this time, in seconds since the epoch. It outranks `window`.
    #[param(minimum = 0, maximum = 253_402_207_200_i64)]
    from: Option<i64>,
    /// Only patterns first seen at or before this time, in seconds since the epoch.
    #[param(minimum = 0, maximum = 253_402_207_200_i64)]
    to: Option<i64>,
    /// Which part of the catalogue.
    #[serde(default)]
    #[param(inline)]
    state: StateName,
    /// Only patterns first seen since start: the same as `state=new`.
    #[serde(default)]
    novel: bool,
    /// The order.
    #[serde(default)]
    #[param(inline)]
    sort: SortName,
    /// The order turned round.
    #[serde(default)]
    ascending: bool,
    /// Patterns to skip.
    #[serde(default)]
    #[param(maximum = 1_000_000)]
    offset: usize,
    /// Patterns to return.
    #[param(default = 50, maximum = 500)]
    limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StateName {
    #[default]
    All,
    New,
    Corrected,
    Silenced,
    Acknowledged,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SortName {
    #[default]
    Risk,
    Count,
    FirstSeen,
    LastSeen,
    Unsure,
}

impl ListParameters {
    fn query(self, now: Timestamp) -> Result<PatternQuery, ApiError> {
        let before =
            |window: Option<u32>| now.checked_sub(SignedDuration::from_secs(i64::from(window?))).ok();
        within("window", self.window.unwrap_or(0), 0..=LONGEST_WINDOW)?;
        within("first_window", self.first_window.unwrap_or(0), 0..=LONGEST_WINDOW)?;
        within("offset", self.offset, 0..=LARGEST_OFFSET)?;
        within("limit", self.limit.unwrap_or(0), 0..=LARGEST_PAGE)?;
        Ok(PatternQuery {
            min_risk: risk("min_risk", self.min_risk)?,
            max_risk: risk("max_risk", self.max_risk)?,
            tag: self.tag,
            text: self.q.filter(|text| !text.is_empty()),
            source: self.source,
            since: self.from.map(|from| second("from", from)).transpose()?.or_else(|| before(self.window)),
            first_since: before(self.first_window),
            until: self.to.map(|to| second("to", to)).transpose()?,
            state: match self.state {
                _ if self.novel => Part::New,
                StateName::All => Part::All,
                StateName::New => Part::New,
                StateName::Corrected => Part::Corrected,
                StateName::Silenced => Part::Silenced,
                StateName::Acknowledged => Part::Acknowledged,
            },
            sort: match self.sort {
                SortName::Risk => Sort::Risk,
                SortName::Count => Sort::Count,
                SortName::FirstSeen => Sort::FirstSeen,
                SortName::LastSeen => Sort::LastSeen,
                SortName::Unsure => Sort::Unsure,
            },
            ascending: self.ascending,
            offset: self.offset,
            limit: self.limit.unwrap_or(PAGE),
        })
    }
}

/// A number in a query that must lie in a range.
fn within<T: PartialOrd + Display>(name: &str, value: T, range: RangeInclusive<T>) -> Result<(), ApiError> {
    if range.contains(&value) {
        return Ok(());
    }
    let message = format!("Input should be from {} to {}", range.start(), range.end());
    Err(ApiError::field(vec!["query".into(), name.into()], "value_error", message))
}

/// A time in a query.
fn second(name: &str, value: i64) -> Result<Timestamp, ApiError> {
    within(name, value, 0..=LAST_SECOND)?;
    Ok(Timestamp::from_second(value).unwrap_or(Timestamp::MAX))
}

/// A risk in a query.
pub(super) fn risk(name: &str, value: Option<u8>) -> Result<Option<Risk>, ApiError> {
    value.map(Risk::new).transpose().map_err(|_| {
        let loc = vec!["query".into(), name.into()];
        ApiError::field(loc, "less_than_equal", "Input should be less than or equal to 10")
    })
}

/// List patterns
#[utoipa::path(
    get, path = "/patterns", tag = "patterns", params(ListParameters),
    responses((status = 200, body = PatternPage), (status = 422, body = ValidationBody))
)]
pub(crate) async fn list(
    State(service): State<Arc<Service>>,
    Query(parameters): Query<ListParameters>,
) -> Result<Json<PatternPage>, ApiError> {
    let now = Timestamp::now();
    let query = parameters.query(now)?;
    blocking(move || Ok(Json(service.pattern_page(&query, now)))).await
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DetailParameters {
    /// Also answer why it has its risk: what decided, and what each word adds.
    #[serde(default)]
    explain: bool,
}

/// Show a pattern
#[utoipa::path(
    get, path = "/patterns/{id}", tag = "patterns",
    params(("id" = String, Path, description = "The pattern's id, 16 hexadecimal digits"), DetailParameters),
    responses(
        (status = 200, body = PatternDetail), (status = 404, body = ErrorBody),
        (status = 422, body = ValidationBody), (status = 503, body = ErrorBody)
    )
)]
pub(crate) async fn detail(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    Query(parameters): Query<DetailParameters>,
) -> Result<Json<PatternDetail>, ApiError> {
    let found = pattern_id(&id).ok().and_then(|id| service.pattern_detail(id, Timestamp::now()));
    let mut detail = found.ok_or_else(|| no_pattern(&id))?;
    if parameters.explain {
        let row = &detail.pattern;
        let masked = service.read_again(row.pattern_id, &row.masked, row.sample.as_deref());
        detail.explanation = service.why(masked).await?.1;
    }
    Ok(Json(detail))
}

/// Take back instead of doing.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct AcknowledgeRequest {
    /// False takes it back.
    #[serde(default = "yes")]
    #[schema(default = true)]
    acknowledged: bool,
}

const fn yes() -> bool {
    true
}

impl Fields for AcknowledgeRequest {
    const FIELDS: &'static [(&'static str, Kind, bool)] = &[("acknowledged", Kind::Flag, false)];
}

/// Say that a pattern was seen
#[utoipa::path(
    post, path = "/patterns/{id}/ack", tag = "patterns",
    params(("id" = String, Path, description = "The pattern's id")),
    request_body(content = Option<AcknowledgeRequest>),
    responses(
        (status = 200, body = PatternRow), (status = 404, body = ErrorBody), (status = 422, body = ValidationBody)
    )
)]
pub(crate) async fn acknowledge(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<PatternRow>, ApiError> {
    let body = service.bodies.read(&headers, body).await?;
    let request = if is_nothing(&body.bytes) {
        AcknowledgeRequest { acknowledged: true }
    } else {
        json(&headers, &body.bytes)?
    };
    let now = Timestamp::now();
    blocking(move || {
        let at = request.acknowledged.then_some(now);
        let changed = pattern_id(&id).ok().and_then(|id| service.catalogue.acknowledge(id, at));
        finish(&service, &id, changed, now)
    })
    .await
}

/// How long.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct SilenceRequest {
    /// Until when; absent for a hundred years.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// False shows the pattern again.
    #[serde(default = "yes")]
    #[schema(default = true)]
    silenced: bool,
}

impl Fields for SilenceRequest {
    const FIELDS: &'static [(&'static str, Kind, bool)] =
        &[("until", Kind::Time, false), ("silenced", Kind::Flag, false)];
}

/// Keep a pattern out of sight, and from raising alerts by `/ingest`
#[utoipa::path(
    post, path = "/patterns/{id}/silence", tag = "patterns",
    params(("id" = String, Path, description = "The pattern's id")),
    request_body(content = Option<SilenceRequest>),
    responses(
        (status = 200, body = PatternRow), (status = 404, body = ErrorBody), (status = 422, body = ValidationBody)
    )
)]
pub(crate) async fn silence(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<PatternRow>, ApiError> {
    let body = service.bodies.read(&headers, body).await?;
    let request = if is_nothing(&body.bytes) {
        SilenceRequest { until: None, silenced: true }
    } else {
        json(&headers, &body.bytes)?
    };
    let now = Timestamp::now();
    blocking(move || {
        let forever = || now.checked_add(SignedDuration::from_hours(100 * 365 * 24)).ok();
        let until = if request.silenced { request.until.or_else(forever) } else { None };
        let changed = pattern_id(&id).ok().and_then(|id| service.catalogue.silence(id, until));
        finish(&service, &id, changed, now)
    })
    .await
}

/// A body that may be left out may be null, too.
fn is_nothing(body: &[u8]) -> bool {
    matches!(body.trim_ascii(), b"" | b"null")
}

/// On disk before it is answered.
fn finish(
    service: &Service,
    id: &str,
    changed: Option<Pattern>,
    now: Timestamp,
) -> Result<Json<PatternRow>, ApiError> {
    let pattern = changed.ok_or_else(|| no_pattern(id))?;
    service.catalogue.flush()?;
    let correction = service.catalogue.correction(pattern.id, now);
    Ok(Json(PatternRow::new(&pattern, correction.as_deref(), now)))
}

fn pattern_id(text: &str) -> Result<PatternId, ApiError> {
    text.parse().map_err(|_| no_pattern(text))
}

fn no_pattern(id: &str) -> ApiError {
    let id: String = id.chars().take(32).collect();
    ApiError::not_found(format!("there is no pattern {id:?}; GET /patterns lists them"))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SeriesParameters {
    /// The seconds before now, at most a day.
    #[serde(default = "quarter")]
    #[param(default = 900, minimum = 10, maximum = 86_400)]
    seconds: u32,
    /// Parts, at most 1,000.
    #[serde(default = "ninety")]
    #[param(default = 90, minimum = 1, maximum = 1000)]
    buckets: usize,
}

const fn quarter() -> u32 {
    900
}

const fn ninety() -> usize {
    90
}

/// Lines of each risk over time
#[utoipa::path(
    get, path = "/series", tag = "patterns", params(SeriesParameters),
    responses((status = 200, body = SeriesView), (status = 422, body = ValidationBody))
)]
pub(crate) async fn series(
    State(service): State<Arc<Service>>,
    Query(parameters): Query<SeriesParameters>,
) -> Result<Json<SeriesView>, ApiError> {
    let SeriesParameters { seconds, buckets } = parameters;
    within("seconds", seconds, 10..=86_400)?;
    within("buckets", buckets, 1..=1000)?;
    Ok(Json(service.series(seconds, buckets)))
}

impl Service {
    /// A page of patterns, for the API and the page.
    pub(crate) fn pattern_page(&self, query: &PatternQuery, now: Timestamp) -> PatternPage {
        let page = self.catalogue.patterns(query, now);
        let patterns = self.pattern_rows(&page, now);
        let end = query.offset.saturating_add(patterns.len());
        let next_offset = (end < page.total && !patterns.is_empty()).then_some(end);
        PatternPage { patterns, total: page.total, next_offset }
    }

    /// The rows of found patterns.
    pub(crate) fn pattern_rows(&self, page: &Page, now: Timestamp) -> Vec<PatternRow> {
        let rows = page.patterns.iter();
        rows.map(|(pattern, correction)| PatternRow::new(pattern, correction.as_deref(), now)).collect()
    }

    /// Everything about a pattern, for the API and the page.
    pub(crate) fn pattern_detail(&self, id: PatternId, now: Timestamp) -> Option<PatternDetail> {
        let pattern = self.catalogue.pattern(id)?;
        let correction = self.catalogue.correction(id, now);
        let corrections = self.catalogue.corrections();
        Some(PatternDetail {
            pattern: PatternRow::new(&pattern, correction.as_deref(), now),
            explanation: None,
            samples: pattern.samples.iter().map(SampleView::from).collect(),
            corrections: corrections
                .iter()
                .filter(|correction| correction.pattern == id)
                .map(|correction| CorrectionView::new(correction, now))
                .collect(),
        })
    }

    /// Lines over time, for the API and the page.
    pub(crate) fn series(&self, seconds: u32, buckets: usize) -> SeriesView {
        let buckets = self.catalogue.series(Timestamp::now(), seconds, buckets);
        SeriesView { seconds, buckets: buckets.into_iter().map(Into::into).collect() }
    }
}
