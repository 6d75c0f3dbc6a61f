//! Style, scripts and icon, from the binary, under a folder named after what they contain.
//!
//! One digest over all files instead of one each: modules import each other by relative paths, which then need no map,
//! and the whole folder can be kept for ever.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use sha2::{Digest as _, Sha256};

use crate::error::ApiError;

macro_rules! asset {
    ($name:literal, $kind:literal) => {
        ($name, $kind, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/", $name)))
    };
}

/// Name, media type, content.
const FILES: &[(&str, &str, &str)] = &[
    asset!("page.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("main.js", "text/javascript; charset=utf-8"),
    asset!("text.js", "text/javascript; charset=utf-8"),
    asset!("rows.js", "text/javascript; charset=utf-8"),
    asset!("verbs.js", "text/javascript; charset=utf-8"),
    asset!("live.js", "text/javascript; charset=utf-8"),
    asset!("chart.js", "text/javascript; charset=utf-8"),
];

/// The folder's name: the first twelve digits of the digest.
static FOLDER: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for (name, kind, content) in FILES {
        digest.update([name.as_bytes(), b"\0", kind.as_bytes(), b"\0", content.as_bytes(), b"\0"].concat());
    }
    let digest: [u8; 32] = digest.finalize().into();
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
});

/// Where the files are.
pub(crate) fn folder() -> &'static str {
    &FOLDER
}

/// `GET /ui/a/{folder}/{name}`.
pub(crate) async fn file(Path((folder, name)): Path<(String, String)>) -> Response {
    let found = FILES.iter().find(|(own, ..)| *own == name).filter(|_| folder == *FOLDER);
    let Some((_, kind, content)) = found else {
        return ApiError::not_found("the page's files have changed since; load the page again")
            .into_response();
    };
    let mut response = (*content).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}
