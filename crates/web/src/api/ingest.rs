//! `POST /ingest`: lines that count.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{blocking, patterns::Query};
use crate::{
    error::{ApiError, ErrorBody, ValidationBody},
    service::Service,
    view::IngestAnswer,
};

/// Characters of a source's name.
const SOURCE: usize = 128;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct IngestParameters {
    /// Where the lines come from, as lists and filters name it.
    source: Option<String>,
}

/// Score and count lines: plain text, or a JSON object a line
#[utoipa::path(
    post, path = "/ingest", tag = "score", params(IngestParameters),
    request_body(content(
        (String = "text/plain", example = "ERROR disk full on /dev/sda1\n"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 200, body = IngestAnswer),
        (status = 413, body = ErrorBody), (status = 415, body = ErrorBody),
        (status = 422, body = ValidationBody),
        (status = 429, body = ErrorBody), (status = 503, body = ErrorBody),
    )
)]
pub(crate) async fn ingest(
    State(service): State<Arc<Service>>,
    Query(parameters): Query<IngestParameters>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<IngestAnswer>, ApiError> {
    let joined = joins(&headers)?;
    let source: String = parameters.source.as_deref().unwrap_or("http").chars().take(SOURCE).collect();
    let body = service.bodies.read(&headers, body).await?;
    blocking(move || service.ingest(&body.bytes, joined, &source)).await.map(Json)
}

/// Whether lines of the body may continue each other: those of plain text may, JSON objects stand for themselves.
fn joins(headers: &HeaderMap) -> Result<bool, ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(true) };
    let essence =
        value.to_str().unwrap_or("?").split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/plain" | "application/octet-stream" | "" => Ok(true),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/json" => Ok(false),
        _ => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media_type_unsupported",
            "send lines as Content-Type: text/plain, or a JSON object a line as application/x-ndjson",
        )),
    }
}
