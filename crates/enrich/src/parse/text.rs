//! Small steps on text that cannot panic: every cut outside the text or inside a character gives an empty piece.

use std::borrow::Cow;

/// The text from byte `at` on.
pub(super) fn tail(text: &str, at: usize) -> &str {
    text.get(at..).unwrap_or_default()
}

/// The text before byte `at`.
pub(super) fn head(text: &str, at: usize) -> &str {
    text.get(..at).unwrap_or_default()
}

/// The text up to the first newline, and where the text after it begins.
pub(super) fn first_line(text: &str) -> &str {
    let end = memchr::memchr(b'\n', text.as_bytes()).unwrap_or(text.len());
    head(text, end).trim_end_matches('\r')
}

/// The text without leading spaces and tabs.
pub(super) fn skip_blanks(text: &str) -> &str {
    let blanks = text.bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    tail(text, blanks)
}

/// How many decimal digits the text begins with.
pub(super) fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Splits off the first token: what stands before the next blank. The rest has no leading blanks.
pub(super) fn token(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| matches!(byte, b' ' | b'\t' | b'\n')).unwrap_or(text.len());
    (head(text, end), skip_blanks(tail(text, end)))
}

/// Whether the text is a non-empty run of decimal digits.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// At most `limit` bytes of the text, cut between characters.
pub(super) fn clip(text: &str, limit: usize) -> &str {
    if text.len() <= limit { text } else { head(text, text.floor_char_boundary(limit)) }
}

/// [`clip`] for text that may be owned.
pub(super) fn clip_cow(text: Cow<'_, str>, limit: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(clip(text, limit)),
        Cow::Owned(mut text) => {
            text.truncate(clip(&text, limit).len());
            Cow::Owned(text)
        }
    }
}

/// The text without terminal colours and other ANSI escape sequences; `None` where there are none.
pub(super) fn without_ansi(text: &str) -> Option<String> {
    memchr::memchr(0x1b, text.as_bytes())?;
    let mut clean = String::with_capacity(text.len());
    let mut pieces = text.split('\x1b');
    clean.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        clean.push_str(tail(piece, escape_length(piece.as_bytes())));
    }
    Some(clean)
}

/// Bytes of an escape sequence after its ESC (ECMA-48, section 5.4). A sequence that does not end loses only its
/// introducer, so that text is never swallowed.
fn escape_length(bytes: &[u8]) -> usize {
    match bytes.first() {
        // CSI: parameters 0x20-0x3f, then one final byte 0x40-0x7e.
        Some(b'[') => {
            let parameters = bytes.iter().skip(1).take_while(|byte| matches!(byte, 0x20..=0x3f)).count();
            match bytes.get(1 + parameters) {
                Some(0x40..=0x7e) => parameters + 2,
                _ => 1,
            }
        }
        // OSC: ended by BEL; its other end, ESC \, arrives as the next piece.
        Some(b']') => memchr::memchr(7, bytes).map_or(1, |end| end + 1),
        Some(b'(' | b')') => 2.min(bytes.len()),
        Some(b'\\' | b'c' | b'7' | b'8' | b'=' | b'>' | b'M') => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_vanish_and_text_stays() {
        let cases = [
            ("\x1b[31mERROR\x1b[0m disk \x1b[1;33mfull\x1b[m", "ERROR disk full"),
            ("\x1b]0;title\x07text", "text"),
            ("torn \x1b[31", "torn 31"),
            ("lone \x1b", "lone "),
            ("\x1b(Bplain", "plain"),
            ("\x1b[é", "é"),
        ];
        for (input, expected) in cases {
            assert_eq!(without_ansi(input).as_deref(), Some(expected), "{input:?}");
        }
        assert_eq!(without_ansi("no escapes"), None);
    }

    #[test]
    fn clip_cuts_between_characters() {
        assert_eq!(clip("naïve", 3), "na");
        assert_eq!(clip("naïve", 4), "naï");
        assert_eq!(clip_cow(Cow::Owned("ß".repeat(9)), 5), "ßß");
    }
}
