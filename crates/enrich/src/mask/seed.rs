//! The first seed's masks: seven regular expressions, one after the other, then lower case.
//!
//! Kept exactly, so that models trained on the seed's texts read what they learnt. It allocates and is an order of
//! magnitude slower than the default style.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// Expressions and replacements in the seed's order. Python's `\s`, `\d`, `\b` and `str.strip` know all of Unicode;
/// so do these, but for U+001C to U+001F, which Python alone takes for whitespace.
const MASKS: [(&str, &str); 7] = [
    (r"\d{4}[-/]\d{2}[-/]\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?Z?", "<TIME>"),
    (
        r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[\s\x1c-\x1f]+\d{1,2}[\s\x1c-\x1f]+\d{2}:\d{2}:\d{2}",
        "<TIME>",
    ),
    (r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", "<ID>"),
    (r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b", "<IP>"),
    (r"\b[0-9a-fA-F]{12,}\b", "<ID>"),
    (r"\b(?:pid|PID|tid|TID)[=: ]?\d+\b|\[\d+\]", "<PID>"),
    (r"(?:/[a-zA-Z0-9._-]+){3,}", "<PATH>"),
];

static COMPILED: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    MASKS.iter().filter_map(|(mask, class)| Regex::new(mask).ok().map(|regex| (regex, *class))).collect()
});

/// Appends the masked text of a raw line.
pub(super) fn mask_into(line: &str, out: &mut String) {
    let mut text = Cow::Borrowed(line.trim_matches(is_space));
    for (regex, class) in COMPILED.iter() {
        if let Cow::Owned(masked) = regex.replace_all(&text, *class) {
            text = Cow::Owned(masked);
        }
    }
    let mut words = text.split(is_space).filter(|word| !word.is_empty());
    if let Some(word) = words.next() {
        out.push_str(&word.to_lowercase());
    }
    for word in words {
        out.push(' ');
        out.push_str(&word.to_lowercase());
    }
}

fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(line: &str, expected: &str) {
        let mut out = String::new();
        super::mask_into(line, &mut out);
        assert_eq!(out, expected, "{line}");
    }

    #[test]
    fn all_masks_compile() {
        assert_eq!(super::COMPILED.len(), super::MASKS.len());
    }

    #[test]
    fn as_the_seed() {
        check("2024-01-15T10:30:45.123Z ERROR  Disk full", "<time> error disk full");
        check(
            "Jan 15 10:30:45 host sshd[1234]: Failed from 10.0.0.1",
            "<time> host sshd<pid>: failed from <ip>",
        );
        check("container 0123456789abcdef died, pid 77 tid=8", "container <id> died, <pid> <pid>");
        check("open /var/log/app/x.log and /var/log", "open <path> and /var/log");
        check("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "<id>");
        check(" \t ", "");
        // Word boundaries are Unicode's: a letter before the digits keeps them.
        check("é10.0.0.1 Ünicode", "é10.0.0.1 ünicode");
    }
}
