//! `POST /predict` and `/predict/batch`: both older servers' requests, and more.

use std::sync::Arc;

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    body::{Fields, Kind, json},
    error::{ApiError, ErrorBody, ValidationBody},
    service::Service,
    view::{Answer, BatchAnswer, Details},
};

/// Lines of one request; more belong to `/ingest`, or into several requests.
const LINES: usize = 10_000;
/// Lines of one request that can be explained: an explanation costs as much as judging the line once for each word.
const EXPLAINED: usize = 100;

/// One line.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct PredictRequest {
    /// The line.
    #[schema(example = "ERROR connection refused to database")]
    log: Option<String>,
    /// The line, as the second seed names it; the answer then has `label` and `confidence` too.
    message: Option<String>,
    /// Mask what varies, as the model was trained; without it the model reads the line as it is.
    #[serde(default = "yes")]
    #[schema(default = true)]
    preprocess: bool,
    /// Also answer the probability of each risk.
    #[serde(default)]
    probabilities: bool,
    /// Also answer what each word does to the risk.
    #[serde(default)]
    explain: bool,
}

/// Many lines.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct BatchRequest {
    /// The lines, at most 10,000.
    #[schema(max_items = 10_000)]
    logs: Vec<String>,
    /// As for one line.
    #[serde(default = "yes")]
    #[schema(default = true)]
    preprocess: bool,
    /// As for one line.
    #[serde(default)]
    probabilities: bool,
    /// As for one line; for at most 100 lines.
    #[serde(default)]
    explain: bool,
}

const fn yes() -> bool {
    true
}

impl Fields for PredictRequest {
    const FIELDS: &'static [(&'static str, Kind, bool)] = &[
        ("log", Kind::Text, false),
        ("message", Kind::Text, false),
        ("preprocess", Kind::Flag, false),
        ("probabilities", Kind::Flag, false),
        ("explain", Kind::Flag, false),
    ];
}

impl Fields for BatchRequest {
    const FIELDS: &'static [(&'static str, Kind, bool)] = &[
        ("logs", Kind::Texts(LINES), true),
        ("preprocess", Kind::Flag, false),
        ("probabilities", Kind::Flag, false),
        ("explain", Kind::Flag, false),
    ];
}

/// Score one line
#[utoipa::path(
    post, path = "/predict", tag = "score", request_body = PredictRequest,
    responses(
        (status = 200, body = Answer),
        (status = 413, body = ErrorBody), (status = 415, body = ErrorBody),
        (status = 422, body = ValidationBody),
        (status = 429, body = ErrorBody), (status = 503, body = ErrorBody),
    )
)]
pub(crate) async fn predict(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Answer>, ApiError> {
    let body = service.bodies.read(&headers, body).await?;
    let request: PredictRequest = json(&headers, &body.bytes)?;
    let details = Details {
        probabilities: request.probabilities,
        explain: request.explain,
        label: request.log.is_none(),
    };
    let Some(line) = request.log.or(request.message) else {
        return Err(ApiError::field(vec!["body".into(), "log".into()], "missing", "Field required"));
    };
    service.answer(&line, request.preprocess, details).await.map(Json)
}

/// Score many lines
#[utoipa::path(
    post, path = "/predict/batch", tag = "score", request_body = BatchRequest,
    responses(
        (status = 200, body = BatchAnswer),
        (status = 413, body = ErrorBody), (status = 415, body = ErrorBody),
        (status = 422, body = ValidationBody),
        (status = 429, body = ErrorBody), (status = 503, body = ErrorBody),
    )
)]
pub(crate) async fn predict_batch(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<BatchAnswer>, ApiError> {
    let body = service.bodies.read(&headers, body).await?;
    let request: BatchRequest = json(&headers, &body.bytes)?;
    let limit = if request.explain { EXPLAINED } else { LINES };
    if request.logs.len() > limit {
        let message = format!("List should have at most {limit} items, not {}", request.logs.len());
        return Err(ApiError::field(vec!["body".into(), "logs".into()], "too_long", message));
    }
    let details = Details { probabilities: request.probabilities, explain: request.explain, label: false };
    let results = service.answer_all(request.logs, request.preprocess, details).await?;
    Ok(Json(BatchAnswer { count: results.len(), results }))
}
