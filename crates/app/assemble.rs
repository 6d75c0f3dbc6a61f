//! From bytes to blocks of records: lines are cut, made valid UTF-8, and joined where a record spans several.
//!
//! ```text
//! chunk ─► tail (an unfinished line) ─► text (whole lines) ─► joiner ─► Block { text, records }
//! ```
//! The last record of `text` stays back until the next line shows that it is complete, or the caller flushes.
//! A line is copied once, checked for UTF-8 once, and never allocated on its own.

use std::{io, iter, mem, ops::Range};

use logrisk_enrich::{
    join::{Joiner, Step},
    parse,
};
use memchr::{memchr, memchr_iter, memrchr};

/// Longest line kept whole. Real lines end far below; a longer one is a dump or binary data.
const LINE_LIMIT: usize = 1 << 20;
/// Of a longer line, this much of its head and of its tail is kept.
const KEPT_HEAD: usize = 3 * LINE_LIMIT / 4;
const KEPT_TAIL: usize = LINE_LIMIT / 4;

/// Whole records, ready to be scored.
#[derive(Debug, Default)]
pub struct Block {
    /// The lines, newlines included.
    pub text: String,
    /// Where the records are in `text`, in order, their last newline included.
    pub records: Vec<Range<usize>>,
    /// Physical lines in `text`.
    pub lines: u64,
}

impl Block {
    /// One record, whatever the text holds.
    pub fn of(record: &str) -> Self {
        Self { text: record.to_owned(), records: iter::once(0..record.len()).collect(), lines: 1 }
    }
}

/// How much to take of what an assembler holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// The records that are known to be complete.
    Complete,
    /// All whole lines: the stream fell silent, so nothing will join the last record. An unfinished line stays, since
    /// programs that buffer their output pause in the middle of lines.
    Silent,
    /// Everything: the stream ended.
    End,
}

/// Cuts one stream of bytes into records.
#[derive(Debug)]
pub struct Assembler {
    join: bool,
    joiner: Joiner,
    /// Standard output and standard error of a container do not continue each other.
    stream: Option<Stream>,
    tail: Vec<u8>,
    left_out: usize,
    text: String,
    begins: Vec<usize>,
    lines: u64,
    scanned: usize,
    started: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Output,
    Error,
}

impl Assembler {
    /// An assembler for one file or stream; without `join` every line is a record of its own.
    pub fn new(join: bool) -> Self {
        Self {
            join,
            joiner: Joiner::default(),
            stream: None,
            tail: Vec::new(),
            left_out: 0,
            text: String::new(),
            begins: Vec::new(),
            lines: 0,
            scanned: 0,
            started: false,
        }
    }

    /// Bytes of whole lines that wait to be taken.
    pub fn waiting(&self) -> usize {
        self.text.len()
    }

    /// Takes in the next bytes of the stream, in pieces of any size.
    ///
    /// # Errors
    /// UTF-16 at the start of the stream, which would score as noise.
    pub fn accept(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.started {
            self.cut(bytes);
            return Ok(());
        }
        // What the text is encoded in shows in its first three bytes.
        self.tail.extend_from_slice(bytes);
        if self.tail.len() < 3 {
            return Ok(());
        }
        self.started = true;
        let first = mem::take(&mut self.tail);
        if first.starts_with(b"\xff\xfe") || first.starts_with(b"\xfe\xff") {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the text is UTF-16; convert it first: iconv -f UTF-16 -t UTF-8",
            ));
        }
        self.cut(first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&first));
        Ok(())
    }

    /// Cuts off the whole lines and keeps the rest.
    fn cut(&mut self, bytes: &[u8]) {
        let Some(last) = memrchr(b'\n', bytes) else {
            self.extend_tail(bytes);
            return;
        };
        let (mut whole, rest) = bytes.split_at(last + 1);
        if !self.tail.is_empty() {
            let first = memchr(b'\n', whole).map_or(whole.len(), |newline| newline + 1);
            let (end_of_tail, lines) = whole.split_at(first);
            self.extend_tail(end_of_tail);
            self.finish_tail();
            whole = lines;
        }
        push_valid(whole, &mut self.text);
        self.extend_tail(rest);
        self.scan();
    }

    /// Takes records out, in order; `None` when there are none. `used` is a block that is done with: its memory is used
    /// again, since fresh memory for every block would cost as much as parsing it.
    pub fn take(&mut self, take: Take, used: &mut Block) -> Option<Block> {
        if take == Take::End && !self.tail.is_empty() {
            self.finish_tail();
            self.text.push('\n');
            self.scan();
        }
        let whole = take != Take::Complete || !self.join;
        let end = if whole { self.scanned } else { self.begins.last().copied().unwrap_or(0) };
        if end == 0 {
            return None;
        }
        let mut rest = mem::take(&mut used.text);
        rest.clear();
        rest.push_str(&self.text[end..]);
        self.text.truncate(end);
        let text = mem::replace(&mut self.text, rest);
        self.scanned -= end;
        let mut begins = mem::take(&mut self.begins);
        if whole {
            self.joiner = Joiner::default();
        } else {
            begins.pop();
            self.begins.push(0);
        }
        let ends = begins.iter().copied().skip(1).chain([end]);
        let mut records = mem::take(&mut used.records);
        records.clear();
        records.extend(begins.iter().copied().zip(ends).map(|(begin, end)| begin..end));
        Some(Block { text, records, lines: mem::take(&mut self.lines) })
    }

    /// Grows the unfinished line, leaving out its middle where it gets too long.
    fn extend_tail(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > LINE_LIMIT + KEPT_TAIL {
            let middle = KEPT_HEAD..self.tail.len() - KEPT_TAIL;
            self.left_out += middle.len();
            self.tail.drain(middle);
        }
    }

    fn finish_tail(&mut self) {
        if self.left_out > 0 {
            let mark = format!(" …[{} bytes left out]… ", mem::take(&mut self.left_out));
            self.tail.splice(KEPT_HEAD..KEPT_HEAD, mark.into_bytes());
        }
        push_valid(&self.tail, &mut self.text);
        self.tail.clear();
    }

    /// Finds the beginnings of records in the lines that are new.
    fn scan(&mut self) {
        let new = &self.text[self.scanned..];
        let mut begin = 0;
        for newline in memchr_iter(b'\n', new.as_bytes()) {
            let line = new[begin..newline].trim_end_matches('\r');
            self.lines += 1;
            let begins = if !self.join {
                true
            } else {
                let unwrapped = parse::unwrap(line);
                let stream = unwrapped.stream.map(|name| match name {
                    "stderr" => Stream::Error,
                    _ => Stream::Output,
                });
                if stream != self.stream {
                    self.stream = stream;
                    self.joiner = Joiner::default();
                }
                let step = self.joiner.push(&unwrapped.content, unwrapped.partial);
                // An empty line belongs to what it follows; it is never a record of its own.
                step == Step::Begin && !line.trim_ascii().is_empty() || self.begins.is_empty()
            };
            if begins {
                self.begins.push(self.scanned + begin);
            }
            begin = newline + 1;
        }
        self.scanned += begin;
    }
}

/// Appends bytes as UTF-8; what is not valid becomes U+FFFD.
fn push_valid(bytes: &[u8], text: &mut String) {
    match str::from_utf8(bytes) {
        Ok(valid) => text.push_str(valid),
        Err(_) => text.push_str(&String::from_utf8_lossy(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the bytes in pieces of `piece` and lists the records.
    fn records(bytes: &[u8], piece: usize, join: bool) -> Vec<String> {
        let mut assembler = Assembler::new(join);
        let mut records = Vec::new();
        let mut collect = |block: Option<Block>| {
            for block in block.into_iter() {
                for range in &block.records {
                    records.push(block.text[range.clone()].trim_end().to_owned());
                }
            }
        };
        for chunk in bytes.chunks(piece) {
            assembler.accept(chunk).unwrap();
            collect(assembler.take(Take::Complete, &mut Block::default()));
        }
        collect(assembler.take(Take::End, &mut Block::default()));
        records
    }

    fn check(bytes: &[u8], join: bool, expected: &[&str]) {
        for piece in [1, 2, 7, 4096] {
            assert_eq!(records(bytes, piece, join), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn lines_are_cut_whatever_the_pieces() {
        check(b"a\nb\r\n\nc", false, &["a", "b", "", "c"]);
        check("\u{feff}é\nü".as_bytes(), false, &["é", "ü"]);
        check(b"", true, &[]);
    }

    #[test]
    fn a_stack_trace_is_one_record() {
        check(
            b"ERROR boom\n\tat com.foo.Bar.baz(Bar.java:1)\nINFO next\n",
            true,
            &["ERROR boom\n\tat com.foo.Bar.baz(Bar.java:1)", "INFO next"],
        );
    }

    #[test]
    fn empty_lines_are_no_records_when_joining() {
        check(b"a\n\n\nb\n", true, &["a", "b"]);
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        check(b"a\xffb\n\xc3\n", false, &["a\u{fffd}b", "\u{fffd}"]);
    }

    #[test]
    fn utf16_is_refused_with_the_remedy() {
        let error = Assembler::new(true).accept(b"\xff\xfea\0").unwrap_err();
        assert!(error.to_string().contains("iconv"), "{error}");
    }

    #[test]
    fn a_huge_line_keeps_its_head_and_its_tail() {
        let mut line = vec![b'h'; 10 << 20];
        line.extend_from_slice(b"cause\nnext\n");
        let records = records(&line, 64 << 10, false);
        assert_eq!(records.len(), 2);
        assert!(records[0].len() < 2 << 20, "{}", records[0].len());
        assert!(records[0].ends_with("cause") && records[0].contains("bytes left out"));
    }
}
