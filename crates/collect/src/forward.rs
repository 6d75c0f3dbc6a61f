//! The Fluent forward protocol, as Fluent Bit, Fluentd, Docker and Fluent's loggers speak it.
//!
//! ```text
//! TCP or TLS ─► HELO, PING, PONG (with a shared key) ─► messages ─► records ─► Outlet
//!                                                          chunk ◄─ {"ack": chunk}, once all sinks have them
//! ```
//! A sender that asks for acknowledgements (`require_ack_response`) loses nothing: a chunk that was not acknowledged comes
//! again under its name, and its records under their ids. Of one that does not ask, what was on its way at a kill is lost,
//! or with a `buffer` waits on our disk.
//!
//! Memory: a connection that idles keeps 16 KiB. Frames beyond 64 KiB and messages being decoded wait for one of
//! [`PLACES`] places each, so that what senders can make us hold is a few frames, however many connections they open.

mod connection;
mod handshake;
mod message;
mod msgpack;
mod record;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use garde::Validate;
use logrisk_flow::{Fields, Origin, Outlet, RecordId, Secret};
use logrisk_tls::TlsFiles;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    BufferSettings, Source, SourceError,
    buffer::{Buffer, Drain},
    listen::Listener,
    source::run_identity,
};

use connection::Ended;
use handshake::Security;
pub use message::{Entry, Message, Refused};

/// Settings of a `forward` source.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ForwardSettings {
    /// Where to listen: `0.0.0.0:24224` for all networks, and then with a shared key.
    #[garde(skip)]
    pub address: SocketAddr,
    /// PEM files for TLS: `certificate`, `key`, and `client_authority` where senders must show a certificate.
    #[garde(skip)]
    pub tls: Option<TlsFiles>,
    /// The key that senders must know (`Shared_Key`, `shared_key`).
    #[garde(skip)]
    pub shared_key: Option<Secret>,
    /// Passwords by user, for senders that must name one besides the key.
    #[garde(skip)]
    #[serde(default)]
    pub users: BTreeMap<String, Secret>,
    /// Largest message, as sent and as decompressed.
    #[garde(range(min = 1, max = 1024))]
    #[serde(default = "sixteen")]
    pub frame_mebibytes: u32,
    /// How long a message may take to arrive, and an acknowledgement to be taken.
    #[garde(range(min = 1, max = 3600))]
    #[serde(default = "sixty")]
    pub timeout_secs: u32,
    /// Connections at once; further ones wait.
    #[garde(range(min = 1, max = 65_536))]
    #[serde(default = "many")]
    pub connections: u32,
    /// A queue on the disk for senders that ask for no acknowledgements: their records survive a kill.
    #[garde(dive)]
    pub buffer: Option<BufferSettings>,
    /// Fields of every record, as `service.environment: production`.
    #[garde(skip)]
    #[serde(default)]
    pub fields: BTreeMap<String, serde_json::Value>,
}

const fn sixteen() -> u32 {
    16
}

const fn sixty() -> u32 {
    60
}

const fn many() -> u32 {
    1024
}

/// Large frames that are read at once, and messages that are decoded at once: as many threads as feed a scoring machine.
const PLACES: usize = 4;

/// Listens for the forward protocol.
#[derive(Debug)]
pub struct Forward {
    name: String,
    settings: ForwardSettings,
    buffers: PathBuf,
}

/// What the connections share.
struct Shared {
    name: String,
    fields: Fields,
    security: Option<Security>,
    limit: usize,
    patience: Duration,
    large: Semaphore,
    turns: Semaphore,
    /// Names records of senders that name no chunks: unique in this run, and the run in all.
    run: RecordId,
    number: AtomicU64,
    buffer: Option<Buffer>,
}

impl Forward {
    /// The source of that name, with its buffer in a file of its own in `buffers`.
    #[must_use]
    pub fn new(name: &str, settings: ForwardSettings, buffers: &Path) -> Self {
        Self { name: name.to_owned(), settings, buffers: buffers.to_owned() }
    }

    /// Whether it could listen now; where.
    ///
    /// # Errors
    /// What [`Source::run`] would end with: the address, the certificates, key and passwords.
    pub async fn check(settings: &ForwardSettings) -> Result<String, SourceError> {
        Security::of(settings.shared_key.as_ref(), &settings.users).map_err(SourceError::Settings)?;
        let listener = Listener::bind(settings.address, settings.tls.clone(), &[], 1).await?;
        Ok(listener.address().to_string())
    }
}

impl Source for Forward {
    async fn run(self, outlet: Outlet, stop: CancellationToken) -> Result<(), SourceError> {
        let Self { name, settings, buffers } = self;
        let security =
            Security::of(settings.shared_key.as_ref(), &settings.users).map_err(SourceError::Settings)?;
        let authenticated =
            security.is_some() || settings.tls.as_ref().is_some_and(|tls| tls.client_authority.is_some());
        let listener = Listener::bind(settings.address, settings.tls, &[], settings.connections).await?;
        let address = listener.address();
        tracing::info!(source = name, %address, "listening for the forward protocol");
        if !address.ip().is_loopback() && !authenticated {
            tracing::warn!(
                source = name,
                "everybody who reaches {address} may send; set shared_key or tls.client_authority"
            );
        }
        let opened = settings
            .buffer
            .as_ref()
            .map(|buffer| Buffer::open(&buffers, &name, buffer, outlet.collected()))
            .transpose()?;
        let (buffer, drain) = opened.unzip();
        let shared = Arc::new(Shared {
            run: run_identity(&name),
            name,
            fields: settings.fields.into_iter().collect(),
            security,
            limit: (settings.frame_mebibytes as usize) << 20,
            patience: Duration::from_secs(settings.timeout_secs.into()),
            large: Semaphore::new(PLACES),
            turns: Semaphore::new(PLACES),
            number: AtomicU64::new(0),
            buffer,
        });
        let emptied = Drain::run_some(drain, outlet.clone());
        let stopped = stop.clone();
        let served = listener.serve(stop, move |stream, peer| {
            let (shared, outlet, stop) = (Arc::clone(&shared), outlet.clone(), stopped.clone());
            async move {
                match connection::serve(stream, &shared, outlet, stop).await {
                    Ok(()) => {}
                    // Senders come and go; only what a person can mend is worth a line.
                    Err(error @ (Ended::Io(_) | Ended::Closed)) => {
                        tracing::debug!(source = shared.name, %peer, %error, "a connection ended");
                    }
                    Err(error) => {
                        tracing::warn!(source = shared.name, %peer, %error, "a connection was closed");
                    }
                }
            }
        });
        let ((), emptied) = tokio::join!(served, emptied);
        Ok(emptied?)
    }
}

impl Shared {
    /// What the records of a tag share.
    fn origin(&self, tag: &str) -> Arc<Origin> {
        let mut fields = Fields::default();
        fields.push("fluent.tag", tag);
        for (name, value) in self.fields.iter() {
            fields.push(name.to_owned(), value.clone());
        }
        Arc::new(Origin::new(&self.name, fields))
    }

    fn fresh_id(&self) -> RecordId {
        RecordId::at(self.run, self.number.fetch_add(1, Ordering::Relaxed))
    }
}
