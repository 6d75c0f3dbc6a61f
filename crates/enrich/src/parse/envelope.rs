//! The header of a syslog message as it comes over the network, whole: host, process and structured data too, which
//! [`Parsed`](super::Parsed) leaves out as bookkeeping.

use std::borrow::Cow;

use jiff::Timestamp;
use logrisk_base::Level;

use super::{
    kernel::priority,
    level, logfmt,
    syslog::program,
    text::{head, skip_blanks, tail, token},
    timestamp,
};

/// A syslog message of either generation. What a sender leaves out is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Syslog<'a> {
    /// Facility times eight plus severity, below 192.
    pub priority: Option<u8>,
    /// The time as written.
    pub timestamp: Option<&'a str>,
    /// Which machine sent it first.
    pub host: Option<&'a str>,
    /// Which program.
    pub program: Option<&'a str>,
    /// Which process of it.
    pub process_id: Option<&'a str>,
    /// What kind of message (RFC 5424).
    pub message_id: Option<&'a str>,
    /// Structured data (RFC 5424): element, name, value.
    pub data: Vec<(&'a str, &'a str, Cow<'a, str>)>,
    /// The message itself.
    pub message: &'a str,
}

impl<'a> Syslog<'a> {
    /// Takes a message apart. Never fails: what has no header is all message.
    #[must_use]
    pub fn read(text: &'a str) -> Self {
        let text = text.trim_end_matches(['\n', '\r', '\0']);
        let Some((number, rest)) = priority(text) else { return Self::read_3164(text) };
        let known = rest.strip_prefix("1 ").and_then(Self::read_5424);
        Self {
            priority: u8::try_from(number).ok(),
            ..known.unwrap_or_else(|| Self::read_3164(skip_blanks(rest)))
        }
    }

    /// The severity as a level.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        level::from_syslog(u32::from(self.priority? % 8))
    }

    /// The instant, as [`Parsed::time`](super::Parsed::time) reads it.
    #[must_use]
    pub fn time(&self, reference: Timestamp) -> Option<Timestamp> {
        timestamp::instant(self.timestamp?, reference)
    }

    /// What follows `<PRI>1 `: time, host, program, process id, message id, structured data, message.
    pub(super) fn read_5424(text: &'a str) -> Option<Self> {
        let mut rest = text;
        let mut next = || {
            let (word, after) = rest.split_once(' ')?;
            rest = after;
            Some((word != "-").then_some(word))
        };
        let (time, host, program, process_id, message_id) = (next()?, next()?, next()?, next()?, next()?);
        if time.is_some_and(|time| timestamp::length(time) != Some(time.len())) {
            return None;
        }
        let mut data = Vec::new();
        let message = skip_blanks(structured_data(rest, &mut data)?);
        let message = message.strip_prefix('\u{feff}').unwrap_or(message);
        Some(Self { priority: None, timestamp: time, host, program, process_id, message_id, data, message })
    }

    /// `Oct 11 22:14:15 host su[123]: message`, of which every part but the message may be missing.
    fn read_3164(text: &'a str) -> Self {
        let (timestamp, rest) = match timestamp::length(text) {
            Some(length) => {
                (Some(head(text, length)), skip_blanks(tail(text, length).trim_start_matches(':')))
            }
            None => (None, text),
        };
        // Relays and local sockets leave the host out: then the first word is the program's.
        let (word, after) = token(rest);
        let has_host = timestamp.is_some() && !word.ends_with(':') && !after.is_empty();
        let (host, rest) = if has_host { (Some(word), after) } else { (None, rest) };
        let (program, process_id, message) = match program(rest) {
            Some((program, process_id, message)) => (Some(program), process_id, message),
            None => (None, None, rest),
        };
        Self { timestamp, host, program, process_id, message, ..Self::default() }
    }
}

/// Appends the parameters of the elements; returns what follows. Escapes are `\"`, `\\` and `\]`.
fn structured_data<'a>(text: &'a str, data: &mut Vec<(&'a str, &'a str, Cow<'a, str>)>) -> Option<&'a str> {
    if let Some(rest) = text.strip_prefix('-') {
        return Some(rest);
    }
    let mut rest = text;
    while let Some(element) = rest.strip_prefix('[') {
        let name_end = element.find([' ', ']'])?;
        let id = head(element, name_end);
        rest = tail(element, name_end);
        loop {
            rest = rest.trim_start_matches(' ');
            if let Some(after) = rest.strip_prefix(']') {
                rest = after;
                break;
            }
            let length = rest.find(['=', ' ', '"', ']'])?;
            let (value, after) = logfmt::quoted_value(tail(rest, length).strip_prefix("=\"")?)?;
            data.push((id, head(rest, length), value));
            rest = after;
        }
    }
    Some(rest)
}
