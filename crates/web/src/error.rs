//! Errors as the API tells them: a status, a stable code, a sentence with the remedy.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use logrisk_catalogue::CatalogueError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{batch::Refused, engine::ModelsError};

/// The code and the sentence of an error; `detail` is where FastAPI's clients look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// Stable: programs compare it.
    #[schema(example = "queue_full")]
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) detail: String,
}

/// A step on the way to a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Step {
    /// The name of a field.
    Name(String),
    /// A place in a list or a text.
    Place(usize),
}

impl From<&str> for Step {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<usize> for Step {
    fn from(place: usize) -> Self {
        Self::Place(place)
    }
}

/// One wrong field, in the shape of FastAPI's validation errors.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FieldError {
    /// The way to the field: `["body", "logs", 3]`.
    pub loc: Vec<Step>,
    /// For people.
    pub msg: String,
    /// Stable: programs compare it.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// The body of a 422.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ValidationBody {
    /// Everything that is wrong.
    pub(crate) detail: Vec<FieldError>,
}

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq)]
pub enum ApiError {
    /// A request whose fields are wrong: 422.
    Invalid(Vec<FieldError>),
    /// Anything else.
    Other {
        /// The status.
        status: StatusCode,
        /// The stable code.
        code: &'static str,
        /// The sentence.
        detail: String,
        /// When to try again.
        retry_after: Option<Duration>,
    },
}

impl ApiError {
    /// An error without a time to try again.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self::Other { status, code, detail: detail.into(), retry_after: None }
    }

    /// One wrong field.
    pub fn field(loc: Vec<Step>, kind: &'static str, msg: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { loc, msg: msg.into(), kind }])
    }

    /// 404 of a pattern, a correction or a model.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 503 while no model is in use.
    #[must_use]
    pub fn no_model() -> Self {
        Self::Other {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "model_loading",
            detail: "no model is loaded yet; GET /readyz tells when one is".to_owned(),
            retry_after: Some(Duration::from_secs(1)),
        }
    }

    /// 429.
    pub fn busy(code: &'static str, detail: impl Into<String>, retry_after: Duration) -> Self {
        Self::Other {
            status: StatusCode::TOO_MANY_REQUESTS,
            code,
            detail: detail.into(),
            retry_after: Some(retry_after),
        }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full(wait) => Self::busy("queue_full", refused.to_string(), wait),
            Refused::Failed => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "scoring_failed", refused.to_string())
            }
        }
    }
}

impl From<CatalogueError> for ApiError {
    fn from(error: CatalogueError) -> Self {
        tracing::error!(%error, "the store failed");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store_failed",
            "it could not be saved; the server's log says why",
        )
    }
}

impl From<ModelsError> for ApiError {
    fn from(error: ModelsError) -> Self {
        match error {
            ModelsError::Unknown(_) => Self::not_found(error.to_string()),
            ModelsError::Broken(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "model_refused", error.to_string())
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Invalid(detail) => {
                (StatusCode::UNPROCESSABLE_ENTITY, Json(ValidationBody { detail })).into_response()
            }
            Self::Other { status, code, detail, retry_after } => {
                let mut response = (status, Json(ErrorBody { code, detail })).into_response();
                if let Some(wait) = retry_after {
                    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                }
                if status == StatusCode::UNAUTHORIZED {
                    let challenge = HeaderValue::from_static("Bearer");
                    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                }
                response
            }
        }
    }
}
