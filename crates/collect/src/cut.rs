//! From bytes to records, each with its place in the stream, so that reading can go on exactly where it ended.
//!
//! ```text
//! bytes ─► line (an unfinished one waits) ─► unwrap CRI, docker-json ─► join, one joiner for each of stdout and stderr
//! ```
//! A record's place is that of its first byte. Reading again from [`Cutter::resume`] gives the records that have not been
//! handed out, and perhaps some that have: those of the same place are the same.

use std::mem;

use jiff::Timestamp;
use logrisk_enrich::{
    join::{Joiner, Step},
    parse,
};
use memchr::memchr;

/// Longest line kept whole; of a longer one head and tail are kept.
const LINE_LIMIT: usize = 1 << 20;
const KEPT_HEAD: usize = 3 * LINE_LIMIT / 4;
const KEPT_TAIL: usize = LINE_LIMIT / 4;

/// Which of a container's streams a line was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, and everything without a wrapper.
    Output,
    /// Standard error.
    Error,
}

/// One record, cut from a stream of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Where its first byte is.
    pub place: u64,
    /// When the container runtime read its first line.
    pub time: Option<Timestamp>,
    /// Where it was written to.
    pub stream: Stream,
    /// Its text, without the runtime's wrapper and without the last newline.
    pub body: String,
}

/// Cuts one stream of bytes into records.
#[derive(Debug, Default)]
pub struct Cutter {
    /// Where the next line begins.
    position: u64,
    /// A line whose end has not come yet, and how much of its middle was left out.
    line: Vec<u8>,
    left_out: usize,
    /// The open records of standard output and standard error.
    open: [Open; 2],
}

#[derive(Debug, Default)]
struct Open {
    joiner: Joiner,
    record: Option<Cut>,
}

impl Cutter {
    /// A cutter of a stream that is read from `position` on.
    #[must_use]
    pub fn new(position: u64) -> Self {
        Self { position, ..Self::default() }
    }

    /// From where to read again, if all records handed out so far are done with.
    #[must_use]
    pub fn resume(&self) -> u64 {
        let open = self.open.iter().filter_map(|open| Some(open.record.as_ref()?.place));
        open.min().unwrap_or(self.position)
    }

    /// How far it was fed.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.position + (self.line.len() + self.left_out) as u64
    }

    /// Takes in the next bytes and appends the records that they complete. A record is complete when the next one begins.
    pub fn feed(&mut self, mut bytes: &[u8], cuts: &mut Vec<Cut>) {
        while let Some(newline) = memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(newline + 1);
            bytes = rest;
            if self.line.is_empty() {
                self.push_line(line, line.len() as u64, cuts);
            } else {
                self.grow(line);
                self.finish_line(cuts);
            }
        }
        self.grow(bytes);
    }

    /// Hands out what waits for a line that would continue it: the stream fell silent.
    pub fn flush(&mut self, cuts: &mut Vec<Cut>) {
        for open in &mut self.open {
            cuts.extend(open.record.take());
            open.joiner.reset();
        }
        cuts.sort_by_key(|cut| cut.place);
    }

    /// Hands out everything, also a last line without an end: the stream ended.
    pub fn end(&mut self, cuts: &mut Vec<Cut>) {
        if !self.line.is_empty() {
            self.finish_line(cuts);
        }
        self.flush(cuts);
    }

    /// Whether a record waits for what may continue it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.iter().any(|open| open.record.is_some())
    }

    fn grow(&mut self, bytes: &[u8]) {
        self.line.extend_from_slice(bytes);
        if self.line.len() > LINE_LIMIT + KEPT_TAIL {
            let middle = KEPT_HEAD..self.line.len() - KEPT_TAIL;
            self.left_out += middle.len();
            self.line.drain(middle);
        }
    }

    fn finish_line(&mut self, cuts: &mut Vec<Cut>) {
        let mut line = mem::take(&mut self.line);
        let left_out = mem::take(&mut self.left_out);
        let length = (line.len() + left_out) as u64;
        if left_out > 0 {
            let mark = format!(" …[{left_out} bytes left out]… ");
            line.splice(KEPT_HEAD..KEPT_HEAD, mark.into_bytes());
        }
        self.push_line(&line, length, cuts);
        line.clear();
        self.line = line;
    }

    /// One whole line; `length` is what it takes up in the stream.
    fn push_line(&mut self, line: &[u8], length: u64, cuts: &mut Vec<Cut>) {
        let place = self.position;
        self.position += length;
        let line = if place == 0 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.trim_ascii().is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(line);
        let unwrapped = parse::unwrap(&text);
        let stream = if unwrapped.stream == Some("stderr") { Stream::Error } else { Stream::Output };
        let [output, error] = &mut self.open;
        let open = if stream == Stream::Error { error } else { output };
        let step = open.joiner.push(&unwrapped.content, unwrapped.partial);
        match (&mut open.record, step) {
            (Some(record), Step::Append) => record.body.push_str(&unwrapped.content),
            (Some(record), Step::Continue) => {
                record.body.push('\n');
                record.body.push_str(&unwrapped.content);
            }
            (record, _) => {
                let time = unwrapped.timestamp.as_deref().and_then(|time| time.parse().ok());
                let body = unwrapped.content.into_owned();
                cuts.extend(record.replace(Cut { place, time, stream, body }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], piece: usize) -> Vec<Cut> {
        let mut cutter = Cutter::default();
        let mut cuts = Vec::new();
        bytes.chunks(piece).for_each(|piece| cutter.feed(piece, &mut cuts));
        cutter.end(&mut cuts);
        assert_eq!(cutter.resume(), bytes.len() as u64);
        cuts
    }

    fn check(text: &str, expected: &[(u64, &str)]) {
        for piece in [1, 3, 4096] {
            let cuts = all(text.as_bytes(), piece);
            let found: Vec<_> = cuts.iter().map(|cut| (cut.place, cut.body.as_str())).collect();
            assert_eq!(found, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn records_know_where_they_begin() {
        check("a\nb\r\n\nc", &[(0, "a"), (2, "b"), (6, "c")]);
        check(
            "ERROR x\n\tat a.B.c(D.java:1)\nINFO y\n",
            &[(0, "ERROR x\n\tat a.B.c(D.java:1)"), (28, "INFO y")],
        );
    }

    #[test]
    fn lines_torn_by_the_runtime_are_put_together_for_each_stream() {
        check(
            "2024-01-15T10:30:45Z stdout P one \n2024-01-15T10:30:45Z stderr F oops\n2024-01-15T10:30:46Z stdout F line\n",
            &[(0, "one line"), (35, "oops")],
        );
        check(
            "{\"log\":\"half \",\"stream\":\"stdout\",\"time\":\"2024-01-15T10:30:45Z\"}\n{\"log\":\"done\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-15T10:30:45Z\"}\n",
            &[(0, "half done")],
        );
    }

    #[test]
    fn a_runtimes_time_is_the_records() {
        let cuts = all(b"2024-01-15T10:30:45.5Z stderr F oops\n", 100);
        assert_eq!(cuts[0].time, Some("2024-01-15T10:30:45.5Z".parse().unwrap()));
        assert_eq!(cuts[0].stream, Stream::Error);
    }

    #[test]
    fn reading_again_from_resume_gives_what_was_not_handed_out() {
        let text = "INFO a\nERROR b\n\tat x.Y.z(Y.java:1)\nINFO c\nINFO d\n".repeat(20);
        let whole = all(text.as_bytes(), 4096);
        for end in 0..text.len() {
            let (mut cutter, mut cuts) = (Cutter::default(), Vec::new());
            cutter.feed(&text.as_bytes()[..end], &mut cuts);
            let resume = cutter.resume();
            let mut again = Cutter::new(resume);
            again.feed(&text.as_bytes()[usize::try_from(resume).unwrap()..], &mut cuts);
            again.end(&mut cuts);
            assert_eq!(cuts, whole, "killed after {end} bytes");
        }
    }

    #[test]
    fn a_huge_line_keeps_its_head_and_its_tail() {
        let mut line = vec![b'h'; 10 << 20];
        line.extend_from_slice(b"cause\nnext\n");
        let cuts = all(&line, 64 << 10);
        assert_eq!(cuts.len(), 2);
        assert!(cuts[0].body.len() < 2 << 20 && cuts[0].body.ends_with("cause"));
        assert_eq!(cuts[1].place, line.len() as u64 - 5);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_cut_without_loss_of_place(bytes: Vec<u8>, piece in 1usize..50) {
            let cuts = all(&bytes, piece);
            proptest::prop_assert!(cuts.iter().all(|cut| cut.place < bytes.len() as u64));
        }
    }
}
