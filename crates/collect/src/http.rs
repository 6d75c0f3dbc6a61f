//! What senders push over HTTP, in the words of four protocols: a shipper needs only a new address.
//!
//! ```text
//! POST /, /ingest              lines, or JSON objects a line         200
//! POST /_bulk, /{index}/_bulk  Elasticsearch                         200 and items
//! POST /loki/api/v1/push       Loki: JSON, or snappy protobuf        204
//! POST /services/collector     Splunk: events, /raw: lines           200
//! ```
//! An answer of success means that every sink has the records. When too much is in flight the answer is 429, and a
//! shipper's own buffer does the waiting.

mod body;
mod bulk;
mod hec;
mod lines;
mod loki;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use garde::Validate;
use logrisk_flow::{Fields, Origin, Outcome, Outlet, Record, RecordId, Secret};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{Source, SourceError, source::run_identity};

/// Settings of an `http` source.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Where to listen: `0.0.0.0:9200` for all networks, and then with a token.
    #[garde(skip)]
    pub address: SocketAddr,
    /// What senders must say: as `Authorization: Bearer`, `Splunk` or `ApiKey`, or as the password of basic authentication.
    #[garde(skip)]
    pub token: Option<Secret>,
    /// Largest body, as sent and as decompressed.
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

const fn sixteen() -> u32 {
    16
}

const fn thirty() -> u32 {
    30
}

/// Bodies that are read at once, in units of the largest.
const BODIES: usize = 4;
/// A compressed body takes so many times its length, about.
const COMPRESSION: usize = 10;
/// What clients of Elasticsearch 8 look for in every answer before they go on.
const PRODUCT: HeaderName = HeaderName::from_static("x-elastic-product");

/// Listens for HTTP.
#[derive(Debug)]
pub struct Http {
    name: String,
    settings: HttpSettings,
}

/// What the handlers share.
struct Shared {
    name: String,
    fields: Fields,
    outlet: Outlet,
    token: Option<[u8; 32]>,
    limit: usize,
    timeout: Duration,
    /// Bytes of bodies that are read.
    bodies: Semaphore,
    /// Names records that their senders do not name: unique in this run, and the run in all.
    run: RecordId,
    number: AtomicU64,
}

/// Why a request's records were not taken. Every dialect says it in its own words.
struct Refused {
    status: StatusCode,
    reason: String,
}

impl Http {
    /// The source of that name.
    #[must_use]
    pub fn new(name: &str, settings: HttpSettings) -> Self {
        Self { name: name.to_owned(), settings }
    }
}

impl Source for Http {
    async fn run(self, outlet: Outlet, stop: CancellationToken) -> Result<(), SourceError> {
        let Self { name, settings } = self;
        let token = settings.token.map(|token| token.reveal()).transpose().map_err(SourceError::Settings)?;
        let address = settings.address;
        let listener = TcpListener::bind(address)
            .await
            .map_err(SourceError::io(format!("could not listen on {address}; is another server there?")))?;
        let bound = listener.local_addr().unwrap_or(address);
        tracing::info!(source = name, address = %bound, "listening on http://{bound}");
        if !bound.ip().is_loopback() && token.is_none() {
            tracing::warn!(source = name, "everybody who reaches {bound} may send; set a token");
        }
        let shared = Arc::new(Shared {
            fields: settings.fields.into_iter().collect(),
            run: run_identity(&name),
            name,
            outlet,
            token: token.map(|token| Sha256::digest(token).into()),
            limit: (settings.body_mebibytes as usize) << 20,
            timeout: Duration::from_secs(u64::from(settings.timeout_secs)),
            bodies: Semaphore::new(BODIES * ((settings.body_mebibytes as usize) << 20)),
            number: AtomicU64::new(0),
        });
        let served = axum::serve(listener, router(shared)).with_graceful_shutdown(stop.cancelled_owned());
        served.await.map_err(SourceError::io("could not accept connections"))
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(bulk::about).head(bulk::about).post(lines::take))
        .route("/ingest", post(lines::take))
        .route("/_bulk", post(bulk::take).put(bulk::take))
        .route("/{index}/_bulk", post(bulk::take).put(bulk::take))
        .route("/_license", get(bulk::license))
        .route("/loki/api/v1/push", post(loki::take))
        .route("/ready", get(|| async { "ready\n" }))
        .route("/services/collector", post(hec::take))
        .route("/services/collector/event", post(hec::take))
        .route("/services/collector/event/1.0", post(hec::take))
        .route("/services/collector/raw", post(hec::take_raw))
        .route("/services/collector/health", get(hec::health))
        // Templates, life cycles, pipelines, health: what shippers set up before they send. We keep none of it.
        .fallback(bulk::acknowledge)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), allow))
        .with_state(shared)
}

/// Lets in who knows the token, and marks answers as Elasticsearch does.
async fn allow(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    // Clients of Elasticsearch 8 ask for its media type, and refuse an answer of another.
    let vendor = request
        .headers()
        .get(header::ACCEPT)
        .filter(|accept| accept.to_str().is_ok_and(|accept| accept.contains("vnd.elasticsearch+json")))
        .map(|_| HeaderValue::from_static("application/vnd.elasticsearch+json;compatible-with=8"));
    let mut response = if shared.knows(request.headers()) {
        next.run(request).await
    } else {
        let reason = json!({"error": "the token is missing or wrong", "status": 401});
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic")], Json(reason)).into_response()
    };
    response.headers_mut().insert(PRODUCT, HeaderValue::from_static("Elasticsearch"));
    if let Some(vendor) = vendor {
        response.headers_mut().insert(header::CONTENT_TYPE, vendor);
    }
    response
}

impl Shared {
    fn knows(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let said = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, said)) = said.and_then(|said| said.split_once(' ')) else { return false };
        let said = match scheme.to_ascii_lowercase().as_str() {
            "basic" => body::password(said),
            "bearer" | "splunk" | "apikey" => Some(said.to_owned()),
            _ => None,
        };
        // Digests are compared, so that how long it takes tells nothing of the token.
        said.is_some_and(|said| Sha256::digest(said).as_slice() == token)
    }

    /// The body of a request, decompressed.
    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refused> {
        let length =
            headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let times = if headers.contains_key(header::CONTENT_ENCODING) { COMPRESSION } else { 1 };
        let bytes = length.map_or(self.limit, |length| length.saturating_mul(times).min(self.limit));
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let Ok(_permit) = self.bodies.try_acquire_many(bytes) else { return Err(Refused::full()) };
        body::read(headers, body, self.limit, self.timeout).await
    }

    /// An origin with the source's own fields after these.
    fn origin(&self, mut fields: Fields) -> Arc<Origin> {
        for (name, value) in self.fields.iter() {
            fields.push(name.to_owned(), value.clone());
        }
        Arc::new(Origin::new(&self.name, fields))
    }

    /// An id for a record that its sender does not name. A sender that repeats a request gets another.
    fn fresh_id(&self) -> RecordId {
        RecordId::at(self.run, self.number.fetch_add(1, Ordering::Relaxed))
    }

    /// Hands records on and waits until all sinks have them.
    async fn deliver(&self, records: Vec<Record>) -> Result<(), Refused> {
        if records.is_empty() {
            return Ok(());
        }
        let acknowledged = self.outlet.try_send(records).map_err(|_| Refused::full())?;
        let later =
            |reason: &str| Refused { status: StatusCode::SERVICE_UNAVAILABLE, reason: reason.to_owned() };
        match timeout(self.timeout, acknowledged.outcome()).await {
            Ok(Outcome::Delivered) => Ok(()),
            Ok(Outcome::Rejected) => Err(Refused {
                status: StatusCode::BAD_REQUEST,
                reason: "a sink refused a record for good".to_owned(),
            }),
            Ok(Outcome::Failed) => Err(later("the records did not reach every sink; send them again")),
            Err(_) => Err(later("the sinks are slow; send the records again")),
        }
    }
}

impl Refused {
    fn full() -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            reason: "too much is in flight; send the records again later".to_owned(),
        }
    }

    fn malformed(reason: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, reason: reason.into() }
    }

    /// An answer with this body.
    fn with(&self, body: serde_json::Value) -> Response {
        let mut response = (self.status, Json(body)).into_response();
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
