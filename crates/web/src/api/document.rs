//! `/openapi.json` and `/docs`: made from the handlers' types, and exact where those cannot say it.

use axum::{
    Router,
    http::{HeaderValue, header},
    middleware,
    response::Response,
};
use logrisk_base::Tag;
use serde_json::{Value, json};
use utoipa::{
    OpenApi,
    openapi::{Object, ObjectBuilder, Type, schema::SchemaType},
};
use utoipa_swagger_ui::SwaggerUi;

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
pub(super) struct Document;

/// The schema of a tag.
pub(super) fn tag() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Tag::ALL.map(Tag::as_str))).build()
}

/// The schema of a tag that may be null.
pub(super) fn optional_tag() -> Object {
    let tags = Tag::ALL.iter().map(|tag| Value::from(tag.as_str())).chain([Value::Null]);
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some(tags))
        .build()
}

/// Swagger UI from the binary, which needs a policy of its own: it styles itself inline.
pub(super) fn routes(document: &utoipa::openapi::OpenApi) -> Router {
    let policy = HeaderValue::from_static(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    );
    let pages = SwaggerUi::new("/docs").external_url_unchecked("/openapi.json", exact(document));
    Router::from(pages).layer(middleware::map_response(move |mut response: Response| {
        let policy = policy.clone();
        async move {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            response
        }
    }))
}

/// Adds what attributes cannot say: of two fields one is there, and lines to ingest may be none.
fn exact(document: &utoipa::openapi::OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    for (name, fields) in [("PredictRequest", ["log", "message"]), ("FeedbackRequest", ["log", "pattern_id"])]
    {
        if let Some(schema) = document.pointer_mut(&format!("/components/schemas/{name}")) {
            let one =
                fields.map(|field| json!({"required": [field], "properties": {field: {"type": "string"}}}));
            *schema = json!({"allOf": [schema.take(), {"anyOf": one}]});
        }
    }
    if let Some(required) = document.pointer_mut("/paths/~1ingest/post/requestBody/required") {
        *required = Value::Bool(false);
    }
    document
}
