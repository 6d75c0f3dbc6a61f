//! What happens to every request before and after its handler: a name, access, counts, headers, a line in the log.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use opentelemetry::{context::FutureExt as _, trace::TraceContextExt as _};

use crate::{
    access::Identity,
    metrics::{RequestLabels, RouteLabels},
    service::Service,
    trace,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id taken over from a client.
const ID_BYTES: usize = 64;

/// Admits the request, names it, counts it, and finishes the answer.
pub(crate) async fn observe(
    State(service): State<Arc<Service>>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let method = name_of(request.method());
    // Never the path itself: labels come from the closed set of routes.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| trace::NO_ROUTE.to_owned(), |path| path.as_str().to_owned());
    let id = request_id(&request);
    let caller = trace::caller(request.headers());
    let span = service.tracer.as_ref().map(|tracer| trace::begin(tracer, caller.as_ref(), method, &route));
    let traced = span.as_ref().map(|span| span.span().span_context().trace_id());
    let trace = traced.or(caller.map(|caller| caller.trace_id())).map(tracing::field::display);

    let admitted = service.access.admit(request.method(), request.uri().path(), request.headers());
    let (mut response, key) = match admitted {
        Ok(identity) => {
            let key = identity.name.clone();
            request.extensions_mut().insert::<Identity>(identity);
            let response = match &span {
                Some(span) => next.run(request).with_context(span.clone()).await,
                None => next.run(request).await,
            };
            (response, key)
        }
        Err(error) => (error.into_response(), None),
    };

    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.insert(header::CONTENT_SECURITY_POLICY, nothing);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }

    let elapsed = began.elapsed();
    let status = response.status().as_u16();
    if let Some(span) = &span {
        trace::end(span, status, &id);
    }
    let metrics = &service.metrics;
    metrics.latency.get_or_create(&RouteLabels { route: route.clone() }).observe(elapsed.as_secs_f64());
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    if status >= 500 {
        tracing::warn!(method, route, status, micros, id, trace, key = key.as_deref(), "request failed");
    } else {
        tracing::debug!(method, route, status, micros, id, trace, key = key.as_deref(), "request");
    }
    metrics.requests.get_or_create(&RequestLabels { route, method, status }).inc();
    response
}

/// Methods of a closed set, for labels.
fn name_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// The client's id if it is a plain one, else a new one.
fn request_id(request: &Request) -> String {
    let plain = |id: &&str| {
        !id.is_empty()
            && id.len() <= ID_BYTES
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(plain);
    given.map_or_else(new_id, str::to_owned)
}

/// Unique in this process and unlikely elsewhere: the start in nanoseconds and a running number.
fn new_id() -> String {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };
    static START: LazyLock<i128> = LazyLock::new(|| jiff::Timestamp::now().as_nanosecond());
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:x}-{:x}", *START & 0xffff_ffff_ffff, NEXT.fetch_add(1, Ordering::Relaxed))
}
