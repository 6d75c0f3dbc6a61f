//! A syslog message as a record.

use std::{net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use logrisk_enrich::parse::{self, Format, Syslog};
use logrisk_flow::{Fields, Origin, Record, RecordId};

use super::frame::Frame;

/// Facilities by number (RFC 5424, section 6.2.1), as rsyslog names them.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];
/// Severities by number.
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// The record of a message; `None` where nothing is said.
pub(super) fn of(frame: &Frame, peer: SocketAddr, id: RecordId, origin: &Arc<Origin>) -> Option<Record> {
    let text = String::from_utf8_lossy(&frame.bytes);
    let syslog = Syslog::read(text.trim());
    if syslog.message.trim().is_empty() {
        return None;
    }
    let mut fields = Fields::default();
    if let Some(priority) = syslog.priority.map(usize::from) {
        if let Some(name) = FACILITIES.get(priority / 8) {
            fields.push("log.syslog.facility.name", *name);
        }
        if let Some(name) = SEVERITIES.get(priority % 8) {
            fields.push("log.syslog.severity.name", *name);
        }
    }
    let named = [
        ("host.name", syslog.host),
        ("process.name", syslog.program),
        ("log.syslog.msgid", syslog.message_id),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            fields.push(name, value);
        }
    }
    match syslog.process_id.map(str::parse::<u32>) {
        Some(Ok(number)) => fields.push("process.pid", number),
        Some(Err(_)) => fields.push("log.syslog.procid", syslog.process_id.unwrap_or_default()),
        None => {}
    }
    for (element, name, value) in &syslog.data {
        // A dot would make objects of it, which then are in each other's way.
        let element = element.replace('.', "_");
        fields.push(format!("log.syslog.structured_data.{element}.{name}"), value.clone().into_owned());
    }
    fields.push("log.source.address", peer.ip().to_canonical().to_string());
    if !frame.whole {
        fields.push("log.flags", "truncated");
    }
    let (time, level, body) = (syslog.time(Timestamp::now()), syslog.level(), body(&syslog));
    Some(Record { id, time, level, body, origin: Arc::clone(origin), fields })
}

/// The message after its program, which is what a file of syslog says, so that both are one pattern. Where a program logs in
/// a structure of its own, that stands alone: only at the beginning is it recognised.
fn body(syslog: &Syslog<'_>) -> String {
    let structured = || {
        let format = parse::parse(syslog.message).format;
        matches!(
            format,
            Format::Json | Format::Logfmt | Format::Klog | Format::Access | Format::HaProxy | Format::Kernel
        )
    };
    match syslog.program {
        Some(program) if !structured() => format!("{program}: {}", syslog.message),
        _ => syslog.message.to_owned(),
    }
}
