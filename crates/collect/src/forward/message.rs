//! Messages of the forward protocol, in all four modes.
//!
//! ```text
//! message             [tag, time, record, options]
//! forward             [tag, [[time, record], …], options]
//! packed              [tag, bytes of [time, record]…, options]
//! compressed packed   [tag, the same bytes by gzip or zstd, options: compressed]
//! ```

use std::{borrow::Cow, io::Read};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::msgpack::{Head, Reader, Scan};

/// Largest window of zstd that is decompressed: what level 19 uses. The format allows terabytes.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Why a sender's bytes are no message. Its connection is closed; what it was not acknowledged it may send again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Sent or decompressed.
    #[error(
        "a message has more than {mebibytes} MiB; raise frame_mebibytes, or let the sender's chunks be smaller"
    )]
    TooLarge {
        /// The limit.
        mebibytes: usize,
    },
    /// Something that the protocol does not know.
    #[error("this is not the forward protocol: {0}; does the sender speak TLS or HTTP?")]
    Malformed(&'static str),
    /// Entries that cannot be decompressed.
    #[error("entries could not be decompressed: {0}")]
    Compression(String),
}

impl Refused {
    pub(super) const TRUNCATED: Self = Self::Malformed("a value ends early");
}

/// A message: a tag, and entries that are read one by one.
#[derive(Debug)]
pub struct Message<'a> {
    /// The tag, which is Fluent's name for where records come from.
    pub tag: String,
    /// What the sender wants acknowledged.
    pub chunk: Option<String>,
    entries: Cow<'a, [u8]>,
    position: usize,
    /// In message mode the only entry has no array around it.
    bare: bool,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When it happened, if its sender says.
    pub time: Option<Timestamp>,
    /// What it says.
    pub record: Map<String, Value>,
}

impl<'a> Message<'a> {
    /// Takes apart what `bytes` begin with, if it is all there, and says where it ends. A lone nil is a heartbeat: no message.
    ///
    /// # Errors
    /// What is no message, or larger than `limit` bytes, sent or decompressed.
    pub fn read(bytes: &'a [u8], limit: usize) -> Result<Option<(Option<Self>, usize)>, Refused> {
        let Some(end) = Scan::of(1).end(bytes, limit)? else { return Ok(None) };
        let frame = bytes.get(..end).ok_or(Refused::TRUNCATED)?;
        Ok(Some((Self::of_frame(frame, limit)?, end)))
    }

    /// Takes one whole message apart.
    pub(super) fn of_frame(frame: &'a [u8], limit: usize) -> Result<Option<Self>, Refused> {
        let mut reader = Reader { rest: frame };
        let length = match reader.head()? {
            Head::Nil => return Ok(None),
            Head::Array(length @ 2..) => length,
            _ => return Err(Refused::Malformed("a message is an array of tag and entries")),
        };
        let tag = reader.text()?.into_owned();
        let second = reader.rest;
        let (entries, bare) = match reader.head()? {
            Head::Array(count) => (reader.skip(count)?, false),
            Head::Binary(length) | Head::Text(length) => (reader.take(length)?, false),
            _ => {
                reader.rest = second;
                (reader.skip(2)?, true)
            }
        };
        let mut message = Self { tag, chunk: None, entries: Cow::Borrowed(entries), position: 0, bare };
        if length > if bare { 3 } else { 2 } {
            message.apply(&mut reader, limit)?;
        }
        Ok(Some(message))
    }

    /// Applies the options.
    fn apply(&mut self, reader: &mut Reader<'_>, limit: usize) -> Result<(), Refused> {
        let pairs = match reader.head()? {
            Head::Nil => 0,
            Head::Map(pairs) => pairs,
            _ => return Err(Refused::Malformed("options are a map")),
        };
        for _ in 0..pairs {
            match &*reader.text()? {
                "chunk" => self.chunk = Some(reader.text()?.into_owned()),
                "compressed" => {
                    let by = reader.text()?;
                    if by != "text" {
                        self.entries = decompress(&by, &self.entries, limit)?.into();
                    }
                }
                // Fluent Bit's number of the kind: 0 is logs. Metrics and traces have no text to score.
                "fluent_signal" if !matches!(reader.head()?, Head::Unsigned(0)) => {
                    return Err(Refused::Malformed("metrics and traces are sent; match only logs"));
                }
                "fluent_signal" => {}
                // "size" says what the entries show.
                _ => _ = reader.skip(1)?,
            }
        }
        Ok(())
    }

    /// The next entry; after an error there is none.
    ///
    /// # Errors
    /// What is no entry.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Refused> {
        let rest = self.entries.get(self.position..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let whole = rest.len();
        let mut reader = Reader { rest };
        self.position = self.entries.len();
        let more = match self.bare {
            true => 0,
            false => match reader.head()? {
                Head::Array(length @ 2..) => length - 2,
                _ => return Err(Refused::Malformed("an entry is an array of time and record")),
            },
        };
        let entry = Entry { time: reader.time()?, record: reader.object()? };
        reader.skip(more)?;
        self.position -= reader.rest.len();
        debug_assert!(reader.rest.len() < whole, "an entry has bytes");
        Ok(Some(entry))
    }
}

fn decompress(by: &str, entries: &[u8], limit: usize) -> Result<Vec<u8>, Refused> {
    let failed = |error: std::io::Error| Refused::Compression(error.to_string());
    let mut decompressed = Vec::new();
    // One byte beyond the limit shows that there is more.
    let most = limit as u64 + 1;
    match by {
        // Fluentd appends a member for each of its writes.
        "gzip" => flate2::read::MultiGzDecoder::new(entries).take(most).read_to_end(&mut decompressed),
        "zstd" => {
            let mut decoder = zstd::Decoder::with_buffer(entries).map_err(failed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(failed)?;
            decoder.take(most).read_to_end(&mut decompressed)
        }
        _ => {
            return Err(Refused::Compression(format!(
                "{by:?} is not known; let the sender use gzip or zstd"
            )));
        }
    }
    .map_err(failed)?;
    if decompressed.len() > limit {
        return Err(Refused::TooLarge { mebibytes: limit >> 20 });
    }
    Ok(decompressed)
}
