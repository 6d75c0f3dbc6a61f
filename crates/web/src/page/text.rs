//! Lines are hostile: what cannot be seen, turns text round or stacks upon it becomes an outlined chip that names it.
//!
//! `assets/text.js` does the same in the browser; `tests/page` holds the two together.

use std::fmt::{self, Write as _};

use askama::filters::HtmlSafe;
use jiff::Timestamp;
use unicode_categories::UnicodeCategories as _;

/// Combining marks that stand on one letter in real writing; more are a tower.
const MARKS: usize = 4;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Shown as it is.
    Plain(String),
    /// A mask class, as `<num>`.
    Class(String),
    /// The name of what cannot be shown.
    Chip(String),
}

/// Text as the page shows it: HTML, escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown(String);

impl HtmlSafe for Shown {}

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A text from a log as HTML.
pub(crate) fn shown(text: &str) -> Shown {
    let mut html = String::with_capacity(text.len() + 16);
    for piece in pieces(text) {
        let (class, text) = match piece {
            Piece::Plain(text) => {
                escape(&text, &mut html);
                continue;
            }
            Piece::Class(text) => ("class", text),
            Piece::Chip(text) => ("chip", text),
        };
        _ = write!(html, "<span class=\"{class}\">");
        escape(&text, &mut html);
        html.push_str("</span>");
    }
    Shown(html)
}

fn escape(text: &str, html: &mut String) {
    for character in text.chars() {
        match character {
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '&' => html.push_str("&amp;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}

/// Cuts a text into what is shown as it is and what is named.
pub(crate) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Pieces::default();
    let mut rest = text;
    let mut marks = 0;
    while let Some(first) = rest.chars().next() {
        let mut taken = first.len_utf8();
        if first.is_mark() {
            marks += 1;
            if marks > MARKS {
                pieces.chip("mark".to_owned());
                rest = rest.get(taken..).unwrap_or_default();
                continue;
            }
        } else {
            marks = 0;
        }
        match first {
            '<' => match class(rest) {
                Some(class) => {
                    taken = class.len();
                    pieces.flush();
                    pieces.done.push(Piece::Class(class.to_owned()));
                }
                None => pieces.plain.push(first),
            },
            '\n' => pieces.chip("⏎".to_owned()),
            '\t' => pieces.chip("⇥".to_owned()),
            '\u{1b}' => {
                let length = escape_length(rest);
                pieces.chip(format!("ESC{}", rest.get(1..length).unwrap_or_default()));
                taken = length;
            }
            hidden if is_hidden(hidden) => pieces.chip(format!("U+{:04X}", u32::from(hidden))),
            other => pieces.plain.push(other),
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    pieces.finish()
}

#[derive(Default)]
struct Pieces {
    done: Vec<Piece>,
    plain: String,
    /// The chip that may repeat, and how often it came.
    chip: Option<(String, usize)>,
}

impl Pieces {
    /// Equal chips in a row become one with a count: five hundred would only make the page slow.
    fn chip(&mut self, name: String) {
        if self.plain.is_empty()
            && let Some((last, count)) = &mut self.chip
            && *last == name
        {
            *count += 1;
            return;
        }
        self.flush();
        self.chip = Some((name, 1));
    }

    fn flush(&mut self) {
        if let Some((name, count)) = self.chip.take() {
            self.done.push(Piece::Chip(if count > 1 { format!("{name} ×{count}") } else { name }));
        }
        if !self.plain.is_empty() {
            self.done.push(Piece::Plain(std::mem::take(&mut self.plain)));
        }
    }

    fn finish(mut self) -> Vec<Piece> {
        self.flush();
        self.done
    }
}

/// A mask class at the beginning of a text: `<num>`, `<path:etc>`.
fn class(text: &str) -> Option<&str> {
    let length = text.bytes().take(32).position(|byte| byte == b'>')?;
    let name = text.get(1..length)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_:%+/-".contains(&byte);
    (name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(plain))
        .then(|| text.get(..=length))
        .flatten()
}

/// Bytes of a control sequence (ECMA-48, 5.4): ESC, `[`, parameters, and a final byte.
fn escape_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    if bytes.get(1) != Some(&b'[') {
        return 1;
    }
    let parameters = bytes.iter().skip(2).take(32).take_while(|byte| (0x20..0x40).contains(*byte)).count();
    match bytes.get(2 + parameters) {
        Some(0x40..=0x7e) => 3 + parameters,
        _ => 1,
    }
}

/// Characters that show nothing, or that change how others are shown.
fn is_hidden(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fffd}' | '\u{e0000}'..='\u{e01ef}')
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How long ago, in one unit.
pub(crate) fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = (now.as_second() - then.as_second()).max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} m", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Hours, minutes and seconds in UTC; the page's script turns them into local time.
pub(crate) fn clock(time: Timestamp) -> String {
    time.strftime("%H:%M:%S").to_string()
}

/// Day, month, hours and minutes in UTC.
pub(crate) fn day(time: Timestamp) -> String {
    time.strftime("%-d %b %H:%M").to_string()
}

/// A model's version, short enough for a header: the last time stamp in it, or its two ends.
pub(crate) fn short_version(version: &str) -> String {
    if version.chars().count() <= 16 {
        return version.to_owned();
    }
    let stamp = version.rsplit('-').find_map(|part| {
        let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", part).ok()?;
        Some(civil.strftime("%-d %b %H:%M").to_string())
    });
    stamp.unwrap_or_else(|| {
        let head: String = version.chars().take(8).collect();
        let tail: Vec<char> = version.chars().rev().take(6).collect();
        format!("{head}…{}", tail.into_iter().rev().collect::<String>())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_named_and_escaped() {
        let cases = [
            (
                "<script>alert(1)</script>",
                "<span class=\"class\">&lt;script&gt;</span>alert(1)&lt;/script&gt;",
            ),
            ("a <num> b", "a <span class=\"class\">&lt;num&gt;</span> b"),
            ("\u{1b}[31mred", "<span class=\"chip\">ESC[31m</span>red"),
            ("x\u{202e}y", "x<span class=\"chip\">U+202E</span>y"),
            ("\u{e0041}", "<span class=\"chip\">U+E0041</span>"),
            ("\u{200b}\u{200b}\u{200b}", "<span class=\"chip\">U+200B ×3</span>"),
            ("a\nb", "a<span class=\"chip\">⏎</span>b"),
            ("<img src=x onerror='1'>", "&lt;img src=x onerror=&#39;1&#39;&gt;"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text).to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn five_hundred_combining_marks_are_four_and_a_chip() {
        let text = format!("e{}", "\u{301}".repeat(500));
        let pieces = pieces(&text);
        assert_eq!(pieces.last(), Some(&Piece::Chip("mark ×496".to_owned())));
        assert_eq!(pieces.first(), Some(&Piece::Plain(format!("e{}", "\u{301}".repeat(4)))));
    }

    #[test]
    fn versions_become_short() {
        assert_eq!(short_version("trained-20261121T172215Z-calibrated-20261121T172722Z"), "21 Nov 17:27");
        assert_eq!(short_version("42"), "42");
        assert_eq!(short_version("0123456789abcdef0123456789abcdef"), "01234567…abcdef");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([7_u64, 999, 1000, 1_234_567].map(grouped), ["7", "999", "1,000", "1,234,567"]);
    }
}
