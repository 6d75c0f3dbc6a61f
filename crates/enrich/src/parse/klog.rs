//! klog and glog: `E0115 10:30:45.123456  1234 file.go:123] message`, Kubernetes' own format.
//!
//! The file and line are bookkeeping. A structured message is a quoted text with pairs behind it.

use std::borrow::Cow;

use super::{
    Format, Parsed,
    fields::Builder,
    level, logfmt,
    text::{digits, first_line, head, skip_blanks, tail},
};

/// Takes a klog line apart; `None` if it is none.
pub(super) fn parse(text: &str) -> Option<Parsed<'_>> {
    let letter = *text.as_bytes().first()?;
    let level = level::from_letter(letter)?;
    // Month and day, in newer glog the year before them.
    let date = digits(tail(text, 1));
    if !matches!(date, 4 | 8) || text.as_bytes().get(1 + date) != Some(&b' ') {
        return None;
    }
    let clock = tail(text, 2 + date);
    let clock_length =
        clock.bytes().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.')).count();
    if clock_length < 8 || clock.as_bytes().get(2) != Some(&b':') {
        return None;
    }
    let timestamp = text.get(1..2 + date + clock_length)?;
    let line = first_line(text);
    let after = line.get(2 + date + clock_length..)?;
    // "  1234 file.go:123] " is short; a bracket far into the message is not the header's.
    let close = memchr::memchr(b']', after.as_bytes().get(..after.len().min(160))?)?;
    if !is_place(head(after, close)) {
        return None;
    }
    let start = text.len() - tail(text, 2 + date + clock_length + close + 1).len();
    let rest = skip_blanks(tail(text, start));
    if rest.starts_with('"')
        && let Some(parsed) = structured(rest, timestamp, level)
    {
        return Some(parsed);
    }
    Some(Parsed {
        timestamp: Some(Cow::Borrowed(timestamp)),
        level: Some(level),
        ..Parsed::plain(Format::Klog, rest)
    })
}

/// Whether the text is a thread's number and a place in the source.
fn is_place(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    let (first, second) = (words.next().unwrap_or_default(), words.next());
    let place = second.unwrap_or(first);
    let line = place.rsplit(':').next().unwrap_or_default();
    words.next().is_none() && place.contains(':') && digits(line) == line.len() && !line.is_empty()
}

/// `"Message" key="value" …`, whose values may also be Go's own prints and texts of several lines.
fn structured<'a>(text: &'a str, timestamp: &'a str, level: logrisk_base::Level) -> Option<Parsed<'a>> {
    let mut builder = Builder::default();
    builder.set_timestamp(timestamp);
    builder.set_level(Some(level));
    let (message, rest) = logfmt::quoted_value(text.strip_prefix('"')?)?;
    let line = first_line(rest);
    logfmt::pairs(line, &mut builder)?;
    builder.set_message(message);
    Some(builder.finish(Format::Klog, tail(rest, line.len())))
}
