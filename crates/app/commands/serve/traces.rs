//! Spans on their way to a collector: OTLP over HTTP, in the background, by OpenTelemetry's own batches.
//!
//! Everything but the address is set as OpenTelemetry's specification says: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`,
//! `OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_BSP_…`.

use std::{
    env,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::Context as _;
use async_trait::async_trait;
use opentelemetry::{KeyValue, global::BoxedTracer, trace::TracerProvider as _};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};

/// A collector that does not answer in this time is asked again with the next batch.
const TIMEOUT: Duration = Duration::from_secs(10);
/// At the end, spans that wait are sent for so long.
const FAREWELL: Duration = Duration::from_secs(3);
/// Bytes of a collector's answer that are read.
const ANSWER: u64 = 64 << 10;

/// Sends spans until it is dropped, and then what still waits.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to export to a collector: `http://collector:4318`, to which `/v1/traces` is added.
    ///
    /// # Errors
    /// When the address is none.
    pub fn start(endpoint: &str) -> anyhow::Result<Self> {
        let http =
            ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client { agent: http.into(), failing: AtomicBool::new(false) })
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .build()
            .with_context(|| format!("could not send traces to {endpoint}; is it http://HOST:4318?"))?;
        let mut resource = Resource::builder();
        if env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("logrisk");
        }
        let resource =
            resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build();
        Ok(Self(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build()))
    }

    /// What makes spans.
    pub fn tracer(&self) -> BoxedTracer {
        BoxedTracer::new(Box::new(self.0.tracer("logrisk")))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(FAREWELL) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// The alerts' HTTP client. It blocks, on the exporter's own thread.
#[derive(Debug)]
struct Client {
    agent: ureq::Agent,
    /// So that a collector that is away is told once, not with each batch.
    failing: AtomicBool,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let sent = self.agent.run(Request::from_parts(parts, body.to_vec())).and_then(|mut response| {
            let body = response.body_mut().with_config().limit(ANSWER).read_to_vec()?;
            Ok((response.status(), body))
        });
        let failed = match &sent {
            Ok((status, _)) if status.is_success() => None,
            Ok((status, _)) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        };
        let changed = self.failing.swap(failed.is_some(), Ordering::Relaxed) != failed.is_some();
        match failed {
            Some(reason) if changed => {
                tracing::warn!(
                    reason,
                    "traces could not be sent; they are dropped until the collector takes them"
                );
            }
            None if changed => tracing::info!("traces are sent again"),
            _ => {}
        }
        let (status, body) = sent?;
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        Ok(response)
    }
}
