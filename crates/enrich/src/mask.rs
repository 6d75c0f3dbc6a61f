//! From a parsed record to its pattern: the canonical text with everything variable replaced by its class.
//!
//! ```text
//! Failed password for root from 183.62.140.253 port 37033 ssh2 ─► Failed password for root from <ip> port <num> ssh2
//! took 45.1s, status=503, 0 errors, disk at 97%                 ─► took <sec>, status=<5xx>, 0 errors, disk at <full%>
//! ```
//!
//! Lines that differ only in what a person would call "the variable part" share a pattern, and so one run of the model;
//! what decides the risk survives: zero against non-zero, HTTP status classes, exit codes, signals, how full, how slow,
//! how many of how many.
//!
//! ```text
//! pass ── stops at digits, dots, slashes … ──► token ──► time, place, number, name ──► class
//!   └──── copies all that is between ─────────────────────────────────────────────────► out ──► repeats
//! ```
//!
//! One pass over the bytes, a table of 256 entries deciding where it stops. Nothing is allocated besides what `out` grows
//! by, no text can make it fail, and the time is linear in the text, whatever the text.
//!
//! Masking a masked text changes nothing.

mod attack;
mod bytes;
mod class;
mod context;
mod evidence;
mod frames;
mod name;
mod number;
mod pass;
mod place;
mod repeats;
mod seed;
mod time;
mod token;
mod words;

use crate::parse::Parsed;

pub use evidence::words_left;

use bytes::{is_space, slice};
use pass::{Overflow, Pass, mark_attack};

pub use class::MASKS;

/// The most bytes of a masked text, but for a last class: about four times what the model reads of a record.
const LIMIT: usize = 2048;
/// Of a longer text so much of the head is kept,
const HEAD: usize = 1400;
/// and so much of the tail, where traces name their cause.
const TAIL: usize = 600;
/// The message leaves this much to the fields.
const MESSAGE_LIMIT: usize = 1536;

/// Appends the canonical masked text of a parsed record: `level logger: message key=value …`.
///
/// Of a record that is longer than about 2 KiB the head and the tail are kept.
pub fn mask_into(parsed: &Parsed<'_>, out: &mut String) {
    let base = out.len();
    if let Some(level) = parsed.level {
        out.push_str(level.as_str());
    }
    if let Some(logger) = parsed.logger.as_deref().filter(|logger| !logger.trim().is_empty()) {
        if out.len() > base {
            out.push(' ');
        }
        mask_bounded(logger, &[], 128, out);
    }
    if out.len() > base {
        out.push_str(": ");
    }
    mask_bounded(&parsed.message, &[], MESSAGE_LIMIT, out);
    for (key, value) in &parsed.fields {
        let room = LIMIT.saturating_sub(out.len() - base);
        if room < 128 {
            break;
        }
        out.push(' ');
        mask_bounded(key, &[], 48, out);
        out.push('=');
        if key.eq_ignore_ascii_case("user") && name::is_common_user(value.as_bytes()) {
            out.push_str("<id>");
        } else {
            mask_bounded(value, key.as_bytes(), room - 64, out);
        }
    }
    out.truncate(base + out.get(base..).map_or(0, |text| text.trim_end().len()));
}

/// Appends the first seed's masked text of a raw line.
pub fn mask_seed_into(line: &str, out: &mut String) {
    seed::mask_into(line, out);
}

/// Appends the masked text of a bare message, about 2 KiB at most as [`mask_into`] does.
pub fn mask_text(text: &str, out: &mut String) {
    mask_bounded(text, &[], LIMIT, out);
}

/// Masks a text that is the value of `key`; of a longer one head and tail are kept, with `…` between.
fn mask_bounded(text: &str, key: &[u8], limit: usize, out: &mut String) {
    let base = out.len();
    let Err(Overflow { attacked }) = Pass::new(text, key, limit, out).run() else { return };
    // Only for texts that are too long: cut at a space where there is one near, so that no class is torn.
    let tail_limit = limit * TAIL / LIMIT;
    cut(out, base, base + limit * HEAD / LIMIT);
    out.push_str(" … ");
    let tail_base = out.len();
    let mut begin = text.len().saturating_sub(tail_limit);
    while begin < text.len() {
        let start = word_start(text, begin);
        if Pass::new(text.get(start..).unwrap_or_default(), &[], tail_limit, out).run().is_ok() {
            break;
        }
        // Classes are longer than what they replace: take less of the tail until it fits.
        out.truncate(tail_base);
        begin = start + (text.len() - start).div_ceil(2);
    }
    if out.len() == tail_base {
        out.truncate(tail_base - 1);
    }
    if attacked {
        mark_attack(out, base);
    }
}

/// Shortens `out` to at most `end` bytes, back to a space if one is within 256 bytes.
fn cut(out: &mut String, base: usize, end: usize) {
    let mut end = end.min(out.len());
    while !out.is_char_boundary(end) {
        end -= 1;
    }
    let near = end.saturating_sub(256).max(base);
    let space = slice(out.as_bytes(), near, end).iter().rposition(|byte| *byte == b' ');
    out.truncate(space.map_or(end, |space| near + space));
}

/// The start of the first word at or after a place; the next character's start in a word without end.
fn word_start(text: &str, begin: usize) -> usize {
    let rest = slice(text.as_bytes(), begin, text.len());
    let mut start =
        rest.iter().take(256).position(|byte| is_space(*byte)).map_or(begin, |space| begin + space + 1);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    start
}

#[cfg(test)]
mod tests;
