//! How the server is: for people, for Kubernetes, for Prometheus.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    error::{ApiError, ErrorBody},
    metrics::Scrape,
    service::Service,
    view::{Health, Version},
    vitals::Counted,
};

/// Whether a model is in use, in the first seed's words
#[utoipa::path(get, path = "/health", tag = "state", responses((status = 200, body = Health)))]
pub(crate) async fn health(State(service): State<Arc<Service>>) -> Json<Health> {
    let model_loaded = service.loaded().is_some();
    Json(Health { status: if model_loaded { "healthy" } else { "unhealthy" }, model_loaded })
}

/// Whether the server answers, in the second seed's words
#[utoipa::path(get, path = "/healthz", tag = "state", responses((status = 200, body = String)))]
pub(crate) async fn healthz() -> &'static str {
    "ok"
}

/// Whether the process lives
#[utoipa::path(get, path = "/livez", tag = "state", responses((status = 200, body = String)))]
pub(crate) async fn livez() -> &'static str {
    "ok"
}

/// Whether requests should come: not while the first model is loading, and not while the server is about to end
#[utoipa::path(
    get, path = "/readyz", tag = "state",
    responses((status = 200, body = String), (status = 503, body = ErrorBody))
)]
pub(crate) async fn readyz(State(service): State<Arc<Service>>) -> Result<&'static str, ApiError> {
    if service.is_ready() {
        return Ok("ok");
    }
    let (code, detail) = if service.is_draining() {
        ("draining", "the server is about to end")
    } else {
        ("model_loading", "the first model is loading")
    };
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, detail))
}

/// What runs
#[utoipa::path(get, path = "/version", tag = "state", responses((status = 200, body = Version)))]
pub(crate) async fn version(State(service): State<Arc<Service>>) -> Json<Version> {
    Json(Version {
        name: "logrisk",
        version: env!("CARGO_PKG_VERSION"),
        model_version: service.model_version(),
    })
}

/// Counters and gauges as OpenMetrics text
#[utoipa::path(
    get, path = "/metrics", tag = "state",
    responses((status = 200, body = String, content_type = "application/openmetrics-text"))
)]
pub(crate) async fn metrics(State(service): State<Arc<Service>>) -> Response {
    let text = service.metrics.text(&service.scrape());
    match text {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl Service {
    /// Notes how the minute that ends now was.
    pub(crate) fn note_minute(&self) {
        let Scrape { queue_lines, queue_limit_lines, cache, .. } = self.scrape();
        let (lines, new_patterns) = self.catalogue.totals();
        self.hour.note(Counted {
            queue_lines,
            queue_limit_lines,
            hits: cache.hits,
            misses: cache.misses,
            lines,
            new_patterns,
            unsure: self.metrics.unsure_lines.get(),
        });
    }

    /// The numbers of now that others count.
    pub(crate) fn scrape(&self) -> Scrape {
        let loaded = self.loaded();
        let engine = loaded.as_ref().map(|loaded| &*loaded.engine);
        let figures = self.batcher.figures();
        let (alerts_sent, alerts_failed) = self.alert_figures();
        Scrape {
            queue_lines: self.batcher.waiting() as u64,
            queue_limit_lines: self.batcher.limit() as u64,
            judged_lines: figures.judged.load(Ordering::Relaxed),
            abandoned_lines: figures.abandoned.load(Ordering::Relaxed),
            batches: figures.batches.load(Ordering::Relaxed),
            cache: engine.map(|engine| engine.cache()).unwrap_or_default(),
            drift: engine.map(|engine| engine.drift()).unwrap_or_default(),
            patterns: self.catalogue.len() as u64,
            stream_watchers: self.hub.watchers() as u64,
            ready: self.is_ready(),
            alerts_sent,
            alerts_failed,
        }
    }
}
