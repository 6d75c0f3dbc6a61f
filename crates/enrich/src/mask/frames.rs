//! Stack traces: the first frames tell where, the rest would make every trace a pattern of its own.

use memchr::memchr;

use super::bytes::{at, digits, slice, starts_with};

/// Frames that are kept of each run.
const KEPT: usize = 2;

/// How far into a run of frames the text is.
#[derive(Debug, Default)]
pub(super) struct Frames {
    run: usize,
}

impl Frames {
    /// From the start of a line to the start of the next line that is kept.
    pub(super) fn skip(&mut self, bytes: &[u8], mut line: usize) -> usize {
        while line < bytes.len() {
            let rest = slice(bytes, line, bytes.len());
            let length = memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
            match kind(slice(bytes, line, line + length)) {
                Kind::Frame => self.run += 1,
                // The source line below a Python frame belongs to it.
                Kind::Indented if self.run > 0 => {}
                _ => {
                    self.run = 0;
                    return line;
                }
            }
            if self.run <= KEPT {
                return line;
            }
            line += length;
        }
        line
    }
}

enum Kind {
    Frame,
    Indented,
    Other,
}

fn kind(line: &[u8]) -> Kind {
    let indent = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let after = |word: &[u8]| starts_with(line, indent, word);
    let first = at(line, indent);
    let frame = match first {
        b'a' | b'A' => after(b"at "),
        b'F' => after(b"file \""),
        b'f' => indent > 0 && after(b"from "),
        b'.' => after(b"... ") && digits(line, indent + 4) > 0,
        // Go: `\t/src/server.go:123 +0x1d`, and the function above it.
        b'/' => indent > 0 && memchr(b':', line).is_some_and(|colon| digits(line, colon + 1) > 0),
        b'#' => digits(line, indent + 1) > 0,
        b'0'..=b'9' => {
            let next = indent + digits(line, indent);
            indent > 0 && at(line, next) == b':' && at(line, next + 1) == b' '
        }
        _ => false,
    };
    if frame {
        Kind::Frame
    } else if indent >= 4 && !after(b"caused by") {
        Kind::Indented
    } else {
        Kind::Other
    }
}
