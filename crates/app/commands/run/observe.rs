//! How a running data plane is looked at: `/metrics` for Prometheus, `/livez` and `/readyz` for Kubernetes.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::net::TcpListener;

use super::{figures::Figures, plane::Plane};

/// Answers from now on, as long as the runtime lasts.
///
/// # Errors
/// An address where nothing can listen.
pub async fn answer(address: SocketAddr, plane: &Plane) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("could not listen on {address} (run.address); is another program there?"))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "metrics at http://{address}/metrics");
    let mut registry = Registry::with_prefix("logrisk");
    for collector in plane.collectors() {
        registry.register_collector(collector);
    }
    let (registry, figures) = (Arc::new(registry), plane.figures());
    let router = Router::new()
        .route("/metrics", get(move || async move { metrics(&registry) }))
        .route("/livez", get(|| async { "ok" }))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(move || async move { ready(&figures) }));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "metrics are not answered any more");
        }
    });
    Ok(())
}

fn metrics(registry: &Registry) -> impl IntoResponse + use<> {
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn ready(figures: &Figures) -> (StatusCode, &'static str) {
    match figures.running.get() {
        Some(()) => (StatusCode::OK, "ok"),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the model is loading"),
    }
}
