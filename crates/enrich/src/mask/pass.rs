//! The pass over a text: what is skipped, where it stops, what is written.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::bytes::{
    self, BREAK, CLASS, DIGIT, PUNCTUATION, at, class, is_alphanumeric, is_space, skip_spaces, slice,
};
use super::class::{Class, placeholder};
use super::frames::Frames;
use super::repeats::Repeats;
use super::{attack, name, place, time};

/// Where the pass stops: at digits and at all that may begin or end something variable. Letters, single spaces, brackets
/// and most other punctuation are passed over.
static STOPS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let is_control = byte < b' ' as usize || byte == 0x7f;
        table[byte] = is_control
            || matches!(
                byte as u8,
                b'0'..=b'9'
                    | b'.'
                    | b'@'
                    | b'/'
                    | b':'
                    | b'\\'
                    | b'<'
                    | b'%'
                    | b'#'
                    | b'{'
                    | b'$'
                    | b'\''
                    | b'"'
                    | b';'
                    | b'|'
                    | b'u'
                    | b'U'
                    | PUNCTUATION
            );
        byte += 1;
    }
    table
};

/// Two spaces, which become one. Rare, so they are searched for instead of stopping at every space.
static SPACES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"  "));

/// How far the pass goes without looking whether the output is full.
const STRETCH: usize = 4096;
/// The longest token that is taken apart; a longer one is data.
const TOKEN: usize = 512;
/// How far behind a path or URL a payload may reach.
const PAYLOAD: usize = 512;

/// The text did not fit.
pub(super) struct Overflow {
    /// Whether a payload was seen in what fitted.
    pub(super) attacked: bool,
}

/// One text on its way to its pattern.
pub(super) struct Pass<'a> {
    pub(super) bytes: &'a [u8],
    /// The name of the field whose value the text is, or nothing.
    pub(super) key: &'a [u8],
    pub(super) attacked: bool,
    /// Where the last class ended in the text: what follows without a gap is the rest of a name.
    pub(super) rest: usize,
    /// Before this place no relative path begins: it was looked at.
    pub(super) no_relative: usize,
    /// And no absolute one.
    no_absolute: usize,
    text: &'a str,
    out: &'a mut String,
    /// Where this text begins in `out`, and how far `out` may grow.
    base: usize,
    limit: usize,
    /// Everything before this place is in `out`.
    copied: usize,
    /// Tokens before this place are done.
    seen: usize,
    repeats: Repeats,
    frames: Frames,
    is_full: bool,
}

impl<'a> Pass<'a> {
    pub(super) fn new(text: &'a str, key: &'a [u8], limit: usize, out: &'a mut String) -> Self {
        let base = out.len();
        Self {
            bytes: text.as_bytes(),
            key,
            attacked: false,
            rest: usize::MAX,
            no_relative: 0,
            no_absolute: 0,
            text,
            out,
            base,
            limit: base + limit,
            copied: 0,
            seen: 0,
            repeats: Repeats::new(base),
            frames: Frames::default(),
            is_full: false,
        }
    }

    /// Masks the whole text. An error if it did not fit; then `out` ends anywhere.
    pub(super) fn run(mut self) -> Result<(), Overflow> {
        let bytes = self.bytes;
        let mut place = skip_spaces(bytes, 0);
        (self.copied, self.seen) = (place, place);
        let mut double = 0;
        while place < bytes.len() && !self.is_full {
            if double <= place {
                let found = SPACES.find(slice(bytes, place, bytes.len()));
                double = found.map_or(bytes.len(), |found| place + found);
            }
            let end = double.min(place + STRETCH);
            let skipped = slice(bytes, place, end).iter().position(|byte| STOPS[*byte as usize]);
            place = match skipped {
                Some(skipped) => self.stop(place + skipped),
                None if end == double => self.spaces(end),
                None => end,
            };
            if self.out.len() + place.saturating_sub(self.copied) > self.limit {
                self.flush(place);
            }
        }
        self.flush(bytes.len());
        if self.is_full {
            return Err(Overflow { attacked: self.attacked });
        }
        let written = self.out.get(self.base..).unwrap_or_default();
        let trimmed = written
            .trim_end_matches(|character: char| character.is_ascii() && is_space(character as u8))
            .len();
        self.out.truncate(self.base + trimmed);
        if self.attacked {
            mark_attack(self.out, self.base);
        }
        Ok(())
    }

    /// A byte that [`STOPS`]. Gives the place to go on from, which is past it.
    fn stop(&mut self, place: usize) -> usize {
        let bytes = self.bytes;
        let byte = at(bytes, place);
        match byte {
            b'u' | b'U' => self.word(place),
            // The dot of a sentence.
            b'.' if class(at(bytes, place + 1)) == BREAK && at(bytes, place + 1) != b'/' => place + 1,
            b'0'..=b'9' => self.digit(place),
            b'.' | b'@' => self.token_around(place).max(place + 1),
            b'/' | b':' => {
                // What colons join begins with a slash, a colon or hexadecimal digits.
                if byte == b':'
                    && !matches!(at(bytes, place + 1), b'/' | b'\\' | b':' | b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F')
                {
                    return place + 1;
                }
                let end = if self.seen < place { self.token_around(place) } else { place };
                if end > place { end } else { self.punctuation(place, byte) }
            }
            _ => self.punctuation(place, byte),
        }
    }

    /// A number that stands alone needs no token; everything else with a digit does.
    fn digit(&mut self, place: usize) -> usize {
        let bytes = self.bytes;
        let before = if place == 0 { b' ' } else { at(bytes, place - 1) };
        let next = at(bytes, place + bytes::digits(bytes, place));
        let is_alone = class(before) == BREAK
            && place != self.rest
            && !matches!(before, b'{' | PUNCTUATION)
            && class(next) == BREAK
            && !matches!(next, b':' | b'/' | b'<');
        let read = if is_alone { self.number(place, place) } else { None };
        read.unwrap_or_else(|| self.token_around(place).max(place + 1))
    }

    /// The token that the byte at `place` belongs to, or stands behind.
    fn token_around(&mut self, place: usize) -> usize {
        let bytes = self.bytes;
        let (mut start, mut end, mut flags) = (place, place, 0);
        while start > self.seen && CLASS[at(bytes, start - 1) as usize] != BREAK {
            start -= 1;
            flags |= CLASS[at(bytes, start) as usize];
        }
        for byte in slice(bytes, place, bytes.len()) {
            let class = CLASS[*byte as usize];
            if class == BREAK {
                break;
            }
            flags |= class;
            end += 1;
        }
        self.seen = if start == end {
            end
        } else if end - start <= TOKEN {
            self.token(start, end, flags).max(start + 1)
        } else if flags & DIGIT != 0 {
            self.replace(start, end, Class::Id)
        } else {
            end
        };
        self.seen
    }

    /// The two words that matter without anything variable in them: `user`, whose name follows, and `union`, of an attack.
    fn word(&mut self, place: usize) -> usize {
        let before = if place == 0 { b' ' } else { at(self.bytes, place - 1) };
        if class(before) != BREAK || place == self.rest {
            return place + 1;
        }
        if let Some((start, end)) = name::user(self.bytes, place) {
            self.seen = self.replace(start, end, Class::Id);
            return end;
        }
        self.attacked = self.attacked || attack::in_text(self.bytes, place);
        place + 1
    }

    /// A byte that is part of no token. Gives the place to go on from.
    fn punctuation(&mut self, place: usize, byte: u8) -> usize {
        let bytes = self.bytes;
        if is_space(byte) {
            return self.spaces(place);
        }
        let is_rest = place == self.rest;
        let before = if place == 0 { 0 } else { at(bytes, place - 1) };
        if let Some(end) = after_severity(bytes, place) {
            self.seen = end;
            return end;
        }
        match byte {
            b'<' => {
                if let Some((class, end)) = placeholder(bytes, place) {
                    self.attacked |= class == Class::Attack;
                    return self.replace(place, end, class);
                }
            }
            b'/' if !is_rest
                && place >= self.no_absolute
                && class(before) == BREAK
                && !matches!(before, b')' | b'/') =>
            {
                match place::absolute_path(bytes, place) {
                    Ok(end) => return self.replace_value(place, end, Class::Path),
                    Err(looked) => self.no_absolute = looked,
                }
            }
            PUNCTUATION => {
                // `…` stands for classes that were left out.
                if slice(bytes, place, place + 3) == "…".as_bytes() {
                    self.rest = place + 3;
                }
                self.seen = place + 3;
                return place + 3;
            }
            b'\\' => {
                if let Some(end) = place::unc_path(bytes, place).filter(|_| !is_rest) {
                    return self.replace_value(place, end, Class::Path);
                }
                // `\042`: a quote as some loggers write it.
                if bytes::digits(bytes, place + 1) == 3 {
                    self.seen = place + 4;
                    return place + 4;
                }
            }
            b':' if !is_rest && at(bytes, place + 1) == b':' && !is_alphanumeric(before) => {
                if let Some(end) = place::ip6(bytes, place) {
                    return self.replace(place, end, Class::Ip);
                }
            }
            // The gaps of the texts that we learn from: `#`, `{}`, `%s`.
            // `# Query_time` at the start is a comment's sign, also when the word behind it is masked already.
            b'#' if is_lone(before)
                && is_lone(at(bytes, place + 1))
                && !(place == 0 && matches!(at(bytes, place + 2), b'A'..=b'Z' | b'<')) =>
            {
                return self.replace(place, place + 1, Class::Id);
            }
            b'{' if at(bytes, place + 1) == b'}' && is_space(before) && is_lone(at(bytes, place + 2)) => {
                return self.replace(place, place + 2, Class::Id);
            }
            b'%' if !is_rest && is_lone(at(bytes, place + 2)) && class(before) == BREAK => {
                match at(bytes, place + 1) {
                    b's' | b'v' | b'q' | b'p' => return self.replace(place, place + 2, Class::Id),
                    b'd' | b'i' | b'u' | b'x' | b'f' => return self.replace(place, place + 2, Class::Num),
                    _ => {}
                }
            }
            _ => {}
        }
        self.attacked = self.attacked || attack::in_text(bytes, place);
        place + 1
    }

    /// Whitespace becomes one space; a new line may begin frames of a trace that are left out.
    fn spaces(&mut self, place: usize) -> usize {
        let bytes = self.bytes;
        // The pass does not stop at a single space, which may be the first of these.
        let start = if place > self.copied && at(bytes, place - 1) == b' ' { place - 1 } else { place };
        let mut end = place;
        while end < bytes.len() && is_space(at(bytes, end)) {
            end += 1;
            if at(bytes, end - 1) == b'\n' {
                end = self.frames.skip(bytes, end);
            }
        }
        // `Jul  3 10:30:45` begins before the spaces.
        if let Some((lead, after)) = self.dated(end) {
            return self.replace(lead, after, Class::Time);
        }
        if end - start != 1 || at(bytes, start) != b' ' {
            self.flush(start);
            if !self.is_full {
                self.out.push(' ');
            }
            self.copied = end;
        }
        end
    }

    /// A date whose day or clock is at `place` and whose month or weekday was passed over before.
    pub(super) fn dated(&self, place: usize) -> Option<(usize, usize)> {
        let lead = time::lead(self.bytes, place)?;
        let is_free = lead >= self.copied && lead != self.rest;
        time::from_word(self.bytes, lead).filter(|_| is_free).map(|end| (lead, end))
    }

    /// Copies what stands before a place and was not copied yet.
    fn flush(&mut self, end: usize) {
        let span = self.text.get(self.copied..end).unwrap_or_default();
        self.copied = self.copied.max(end);
        let mut room = self.limit.saturating_sub(self.out.len());
        if span.len() <= room {
            self.out.push_str(span);
            return;
        }
        while !span.is_char_boundary(room) {
            room -= 1;
        }
        self.out.push_str(span.get(..room).unwrap_or_default());
        self.is_full = true;
    }

    /// Writes a class in place of the bytes from `start` to `end`. Of a list only two items are kept.
    pub(super) fn replace(&mut self, start: usize, end: usize, class: Class) -> usize {
        self.flush(start);
        self.copied = end;
        self.rest = end;
        self.seen = end;
        if self.is_full {
            return end;
        }
        let class_start = self.out.len();
        match class {
            Class::Verbatim => self.out.push_str(self.text.get(start..end).unwrap_or_default()),
            class => self.out.push_str(class.as_str()),
        }
        self.repeats.shorten(self.out, class, class_start);
        end
    }

    /// Writes a class for a path, URL or value, and after it whether it carried an attack.
    pub(super) fn replace_value(&mut self, start: usize, end: usize, class: Class) -> usize {
        // A payload may hold what ends a path: quotes, brackets.
        let rest = slice(self.bytes, end, end + PAYLOAD);
        let length = rest.iter().position(|byte| is_space(*byte) || *byte == b'"').unwrap_or(rest.len());
        let value_end = end + length;
        if !attack::in_value(slice(self.bytes, start, value_end)) {
            return self.replace(start, end, class);
        }
        self.attacked = true;
        self.replace(start, value_end, class);
        if !self.is_full {
            self.out.push_str(" <attack>");
        }
        value_end
    }
}

/// Writes that a text carried an attack, unless a class in it says so already.
pub(super) fn mark_attack(out: &mut String, base: usize) {
    if !out.get(base..).is_some_and(|written| written.contains("<attack>")) {
        out.push_str(" <attack>");
    }
}

/// Whether a byte beside `#` or `{}` leaves it standing alone.
fn is_lone(byte: u8) -> bool {
    is_space(byte)
        || matches!(byte, b',' | b'.' | b':' | b';' | b')' | b'(' | b'\'' | b'"' | b']' | b'[' | b'=')
}

/// The end of `%LINK-3`, as network devices begin their messages: the digit is the severity, so it stays.
fn after_severity(bytes: &[u8], place: usize) -> Option<usize> {
    if at(bytes, place) != b'%' || !at(bytes, place + 1).is_ascii_uppercase() {
        return None;
    }
    let name = slice(bytes, place + 1, place + 32);
    let length =
        name.iter().take_while(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-')).count();
    let digit = place + 1 + length;
    let is_severity = at(bytes, digit - 1) == b'-'
        && matches!(at(bytes, digit), b'0'..=b'7')
        && at(bytes, digit + 1) == b'-'
        && at(bytes, digit + 2).is_ascii_uppercase();
    is_severity.then_some(digit + 1)
}
