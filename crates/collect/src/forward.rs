//! The Fluent forward protocol, as Fluent Bit, Fluentd and their loggers speak it.
//!
//! ```text
//! TCP or TLS ─► HELO, PING, PONG (with a shared key) ─► frames ─► records ─► Outlet
//!                                                        └ option "chunk" ◄─ {"ack": chunk}, once all sinks have it
//! ```
//! All four modes are read: message, forward, packed forward, and compressed packed forward (gzip, zstd). A sender with
//! `require_ack_response` loses nothing: a chunk that was not acknowledged comes again under the same name, and its
//! records under the same ids.
//!
//! Each connection has a thread: shippers keep few connections and hold them, and frames of any depth can be read from a
//! blocking stream without reading any byte twice.

mod frame;
mod handshake;

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use garde::Validate;
use logrisk_flow::{Closed, Fields, Origin, Outcome, Outlet, Record, RecordId, Secret};
use rmpv::{Value, decode::read_value};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::{
    Source, SourceError, TlsSettings,
    listen::{Connection, Listener},
    source::{blocking, run_identity},
};

use frame::Frame;

/// Settings of a `forward` source.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ForwardSettings {
    /// Where to listen: `0.0.0.0:24224` for all networks, and then with a shared key.
    #[garde(skip)]
    pub address: SocketAddr,
    /// The key that senders must know (`Shared_Key`, `shared_key`).
    #[garde(skip)]
    pub shared_key: Option<Secret>,
    /// PEM files, for senders that speak TLS.
    #[garde(skip)]
    pub tls: Option<TlsSettings>,
    /// Largest frame, as sent and as decompressed.
    #[garde(range(min = 1, max = 1024))]
    #[serde(default = "thirty_two")]
    pub frame_mebibytes: u32,
    /// Connections at once.
    #[garde(range(min = 1, max = 4096))]
    #[serde(default = "many")]
    pub connections: u32,
    /// Fields of every record, as `service.environment: production`.
    #[garde(skip)]
    #[serde(default)]
    pub fields: BTreeMap<String, serde_json::Value>,
}

const fn thirty_two() -> u32 {
    32
}

const fn many() -> u32 {
    512
}

/// How long the handshake may take; afterwards a connection may idle.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Listens for the forward protocol.
#[derive(Debug)]
pub struct Forward {
    name: String,
    settings: ForwardSettings,
}

struct Shared {
    name: String,
    fields: Fields,
    key: Option<String>,
    limit: u64,
    outlet: Outlet,
    runtime: Handle,
    run: RecordId,
    number: AtomicU64,
}

impl Forward {
    /// The source of that name.
    #[must_use]
    pub fn new(name: &str, settings: ForwardSettings) -> Self {
        Self { name: name.to_owned(), settings }
    }
}

impl Source for Forward {
    async fn run(self, outlet: Outlet, stop: CancellationToken) -> Result<(), SourceError> {
        let runtime = Handle::current();
        blocking(move || serve(self, outlet, &stop, runtime)).await
    }
}

fn serve(
    forward: Forward,
    outlet: Outlet,
    stop: &CancellationToken,
    runtime: Handle,
) -> Result<(), SourceError> {
    let Forward { name, settings } = forward;
    let key = settings.shared_key.map(|key| key.reveal()).transpose().map_err(SourceError::Settings)?;
    let address = settings.address;
    let listener = Listener::bind(address, settings.tls.as_ref(), settings.connections)
        .map_err(SourceError::Settings)?;
    let bound = listener.address().unwrap_or(address);
    tracing::info!(source = name, "listening on tcp://{bound}");
    if !bound.ip().is_loopback() && key.is_none() {
        tracing::warn!(source = name, "everybody who reaches {bound} may send; set a shared_key");
    }
    let shared = Shared {
        run: run_identity(&name),
        name,
        fields: settings.fields.into_iter().collect(),
        key,
        limit: u64::from(settings.frame_mebibytes) << 20,
        outlet,
        runtime,
        number: AtomicU64::new(0),
    };
    listener.serve(stop, HANDSHAKE, |stream, socket| shared.speak(stream, socket));
    Ok(())
}

impl Shared {
    fn speak(&self, stream: Box<dyn Connection>, socket: &TcpStream) -> io::Result<()> {
        let mut stream = BufReader::with_capacity(64 << 10, stream);
        if let Some(key) = &self.key {
            handshake::serve(&mut stream, key)?;
        }
        socket.set_read_timeout(None)?;
        loop {
            let mut limited = (&mut stream).take(self.limit);
            let value = match read_value(&mut limited) {
                Ok(value) => value,
                Err(_) if limited.limit() == self.limit => return Ok(()),
                Err(error) => return Err(io::Error::other(error)),
            };
            // Fluentd sends nil as a sign of life.
            if value.is_nil() {
                continue;
            }
            let frame = Frame::read(value, self.limit)
                .map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason))?;
            if let Some(chunk) = self.deliver(frame)? {
                let ack = Value::Map(vec![("ack".into(), chunk.into())]);
                rmpv::encode::write_value(stream.get_mut(), &ack).map_err(io::Error::other)?;
                stream.get_mut().flush()?;
            }
        }
    }

    /// Hands a frame's records on; the chunk to acknowledge once all sinks have them.
    fn deliver(&self, frame: Frame) -> io::Result<Option<String>> {
        let Frame { tag, entries, chunk } = frame;
        let mut fields = Fields::default();
        fields.push("fluent.tag", tag);
        for (name, value) in self.fields.iter() {
            fields.push(name.to_owned(), value.clone());
        }
        let origin = Arc::new(Origin::new(&self.name, fields));
        let named = chunk.as_ref().map(|chunk| RecordId::of(chunk.as_bytes()));
        let records: Vec<_> = entries
            .into_iter()
            .enumerate()
            .map(|(index, (time, told))| Record {
                id: match named {
                    Some(chunk) => RecordId::at(chunk, index as u64),
                    None => RecordId::at(self.run, self.number.fetch_add(1, Ordering::Relaxed)),
                },
                time: time.or(told.time),
                level: told.level,
                body: told.body,
                origin: Arc::clone(&origin),
                fields: told.fields,
            })
            .collect();
        if records.is_empty() {
            return Ok(chunk);
        }
        let outcome = self.runtime.block_on(async {
            match self.outlet.send(records).await {
                // Without a chunk nobody waits for an answer; that TCP makes the sender wait is all there is.
                Ok(_) if chunk.is_none() => Outcome::Delivered,
                Ok(acknowledged) => acknowledged.outcome().await,
                Err(Closed) => Outcome::Failed,
            }
        });
        match outcome {
            Outcome::Delivered | Outcome::Rejected => Ok(chunk),
            Outcome::Failed => Err(io::Error::other("the records did not reach every sink")),
        }
    }
}
