//! `POST /feedback`: a person's word, in force from the next line on.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use jiff::Timestamp;
use logrisk_base::{PatternId, Risk, Tag};
use logrisk_catalogue::{Correction, NewCorrection};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{blocking, document::optional_tag};
use crate::{
    access::Identity,
    body::{Fields, Kind, json},
    error::{ApiError, ErrorBody, ValidationBody},
    page::age,
    service::Service,
    view::{CorrectionList, CorrectionView},
};

/// Characters of a comment.
const COMMENT: usize = 2000;

/// A correction: of the pattern of a line, or of a pattern by its id.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct FeedbackRequest {
    /// A line; its pattern is corrected.
    log: Option<String>,
    /// The pattern, instead of a line.
    #[schema(value_type = Option<String>, pattern = "^[0-9a-f]{16}$")]
    pattern_id: Option<PatternId>,
    /// The risk that its lines have.
    #[schema(value_type = u8, minimum = 0, maximum = 10)]
    risk_label: Risk,
    /// The tag that its lines have, if the model's is wrong too.
    #[schema(schema_with = optional_tag, required = false)]
    tag: Option<Tag>,
    /// Why.
    comment: Option<String>,
    /// When the correction ends by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Timestamp>,
    /// Refuse (409, `already_set`) where a correction of another key is in force.
    #[serde(default)]
    unless_set: bool,
}

impl Fields for FeedbackRequest {
    const FIELDS: &'static [(&'static str, Kind, bool)] = &[
        ("log", Kind::Text, false),
        ("pattern_id", Kind::Pattern, false),
        ("risk_label", Kind::Risk, true),
        ("tag", Kind::Tag, false),
        ("comment", Kind::Text, false),
        ("expires", Kind::Time, false),
        ("unless_set", Kind::Flag, false),
    ];
}

/// Correct the risk of a pattern
///
/// It is on disk and in force when this answers. An earlier correction of the pattern is replaced.
#[utoipa::path(
    post, path = "/feedback", tag = "patterns", request_body = FeedbackRequest,
    responses(
        (status = 201, body = CorrectionView),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 413, body = ErrorBody),
        (status = 415, body = ErrorBody), (status = 422, body = ValidationBody), (status = 503, body = ErrorBody),
    )
)]
pub(crate) async fn correct(
    State(service): State<Arc<Service>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<CorrectionView>), ApiError> {
    let body = service.bodies.read(&headers, body).await?;
    let request: FeedbackRequest = json(&headers, &body.bytes)?;
    let now = Timestamp::now();
    if request.expires.is_some_and(|expires| expires <= now) {
        let loc = vec!["body".into(), "expires".into()];
        return Err(ApiError::field(loc, "value_error", "Value error, expires is in the past"));
    }
    let by = identity.name.map(|name| name.to_string());
    let view = blocking(move || {
        let (pattern, masked, log, judged) = subject(&service, request.log, request.pattern_id)?;
        let earlier = service.catalogue.correction(pattern, now);
        if let Some(other) = earlier.as_ref().filter(|earlier| request.unless_set && earlier.by != by) {
            return Err(already_set(other, now));
        }
        let earlier = earlier.map(|earlier| earlier.risk);
        service.correct(NewCorrection {
            pattern,
            masked,
            log,
            risk: request.risk_label,
            tag: request.tag,
            comment: request.comment.map(|comment| comment.chars().take(COMMENT).collect()),
            by,
            was: earlier.or(judged),
            expires: request.expires,
        })
    })
    .await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// Somebody else was first.
fn already_set(other: &Correction, now: Timestamp) -> ApiError {
    let who = other.by.as_ref().map_or_else(|| "Somebody without a key".to_owned(), |by| format!("Key {by}"));
    let ago = age(now, other.created);
    let sentence = format!("{who} set {}, {ago} ago. Keep it, or set yours?", other.risk);
    ApiError::new(StatusCode::CONFLICT, "already_set", sentence)
}

/// The pattern that is meant: its id, its text, the line, and the model's risk as far as it is known.
fn subject(
    service: &Service,
    log: Option<String>,
    pattern: Option<PatternId>,
) -> Result<(PatternId, String, Option<String>, Option<Risk>), ApiError> {
    if let Some(log) = log {
        let (text, masked, risk) = service.pattern_of(&log)?;
        if pattern.is_some_and(|pattern| pattern != masked.pattern) {
            let message = "Value error, log is of another pattern than pattern_id; send one of the two";
            return Err(ApiError::field(vec!["body".into(), "pattern_id".into()], "value_error", message));
        }
        return Ok((masked.pattern, masked.text.to_string(), Some(text), risk));
    }
    let Some(id) = pattern else {
        let loc = vec!["body".into(), "log".into()];
        return Err(ApiError::field(loc, "missing", "Field required: log or pattern_id"));
    };
    let known = service.catalogue.pattern(id).ok_or_else(|| {
        ApiError::not_found(format!(
            "there is no pattern {id}; GET /patterns lists them, or send its line as log"
        ))
    })?;
    Ok((id, known.masked, None, Some(known.risk)))
}

/// List corrections, the newest first
#[utoipa::path(get, path = "/feedback", tag = "patterns", responses((status = 200, body = CorrectionList)))]
pub(crate) async fn list(State(service): State<Arc<Service>>) -> Json<CorrectionList> {
    Json(service.correction_list(Timestamp::now()))
}

/// Take a correction back
#[utoipa::path(
    delete, path = "/feedback/{id}", tag = "patterns",
    params(("id" = u64, Path, description = "The correction's number")),
    responses((status = 200, body = CorrectionView), (status = 404, body = ErrorBody))
)]
pub(crate) async fn revoke(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
) -> Result<Json<CorrectionView>, ApiError> {
    let number = id.parse().map_err(|_| {
        let id: String = id.chars().take(32).collect();
        ApiError::not_found(format!("{id:?} is no correction's number; GET /feedback lists them"))
    })?;
    blocking(move || service.revoke(number)).await.map(Json)
}

impl Service {
    /// Puts a correction in force and tells the watchers. Blocks while it is written.
    pub(crate) fn correct(&self, new: NewCorrection) -> Result<CorrectionView, ApiError> {
        let now = Timestamp::now();
        let correction = self.catalogue.correct(new, now)?;
        self.metrics.corrections.inc();
        self.tell_corrected(&correction, now)
    }

    /// Takes a correction back and tells the watchers. Blocks while it is written.
    pub(crate) fn revoke(&self, id: u64) -> Result<CorrectionView, ApiError> {
        let now = Timestamp::now();
        let correction = self.catalogue.revoke(id, now)?;
        let correction = correction.ok_or_else(|| {
            ApiError::not_found(format!("there is no correction {id}; GET /feedback lists them"))
        })?;
        self.tell_corrected(&correction, now)
    }

    fn tell_corrected(&self, correction: &Correction, now: Timestamp) -> Result<CorrectionView, ApiError> {
        let view = CorrectionView::new(correction, now);
        if let Ok(json) = serde_json::to_string(&view) {
            self.hub.event("corrected", &json);
        }
        Ok(view)
    }

    /// All corrections, for the API and the page.
    pub(crate) fn correction_list(&self, now: Timestamp) -> CorrectionList {
        let corrections: Vec<_> = self
            .catalogue
            .corrections()
            .iter()
            .map(|correction| CorrectionView::new(correction, now))
            .collect();
        let active = corrections.iter().filter(|correction| correction.active).count();
        CorrectionList { corrections, active }
    }
}
