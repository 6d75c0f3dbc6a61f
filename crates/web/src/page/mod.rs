//! The page that people look at: rendered here, brought to life by `assets/main.js`, whole without it.
//!
//! ```text
//! request ─► Visitor (key, preferences) ─► now, patterns, pattern, attempt, models, health ─► templates/*.html
//!                                      └─► forms: what buttons do without a script ─► back to where they were
//! ```
//! Its handlers get what the API's handlers get: the shared [`Service`], and the [`crate::Identity`] of the request in its
//! extensions. The paths are open to all at the door; [`visitor::Visitor`] is the lock.

mod assets;
mod attempt;
mod draw;
mod explained;
mod forms;
mod health;
mod models;
mod now;
mod pattern;
mod patterns;
mod query;
mod rows;
mod text;

pub(crate) use text::age;
mod values;
mod visitor;

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use self::visitor::Frame;
use crate::{error::ApiError, service::Service};

/// Nothing from elsewhere, nothing inline, no markup made of strings.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// The page's routes: `/`, `/ui/…`. Paths of the API never answer HTML.
pub(crate) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/", get(now::page))
        .route("/ui/rows", get(now::rows))
        .route("/ui/why/{id}", get(pattern::why))
        .route("/ui/patterns", get(patterns::page))
        .route("/ui/patterns/{id}", get(pattern::page))
        .route("/ui/patterns/{id}/{verb}", post(forms::pattern))
        .route("/ui/corrections/{id}/undo", post(forms::undo))
        .route("/ui/silence", post(forms::silence))
        .route("/ui/try", get(attempt::empty).post(attempt::page))
        .route("/ui/models", get(models::page).post(forms::activate))
        .route("/ui/models/{version}", get(models::compare))
        .route("/ui/health", get(health::page))
        .route("/ui/session", post(forms::session))
        .route("/ui/preferences", post(forms::preferences))
        .route("/ui/a/{folder}/{file}", get(assets::file))
}

/// A template as an answer.
fn html(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
                (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
                (
                    HeaderName::from_static("cross-origin-opener-policy"),
                    HeaderValue::from_static("same-origin"),
                ),
                (header::VARY, HeaderValue::from_static("Accept, Cookie")),
            ];
            (status, headers, text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a template could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A failure as a page of its own.
#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage {
    frame: Frame,
    sentence: String,
}

/// What went wrong, told to whom.
struct Failure {
    frame: Box<Frame>,
    error: ApiError,
}

impl Failure {
    fn new(frame: Frame, error: ApiError) -> Self {
        Self { frame: Box::new(frame), error }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, sentence) = match self.error {
            ApiError::Other { status, detail, .. } => (status, detail),
            ApiError::Invalid(fields) => {
                let sentences: Vec<_> = fields.into_iter().map(|field| field.msg).collect();
                (StatusCode::UNPROCESSABLE_ENTITY, sentences.join("; "))
            }
        };
        html(status, &FailurePage { frame: *self.frame, sentence })
    }
}

/// Runs what blocks off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request could not be finished")
    })
}
