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
//!
//! A sender that hears no answer sends its request again, so records keep their ids then: Elasticsearch's `_id`, Loki's
//! stream, nanosecond and line, and for what a sender does not name, its address, its body and the place in it. So a
//! body without times or ids that one sender sends twice on purpose is one document in a sink that goes by ids. That is
//! the price: telling it from a repetition takes a time or an id in the body, which loggers write.

pub(crate) mod body;
mod bulk;
mod connection;
mod hec;
mod lines;
mod loki;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

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
use logrisk_flow::{Fields, Origin, Outcome, Outlet, Record, Secret};
use logrisk_tls::TlsFiles;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{Source, SourceError, listen::Listener};
use body::Sent;
use connection::Peer;

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
    /// PEM files for TLS: `certificate`, `key`, and `client_authority` where senders must show a certificate.
    #[garde(skip)]
    pub tls: Option<TlsFiles>,
    /// Connections at once; further ones wait.
    #[garde(range(min = 1, max = 65_536))]
    #[serde(default = "many")]
    pub connections: u32,
    /// How long the headers of a request may take, and a sender may be silent between two requests.
    #[garde(range(min = 1, max = 3600))]
    #[serde(default = "sixty")]
    pub idle_secs: u32,
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

/// What the handlers of requests share, also those of `otlp`.
pub(crate) struct Shared {
    name: String,
    fields: Fields,
    outlet: Outlet,
    token: Option<[u8; 32]>,
    /// Bytes that a body may have, sent and decompressed.
    pub(crate) limit: usize,
    pub(crate) timeout: Duration,
    /// Bytes of bodies that are read.
    bodies: Semaphore,
}

/// Why a request's records were not taken. Every dialect says it in its own words.
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) reason: String,
}

impl Http {
    /// The source of that name.
    #[must_use]
    pub fn new(name: &str, settings: HttpSettings) -> Self {
        Self { name: name.to_owned(), settings }
    }

    /// Whether it could listen now; where.
    ///
    /// # Errors
    /// What [`Source::run`] would end with: the address, the certificates, the token.
    pub async fn check(settings: &HttpSettings) -> Result<String, SourceError> {
        settings.token.as_ref().map(Secret::reveal).transpose().map_err(SourceError::Settings)?;
        let listener = Listener::bind(settings.address, settings.tls.clone(), &[], 1).await?;
        Ok(listener.address().to_string())
    }
}

impl Source for Http {
    async fn run(self, outlet: Outlet, stop: CancellationToken) -> Result<(), SourceError> {
        let Self { name, settings } = self;
        let authenticated = settings.token.is_some()
            || settings.tls.as_ref().is_some_and(|tls| tls.client_authority.is_some());
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        let listener =
            Listener::bind(settings.address, settings.tls, &["http/1.1"], settings.connections).await?;
        let address = listener.address();
        tracing::info!(source = name, %address, "listening on {scheme}://{address}");
        if !address.ip().is_loopback() && !authenticated {
            tracing::warn!(
                source = name,
                "everybody who reaches {address} may send; set token or tls.client_authority"
            );
        }
        let idle = Duration::from_secs(settings.idle_secs.into());
        let patience = Duration::from_secs(settings.timeout_secs.into());
        let shared = Shared::new(
            &name,
            outlet,
            settings.token.as_ref(),
            settings.body_mebibytes,
            settings.timeout_secs,
            settings.fields,
        )?;
        let router = router(shared);
        let stopped = stop.clone();
        let serve = move |stream, peer| {
            connection::serve(stream, peer, router.clone(), idle, patience, stopped.clone())
        };
        listener.serve(stop, serve).await;
        Ok(())
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
    /// What the handlers of a source share.
    ///
    /// # Errors
    /// A token that is not where it should be.
    pub(crate) fn new(
        name: &str,
        outlet: Outlet,
        token: Option<&Secret>,
        body_mebibytes: u32,
        timeout_secs: u32,
        fields: BTreeMap<String, serde_json::Value>,
    ) -> Result<Arc<Self>, SourceError> {
        let token = token.map(Secret::reveal).transpose().map_err(SourceError::Settings)?;
        let limit = (body_mebibytes as usize) << 20;
        Ok(Arc::new(Self {
            fields: fields.into_iter().collect(),
            name: name.to_owned(),
            outlet,
            token: token.map(|token| Sha256::digest(token).into()),
            limit,
            timeout: Duration::from_secs(u64::from(timeout_secs)),
            bodies: Semaphore::new(BODIES * limit),
        }))
    }

    pub(crate) fn knows(&self, headers: &HeaderMap) -> bool {
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

    /// Room for what a request holds while it is read, in bytes; it is given back on drop.
    ///
    /// # Errors
    /// When others hold too much.
    pub(crate) fn room(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Refused> {
        let bytes = u32::try_from(bytes.min(BODIES * self.limit)).unwrap_or(u32::MAX);
        self.bodies.try_acquire_many(bytes).map_err(|_| Refused::full())
    }

    /// Room for a body of that length; a compressed one takes more, but no more than the largest.
    pub(crate) fn room_for_body(
        &self,
        length: usize,
        is_compressed: bool,
    ) -> Result<SemaphorePermit<'_>, Refused> {
        let times = if is_compressed { COMPRESSION } else { 1 };
        self.room(length.saturating_mul(times).min(self.limit))
    }

    /// What a request brings, decompressed.
    async fn read(&self, request: Request) -> Result<Sent, Refused> {
        let sender = request.extensions().get().map_or_else(String::new, |Peer(address)| address.to_string());
        let (head, body) = request.into_parts();
        Ok(Sent::by(&sender, self.read_body(&head.headers, body).await?))
    }

    /// The body of a request, decompressed.
    pub(crate) async fn read_body(&self, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refused> {
        let length =
            headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let length = length.unwrap_or(self.limit);
        let _room = self.room_for_body(length, headers.contains_key(header::CONTENT_ENCODING))?;
        body::read(headers, body, self.limit, self.timeout).await
    }

    /// An origin with the source's own fields after these.
    pub(crate) fn origin(&self, mut fields: Fields) -> Arc<Origin> {
        for (name, value) in self.fields.iter() {
            fields.push(name.to_owned(), value.clone());
        }
        Arc::new(Origin::new(&self.name, fields))
    }

    /// Hands records on and waits until all sinks have them.
    async fn deliver(&self, records: Vec<Record>) -> Result<(), Refused> {
        match self.deliver_what_may_be(records).await? {
            0 => Ok(()),
            _ => Err(Refused {
                status: StatusCode::BAD_REQUEST,
                reason: "a sink refused a record for good".to_owned(),
            }),
        }
    }

    /// Hands records on and waits until all sinks have them, but those that a sink refuses for good; tells how many.
    pub(crate) async fn deliver_what_may_be(&self, records: Vec<Record>) -> Result<u32, Refused> {
        if records.is_empty() {
            return Ok(0);
        }
        let acknowledged = self.outlet.try_send(records).map_err(|_| Refused::full())?;
        let later =
            |reason: &str| Refused { status: StatusCode::SERVICE_UNAVAILABLE, reason: reason.to_owned() };
        match timeout(self.timeout, acknowledged.told()).await {
            Ok((Outcome::Delivered, _)) => Ok(0),
            Ok((Outcome::Rejected, refused)) => Ok(refused.max(1)),
            Ok((Outcome::Failed, _)) => Err(later("the records did not reach every sink; send them again")),
            Err(_) => Err(later("the sinks are slow; send the records again")),
        }
    }
}

impl Refused {
    pub(crate) fn full() -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            reason: "too much is in flight; send the records again later".to_owned(),
        }
    }

    pub(crate) fn malformed(reason: impl Into<String>) -> Self {
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
