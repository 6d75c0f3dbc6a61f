//! A scored record as text: for people (simple, table) and for programs (JSON lines, CSV).

use std::fmt::Write as _;

use clap::ValueEnum;

use crate::{
    pipeline::{Known, Scored},
    terminal::{RESET, colour_of, push_harmless},
};

/// How records are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// `[7] ERROR connection refused`
    Simple,
    /// One JSON object a line.
    Json,
    /// log,risk_label,risk_score,level,tag,pattern_id,model_version
    Csv,
    /// Columns for people: risk, level, tag, pattern, line.
    Table,
}

/// What every record is printed with.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub format: Format,
    pub colour: bool,
    /// JSON and CSV also carry the eleven probabilities.
    pub probabilities: bool,
    /// Standard output is a terminal: what could steer it is made visible, and an unsure risk has a `?`.
    pub harmless: bool,
}

impl Style {
    /// What comes before the first record, if anything.
    pub fn header(self) -> Option<&'static str> {
        match self.format {
            Format::Csv if self.probabilities => {
                Some("log,risk_label,risk_score,level,tag,pattern_id,model_version,probabilities\n")
            }
            Format::Csv => Some("log,risk_label,risk_score,level,tag,pattern_id,model_version\n"),
            Format::Table => Some("RISK  LEVEL      TAG        PATTERN           LINE\n"),
            Format::Simple | Format::Json => None,
        }
    }

    /// Appends one record and its newline.
    pub fn push(self, scored: &Scored<'_>, model_version: &str, out: &mut String) {
        let known = &*scored.known;
        match self.format {
            Format::Json => self.push_json(&scored.text, known, out),
            Format::Csv => self.push_csv(&scored.text, known, model_version, out),
            Format::Simple => {
                self.colour(known, out);
                // Programs read this format too, and know no `?`.
                let mark = if known.unsure && self.harmless { "?" } else { "" };
                _ = write!(out, "[{}{mark}]", known.label);
                self.reset(out);
                out.push(' ');
                self.push_text(&scored.text, out);
            }
            Format::Table => {
                self.colour(known, out);
                _ = write!(out, "{:>4}", known.label);
                self.reset(out);
                _ = write!(
                    out,
                    "{} {:<9}  {:<9}  {}  ",
                    mark(known),
                    known.label.level_name(),
                    known.tag,
                    known.pattern
                );
                self.push_text(&scored.text, out);
            }
        }
        out.push('\n');
    }

    fn push_json(self, text: &str, known: &Known, out: &mut String) {
        out.push_str("{\"log\":\"");
        push_json_escaped(text, out);
        out.push('"');
        out.push_str(&known.json_members);
        if self.probabilities {
            out.push_str(",\"probabilities\":[");
            push_probabilities(known, ',', out);
            out.push(']');
        }
        out.push('}');
    }

    fn push_csv(self, text: &str, known: &Known, model_version: &str, out: &mut String) {
        push_csv_field(text, out);
        _ = write!(
            out,
            ",{},{:.3},{},{},{},",
            known.label,
            known.score,
            known.label.level_name(),
            known.tag,
            known.pattern
        );
        push_csv_field(model_version, out);
        if self.probabilities {
            out.push(',');
            push_probabilities(known, ' ', out);
        }
    }

    /// A record may span lines: for people it stays one line, for programs that read lines too.
    fn push_text(self, text: &str, out: &mut String) {
        if self.harmless {
            push_harmless(text, out);
        } else if text.contains('\n') {
            out.push_str(&text.replace('\n', "⏎ "));
        } else {
            out.push_str(text);
        }
    }

    fn colour(self, known: &Known, out: &mut String) {
        if self.colour {
            out.push_str(colour_of(known.label));
        }
    }

    fn reset(self, out: &mut String) {
        if self.colour {
            out.push_str(RESET);
        }
    }
}

/// What stands behind a risk in a column.
pub fn mark(known: &Known) -> char {
    if known.unsure { '?' } else { ' ' }
}

fn push_probabilities(known: &Known, separator: char, out: &mut String) {
    for (index, probability) in known.assessment.probabilities.iter().enumerate() {
        if index > 0 {
            out.push(separator);
        }
        _ = write!(out, "{probability:.4}");
    }
}

/// RFC 4180: quoted only where needed, quotes doubled.
fn push_csv_field(text: &str, out: &mut String) {
    if text.contains([',', '"', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ') {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}

/// Appends the inside of a JSON string (RFC 8259, section 7). Every line of output passes here, so the run without
/// anything to escape, nearly always the whole line, is copied at once.
fn push_json_escaped(text: &str, out: &mut String) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = next_escape(bytes, at) {
        out.push_str(&text[copied..found]);
        match bytes[found] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => _ = write!(out, "\\u{control:04x}"),
        }
        at = found + 1;
        copied = at;
    }
    out.push_str(&text[copied..]);
}

/// The next byte from `at` on that JSON wants escaped, found eight bytes at a time
/// (the "has a byte less than / equal to" tests of Bit Twiddling Hacks; exact up to the first hit, which a scan of the
/// eight then names).
fn next_escape(bytes: &[u8], at: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let needs = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    let mut position = at;
    let (words, _) = bytes[at..].as_chunks::<8>();
    for word in words {
        let value = u64::from_le_bytes(*word);
        let quote = value ^ (ONES * u64::from(b'"'));
        let backslash = value ^ (ONES * u64::from(b'\\'));
        let hit = (value.wrapping_sub(ONES * 0x20) & !value)
            | (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash);
        if hit & HIGHS != 0
            && let Some(offset) = word.iter().position(|byte| needs(*byte))
        {
            return Some(position + offset);
        }
        position += 8;
    }
    bytes[position..].iter().position(|byte| needs(*byte)).map(|offset| position + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_strings_are_what_serde_would_write() {
        let all: String = (0..=0x2000u32).filter_map(char::from_u32).collect();
        let cases =
            ["", "plain", "a\"b", "\\", "tab\there", "12345678\n", "\u{0}\u{1f}", "日本語\u{7f}", &all];
        for case in cases {
            let mut ours = String::from("\"");
            push_json_escaped(case, &mut ours);
            ours.push('"');
            assert_eq!(serde_json::from_str::<String>(&ours).unwrap(), case);
        }
    }

    #[test]
    fn csv_fields_are_quoted_where_they_must_be() {
        for (text, expected) in
            [("a", "a"), ("a,b", "\"a,b\""), ("say \"x\"", "\"say \"\"x\"\"\""), ("a\nb", "\"a\nb\"")]
        {
            let mut out = String::new();
            push_csv_field(text, &mut out);
            assert_eq!(out, expected);
        }
    }
}
