//! `key=value` lines of logrus, Go kit, Heroku and their kin, and the pairs that follow a structured klog message.

use std::borrow::Cow;

use super::{
    Format, Parsed,
    fields::{Builder, Path},
    json::unescape,
    text::{first_line, head, skip_blanks, tail},
};

/// Takes a line apart that consists of pairs only. `None` if it does not, or if neither level nor message is among them
/// and it is too short to be anything but a message with an equals sign.
pub(super) fn parse(text: &str) -> Option<Parsed<'_>> {
    let line = first_line(text);
    // Cheap refusal: the first token must be a pair.
    key_length(line)?;
    let mut builder = Builder::default();
    let count = pairs(line, &mut builder)?;
    let complete = count >= 2 && (builder.has_level_or_message() || (count >= 3 && builder.is_record()));
    complete.then(|| builder.finish(Format::Logfmt, tail(text, line.len())))
}

/// Puts all pairs of a line into the builder and counts them; `None` if something else stands there.
pub(super) fn pairs<'a>(line: &'a str, builder: &mut Builder<'a>) -> Option<usize> {
    let mut rest = skip_blanks(line);
    let mut count = 0;
    while !rest.is_empty() {
        let length = key_length(rest)?;
        let key = head(rest, length);
        let (value, after) = value(tail(rest, length + 1))?;
        builder.put(Path::one(key), value);
        rest = skip_blanks(after);
        count += 1;
    }
    Some(count)
}

/// The length of a key that an equals sign follows.
pub(super) fn key_length(text: &str) -> Option<usize> {
    let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@' | b'/');
    let length = text.bytes().take(64).take_while(is_key).count();
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | '@'));
    (begins && text.as_bytes().get(length) == Some(&b'=')).then_some(length)
}

/// A value and what follows it. A bare value extends to the next pair, since some print text without quotes.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, rest) = quoted_value(quoted)?;
        return (rest.is_empty() || rest.starts_with([' ', '\t', ','])).then_some((value, rest));
    }
    let mut end = 0;
    loop {
        let rest = tail(text, end);
        let word = memchr::memchr2(b' ', b'\t', rest.as_bytes()).unwrap_or(rest.len());
        let after = skip_blanks(tail(rest, word));
        end += word;
        if after.is_empty() || key_length(after).is_some() {
            return Some((Cow::Borrowed(head(text, end).trim_end_matches(',')), after));
        }
        end = text.len() - after.len();
    }
}

/// The content of a string whose opening quote is gone, and what follows the closing one.
pub(super) fn quoted_value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut escaped = false;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            let value = head(text, at);
            let value = if escaped { Cow::Owned(unescape(value)) } else { Cow::Borrowed(value) };
            return Some((value, tail(text, at + 1)));
        }
        escaped = true;
        at += 2;
    }
}
