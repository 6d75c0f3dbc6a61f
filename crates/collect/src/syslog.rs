//! Syslog from the network: UDP, TCP and TLS, of both generations (RFC 3164, RFC 5424).
//!
//! ```text
//! datagram ──────────────────► Syslog ─► record ─► Outlet
//! stream ─► Frames (lines, or counted octets)
//! ```
//! The protocol knows no acknowledgement. Over TCP a full data plane makes senders wait, and an orderly end delivers what
//! was read; a kill loses what was read and not yet delivered. Over UDP nobody can be told to wait: what finds no place
//! is dropped, counted and named in the log. With a `buffer` both wait on our disk, and survive a kill.

mod frame;
mod held;
mod record;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    mem,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use garde::Validate;
use logrisk_flow::{Acknowledged, Closed, Collected, Fields, Origin, Outcome, Outlet, Record, RecordId};
use logrisk_tls::TlsFiles;
use serde::Deserialize;
use tokio::{io::AsyncReadExt as _, net::UdpSocket, sync::mpsc, task::block_in_place};
use tokio_util::sync::CancellationToken;

use crate::{
    BufferSettings, Source, SourceError,
    buffer::{Buffer, Drain},
    listen::{Duplex, Listener},
    source::run_identity,
};

use frame::{Frame, Frames};
use held::Held;

/// Settings of a `syslog` source: at least one of `udp` and `tcp`.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct SyslogSettings {
    /// Where to listen for datagrams, as `0.0.0.0:514`.
    #[garde(skip)]
    pub udp: Option<SocketAddr>,
    /// Where to listen for connections, as `0.0.0.0:514`, or `0.0.0.0:6514` with TLS.
    #[garde(skip)]
    pub tcp: Option<SocketAddr>,
    /// PEM files for TLS: `certificate`, `key`, and `client_authority` where senders must show a certificate.
    #[garde(skip)]
    pub tls: Option<TlsFiles>,
    /// Connections at once; further ones wait.
    #[garde(range(min = 1, max = 65_536))]
    #[serde(default = "many")]
    pub connections: u32,
    /// A queue on the disk: messages survive a kill, and datagrams wait while sinks are away.
    #[garde(dive)]
    pub buffer: Option<BufferSettings>,
    /// Fields of every record, as `service.environment: production`.
    #[garde(skip)]
    #[serde(default)]
    pub fields: BTreeMap<String, serde_json::Value>,
}

const fn many() -> u32 {
    1024
}

/// What the system is asked to keep of datagrams that we have not read; it gives at most `net.core.rmem_max`.
const SYSTEM_BUFFER: usize = 8 << 20;
/// Largest datagram of IP.
const DATAGRAM: usize = 65_536;
/// Records that travel together.
const BATCH: usize = 4096;
/// Batches whose fate is open.
const OPEN: usize = 1024;
/// How often the system is asked what it dropped.
const LOOK: Duration = Duration::from_secs(5);
/// Datagrams that are still read at the end: a flood has none.
const LAST: usize = 65_536;

/// Listens for syslog.
#[derive(Debug)]
pub struct Syslog {
    name: String,
    settings: SyslogSettings,
    buffers: PathBuf,
}

/// What connections and datagrams share.
#[derive(Clone)]
struct Shared {
    origin: Arc<Origin>,
    /// Names records: unique in this run, and the run in all. No sender repeats itself knowingly.
    run: RecordId,
    number: Arc<AtomicU64>,
    out: Out,
}

/// Where records go: to the data plane, and somebody watches what becomes of them, or to the buffer, which does.
#[derive(Clone)]
enum Out {
    Outlet(Outlet, mpsc::Sender<(usize, Acknowledged)>),
    Buffer(Buffer),
}

impl Syslog {
    /// The source of that name, with its buffer in a file of its own in `buffers`.
    #[must_use]
    pub fn new(name: &str, settings: SyslogSettings, buffers: &Path) -> Self {
        Self { name: name.to_owned(), settings, buffers: buffers.to_owned() }
    }

    /// Whether it could listen now; where.
    ///
    /// # Errors
    /// What [`Source::run`] would end with: the addresses, the certificates.
    pub async fn check(settings: &SyslogSettings) -> Result<String, SourceError> {
        let (socket, listener) = open(settings).await?;
        let udp = socket.and_then(|socket| socket.local_addr().ok()).map(|address| format!("udp {address}"));
        let tcp = listener.map(|listener| format!("tcp {}", listener.address()));
        Ok(udp.into_iter().chain(tcp).collect::<Vec<_>>().join(", "))
    }
}

impl Source for Syslog {
    async fn run(self, outlet: Outlet, stop: CancellationToken) -> Result<(), SourceError> {
        let Self { name, settings, buffers } = self;
        let (socket, listener) = open(&settings).await?;
        if let Some(socket) = &socket {
            let address = socket.local_addr().map_err(SourceError::io("could not listen for datagrams"))?;
            tracing::info!(source = name, %address, "listening for syslog over UDP");
        }
        if let Some(listener) = &listener {
            tracing::info!(source = name, address = %listener.address(), "listening for syslog over TCP");
        }
        let (fates, told) = mpsc::channel(OPEN);
        let collected = Arc::clone(outlet.collected());
        let opened = settings
            .buffer
            .as_ref()
            .map(|buffer| Buffer::open(&buffers, &name, buffer, outlet.collected()))
            .transpose()?;
        let (buffer, drain) = opened.unzip();
        let emptied = Drain::run_some(drain, outlet.clone());
        let shared = Shared {
            origin: Arc::new(Origin::new(&name, settings.fields.into_iter().collect::<Fields>())),
            run: run_identity(&name),
            number: Arc::default(),
            out: buffer.map_or_else(|| Out::Outlet(outlet, fates), Out::Buffer),
        };
        let datagrams = {
            let (shared, stop) = (shared.clone(), stop.clone());
            let held = Held::new(&name, &collected);
            async move {
                if let Some(socket) = socket {
                    shared.receive(&socket, &stop, held).await;
                }
            }
        };
        let connections = async move {
            let Some(listener) = listener else { return };
            let stopped = stop.clone();
            let serve = move |stream, peer: SocketAddr| {
                let (shared, stop) = (shared.clone(), stopped.clone());
                async move {
                    if let Err(error) = shared.serve(stream, peer, stop).await {
                        tracing::debug!(%peer, %error, "a connection ended");
                    }
                }
            };
            listener.serve(stop, serve).await;
        };
        let ((), (), (), emptied) =
            tokio::join!(datagrams, connections, watch(&name, &collected, told), emptied);
        Ok(emptied?)
    }
}

/// Opens the ports of the settings.
async fn open(settings: &SyslogSettings) -> Result<(Option<UdpSocket>, Option<Listener>), SourceError> {
    if settings.udp.is_none() && settings.tcp.is_none() {
        return Err(SourceError::Settings("nothing is listened on; set udp, tcp or both".to_owned()));
    }
    if settings.tls.is_some() && settings.tcp.is_none() {
        return Err(SourceError::Settings("tls is that of tcp; set its address".to_owned()));
    }
    let socket = match settings.udp {
        Some(address) => {
            let what = format!("could not listen on {address} for datagrams; is another server there?");
            let socket = UdpSocket::bind(address).await.map_err(SourceError::io(what))?;
            // The system keeps its own size where it gives no other.
            _ = socket2::SockRef::from(&socket).set_recv_buffer_size(SYSTEM_BUFFER);
            Some(socket)
        }
        None => None,
    };
    let listener = match settings.tcp {
        Some(address) => {
            Some(Listener::bind(address, settings.tls.clone(), &[], settings.connections).await?)
        }
        None => None,
    };
    Ok((socket, listener))
}

/// Names what did not arrive: no sender hears of it.
async fn watch(name: &str, collected: &Collected, mut told: mpsc::Receiver<(usize, Acknowledged)>) {
    while let Some((records, batch)) = told.recv().await {
        if batch.outcome().await == Outcome::Failed {
            collected.dropped.fetch_add(records as u64, Ordering::Relaxed);
            tracing::error!(source = name, records, "records are lost: they did not reach every sink");
        }
    }
}

impl Shared {
    fn record(&self, frame: &Frame, peer: SocketAddr) -> Option<Record> {
        let id = RecordId::at(self.run, self.number.fetch_add(1, Ordering::Relaxed));
        record::of(frame, peer, id, &self.origin)
    }

    /// Hands records on as soon as there is room for them.
    async fn send(&self, records: Vec<Record>) -> Result<(), Closed> {
        if records.is_empty() {
            return Ok(());
        }
        match &self.out {
            Out::Outlet(outlet, fates) => {
                let count = records.len();
                let batch = outlet.send(records).await?;
                fates.send((count, batch)).await.map_err(|_| Closed)
            }
            Out::Buffer(buffer) => buffer.keep(records).await,
        }
    }

    /// Serves one connection to its end, or until `stop`.
    async fn serve(
        &self,
        mut stream: Box<dyn Duplex>,
        peer: SocketAddr,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        let mut frames = Frames::default();
        let mut ended = Ok(());
        loop {
            let open = tokio::select! {
                read = stream.read_buf(frames.buffer()) => read.map(|length| length > 0),
                () = stop.cancelled() => Ok(false),
            };
            let open = open.unwrap_or_else(|error| {
                ended = Err(error);
                false
            });
            let records = block_in_place(|| {
                let whole = std::iter::from_fn(|| frames.cut()).filter_map(|frame| self.record(&frame, peer));
                let mut records: Vec<_> = whole.collect();
                if !open {
                    records.extend(frames.rest().and_then(|frame| self.record(&frame, peer)));
                }
                records
            });
            if self.send(records).await.is_err() || !open {
                return ended;
            }
        }
    }

    /// Receives datagrams until `stop`, and those that came before it. Never waits for the data plane.
    async fn receive(self, socket: &UdpSocket, stop: &CancellationToken, held: Held<'_>) {
        let (sender, mut waiting) = mpsc::unbounded_channel();
        let mut look = tokio::time::interval(LOOK);
        let receive = async {
            let mut buffer = vec![0; DATAGRAM];
            let mut last = 0..LAST;
            while !stop.is_cancelled() || last.next().is_some() {
                let received = tokio::select! {
                    received = socket.recv_from(&mut buffer) => received,
                    _ = look.tick() => {
                        held.look(socket);
                        continue;
                    }
                    () = stop.cancelled() => socket.try_recv_from(&mut buffer),
                };
                let (length, peer) = match received {
                    Ok(received) => received,
                    Err(_) if stop.is_cancelled() => break,
                    // What an earlier answer of ours met on its way; there are none, but the system may say so.
                    Err(error) => {
                        tracing::debug!(%error, "no datagram");
                        continue;
                    }
                };
                let frame = Frame::whole(buffer.get(..length).unwrap_or_default());
                let Some(record) = self.record(&frame, peer) else { continue };
                if held.take(record.bytes()) {
                    _ = sender.send(record);
                } else {
                    held.drop_some(1);
                }
            }
            held.look(socket);
            drop(sender);
        };
        let hand_on = async {
            let mut batch = Vec::new();
            while waiting.recv_many(&mut batch, BATCH).await > 0 {
                let records = mem::take(&mut batch);
                let (count, bytes) = (records.len(), records.iter().map(Record::bytes).sum());
                let sent = match &self.out {
                    Out::Buffer(buffer) => buffer.offer(records).await.map(|dropped| held.drop_some(dropped)),
                    Out::Outlet(..) => self.send(records).await,
                };
                if sent.is_err() {
                    return;
                }
                held.give_back(count, bytes);
            }
        };
        tokio::join!(receive, hand_on);
    }
}
