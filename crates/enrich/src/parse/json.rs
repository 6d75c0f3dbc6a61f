//! JSON records of all loggers, and docker's own.
//!
//! A scanner of its own, because most lines are flat objects without escapes: their strings are borrowed, nothing is
//! allocated but the list of fields. Objects inside are followed two deep, what lies deeper stays text; depth is
//! counted, not recursed into, so that no nesting exhausts the stack. Strings with raw control characters or broken
//! escapes are taken as they are: programs do write them.

use std::borrow::Cow;

use super::{
    Format, Parsed,
    fields::{Builder, Path},
    text::{first_line, head, tail},
};

/// Takes a record apart that begins with `{`. `None` if it is no log record or no JSON.
pub(super) fn parse(text: &str) -> Option<Parsed<'_>> {
    let mut scanner = Scanner { text, at: 0 };
    let mut builder = Builder::default();
    scanner.object(Path::ROOT, &mut |path, value| builder.put(path, value))?;
    let rest = tail(text, scanner.at);
    // Further lines were joined to the record; anything else on its line means that this is no JSON record.
    let same_line = first_line(rest).trim();
    if !builder.is_record() || !same_line.is_empty() {
        return None;
    }
    Some(builder.finish(Format::Json, rest))
}

/// The fields of a JSON object in their order, into a builder; `None` if the text is no object to its end.
pub(super) fn fields<'a>(text: &'a str, builder: &mut Builder<'a>) -> Option<()> {
    let mut pairs = Vec::new();
    let mut scanner = Scanner { text, at: 0 };
    scanner.object(Path::ROOT, &mut |path, value| pairs.push((path, value)))?;
    if !tail(text, scanner.at).trim().is_empty() {
        return None;
    }
    pairs.into_iter().for_each(|(path, value)| builder.put(path, value));
    Some(())
}

/// The three string fields of a line in docker's json-file format.
#[derive(Debug, Default)]
pub(super) struct DockerLine<'a> {
    pub(super) log: Option<Cow<'a, str>>,
    pub(super) stream: Option<&'a str>,
    pub(super) time: Option<Cow<'a, str>>,
}

/// Reads a line in docker's json-file format: the only keys besides the three are `attrs` and `partial_*`.
pub(super) fn docker(text: &str) -> Option<DockerLine<'_>> {
    let mut line = DockerLine::default();
    let mut foreign = false;
    let mut scanner = Scanner { text, at: 0 };
    scanner.blanks();
    scanner.expect(b'{')?;
    loop {
        scanner.blanks();
        let key = scanner.raw_string()?;
        scanner.blanks();
        scanner.expect(b':')?;
        scanner.blanks();
        match (key.text, scanner.peek()) {
            ("log", b'"') => line.log = Some(scanner.raw_string()?.unescape()),
            ("stream", b'"') => line.stream = Some(scanner.raw_string()?.text),
            ("time", b'"') => line.time = Some(scanner.raw_string()?.unescape()),
            ("attrs", _) => scanner.skip_value()?,
            _ => foreign = true,
        }
        if foreign {
            return None;
        }
        scanner.blanks();
        match scanner.next() {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    let complete = line.log.is_some() && (line.stream.is_some() || line.time.is_some());
    (complete && tail(text, scanner.at).trim().is_empty()).then_some(line)
}

/// A string between its quotes, escapes not yet resolved.
struct Raw<'a> {
    text: &'a str,
    escaped: bool,
}

impl<'a> Raw<'a> {
    fn unescape(&self) -> Cow<'a, str> {
        if self.escaped { Cow::Owned(unescape(self.text)) } else { Cow::Borrowed(self.text) }
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn next(&mut self) -> u8 {
        let byte = self.peek();
        self.at += 1;
        byte
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next() == byte).then_some(())
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// An object; each value that is followed goes to `put`. Recursion ends with the depth of [`Path`].
    fn object(&mut self, path: Path<'a>, put: &mut dyn FnMut(Path<'a>, Cow<'a, str>)) -> Option<()> {
        self.blanks();
        self.expect(b'{')?;
        self.blanks();
        if self.peek() == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.blanks();
            let key = self.raw_string()?.text;
            self.blanks();
            self.expect(b':')?;
            self.blanks();
            self.value(path, key, put)?;
            self.blanks();
            match self.next() {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn value(
        &mut self,
        path: Path<'a>,
        key: &'a str,
        put: &mut dyn FnMut(Path<'a>, Cow<'a, str>),
    ) -> Option<()> {
        let deeper = path.join(key);
        let value = match (self.peek(), deeper) {
            (b'"', _) => self.raw_string()?.unescape(),
            (b'{', Some(deeper)) if deeper.can_hold_an_object() => return self.object(deeper, put),
            _ => {
                let start = self.at;
                self.skip_value()?;
                Cow::Borrowed(self.text.get(start..self.at)?)
            }
        };
        if let Some(path) = deeper {
            put(path, value);
        }
        Some(())
    }

    fn raw_string(&mut self) -> Option<Raw<'a>> {
        self.expect(b'"')?;
        let start = self.at;
        let escaped = self.string_end()?;
        Some(Raw { text: self.text.get(start..self.at - 1)?, escaped })
    }

    /// Moves past the closing quote; says whether there were escapes.
    fn string_end(&mut self) -> Option<bool> {
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            let distance = memchr::memchr2(b'"', b'\\', bytes.get(self.at..)?)?;
            self.at += distance;
            if self.next() == b'"' {
                return Some(escaped);
            }
            escaped = true;
            self.at += 1;
        }
    }

    /// Moves past any value, brackets counted.
    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    self.string_end()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth > 0 => self.at += 1,
                _ => self.scalar()?,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Moves past a number, `true`, `false` or `null`, and the `NaN` that some write.
    fn scalar(&mut self) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let length = rest.iter().take_while(is_part).count();
        let word = rest.get(..length)?;
        let is_word = matches!(word, b"true" | b"false" | b"null" | b"NaN" | b"Infinity" | b"-Infinity");
        let is_number = matches!(word.first(), Some(b'-' | b'0'..=b'9'));
        self.at += length;
        (is_word || is_number).then_some(())
    }
}

/// Resolves escapes. An unknown or broken one stays as it is written; a lone surrogate becomes U+FFFD.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(head(rest, at));
        rest = tail(rest, at + 1);
        let (character, length) = match rest.bytes().next() {
            Some(b'n') => ('\n', 1),
            Some(b't') => ('\t', 1),
            Some(b'r') => ('\r', 1),
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(quoted @ (b'"' | b'\\' | b'/' | b'\'')) => (char::from(quoted), 1),
            Some(b'u') => unicode(rest).unwrap_or(('\\', 0)),
            _ => ('\\', 0),
        };
        out.push(character);
        rest = tail(rest, length);
    }
    out.push_str(rest);
    out
}

/// The character of `uXXXX`, or of two such with a backslash between that form a surrogate pair, and its length.
fn unicode(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| u32::from_str_radix(text.get(at..at + 4)?, 16).ok();
    let first = unit(1)?;
    if (0xd800..0xdc00).contains(&first)
        && text.get(5..7) == Some("\\u")
        && let Some(second) = unit(7)
        && (0xdc00..0xe000).contains(&second)
    {
        let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return Some((char::from_u32(code)?, 11));
    }
    Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_resolved_and_broken_ones_stay() {
        let cases = [
            (r"a\nb\tc", "a\nb\tc"),
            (r#"say \"hi\" \\ \/"#, r#"say "hi" \ /"#),
            (r"\u00e9\u4e2d", "é中"),
            (r"\ud83d\ude00", "😀"),
            (r"\ud83d lone", "\u{fffd} lone"),
            (r"\u12", r"\u12"),
            (r"\q \", r"\q \"),
            (r"\ué", r"\ué"),
        ];
        for (input, expected) in cases {
            assert_eq!(unescape(input), expected, "{input}");
        }
    }

    #[test]
    fn nesting_of_any_depth_costs_no_stack() {
        let deep =
            format!(r#"{{"level":"error","msg":"m","x":{}{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(parse(&deep).unwrap().message, "m");
        assert!(parse(&format!("{}1", "{\"a\":".repeat(100_000))).is_none());
    }
}
