//! Payloads of attacks: the masks of paths and URLs would erase them, so they leave a class behind.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};

use super::bytes::{at, is_space, starts_with};

/// What a path, URL or value of a request has no honest use for. Kept to what is near certain: a false alarm here is
/// an attack alert.
const PAYLOADS: [&str; 46] = [
    "../../",
    "..\\..\\",
    "..%2f",
    "..%5c",
    "%2e%2e",
    "%252e",
    "%c0%ae",
    "/etc/shadow",
    "/etc/passwd",
    "win.ini",
    "/proc/self/environ",
    "<script",
    "%3cscript",
    "javascript:alert",
    "onerror=",
    "union select",
    "union+select",
    "union%20select",
    "union all select",
    "union/**/select",
    "' or 1=1",
    "' or '1'='1",
    "'+or+1=1",
    "'%20or%20",
    "%27%20or",
    "or%201=1",
    "';drop",
    "; drop table",
    "xp_cmdshell",
    "waitfor delay",
    "waitfor+delay",
    "waitfor%20delay",
    "${jndi:",
    "$%7bjndi",
    "cmd.exe",
    "powershell -e",
    ";wget",
    ";curl",
    "|wget",
    "|curl",
    "`wget",
    "$(curl",
    ";cat ",
    "/bin/sh",
    "/bin/bash",
    "php://input",
];

static MATCHER: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasickBuilder::new().ascii_case_insensitive(true).build(PAYLOADS).ok());

/// Whether a path, URL or value carries a payload.
pub(super) fn in_value(value: &[u8]) -> bool {
    // Files that attackers ask for are also named by programs that only use them.
    let is_lone_file = matches!(value, b"/etc/passwd" | b"/etc/shadow" | b"/bin/sh" | b"/bin/bash");
    !is_lone_file && MATCHER.as_ref().is_some_and(|matcher| matcher.is_match(value))
}

/// Whether running text goes on with a payload, at a byte that begins one. The first bytes asked here are rare, so that
/// text without payloads costs nothing.
#[inline]
pub(super) fn in_text(bytes: &[u8], start: usize) -> bool {
    // Quotes are common; a payload has a space or `;` behind them.
    let next = at(bytes, start + 1);
    if matches!(at(bytes, start), b'"' | b'\'') && !(is_space(next) || next == b';') {
        return false;
    }
    let begins: &[&[u8]] = match bytes.get(start) {
        Some(b'<') => &[
            b"<script",
            b"<?php system",
            b"<?php eval",
            b"<?php @eval",
            b"<iframe src",
            b"<svg onload",
            b"<svg/onload",
            b"<img src=x",
        ],
        Some(b'$') => &[b"${jndi:", b"${${"],
        Some(b'\'') => &[
            b"' or 1=1",
            b"' or '1'='1",
            b"' or ''='",
            b"';drop",
            b"'; drop",
            b"' union select",
            b"' and 1=1",
        ],
        Some(b'"') => &[b"\" or 1=1", b"\" or \"1\"=\"1"],
        // Shellshock.
        Some(b'{') => &[b"{ :;"],
        Some(b'%') => &[b"%2e%2e", b"%252e", b"%3cscript", b"%c0%ae"],
        Some(b';') => &[b";wget", b"; wget", b";curl http", b"; curl http", b"; drop table", b";drop table"],
        Some(b'|') => &[b"|wget", b"| wget", b"|curl", b"| sh", b"|sh", b"| bash"],
        Some(b'u' | b'U') => &[b"union select", b"union all select"],
        _ => return false,
    };
    begins.iter().any(|payload| goes_on_with(bytes, start, payload))
}

/// Whether the text at `start` reads as `payload`, where any whitespace stands for a space: masking leaves one.
fn goes_on_with(bytes: &[u8], start: usize, payload: &[u8]) -> bool {
    let mut place = start;
    payload.split_inclusive(|byte| *byte == b' ').all(|part| {
        let (word, is_spaced) = part.strip_suffix(b" ").map_or((part, false), |word| (word, true));
        let is_there =
            starts_with(bytes, place, word) && (!is_spaced || is_space(at(bytes, place + word.len())));
        place += word.len();
        while is_spaced && place < bytes.len() && is_space(at(bytes, place)) {
            place += 1;
        }
        is_there
    })
}
