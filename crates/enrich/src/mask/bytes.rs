//! The alphabet of the mask: what each byte is, and reading bytes without ever leaving the text.

/// `0`–`9`.
pub(super) const DIGIT: u8 = 1;
/// A letter that no hexadecimal number has, `_`, or a byte of a character outside ASCII.
pub(super) const NOT_HEX: u8 = 1 << 1;
/// `.`, which joins the labels of host, file and class names.
pub(super) const DOT: u8 = 1 << 2;
/// `@`.
pub(super) const AT: u8 = 1 << 3;
/// `-`, which joins words.
pub(super) const DASH: u8 = 1 << 4;
/// `a`–`f` and `A`–`F`.
pub(super) const HEX_LETTER: u8 = 1 << 5;
/// `_`, which joins words and is no hexadecimal digit either.
pub(super) const UNDERSCORE: u8 = 1 << 6;
/// What joins the atoms of a name.
pub(super) const JOINT: u8 = DOT | AT | DASH | UNDERSCORE;
/// Ends a token: everything that is neither letter, digit, `_`, `-`, `.` nor `@`.
pub(super) const BREAK: u8 = 1 << 7;

/// The first of the three bytes of U+2000 to U+2FFF: dashes, quotes, arrows, and the `…` that the mask writes itself.
pub(super) const PUNCTUATION: u8 = 0xe2;

/// One lookup per byte decides what a token can be.
pub(super) static CLASS: [u8; 256] = {
    let mut table = [BREAK; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' | b'A'..=b'F' => HEX_LETTER,
            PUNCTUATION => BREAK,
            b'_' => UNDERSCORE | NOT_HEX,
            b'g'..=b'z' | b'G'..=b'Z' | 0x80..=0xff => NOT_HEX,
            b'.' => DOT,
            b'@' => AT,
            b'-' => DASH,
            _ => BREAK,
        };
        byte += 1;
    }
    table
};

/// The byte at a place, NUL past the end. NUL is whitespace to the mask, so the end needs no special case.
#[inline(always)]
pub(super) fn at(bytes: &[u8], index: usize) -> u8 {
    bytes.get(index).copied().unwrap_or(0)
}

/// The bytes between two places, as far as there are any.
#[inline(always)]
pub(super) fn slice(bytes: &[u8], start: usize, end: usize) -> &[u8] {
    bytes.get(start..end.min(bytes.len())).unwrap_or_default()
}

/// What a byte is.
#[inline(always)]
pub(super) fn class(byte: u8) -> u8 {
    CLASS[byte as usize]
}

/// Whitespace, control characters and the end of the text.
#[inline(always)]
pub(super) fn is_space(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f
}

/// A letter or digit of any script.
#[inline(always)]
pub(super) fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || (byte >= 0x80 && byte != PUNCTUATION)
}

/// How many digits stand at a place.
#[inline]
pub(super) fn digits(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    while at(bytes, end).is_ascii_digit() {
        end += 1;
    }
    end - start
}

/// The number that `count` digits spell; `u64::MAX` for more than 19, though zeros may lead.
#[inline]
pub(super) fn number(bytes: &[u8], start: usize, count: usize) -> u64 {
    let digits = slice(bytes, start, start + count).iter().map(|digit| u64::from(digit.wrapping_sub(b'0')));
    if count > 19 {
        return u64::MAX;
    }
    digits.fold(0, |sum: u64, digit| sum.wrapping_mul(10).wrapping_add(digit))
}

/// The place after a run of whitespace.
#[inline]
pub(super) fn skip_spaces(bytes: &[u8], mut start: usize) -> usize {
    while start < bytes.len() && is_space(at(bytes, start)) {
        start += 1;
    }
    start
}

/// Whether the text at a place begins with a lower-case word, in any case.
#[inline]
pub(super) fn starts_with(bytes: &[u8], start: usize, lower: &[u8]) -> bool {
    slice(bytes, start, start + lower.len()).eq_ignore_ascii_case(lower)
}
