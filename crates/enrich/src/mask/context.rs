//! What the words before a number say about it.
//!
//! Looked up backwards and only when a number is met, so that text without numbers pays nothing for it.

use super::bytes::{at, slice};
use super::place;
use super::words::Words;

/// What a number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing known.
    Plain,
    /// An HTTP status, if it looks like one.
    Status,
    /// An HTTP status unless a noun follows: `returned 502` against `returned 502 rows`.
    Returned,
    /// The exit code of a process.
    Exit,
    /// The number of a signal.
    Signal,
    /// An error number of the system.
    Errno,
    /// A percentage, though no sign follows.
    Percent,
}

/// Words that may stand between a key word and its number: `exited with code 1`.
const HOPS: usize = 3;

/// What stands before the number at `start`; `key` is the name of the field whose value the text is.
pub(super) fn meaning(bytes: &[u8], start: usize, key: &[u8]) -> Meaning {
    let (mut bytes, mut end, mut key) = (bytes, start, Some(key));
    // `code` and `status` alone mean HTTP, but `exit code` does not: keep looking.
    let mut fallback = Meaning::Plain;
    for _ in 0..HOPS {
        let gap =
            slice(bytes, end.saturating_sub(6), end).iter().rev().take_while(|byte| is_gap(**byte)).count();
        end -= gap;
        if end == 0 {
            let Some(name) = key.take() else { break };
            (bytes, end) = (name, name.len());
        }
        let word = slice(bytes, end.saturating_sub(32), end);
        let length = word.iter().rev().take_while(|byte| is_word(**byte)).count();
        if length == 0 {
            break;
        }
        end -= length;
        // `GET /orders 503`, `https://example.com/orders - 503`.
        let target = slice(bytes, end, end + length);
        if target.starts_with(b"//") || (target.starts_with(b"/") && place::after_method(bytes, end)) {
            return Meaning::Status;
        }
        match word_meaning(slice(bytes, end, end + length)) {
            Some(Word::Means(meaning)) => return meaning,
            Some(Word::Perhaps(meaning)) => fallback = meaning,
            Some(Word::Connects) => {}
            None => break,
        }
    }
    fallback
}

/// Whether four numbers joined by dots are a version, not an address: `version 6.1.7601.23505`, `~6.1.1.0`.
pub(super) fn after_version(bytes: &[u8], start: usize) -> bool {
    let before = slice(bytes, start.saturating_sub(12), start);
    let gap = before.iter().rev().take_while(|byte| is_gap(**byte)).count();
    let word = slice(before, 0, before.len() - gap);
    let length = word.iter().rev().take_while(|byte| is_word(**byte)).count();
    before.ends_with(b"~") || VERSIONS.get(slice(word, word.len() - length, word.len())).is_some()
}

static VERSIONS: Words<(), 6> =
    Words::new([("version", ()), ("ver", ()), ("release", ()), ("build", ()), ("revision", ()), ("rev", ())]);

#[derive(Debug, Clone, Copy)]
enum Word {
    Means(Meaning),
    Perhaps(Meaning),
    Connects,
}

static WORDS: Words<Word, 64> = Words::new([
    ("http", Word::Means(Meaning::Status)),
    ("https", Word::Means(Meaning::Status)),
    ("statuscode", Word::Means(Meaning::Status)),
    ("httpstatus", Word::Means(Meaning::Status)),
    ("httpstatuscode", Word::Means(Meaning::Status)),
    ("httpcode", Word::Means(Meaning::Status)),
    ("responsecode", Word::Means(Meaning::Status)),
    ("responsestatus", Word::Means(Meaning::Status)),
    ("upstreamstatus", Word::Means(Meaning::Status)),
    ("resp", Word::Means(Meaning::Status)),
    ("respstatus", Word::Means(Meaning::Status)),
    ("sc", Word::Means(Meaning::Status)),
    ("returned", Word::Perhaps(Meaning::Returned)),
    ("responded", Word::Perhaps(Meaning::Returned)),
    ("response", Word::Perhaps(Meaning::Returned)),
    ("got", Word::Perhaps(Meaning::Returned)),
    ("returning", Word::Perhaps(Meaning::Returned)),
    ("returns", Word::Perhaps(Meaning::Returned)),
    ("answered", Word::Perhaps(Meaning::Returned)),
    ("status", Word::Perhaps(Meaning::Status)),
    ("code", Word::Perhaps(Meaning::Status)),
    ("exit", Word::Means(Meaning::Exit)),
    ("exited", Word::Means(Meaning::Exit)),
    ("exits", Word::Means(Meaning::Exit)),
    ("exiting", Word::Means(Meaning::Exit)),
    ("exitcode", Word::Means(Meaning::Exit)),
    ("exitstatus", Word::Means(Meaning::Exit)),
    ("exitvalue", Word::Means(Meaning::Exit)),
    ("returncode", Word::Means(Meaning::Exit)),
    ("rc", Word::Means(Meaning::Exit)),
    ("retcode", Word::Means(Meaning::Exit)),
    ("return", Word::Means(Meaning::Exit)),
    ("signal", Word::Means(Meaning::Signal)),
    ("sig", Word::Means(Meaning::Signal)),
    ("signo", Word::Means(Meaning::Signal)),
    ("termsig", Word::Means(Meaning::Signal)),
    ("termsignal", Word::Means(Meaning::Signal)),
    ("errno", Word::Means(Meaning::Errno)),
    ("oserror", Word::Means(Meaning::Errno)),
    ("errornumber", Word::Means(Meaning::Errno)),
    ("with", Word::Connects),
    ("was", Word::Connects),
    ("is", Word::Connects),
    ("of", Word::Connects),
    ("a", Word::Connects),
    ("an", Word::Connects),
    ("the", Word::Connects),
    ("error", Word::Connects),
    ("value", Word::Connects),
    ("by", Word::Connects),
    ("server", Word::Connects),
    ("failed", Word::Connects),
    ("percent", Word::Means(Meaning::Percent)),
    ("percentage", Word::Means(Meaning::Percent)),
    ("pct", Word::Means(Meaning::Percent)),
    ("usedpercent", Word::Means(Meaning::Percent)),
    ("usagepercent", Word::Means(Meaning::Percent)),
    ("cpupercent", Word::Means(Meaning::Percent)),
    ("mempercent", Word::Means(Meaning::Percent)),
    ("memorypercent", Word::Means(Meaning::Percent)),
    ("diskpercent", Word::Means(Meaning::Percent)),
    ("diskusedpct", Word::Means(Meaning::Percent)),
    ("usedpct", Word::Means(Meaning::Percent)),
    ("usepercent", Word::Means(Meaning::Percent)),
]);

/// What a word says of the number behind it; `None` for the words that say nothing.
fn word_meaning(word: &[u8]) -> Option<Word> {
    if slice(word, 0, 5).eq_ignore_ascii_case(b"http/") {
        return Some(Word::Means(Meaning::Status));
    }
    if word == b"-" {
        return Some(Word::Connects);
    }
    // Of `http.response.status` the last name counts.
    let name = word.rsplit(|byte| *byte == b'.').find(|name| !name.is_empty()).unwrap_or(word);
    if !at(name, 0).is_ascii_alphabetic() {
        return None;
    }
    WORDS.get(name).or_else(|| {
        let ends = |end: &[u8]| {
            name.len() > end.len()
                && slice(name, name.len() - end.len(), name.len()).eq_ignore_ascii_case(end)
        };
        (ends(b"percent") || ends(b"pct")).then_some(Word::Means(Meaning::Percent))
    })
}

fn is_gap(byte: u8) -> bool {
    matches!(byte, b' ' | b':' | b'=' | b'"' | b'\'' | b'(' | b'[')
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/')
}
