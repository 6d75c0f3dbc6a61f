//! Docker's stream of a container's log, as lines that a container runtime would have written to a file: the [`crate::Cutter`] reads
//! those, puts torn lines together and joins stack traces, for standard output and standard error apart.
//!
//! ```text
//! stream (1 byte), 0 0 0, length (4), "2026-01-15T10:30:45.123456789Z text\n"     a container without a terminal
//! "2026-01-15T10:30:45.123456789Z text\r\n"                                       one with a terminal
//! ```
//! A line of more than 16 KiB comes in parts; all but the last have no newline.

use jiff::Timestamp;
use memchr::memchr;

use super::cursors::Cursor;

/// Bytes before the text of a frame.
const HEAD: usize = 8;
/// The largest frame: Docker cuts lines at 16 KiB, drivers may hand out more.
const LARGEST: usize = 16 << 20;
/// A terminal's line without an end is cut here.
const LONGEST: usize = 1 << 20;

/// A line, or a part of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The place before it.
    pub(super) place: Cursor,
    /// `TIME stdout F text\n`, or `P` for a part that is not the last.
    pub(super) text: Vec<u8>,
}

/// Takes the stream of one container apart.
#[derive(Debug)]
pub(super) struct Lines {
    has_terminal: bool,
    buffer: Vec<u8>,
    /// The place before the next line of the same time.
    next: Option<Cursor>,
    /// Lines before this place are left out, until one comes after it.
    from: Option<Cursor>,
}

impl Lines {
    pub(super) fn new(has_terminal: bool, from: Option<Cursor>) -> Self {
        Self { has_terminal, buffer: Vec::new(), next: None, from }
    }

    /// Takes in the next bytes and appends the lines that they complete.
    ///
    /// # Errors
    /// What is no stream of Docker's.
    pub(super) fn feed(&mut self, bytes: &[u8], lines: &mut Vec<Line>) -> Result<(), String> {
        self.buffer.extend_from_slice(bytes);
        let buffer = std::mem::take(&mut self.buffer);
        let mut rest = buffer.as_slice();
        if self.has_terminal {
            while let Some(end) = memchr(b'\n', rest).or((rest.len() > LONGEST).then_some(LONGEST - 1)) {
                let (line, after) = rest.split_at(end + 1);
                rest = after;
                lines.extend(self.line("stdout", line, true));
            }
        } else {
            while let Some(([stream, _, _, _, length @ ..], after)) = rest.split_first_chunk::<HEAD>() {
                let length = u32::from_be_bytes(*length) as usize;
                if *stream > 2 || length > LARGEST {
                    return Err("the log is no stream of Docker's".to_owned());
                }
                let Some((text, after)) = after.split_at_checked(length) else { break };
                rest = after;
                let stream = if *stream == 2 { "stderr" } else { "stdout" };
                lines.extend(self.line(stream, text, text.ends_with(b"\n")));
            }
        }
        self.buffer = rest.to_vec();
        Ok(())
    }

    fn line(&mut self, stream: &str, text: &[u8], is_whole: bool) -> Option<Line> {
        let space = memchr(b' ', text).unwrap_or(text.len());
        let time =
            std::str::from_utf8(text.get(..space)?).ok().and_then(|time| time.parse::<Timestamp>().ok());
        // Without a time it belongs to the line before, in order.
        let (nanoseconds, content) = match time {
            Some(time) => (Cursor::at(time).nanoseconds, text.get(space + 1..).unwrap_or_default()),
            None => (self.next.map_or(0, |next| next.nanoseconds), text),
        };
        let place = match self.next {
            Some(next) if next.nanoseconds == nanoseconds => next,
            _ => Cursor { nanoseconds, lines: 0 },
        };
        self.next = Some(Cursor { nanoseconds, lines: place.lines + 1 });
        if let Some(from) = self.from {
            if (place.nanoseconds, place.lines) < (from.nanoseconds, from.lines) {
                return None;
            }
            self.from = None;
        }
        let time = Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()?;
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        let end = if is_whole { "F" } else { "P" };
        let mut text = format!("{time:.9} {stream} {end} ").into_bytes();
        text.extend_from_slice(content);
        text.push(b'\n');
        Some(Line { place, text })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(stream: u8, text: &str) -> Vec<u8> {
        [&[stream, 0, 0, 0][..], &(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
    }

    fn read(bytes: &[u8], piece: usize, has_terminal: bool, from: Option<Cursor>) -> Vec<(u64, String)> {
        let (mut lines, mut found) = (Lines::new(has_terminal, from), Vec::new());
        bytes.chunks(piece).for_each(|piece| lines.feed(piece, &mut found).unwrap());
        found.into_iter().map(|line| (line.place.lines, String::from_utf8(line.text).unwrap())).collect()
    }

    #[test]
    fn frames_become_lines_of_a_container_runtime_however_they_are_cut() {
        let bytes = [
            frame(1, "2026-01-15T10:30:45.100000000Z one\n"),
            frame(2, "2026-01-15T10:30:45.100000000Z part"),
            frame(2, "2026-01-15T10:30:45.100000001Z of it\r\n"),
        ]
        .concat();
        let all = [
            (0, "2026-01-15T10:30:45.100000000Z stdout F one\n".to_owned()),
            (1, "2026-01-15T10:30:45.100000000Z stderr P part\n".to_owned()),
            (0, "2026-01-15T10:30:45.100000001Z stderr F of it\n".to_owned()),
        ];
        for piece in [1, 7, 1000] {
            assert_eq!(read(&bytes, piece, false, None), all);
            let from = Cursor { nanoseconds: 1_768_473_045_100_000_000, lines: 1 };
            assert_eq!(read(&bytes, piece, false, Some(from)), all[1..]);
        }
        let terminal = b"2026-01-15T10:30:45.1Z one\r\nno time\r\n";
        let expected = [
            (0, "2026-01-15T10:30:45.100000000Z stdout F one\n".to_owned()),
            (1, "2026-01-15T10:30:45.100000000Z stdout F no time\n".to_owned()),
        ];
        assert_eq!(read(terminal, 5, true, None), expected);
        assert!(Lines::new(false, None).feed(b"HTTP/1.1 200 OK", &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_lines_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), has_terminal: bool) {
            _ = Lines::new(has_terminal, None).feed(&bytes, &mut Vec::new());
        }
    }
}
