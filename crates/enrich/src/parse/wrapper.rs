//! The container runtime's wrapper: CRI's columns and docker's JSON.
//!
//! ```text
//! CRI     2024-01-15T10:30:45.123456789Z stdout F message      F whole line or its end, P torn
//! docker  {"log":"message\n","stream":"stdout","time":"2024-01-15T10:30:45.123456789Z"}
//! ```

use std::borrow::Cow;

use super::{
    Unwrapped, json,
    text::{head, tail},
};

/// The wrapper taken off; a line without one passes whole.
pub(super) fn unwrap(line: &str) -> Unwrapped<'_> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let unwrapped = match line.bytes().next() {
        Some(b'0'..=b'9') => cri(line),
        Some(b'{') => docker(line),
        _ => None,
    };
    unwrapped.unwrap_or(Unwrapped {
        timestamp: None,
        stream: None,
        partial: false,
        content: Cow::Borrowed(line),
    })
}

fn cri(line: &str) -> Option<Unwrapped<'_>> {
    // The shortest time is "2024-01-15T10:30:45Z".
    let bytes = line.as_bytes();
    if bytes.get(10) != Some(&b'T') {
        return None;
    }
    let space = memchr::memchr(b' ', bytes.get(..40.min(bytes.len()))?)?;
    let rest = tail(line, space + 1);
    let (stream, rest) = match rest.get(..7)? {
        "stdout " => ("stdout", tail(rest, 7)),
        "stderr " => ("stderr", tail(rest, 7)),
        _ => return None,
    };
    // Tags are joined with colons; only the first is defined. The content may be empty, and its blank with it.
    let (tags, content) = rest.split_once(' ').unwrap_or((rest, ""));
    let partial = match tags.split(':').next() {
        Some("F") => false,
        Some("P") => true,
        _ => return None,
    };
    Some(Unwrapped {
        timestamp: Some(Cow::Borrowed(head(line, space))),
        stream: Some(stream),
        partial,
        content: Cow::Borrowed(content),
    })
}

fn docker(line: &str) -> Option<Unwrapped<'_>> {
    let docker = json::docker(line)?;
    let mut content = docker.log?;
    let partial = !content.ends_with('\n');
    match &mut content {
        Cow::Borrowed(_) => {} // an unescaped newline cannot be borrowed: nothing to cut
        Cow::Owned(text) => {
            let end = text.trim_end_matches(['\n', '\r']).len();
            text.truncate(end);
        }
    }
    Some(Unwrapped { timestamp: docker.time, stream: docker.stream, partial, content })
}
