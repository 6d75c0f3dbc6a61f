use axum::http::HeaderValue;

use super::*;

fn access() -> Access {
    let digest = |secret: &str| Sha256::digest(secret).into();
    Access::new(
        vec![
            Key::new("reader", digest("r"), vec![Scope::Read], None),
            Key::new("caller", digest("c"), vec![Scope::Predict], NonZeroU32::new(2)),
        ],
        vec!["https://dashboard.example".to_owned()],
    )
}

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
}

fn status(error: ApiError) -> u16 {
    match error {
        ApiError::Other { status, .. } => status.as_u16(),
        ApiError::Invalid(_) => 422,
    }
}

#[test]
fn every_path_needs_its_scope() {
    for (method, path, needed) in [
        (Method::GET, "/health", None),
        (Method::GET, "/docs/index.html", None),
        (Method::GET, "/patterns", Some(Scope::Read)),
        (Method::GET, "/metrics", Some(Scope::Read)),
        (Method::GET, "/stream", Some(Scope::Read)),
        (Method::POST, "/predict/batch", Some(Scope::Predict)),
        (Method::POST, "/ingest", Some(Scope::Predict)),
        (Method::POST, "/feedback", Some(Scope::Feedback)),
        (Method::DELETE, "/feedback/1", Some(Scope::Feedback)),
        (Method::POST, "/patterns/1/ack", Some(Scope::Feedback)),
        (Method::POST, "/models/reload", Some(Scope::Admin)),
        (Method::POST, "/whatever/comes", Some(Scope::Admin)),
    ] {
        assert_eq!(Scope::needed(&method, path), needed, "{method} {path}");
    }
}

#[test]
fn keys_are_found_wherever_they_are_sent() {
    let access = access();
    let admit = |headers: &HeaderMap| access.admit(&Method::GET, "/patterns", headers);
    for fields in [("authorization", "bearer r"), ("x-api-key", "r"), ("cookie", "a=b; logrisk_key=r")] {
        assert_eq!(admit(&headers(&[fields])).unwrap().name.as_deref(), Some("reader"));
    }
    assert_eq!(status(admit(&headers(&[])).unwrap_err()), 401);
    assert_eq!(status(admit(&headers(&[("x-api-key", "guess")])).unwrap_err()), 401);
    assert_eq!(status(admit(&headers(&[("authorization", "Basic r")])).unwrap_err()), 401);
    assert_eq!(status(admit(&headers(&[("x-api-key", "c")])).unwrap_err()), 403);
    let nobody = access.admit(&Method::GET, "/", &headers(&[])).unwrap();
    assert!(nobody.scopes.is_empty());
    assert!(
        Access::default().admit(&Method::POST, "/models/reload", &headers(&[])).unwrap().may(Scope::Admin)
    );
}

#[test]
fn rates_and_origins_are_kept() {
    let access = access();
    let caller = headers(&[("x-api-key", "c")]);
    let statuses: Vec<_> = (0..3).map(|_| access.admit(&Method::POST, "/predict", &caller)).collect();
    assert!(statuses[0].is_ok() && statuses[1].is_ok() && statuses[2].is_err());

    let open = Access::new(Vec::new(), vec!["https://dashboard.example".to_owned()]);
    let post = |origin: &'static str| {
        open.admit(&Method::POST, "/feedback", &headers(&[("host", "logs:8000"), ("origin", origin)])).is_ok()
    };
    assert!(post("http://logs:8000") && post("https://dashboard.example"));
    assert!(!post("http://logs:8001") && !post("null") && !post("https://evil.example"));
}
