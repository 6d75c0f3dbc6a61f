//! Traces: a span for each request, which continues the caller's trace, and one inside it for the wait for the model.
//!
//! Names follow OpenTelemetry's semantic conventions for HTTP. Where nothing exports spans, none is made.

use axum::http::HeaderMap;
use opentelemetry::{
    Context, KeyValue, SpanId, TraceFlags, TraceId,
    context::FutureExt as _,
    global::BoxedTracer,
    trace::{SpanContext, SpanKind, Status, TraceContextExt as _, TraceState, Tracer as _},
};

/// The route of a request that none was found for.
pub(crate) const NO_ROUTE: &str = "none";

/// The span in a `traceparent` (W3C Trace Context, section 3.2), with the `tracestate` beside it.
pub(crate) fn caller(headers: &HeaderMap) -> Option<SpanContext> {
    let value = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = value.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    // Later versions may have more parts, this one may not.
    let known = lower(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    if !known || !lower(trace, 32) || !lower(span, 16) || !lower(flags, 2) {
        return None;
    }
    let state = headers.get("tracestate").and_then(|state| state.to_str().ok());
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED,
        true,
        state.and_then(|state| state.parse::<TraceState>().ok()).unwrap_or_default(),
    );
    context.is_valid().then_some(context)
}

/// Begins the span of a request. The context holds it: what runs with it makes spans inside.
pub(crate) fn begin(
    tracer: &BoxedTracer,
    caller: Option<&SpanContext>,
    method: &'static str,
    route: &str,
) -> Context {
    let parent =
        caller.map_or_else(Context::new, |caller| Context::new().with_remote_span_context(caller.clone()));
    let (mut name, mut attributes) = (method.to_owned(), vec![KeyValue::new("http.request.method", method)]);
    if route != NO_ROUTE {
        name = format!("{method} {route}");
        attributes.push(KeyValue::new("http.route", route.to_owned()));
    }
    let span = tracer
        .span_builder(name)
        .with_kind(SpanKind::Server)
        .with_attributes(attributes)
        .start_with_context(tracer, &parent);
    parent.with_span(span)
}

/// Ends the span of a request.
pub(crate) fn end(context: &Context, status: u16, id: &str) {
    let span = context.span();
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
    span.set_attribute(KeyValue::new("logrisk.request_id", id.to_owned()));
    if status >= 500 {
        span.set_status(Status::error(""));
    }
    span.end();
}

/// Runs a part of a request in a span of its own, if the request has one.
pub(crate) async fn inside<T>(
    tracer: Option<&BoxedTracer>,
    name: &'static str,
    attribute: KeyValue,
    work: impl Future<Output = T>,
) -> T {
    let context = Context::current();
    let Some(tracer) = tracer.filter(|_| context.has_active_span()) else { return work.await };
    let span = tracer.span_builder(name).with_attributes([attribute]).start_with_context(tracer, &context);
    let context = context.with_span(span);
    let done = work.with_context(context.clone()).await;
    context.span().end();
    done
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn trace_of(value: &str) -> Option<(String, bool)> {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_str(value).unwrap());
        caller(&headers).map(|caller| (caller.trace_id().to_string(), caller.is_sampled()))
    }

    #[test]
    fn a_caller_is_known_by_a_valid_traceparent_alone() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (value, sampled) in [
            (format!("00-{trace}-00f067aa0ba902b7-01"), true),
            (format!("00-{trace}-00f067aa0ba902b7-00"), false),
            (format!("cc-{trace}-00f067aa0ba902b7-01-later"), true),
        ] {
            assert_eq!(trace_of(&value), Some((trace.to_owned(), sampled)), "{value}");
        }
        let zero = "0".repeat(32);
        for value in [
            String::new(),
            format!("00-{trace}"),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{trace}-00f067aa0ba902b7-01-more"),
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            format!("00-{zero}-00f067aa0ba902b7-01"),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{trace}-00f067aa0ba902b-01"),
        ] {
            assert_eq!(trace_of(&value), None, "{value}");
        }
    }
}
