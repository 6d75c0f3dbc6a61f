//! The API, one file a resource.

mod document;
mod feedback;
mod ingest;
mod models;
mod patterns;
mod predict;
mod state;
mod stream;

use std::sync::Arc;

use axum::{
    Router,
    http::StatusCode,
    middleware,
    response::{IntoResponse as _, Response},
};
use utoipa::OpenApi as _;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{error::ApiError, layers, page, service::Service};

/// All routes.
pub(crate) fn router(service: Arc<Service>) -> Router {
    let (router, described) = OpenApiRouter::with_openapi(document::Document::openapi())
        .routes(routes!(predict::predict))
        .routes(routes!(predict::predict_batch))
        .routes(routes!(ingest::ingest))
        .routes(routes!(stream::stream))
        .routes(routes!(patterns::list))
        .routes(routes!(patterns::detail))
        .routes(routes!(patterns::acknowledge))
        .routes(routes!(patterns::silence))
        .routes(routes!(patterns::series))
        .routes(routes!(feedback::correct, feedback::list))
        .routes(routes!(feedback::revoke))
        .routes(routes!(models::list))
        .routes(routes!(models::activate))
        .routes(routes!(models::reload))
        .routes(routes!(state::health))
        .routes(routes!(state::healthz))
        .routes(routes!(state::livez))
        .routes(routes!(state::readyz))
        .routes(routes!(state::metrics))
        .routes(routes!(state::version))
        .split_for_parts();
    router
        .merge(page::routes())
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::clone(&service))
        .merge(document::routes(&described))
        .layer(middleware::from_fn_with_state(service, layers::observe))
}

/// What is told of every path that is not there.
pub(crate) async fn unknown_path() -> Response {
    ApiError::not_found("there is nothing at this path; GET /docs lists what there is").into_response()
}

async fn wrong_method() -> Response {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path has other methods; GET /docs lists them",
    )
    .into_response()
}

/// Runs what blocks (the store, files, long texts) off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let context = opentelemetry::Context::current();
    let work = move || {
        let _inside = context.attach();
        work()
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request could not be finished"))
    })
}
