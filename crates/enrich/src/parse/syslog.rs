//! Syslog of both generations, as senders write it and as daemons store it.
//!
//! ```text
//! RFC 3164   <34>Oct 11 22:14:15 host su[123]: message          the <34> is lost in files
//! stored     2024-01-15T10:30:45.123456+00:00 host su[123]: message
//! RFC 5424   <165>1 2024-01-15T10:30:45Z host app 123 ID47 [id@1 key="value"] message
//! ```
//! The host is bookkeeping; the program is the logger.

use std::borrow::Cow;

use logrisk_base::Level;

use super::{
    Format, Parsed, Syslog,
    fields::{Builder, Path},
    kernel::priority,
    level,
    text::{first_line, head, is_number, skip_blanks, tail, token},
    timestamp,
};

/// Longest program with its process id: longer text before a colon is a message.
const LONGEST_PROGRAM: usize = 96;

/// Takes a line that begins with `<PRI>` apart, of either generation; `None` where the kernel's form is meant.
pub(super) fn parse_with_priority(text: &str) -> Option<Parsed<'_>> {
    let (number, rest) = priority(text)?;
    let severity = level::from_syslog(number % 8);
    if let Some(version_1) = rest.strip_prefix("1 ") {
        return rfc_5424(version_1, severity);
    }
    let parsed = parse(rest).or_else(|| parse_stored(rest, timestamp::length(rest)?))?;
    Some(Parsed { level: severity, ..parsed })
}

/// Takes a line that begins with `Jan 15 10:30:45` apart.
pub(super) fn parse(text: &str) -> Option<Parsed<'_>> {
    let length = timestamp::length(text)?;
    if !text.starts_with(|first: char| first.is_ascii_uppercase()) {
        return None;
    }
    let rest = skip_blanks(tail(text, length).trim_start_matches(':'));
    // Where a level stands in the host's place, an application wrote the line.
    let (host, _) = token(rest);
    let is_syslog = !host.starts_with('[') && level::from_bare(host.trim_end_matches(':'), b' ').is_none();
    is_syslog.then(|| after_time(head(text, length), rest))
}

/// Takes a stored line that begins with an ISO time apart. Applications begin so too, hence only what a program with
/// its process id, or an offset and a program, shows to be syslog's. `length` is the time's.
pub(super) fn parse_stored(text: &str, length: usize) -> Option<Parsed<'_>> {
    let time = head(text, length);
    let (host, rest) = token(tail(text, length).strip_prefix(' ')?);
    let plain_host =
        host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    if !plain_host || host.is_empty() || level::from_name(host).is_some() {
        return None;
    }
    let (program, process_id, message) = program(rest)?;
    let offset = time.as_bytes().get(10) == Some(&b'T') && !time.ends_with('Z') && length > 20;
    (process_id.is_some() || offset).then(|| record(time, program, message))
}

/// The part after the time: host, program, message. Each may be missing.
pub(super) fn after_time<'a>(time: &'a str, text: &'a str) -> Parsed<'a> {
    let (host, rest) = token(text);
    // "Jan 15 10:30:45 --- last message repeated 1 time ---" and relays that leave the host out.
    if host.starts_with("---") || host.ends_with(':') {
        return match program(text) {
            Some((program, _, message)) => record(time, program, message),
            None => record(time, "", text),
        };
    }
    match program(rest) {
        Some((program, _, message)) => record(time, program, message),
        None => record(time, "", rest),
    }
}

fn record<'a>(time: &'a str, program: &'a str, message: &'a str) -> Parsed<'a> {
    let (level, logger, message) = match cisco(message) {
        Some((level, mnemonic, message)) => (level, mnemonic, message),
        None => (None, program, message),
    };
    Parsed {
        timestamp: Some(Cow::Borrowed(time)),
        level,
        logger: (!logger.is_empty()).then_some(Cow::Borrowed(logger)),
        ..Parsed::plain(Format::Syslog, message)
    }
}

/// `program[123]: message` and `program: message`: program, process id, message. Programs of macOS have spaces in their
/// names, which only the process id then tells from a message.
pub(super) fn program(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let line = first_line(text);
    let window = line.as_bytes().get(..line.len().min(LONGEST_PROGRAM))?;
    let colon =
        memchr::memchr_iter(b':', window).find(|at| matches!(window.get(at + 1), Some(b' ') | None))?;
    let name = head(line, colon);
    let message = skip_blanks(tail(text, colon + 1));
    if let Some((name, pid)) = name.strip_suffix(']').and_then(|name| name.rsplit_once('['))
        && is_number(pid)
        && !name.contains(['[', '"', '='])
    {
        return Some((base_name(name), Some(pid), message));
    }
    // launchd adds "(com.apple.x[123])" after the process id.
    if let Some((name, inner)) = name.split_once("] (").or_else(|| name.split_once("[1] ("))
        && inner.ends_with(')')
        && let Some((name, pid)) = name.rsplit_once('[')
        && is_number(pid)
    {
        return Some((name, Some(pid), message));
    }
    // "audit(1131538222.234:0): message": what varies stays in the message, where it is masked.
    let varies = name.contains('(') && name.bytes().any(|byte| byte.is_ascii_digit());
    let one_word = !name.is_empty() && !varies && !name.contains([' ', '\t', '"', '=', '{', '%', '<']);
    one_word.then(|| (base_name(name), None, message))
}

fn base_name(path: &str) -> &str {
    if path.starts_with('/') { tail(path, path.rfind('/').map_or(0, |at| at + 1)) } else { path.trim() }
}

/// Cisco's `%LINK-3-UPDOWN: message`, with a sequence number and a second time before it or not.
fn cisco(message: &str) -> Option<(Option<Level>, &str, &str)> {
    let percent = memchr::memchr(b'%', message.as_bytes().get(..message.len().min(64))?)?;
    let code = tail(message, percent + 1);
    let colon = memchr::memchr(b':', code.as_bytes())?;
    let mnemonic = head(code, colon);
    let severity = mnemonic.split('-').rev().nth(1)?.parse().ok()?;
    let in_capitals = mnemonic.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-'))
        && mnemonic.len() > 5;
    in_capitals.then(|| (level::from_syslog(severity), mnemonic, skip_blanks(tail(code, colon + 1))))
}

/// What follows `<PRI>1 `. Elements of the registry (RFC 5424, section 7) are bookkeeping.
fn rfc_5424(text: &str, severity: Option<Level>) -> Option<Parsed<'_>> {
    let syslog = Syslog::read_5424(text)?;
    let mut builder = Builder::default();
    builder.set_level(severity);
    if let Some(time) = syslog.timestamp {
        builder.set_timestamp(time);
    }
    if let Some(program) = syslog.program {
        builder.set_logger(base_name(program));
    }
    for (element, name, value) in syslog.data {
        if !matches!(element, "timeQuality" | "origin" | "meta") {
            builder.put_other(name, value);
        }
    }
    if let Some(id) = syslog.message_id {
        builder.put(Path::one("msgid"), Cow::Borrowed(id));
    }
    builder.set_message(Cow::Borrowed(syslog.message));
    Some(builder.finish(Format::Syslog5424, ""))
}
