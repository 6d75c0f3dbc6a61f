//! OpenTelemetry's protocol: logs by gRPC and HTTP, as its SDKs and Collector export them.
//!
//! ```text
//! POST /v1/logs                                                  HTTP: protobuf or JSON, gzip or zstd
//! POST /opentelemetry.proto.collector.logs.v1.LogsService/Export gRPC
//!   body ─► decode (counted before memory is taken) ─► records ─► Outlet ─► answer, once every sink has them
//! ```
//! Both ports answer both, so that a sender that mixes them up is served. What an answer says is what the specification has
//! senders act upon: come again (429 or `RESOURCE_EXHAUSTED`, with the pause), or never again (`partial_success`).
//!
//! gRPC here is one unary call: five bytes before a message, and a status in trailers. That is a file of this folder, on the
//! server that `http` uses too, rather than a second stack of HTTP; and one bound holds for what both decompress.

mod connection;
mod decode;
mod grpc;
mod record;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use garde::Validate;
use logrisk_flow::{Origin, Outlet, Record, RecordId, Secret};
use logrisk_tls::TlsFiles;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    Source, SourceError,
    http::{Refused, Shared},
    listen::Listener,
};

pub use decode::Form;
use grpc::RpcStatus;

use decode::Counted;

/// Settings of an `otlp` source.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct OtlpSettings {
    /// Where senders by gRPC come, as `0.0.0.0:4317`. Without this and `http`: 127.0.0.1:4317 and 127.0.0.1:4318.
    #[garde(skip)]
    pub grpc: Option<SocketAddr>,
    /// Where senders by HTTP come, as `0.0.0.0:4318`.
    #[garde(skip)]
    pub http: Option<SocketAddr>,
    /// What senders must say: `Authorization: Bearer …`, among their exporter's headers.
    #[garde(skip)]
    pub token: Option<Secret>,
    /// Certificates; without them senders speak in the clear.
    #[garde(skip)]
    pub tls: Option<TlsFiles>,
    /// Connections at once, to each address; further ones wait.
    #[garde(range(min = 1, max = 65_536))]
    #[serde(default = "many")]
    pub connections: u32,
    /// How long the headers of a request may take, and a sender may be silent.
    #[garde(range(min = 1, max = 3600))]
    #[serde(default = "sixty")]
    pub idle_secs: u32,
    /// Largest request, as sent and as decompressed.
    #[garde(range(min = 1, max = 1024))]
    #[serde(default = "sixteen")]
    pub body_mebibytes: u32,
    /// How long a sender waits for the sinks before it is told to come again.
    #[garde(range(min = 1, max = 3600))]
    #[serde(default = "thirty")]
    pub timeout_secs: u32,
    /// Fields of every record, as `service.environment: production`.
    #[garde(skip)]
    #[serde(default)]
    pub fields: BTreeMap<String, serde_json::Value>,
}

const fn many() -> u32 {
    1024
}

const fn sixty() -> u32 {
    60
}

const fn sixteen() -> u32 {
    16
}

const fn thirty() -> u32 {
    30
}

impl OtlpSettings {
    /// Where it listens, each address with the protocol that it is meant for.
    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let (mut grpc, mut http) = (self.grpc, self.http);
        if grpc.is_none() && http.is_none() {
            grpc = Some(([127, 0, 0, 1], 4317).into());
            http = Some(([127, 0, 0, 1], 4318).into());
        }
        let both = [("grpc", grpc), ("http", http)];
        both.into_iter().filter_map(|(protocol, address)| Some((protocol, address?))).collect()
    }

    async fn listen(&self, address: SocketAddr) -> Result<Listener, SourceError> {
        Listener::bind(address, self.tls.clone(), &["h2", "http/1.1"], self.connections).await
    }
}

/// Listens for OTLP.
#[derive(Debug)]
pub struct Otlp {
    name: String,
    settings: OtlpSettings,
}

impl Otlp {
    /// The source of that name.
    #[must_use]
    pub fn new(name: &str, settings: OtlpSettings) -> Self {
        Self { name: name.to_owned(), settings }
    }

    /// Whether it could listen now; where.
    ///
    /// # Errors
    /// What [`Source::run`] would end with: an address, the certificates, the token.
    pub async fn check(settings: &OtlpSettings) -> Result<String, SourceError> {
        settings.token.as_ref().map(Secret::reveal).transpose().map_err(SourceError::Settings)?;
        let mut bound = Vec::new();
        for (protocol, address) in settings.addresses() {
            bound.push(format!("{protocol} {}", settings.listen(address).await?.address()));
        }
        Ok(bound.join(", "))
    }
}

impl Source for Otlp {
    async fn run(self, outlet: Outlet, stop: CancellationToken) -> Result<(), SourceError> {
        let Self { name, settings } = self;
        let authenticated = settings.token.is_some()
            || settings.tls.as_ref().is_some_and(|tls| tls.client_authority.is_some());
        let mut listeners = Vec::new();
        for (protocol, address) in settings.addresses() {
            let listener = settings.listen(address).await?;
            let address = listener.address();
            tracing::info!(source = name, protocol, %address, "listening on otlp+{protocol}://{address}");
            if !address.ip().is_loopback() && !authenticated {
                tracing::warn!(
                    source = name,
                    "everybody who reaches {address} may send; set token or tls.client_authority"
                );
            }
            listeners.push(listener);
        }
        let idle = Duration::from_secs(settings.idle_secs.into());
        let patience = Duration::from_secs(settings.timeout_secs.into());
        let router = router(Shared::new(
            &name,
            outlet,
            settings.token.as_ref(),
            settings.body_mebibytes,
            settings.timeout_secs,
            settings.fields,
        )?);
        let mut servers = JoinSet::new();
        for listener in listeners {
            let (router, stopped) = (router.clone(), stop.clone());
            let serve = move |stream, peer| {
                connection::serve(stream, peer, router.clone(), idle, patience, stopped.clone())
            };
            servers.spawn(listener.serve(stop.clone(), serve));
        }
        drop(router);
        while let Some(ended) = servers.join_next().await {
            ended.map_err(|panic| SourceError::Settings(panic.to_string()))?;
        }
        Ok(())
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/logs", post(take))
        .route(grpc::EXPORT, post(grpc::take))
        .fallback(other)
        .with_state(shared)
}

/// What else a collector's exporter may be told to send here.
async fn other(request: Request) -> Response {
    const REASON: &str = "logrisk takes logs alone (/v1/logs); send traces and metrics to another endpoint";
    if grpc::is_grpc(request.headers()) {
        return grpc::failed(&RpcStatus::unimplemented(REASON));
    }
    fail(Form::of(request.headers()).unwrap_or(Form::Json), StatusCode::NOT_FOUND, REASON)
}

/// Takes a request by HTTP.
async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Response {
    let Some(form) = Form::of(&headers) else {
        const REASON: &str = "send application/x-protobuf or application/json";
        return fail(Form::Json, StatusCode::UNSUPPORTED_MEDIA_TYPE, REASON);
    };
    let taken = async {
        if !shared.knows(&headers) {
            return Err(Refused::stranger());
        }
        let bytes = shared.read_body(&headers, body).await?;
        shared.take_logs(bytes, form).await
    };
    match taken.await {
        Ok(answer) => say(form, StatusCode::OK, &answer, || json_of(&answer)),
        Err(refused) => fail(form, refused.status, &refused.reason),
    }
}

/// The records of a request of at most `limit` bytes, as the source reads it.
///
/// # Errors
/// A sentence, if it is malformed or would take too much memory.
pub fn records(bytes: &[u8], form: Form, limit: usize) -> Result<Vec<Record>, String> {
    let request = Counted::of(bytes, form, limit).and_then(Counted::decode);
    let request = request.map_err(|refused| refused.reason)?;
    let origin = |fields| Arc::new(Origin::new("otlp", fields));
    Ok(record::records_of(request, RecordId::of(bytes), origin))
}

/// An answer in the form of the request.
fn say(
    form: Form,
    status: StatusCode,
    message: &impl prost::Message,
    json: impl FnOnce() -> serde_json::Value,
) -> Response {
    let (kind, body) = match form {
        Form::Protobuf => ("application/x-protobuf", message.encode_to_vec()),
        Form::Json => ("application/json", json().to_string().into_bytes()),
    };
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}

fn fail(form: Form, status: StatusCode, reason: &str) -> Response {
    let told = RpcStatus::of(status, reason);
    let mut response =
        say(form, status, &told, || json!({"code": told.code, "message": told.message, "details": []}));
    if told.is_to_come_again() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// 64-bit numbers are texts in protobuf's JSON.
fn json_of(answer: &ExportLogsServiceResponse) -> serde_json::Value {
    match &answer.partial_success {
        None => json!({}),
        Some(partial) => json!({"partialSuccess": {
            "rejectedLogRecords": partial.rejected_log_records.to_string(),
            "errorMessage": partial.error_message,
        }}),
    }
}

impl Refused {
    fn stranger() -> Self {
        Self { status: StatusCode::UNAUTHORIZED, reason: "the token is missing or wrong".to_owned() }
    }
}

impl Shared {
    /// Takes a request apart and waits until every sink has its records.
    async fn take_logs(&self, bytes: Vec<u8>, form: Form) -> Result<ExportLogsServiceResponse, Refused> {
        // Body and messages are let go before the sinks are waited for.
        let records = tokio::task::block_in_place(move || {
            let counted = Counted::of(&bytes, form, self.limit)?;
            let _room = self.room(counted.memory())?;
            // A sender that repeats a request repeats its bytes.
            let identity = RecordId::of(&bytes);
            Ok::<_, Refused>(record::records_of(counted.decode()?, identity, |fields| self.origin(fields)))
        })?;
        let refused = self.deliver_what_may_be(records).await?;
        let partial = (refused > 0).then(|| ExportLogsPartialSuccess {
            rejected_log_records: i64::from(refused),
            error_message: "a sink refused records for good; logrisk's log says why".to_owned(),
        });
        Ok(ExportLogsServiceResponse { partial_success: partial })
    }
}
