//! Access logs: Apache and nginx (common, combined, ingress), HAProxy, Envoy and Istio, uvicorn.
//!
//! ```text
//! 10.0.0.1 - bob [15/Jan/2024:10:30:45 +0000] "GET /x HTTP/1.1" 503 612 "-" "curl/8" …
//! 10.0.0.1:33317 [15/Jan/2024:10:30:45.123] front back/srv 10/0/30/69/109 503 2750 - - sC-- 1/1/1/1/0 0/0 "GET /x HTTP/1.1"
//! [2024-01-15T10:30:45.123Z] "GET /x HTTP/1.1" 503 UF,URX "-" 0 95 …
//! 127.0.0.1:54321 - "GET /x HTTP/1.1" 503 Service Unavailable
//! ```
//! The request becomes the message and the status a field, so that a mask sees which number is the status. Who asked, how
//! many bytes went and with which browser is left out: it varies with every line and tells nothing of the server.

use std::borrow::Cow;

use super::{
    Format, Parsed,
    text::{first_line, head, is_number, skip_blanks, tail, token},
    timestamp,
};

/// Takes an access line apart that begins with the client's address or name.
pub(super) fn parse(text: &str) -> Option<Parsed<'_>> {
    let line = first_line(text);
    let (client, rest) = token(line);
    if !is_client(client) {
        return None;
    }
    if let Some(after) = rest.strip_prefix("- \"") {
        return request(after, None); // uvicorn
    }
    if rest.starts_with('[') {
        return haproxy(rest);
    }
    // client, identity, user (which may hold blanks), [time], "request"
    let open = memchr::memmem::find(rest.as_bytes().get(..rest.len().min(128))?, b" [")?;
    let (time, after) = tail(rest, open + 2).split_once(']')?;
    if timestamp::length(time) != Some(time.len()) {
        return None;
    }
    request(skip_blanks(after).strip_prefix('"')?, Some(time))
}

/// Takes an access line apart that begins with a bracketed time and a quoted request: Envoy, Django.
pub(super) fn parse_bracketed(text: &str) -> Option<Parsed<'_>> {
    let line = first_line(text);
    let (time, after) = line.strip_prefix('[')?.split_once(']')?;
    let after = skip_blanks(after).strip_prefix('"')?;
    if timestamp::length(time) != Some(time.len()) {
        return None;
    }
    let mut parsed = request(after, Some(time))?;
    // Envoy's flags follow the status: UF, URX, NR … say what went wrong; Istio adds the detail.
    let flags_and_more = skip_blanks(tail(after, after.find('"')? + 1));
    let mut words = flags_and_more.split(' ').skip(1);
    if let Some(flags) = words.next()
        && flags.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b',')
        && !flags.is_empty()
    {
        parsed.fields.push((Cow::Borrowed("flags"), Cow::Borrowed(flags)));
        if let Some(detail) = words.next()
            && detail.len() > 3
            && !detail.starts_with('"')
            && !is_number(detail)
        {
            parsed.fields.push((Cow::Borrowed("detail"), Cow::Borrowed(detail)));
        }
    }
    Some(parsed)
}

/// The request, whose opening quote is gone, and the status behind it.
fn request<'a>(text: &'a str, time: Option<&'a str>) -> Option<Parsed<'a>> {
    let close = closing_quote(text)?;
    let request = head(text, close);
    let (status, rest) = token(skip_blanks(tail(text, close + 1)));
    if !is_status(status) {
        return None;
    }
    let mut parsed = Parsed {
        timestamp: time.map(Cow::Borrowed),
        fields: vec![(Cow::Borrowed("status"), Cow::Borrowed(status))],
        // An empty request ("-", or a TLS greeting on a plain port) still is one.
        ..Parsed::plain(Format::Access, request)
    };
    if let Some(upstream) = ingress_upstream(rest) {
        parsed.fields.push((Cow::Borrowed("upstream"), Cow::Borrowed(upstream)));
    }
    Some(parsed)
}

/// The service that nginx-ingress names in brackets after the browser.
fn ingress_upstream(rest: &str) -> Option<&str> {
    let open = rest.find(" [")?;
    let (upstream, after) = tail(rest, open + 2).split_once(']')?;
    (!upstream.is_empty() && !upstream.contains(' ') && after.starts_with(" [")).then_some(upstream)
}

/// The end of a quoted request; a quote inside is escaped.
fn closing_quote(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

/// HAProxy's HTTP and TCP lines from the time on (configuration manual, sections 8.2.2 and 8.2.3).
fn haproxy(text: &str) -> Option<Parsed<'_>> {
    let (time, rest) = text.strip_prefix('[')?.split_once("] ")?;
    if timestamp::length(time) != Some(time.len()) {
        return None;
    }
    let mut words = rest.split(' ');
    let (_frontend, backend, timers) = (words.next()?, words.next()?, words.next()?);
    if !backend.contains('/') || timers.split('/').count() < 3 {
        return None;
    }
    let mut fields = Vec::with_capacity(3);
    let is_http = timers.split('/').count() >= 5;
    if is_http {
        fields.push((Cow::Borrowed("status"), Cow::Borrowed(words.next()?)));
    }
    fields.push((Cow::Borrowed("backend"), Cow::Borrowed(backend)));
    // Bytes and, for HTTP, two cookies stand before the termination state.
    let termination = words.nth(if is_http { 3 } else { 1 })?;
    if !termination.bytes().all(|byte| byte == b'-') {
        fields.push((Cow::Borrowed("termination"), Cow::Borrowed(termination)));
    }
    let message = match rest.split_once('"') {
        Some((_, request)) => head(request, closing_quote(request).unwrap_or(request.len())),
        None => "",
    };
    Some(Parsed { timestamp: Some(Cow::Borrowed(time)), fields, ..Parsed::plain(Format::HaProxy, message) })
}

fn is_status(word: &str) -> bool {
    // Envoy writes 0 where no answer was sent.
    word == "0" || word.len() == 3 && is_number(word) && matches!(word.as_bytes().first(), Some(b'0'..=b'5'))
}

/// An address or a name, with a port or without.
fn is_client(word: &str) -> bool {
    let address = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'-' | b'[' | b']' | b'%' | b'_')
    };
    !word.is_empty() && word.len() <= 128 && word.bytes().all(address)
}
