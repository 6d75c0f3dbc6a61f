//! The API, one file a resource.

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
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse as _, Response},
};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::SwaggerUi;

use crate::{error::ApiError, layers, page, service::Service};

/// What the document says besides the paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "logrisk",
        description = "Says of every log line how risky it is (0-10), what kind it is, and which pattern it belongs to.",
        license(name = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "score", description = "Ask about lines"),
        (name = "patterns", description = "What was seen, and what people say of it"),
        (name = "models", description = "Which model judges"),
        (name = "state", description = "How the server is")
    )
)]
struct Document;

/// All routes.
pub(crate) fn router(service: Arc<Service>) -> Router {
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
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
        .merge(documentation(document))
        .layer(middleware::from_fn_with_state(service, layers::observe))
}

/// Swagger UI from the binary, which needs a policy of its own: it styles itself inline.
fn documentation(document: utoipa::openapi::OpenApi) -> Router {
    let policy = HeaderValue::from_static(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    );
    Router::from(SwaggerUi::new("/docs").url("/openapi.json", document)).layer(middleware::map_response(
        move |mut response: Response| {
            let policy = policy.clone();
            async move {
                response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
                response
            }
        },
    ))
}

async fn unknown_path() -> Response {
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
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request could not be finished"))
    })
}
