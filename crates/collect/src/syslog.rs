//! Syslog: RFC 3164 and 5424 over UDP, TCP and TLS, framed by newlines or by counted octets (RFC 6587).
//!
//! Syslog has no acknowledgements. Over TCP a slow sink makes the sender wait, and an orderly end loses nothing; a kill
//! loses what was received and not yet written. Over UDP nobody can be told to wait: what does not fit is dropped, counted
//! and said. Senders that must lose nothing speak `forward` or `http`.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use garde::Validate;
use jiff::Timestamp;
use logrisk_base::Level;
use logrisk_enrich::parse;
use logrisk_flow::{Fields, Origin, Outlet, Record, RecordId};
use serde::Deserialize;
use syslog_loose::{Message, ProcId, SyslogSeverity, Variant, parse_message};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::{
    Source, SourceError, TlsSettings,
    listen::{Connection, Listener},
    source::{blocking, run_identity},
};

/// Settings of a `syslog` source.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct SyslogSettings {
    /// Where to listen: `0.0.0.0:514` for all networks.
    #[garde(skip)]
    pub address: SocketAddr,
    /// `udp`, `tcp` or `both`.
    #[garde(skip)]
    #[serde(default)]
    pub protocol: Protocol,
    /// For senders that speak TLS, over TCP.
    #[garde(skip)]
    pub tls: Option<TlsSettings>,
    /// Largest message; a longer one is cut.
    #[garde(range(min = 1, max = 16384))]
    #[serde(default = "kibibytes")]
    pub message_kibibytes: u32,
    /// TCP connections at once.
    #[garde(range(min = 1, max = 4096))]
    #[serde(default = "many")]
    pub connections: u32,
    /// Fields of every record, as `service.environment: production`.
    #[garde(skip)]
    #[serde(default)]
    pub fields: BTreeMap<String, serde_json::Value>,
}

/// How messages arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// One message a datagram.
    Udp,
    /// A stream of messages.
    Tcp,
    /// Both, on one port.
    #[default]
    Both,
}

/// A datagram's largest, and rsyslog's usual limit eight times over.
const fn kibibytes() -> u32 {
    64
}

const fn many() -> u32 {
    512
}

/// A message waits so long for others to travel with.
const LINGER: Duration = Duration::from_millis(100);
/// Messages that travel together.
const TOGETHER: usize = 1000;
/// A connection may be silent for so long.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How often losses are said.
const SAY: Duration = Duration::from_secs(10);

/// Listens for syslog.
#[derive(Debug)]
pub struct Syslog {
    name: String,
    settings: SyslogSettings,
}

struct Shared {
    name: String,
    fields: Fields,
    limit: usize,
    outlet: Outlet,
    runtime: Handle,
    run: RecordId,
    number: AtomicU64,
}

impl Syslog {
    /// The source of that name.
    #[must_use]
    pub fn new(name: &str, settings: SyslogSettings) -> Self {
        Self { name: name.to_owned(), settings }
    }
}

impl Source for Syslog {
    async fn run(self, outlet: Outlet, stop: CancellationToken) -> Result<(), SourceError> {
        let runtime = Handle::current();
        blocking(move || serve(self, outlet, &stop, runtime)).await
    }
}

fn serve(
    syslog: Syslog,
    outlet: Outlet,
    stop: &CancellationToken,
    runtime: Handle,
) -> Result<(), SourceError> {
    let Syslog { name, settings } = syslog;
    let tcp = (settings.protocol != Protocol::Udp)
        .then(|| Listener::bind(settings.address, settings.tls.as_ref(), settings.connections))
        .transpose()
        .map_err(SourceError::Settings)?;
    // Port 0 is any; both protocols then share the one that TCP got.
    let address = tcp.as_ref().and_then(|tcp| tcp.address().ok()).unwrap_or(settings.address);
    let udp = (settings.protocol != Protocol::Tcp)
        .then(|| {
            let socket = UdpSocket::bind(address)?;
            socket.set_read_timeout(Some(LINGER))?;
            io::Result::Ok(socket)
        })
        .transpose()
        .map_err(SourceError::io(format!("could not listen on {address}; is another server there?")))?;
    let bound = udp.as_ref().and_then(|udp| udp.local_addr().ok()).unwrap_or(address);
    tracing::info!(source = name, "listening on syslog://{bound}");
    let shared = Shared {
        fields: settings.fields.into_iter().collect(),
        run: run_identity(&name),
        name,
        limit: (settings.message_kibibytes as usize) << 10,
        outlet,
        runtime,
        number: AtomicU64::new(0),
    };
    thread::scope(|scope| {
        if let Some(udp) = &udp {
            scope.spawn(|| shared.datagrams(udp, stop));
        }
        if let Some(tcp) = &tcp {
            tcp.serve(stop, PATIENCE, |stream, socket| shared.stream(stream, socket));
        }
    });
    Ok(())
}

impl Shared {
    fn origin(&self, peer: Option<SocketAddr>) -> Arc<Origin> {
        let mut fields = self.fields.clone();
        if let Some(peer) = peer {
            fields.push("source.ip", peer.ip().to_string());
        }
        Arc::new(Origin::new(&self.name, fields))
    }

    fn datagrams(&self, socket: &UdpSocket, stop: &CancellationToken) {
        let mut buffer = vec![0; 65_536];
        let mut records = Vec::new();
        let mut since = Instant::now();
        let (mut dropped, mut said) = (0_u64, Instant::now());
        let mut origin: Option<(SocketAddr, Arc<Origin>)> = None;
        while !stop.is_cancelled() {
            if let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                let origin = match &origin {
                    Some((last, origin)) if *last == peer => Arc::clone(origin),
                    _ => Arc::clone(&origin.insert((peer, self.origin(Some(peer)))).1),
                };
                let message = buffer.get(..length.min(self.limit)).unwrap_or_default();
                if records.is_empty() {
                    since = Instant::now();
                }
                records.extend(self.record(message, &origin));
            }
            if !records.is_empty() && (records.len() >= TOGETHER || since.elapsed() >= LINGER) {
                let count = records.len() as u64;
                if self.outlet.try_send(std::mem::take(&mut records)).is_err() {
                    dropped += count;
                }
            }
            if dropped > 0 && said.elapsed() >= SAY {
                tracing::error!(
                    source = self.name,
                    messages = dropped,
                    "sinks are slow and UDP cannot wait: messages were dropped"
                );
                (dropped, said) = (0, Instant::now());
            }
        }
        if !records.is_empty() && self.outlet.try_send(records).is_err() {
            tracing::error!(source = self.name, "the last messages were dropped");
        }
        if dropped > 0 {
            tracing::error!(source = self.name, messages = dropped, "messages were dropped");
        }
    }

    fn stream(&self, stream: Box<dyn Connection>, socket: &TcpStream) -> io::Result<()> {
        let origin = self.origin(socket.peer_addr().ok());
        let mut reader = BufReader::with_capacity(64 << 10, stream);
        let mut message = Vec::new();
        let mut records = Vec::new();
        loop {
            message.clear();
            let more = next_message(&mut reader, self.limit, &mut message)?;
            records.extend(self.record(&message, &origin));
            // A reader that holds nothing would wait: what there is goes first.
            let full = records.len() >= TOGETHER || !more || !holds_message(reader.buffer());
            if full && !records.is_empty() {
                let sent = self.runtime.block_on(self.outlet.send(std::mem::take(&mut records)));
                sent.map_err(|_| io::Error::other("the data plane has ended"))?;
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// The record of a message; an empty one is none.
    fn record(&self, message: &[u8], origin: &Arc<Origin>) -> Option<Record> {
        let text = String::from_utf8_lossy(message);
        let text = text.trim_matches(['\n', '\r', '\0', ' ']);
        if text.is_empty() {
            return None;
        }
        let Message {
            severity,
            timestamp,
            hostname,
            appname,
            procid,
            msgid,
            structured_data,
            msg,
            facility,
            ..
        } = parse_message(text, Variant::Either);
        let mut fields = Fields::default();
        let named = [("host.name", hostname), ("process.name", appname), ("log.syslog.msgid", msgid)];
        for (name, value) in named {
            if let Some(value) = value {
                fields.push(name, value);
            }
        }
        match procid {
            Some(ProcId::PID(number)) => fields.push("process.pid", number),
            Some(ProcId::Name(name)) => fields.push("log.syslog.procid", name),
            None => {}
        }
        if let Some(facility) = facility {
            fields.push("log.syslog.facility.name", facility.as_str());
        }
        for element in structured_data {
            for (name, value) in element.params() {
                fields.push(format!("log.syslog.structured_data.{}.{name}", element.id), value.to_owned());
            }
        }
        let time = timestamp.and_then(|time| {
            Timestamp::new(time.timestamp(), i32::try_from(time.timestamp_subsec_nanos()).ok()?).ok()
        });
        Some(Record {
            id: RecordId::at(self.run, self.number.fetch_add(1, Ordering::Relaxed)),
            time,
            level: severity.and_then(level),
            body: msg.trim().to_owned(),
            origin: Arc::clone(origin),
            fields,
        })
    }
}

fn level(severity: SyslogSeverity) -> Option<Level> {
    parse::level(severity.as_str())
}

/// Whether a message can be read without waiting.
fn holds_message(buffer: &[u8]) -> bool {
    match buffer.first() {
        Some(b'0'..=b'9') => !buffer.is_empty(),
        _ => buffer.contains(&b'\n'),
    }
}

/// Reads the next message, up to the limit; `false` at the end of the stream. A message that begins with a digit has its
/// octets counted, any other ends with its line.
fn next_message(reader: &mut impl BufRead, limit: usize, message: &mut Vec<u8>) -> io::Result<bool> {
    let first = reader.fill_buf()?.first().copied();
    let Some(first) = first else { return Ok(false) };
    if first.is_ascii_digit() {
        let mut count = Vec::new();
        reader.take(10).read_until(b' ', &mut count)?;
        let count =
            str::from_utf8(&count).ok().and_then(|count| count.strip_suffix(' ')?.parse::<u64>().ok());
        let Some(count) = count else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a message begins with a digit, and is not counted",
            ));
        };
        let mut counted = reader.take(count);
        (&mut counted).take(limit as u64).read_to_end(message)?;
        io::copy(&mut counted, &mut io::sink())?;
        return Ok(true);
    }
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(false);
        }
        let newline = memchr::memchr(b'\n', buffer);
        let length = newline.map_or(buffer.len(), |newline| newline + 1);
        let room = limit.saturating_sub(message.len());
        message.extend_from_slice(buffer.get(..length.min(room)).unwrap_or_default());
        reader.consume(length);
        if newline.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stream: &[u8], limit: usize, expected: &[&str]) {
        let mut reader = BufReader::with_capacity(3, stream);
        let mut found = Vec::new();
        loop {
            let mut message = Vec::new();
            let more = next_message(&mut reader, limit, &mut message).unwrap();
            if !message.is_empty() {
                found.push(String::from_utf8(message).unwrap());
            }
            if !more {
                break;
            }
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn messages_are_framed_by_newlines_or_by_count() {
        check(b"<1>a\n<2>b", 100, &["<1>a\n", "<2>b"]);
        check(b"4 <1>a5 <2>b\n<3>c\n", 100, &["<1>a", "<2>b\n", "<3>c\n"]);
        check(b"<1>abcdefgh\n9 <2>bcdefg<3>c\n", 5, &["<1>ab", "<2>bc", "<3>c\n"]);
        let mut message = Vec::new();
        assert!(next_message(&mut &b"12345678901234"[..], 9, &mut message).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_stream_is_read_or_refused(bytes: Vec<u8>) {
            let mut reader = &*bytes;
            let mut message = Vec::new();
            while next_message(&mut reader, 64, &mut message).unwrap_or(false) {
                message.clear();
            }
        }
    }
}
