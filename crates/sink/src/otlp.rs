//! OpenTelemetry's protocol: scored records on to a Collector, or to whatever else takes OTLP, by gRPC or HTTP.
//!
//! ```text
//! events ─► resources ─► scopes ─► log records ─► gzip ─► endpoint ─┬─ success: written
//!                                                                   ├─ unavailable, busy, not allowed: again, later
//!                                                                   └─ refused, all or some: the dead letters
//! ```
//! A record's id goes along as `log.record.uid`: those of the same id are the same record, says the convention, so that a
//! redelivery can be told.
//!
//! A receiver that refuses some records of a request does not say which, and forbids to send them again. So the
//! dead letters keep the whole request: what was taken may come twice by a replay, but nothing is lost.

mod client;
mod request;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use garde::Validate;
use logrisk_flow::{Event, Secret};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;
use serde::Deserialize;

use crate::{Gather, Rejected, Sink, SinkError, Written};

use client::{Client, Said};

/// Settings of an `otlp` sink.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct OtlpSettings {
    /// Where to send: `http://collector:4317`, or `https://…` for TLS. By HTTP `/v1/logs` is added.
    #[garde(custom(is_endpoint))]
    pub endpoint: String,
    /// `grpc`, or `http` for protobuf over HTTP.
    #[garde(skip)]
    #[serde(default = "grpc")]
    pub protocol: Protocol,
    /// Headers of each request, as `authorization` or a vendor's API key; each a secret.
    #[garde(skip)]
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// `gzip` or `none`.
    #[garde(skip)]
    #[serde(default = "gzip")]
    pub compression: Compression,
    /// PEM file with the authority of the server's certificate, if the system does not know it.
    #[garde(skip)]
    pub certificate_authority: Option<PathBuf>,
    /// PEM file with our certificate and its key, for servers that ask for one.
    #[garde(skip)]
    pub identity: Option<PathBuf>,
    /// Largest request before compression; receivers by gRPC take 4 MiB unless they are told otherwise.
    #[garde(range(min = 1, max = 64))]
    #[serde(default = "three")]
    pub body_mebibytes: u32,
    /// Requests at the same time.
    #[garde(range(min = 1, max = 64))]
    #[serde(default = "two")]
    pub requests: u32,
    /// How long a request may take.
    #[garde(range(min = 1, max = 600))]
    #[serde(default = "thirty")]
    pub timeout_secs: u32,
}

/// How requests travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP.
    Http,
}

/// How requests are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// By gzip, which every receiver must take.
    Gzip,
    /// Not at all.
    None,
}

const fn grpc() -> Protocol {
    Protocol::Grpc
}

const fn gzip() -> Compression {
    Compression::Gzip
}

const fn three() -> u32 {
    3
}

const fn two() -> u32 {
    2
}

const fn thirty() -> u32 {
    30
}

fn is_endpoint(text: &str, _: &()) -> garde::Result {
    let parsed = reqwest::Url::parse(text);
    if parsed.as_ref().is_ok_and(|url| !url.username().is_empty() || url.password().is_some()) {
        return Err(garde::Error::new("an endpoint holds no user or password; put authorization in headers"));
    }
    let valid = parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    valid
        .then_some(())
        .ok_or_else(|| garde::Error::new(format!("{text:?} is no endpoint; write http://HOST:4317")))
}

/// Sends to one endpoint.
pub struct Otlp {
    settings: OtlpSettings,
    client: Client,
}

impl Otlp {
    /// A sink with these settings. Nothing is sent yet: a server that is down now is waited for.
    ///
    /// # Errors
    /// A sentence about a secret or a certificate that is missing.
    pub fn open(settings: OtlpSettings) -> Result<Self, String> {
        Ok(Self { client: Client::open(&settings)?, settings })
    }

    /// Sends a request without records, which every receiver answers.
    ///
    /// # Errors
    /// Why it was not answered well.
    pub async fn check(&self) -> Result<String, SinkError> {
        let nothing = self.client.pack(ExportLogsServiceRequest::default().encode_to_vec())?;
        match self.client.send(nothing).await? {
            Said::Refused(reason) => Err(SinkError::Unavailable(reason)),
            Said::Taken { .. } => Ok(format!("{} takes logs", self.settings.endpoint)),
        }
    }
}

impl Sink for Otlp {
    fn gather(&self) -> Gather {
        Gather {
            // The verdict's attributes are about as long as a record; the body's own bound is kept by `write`.
            bytes: (self.settings.body_mebibytes as usize) << 19,
            events: 8_192,
            linger: Duration::from_millis(100),
            writes: self.settings.requests as usize,
        }
    }

    async fn write(&self, events: &[Event<'_>]) -> Result<Written, SinkError> {
        let packed = tokio::task::block_in_place(|| {
            let message = request::of(events).encode_to_vec();
            if message.len() > (self.settings.body_mebibytes as usize) << 20 && events.len() > 1 {
                return Err(SinkError::TooLarge("the request is over body_mebibytes".to_owned()));
            }
            self.client.pack(message)
        })?;
        let reason = match self.client.send(packed).await? {
            Said::Taken { refused: 0, warning } => {
                if !warning.is_empty() {
                    tracing::warn!(warning, "the receiver took all records, and warns");
                }
                return Ok(Written::default());
            }
            Said::Taken { refused, warning } => {
                format!("{refused} of {} records were refused, unknown which: {warning}", events.len())
            }
            Said::Refused(reason) => reason,
        };
        let refused = |index| Rejected { index, reason: reason.clone() };
        Ok(Written { rejected: (0..events.len()).map(refused).collect(), again: Vec::new() })
    }
}
