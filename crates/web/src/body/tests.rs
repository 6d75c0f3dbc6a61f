use axum::http::HeaderValue;
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
struct Sample {
    #[serde(rename = "log")]
    _log: String,
}

impl Fields for Sample {
    const FIELDS: &'static [(&'static str, Kind, bool)] =
        &[("log", Kind::Text, true), ("risk", Kind::Risk, false)];
}

fn headers(name: &'static str, value: &'static str) -> HeaderMap {
    [(name.parse().unwrap(), HeaderValue::from_static(value))].into_iter().collect()
}

fn code(error: ApiError) -> String {
    match error {
        ApiError::Other { code, .. } => code.to_owned(),
        ApiError::Invalid(errors) => {
            errors.iter().map(|error| format!("{}:{} ", error.kind, error.loc.len())).collect()
        }
    }
}

#[test]
fn every_wrong_field_is_named() {
    for (body, expected) in [
        ("{}", "missing:2 "),
        ("{\"log\": null}", "string_type:2 "),
        ("{\"log\": 1, \"risk\": -1}", "string_type:2 greater_than_equal:2 "),
        ("{\"risk\": 1.5}", "missing:2 int_type:2 "),
        ("7", "dict_type:1 "),
        ("{", "json_invalid:2 "),
    ] {
        assert_eq!(code(json::<Sample>(&HeaderMap::new(), body.as_bytes()).unwrap_err()), expected, "{body}");
    }
    assert!(
        json::<Sample>(
            &headers("content-type", "application/problem+json; charset=utf-8"),
            b"{\"log\": \"\"}"
        )
        .is_ok()
    );
    let html = json::<Sample>(&headers("content-type", "text/html"), b"{\"log\": \"\"}").unwrap_err();
    assert_eq!(code(html), "media_type_unsupported");
}

#[test]
fn a_body_is_read_within_its_limits() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limits = BodyLimits::new(10_000, Duration::from_secs(5), 16 << 10);
    let read = |limits: &BodyLimits, headers: &HeaderMap, bytes: Vec<u8>| {
        runtime.block_on(limits.read(headers, Body::from(bytes)))
    };
    let none = HeaderMap::new();
    let first = read(&limits, &none, vec![b'x'; 10_000]).unwrap();
    assert_eq!(code(read(&limits, &none, vec![b'x'; 10_001]).unwrap_err()), "body_too_large");
    assert_eq!(code(read(&limits, &none, vec![b'x'; 9_000]).unwrap_err()), "bodies_full");
    drop(first);
    assert_eq!(read(&limits, &none, vec![b'x'; 9_000]).unwrap().bytes.len(), 9_000);

    let bomb = zstd::encode_all(&[b'x'; 20_000][..], 3).unwrap();
    assert_eq!(
        code(read(&limits, &headers("content-encoding", "zstd"), bomb).unwrap_err()),
        "body_too_large"
    );
    let fine = zstd::encode_all(&b"ERROR"[..], 3).unwrap();
    assert_eq!(&*read(&limits, &headers("content-encoding", "zstd"), fine).unwrap().bytes, b"ERROR");
    assert_eq!(
        code(read(&limits, &headers("content-encoding", "gzip"), vec![1, 2, 3]).unwrap_err()),
        "body_broken"
    );
}
