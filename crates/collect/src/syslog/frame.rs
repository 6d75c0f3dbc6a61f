//! Messages out of a stream (RFC 6587): each ends at a newline, or begins with the number of its bytes.
//!
//! ```text
//! <34>Oct 11 22:14:15 host su: message↵
//! 41 <34>Oct 11 22:14:15 host su: message
//! ```
//! Which of the two it is shows in every message anew, since relays mix them.

use bytes::{Buf as _, BytesMut};
use memchr::{memchr, memchr2};

/// Longest message that is kept whole; of a longer one the beginning is. Eight times what rsyslog sends by default.
pub(super) const LONGEST: usize = 64 << 10;
/// Room for one read.
const READ: usize = 16 << 10;
/// Digits of a length; longer numbers are text.
const DIGITS: usize = 8;

/// One message as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) bytes: BytesMut,
    /// Whether nothing was left out.
    pub(super) whole: bool,
}

impl Frame {
    /// A message that came alone.
    pub(super) fn whole(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into(), whole: true }
    }
}

/// Cuts a stream into messages. It never holds more than [`LONGEST`] and one read.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: BytesMut,
    /// What still belongs to a message whose beginning was handed out.
    skip: Skip,
}

#[derive(Debug, Default)]
enum Skip {
    #[default]
    Nothing,
    Bytes(usize),
    Line,
}

/// How the next message is told from the one after it.
enum Framing {
    /// So many bytes after a header of so many.
    Counted {
        header: usize,
        length: usize,
    },
    Line,
    /// Too little has come to tell.
    Open,
}

impl Frames {
    /// Where the stream's next bytes belong.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        self.buffer.reserve(READ);
        &mut self.buffer
    }

    /// The next message, if all of it has come.
    pub(super) fn cut(&mut self) -> Option<Frame> {
        self.pass_over();
        match framing(&self.buffer) {
            Framing::Counted { header, length } => {
                let kept = length.min(LONGEST);
                if self.buffer.len() < header + kept {
                    return None;
                }
                self.buffer.advance(header);
                if length > kept {
                    self.skip = Skip::Bytes(length - kept);
                }
                Some(Frame { bytes: self.buffer.split_to(kept), whole: length == kept })
            }
            Framing::Line => match memchr2(b'\n', 0, &self.buffer) {
                Some(end) if end <= LONGEST => Some(Frame { bytes: self.buffer.split_to(end), whole: true }),
                _ if self.buffer.len() > LONGEST => {
                    self.skip = Skip::Line;
                    Some(Frame { bytes: self.buffer.split_to(LONGEST), whole: false })
                }
                _ => None,
            },
            Framing::Open => None,
        }
    }

    /// What is left at the end of the stream.
    pub(super) fn rest(&mut self) -> Option<Frame> {
        self.pass_over();
        let framing = framing(&self.buffer);
        if let Framing::Counted { header, .. } = framing {
            self.buffer.advance(header);
        }
        let whole = !matches!(framing, Framing::Counted { .. });
        let bytes = self.buffer.split();
        (!bytes.is_empty()).then_some(Frame { bytes, whole })
    }

    /// Passes over the rest of a long message, and over what stands between two.
    fn pass_over(&mut self) {
        match self.skip {
            Skip::Nothing => {}
            Skip::Bytes(left) => {
                let gone = left.min(self.buffer.len());
                self.buffer.advance(gone);
                self.skip = if gone < left { Skip::Bytes(left - gone) } else { Skip::Nothing };
            }
            Skip::Line => match memchr(b'\n', &self.buffer) {
                Some(end) => {
                    self.buffer.advance(end);
                    self.skip = Skip::Nothing;
                }
                None => self.buffer.clear(),
            },
        }
        let between = self.buffer.iter().take_while(|byte| matches!(byte, b'\n' | b'\r' | 0)).count();
        self.buffer.advance(between);
    }
}

/// A length is followed by a blank and the `<` of the message: a line may begin with a number, too.
fn framing(bytes: &[u8]) -> Framing {
    let digits = bytes.iter().take(DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > DIGITS || bytes.first() == Some(&b'0') {
        return Framing::Line;
    }
    match (bytes.get(digits), bytes.get(digits + 1)) {
        (Some(b' '), Some(b'<')) => {
            let number = bytes.iter().take(digits).fold(0, |sum, digit| 10 * sum + usize::from(digit - b'0'));
            Framing::Counted { header: digits + 1, length: number }
        }
        (None, _) | (Some(b' '), None) => Framing::Open,
        _ => Framing::Line,
    }
}
