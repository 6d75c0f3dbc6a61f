//! How much of a masked text is left to judge by.

use logrisk_base::Level;

use super::bytes::slice;

/// Classes that say something of the risk themselves: how a request ended, how full, how many of how many, an attack.
const TELLING: [&str; 12] = [
    "<2xx>", "<3xx>", "<4xx>", "<5xx>", "<low%>", "<high%>", "<full%>", "<0/n>", "<k/n>", "<n/n>", "<neg>",
    "<attack>",
];

/// The words of a masked text behind its level and logger, and the classes that tell as much as a word (`<5xx>`).
///
/// `OutOfMemoryError` is four words; in scripts without spaces each character is one. Counting stops at 2: a text with
/// fewer was masked away, and whatever is said of it is a guess.
#[must_use]
pub fn words_left(level: Option<Level>, masked: &str) -> usize {
    let mut text = message(level, masked);
    let mut words = 0;
    while let Some(first) = text.chars().next()
        && words < 2
    {
        let length = if first == '<' {
            let class = class(text);
            words += usize::from(TELLING.contains(&class));
            class.len()
        } else if first.is_alphabetic() {
            words += 1;
            word_length(text)
        } else {
            first.len_utf8()
        };
        text = text.get(length..).unwrap_or_default();
    }
    words
}

/// What follows level and logger. A logger is only told from a message where a level stands before it.
fn message(level: Option<Level>, masked: &str) -> &str {
    let rest = level.and_then(|level| masked.strip_prefix(level.as_str()));
    match rest {
        Some(rest) if rest.starts_with(": ") => rest,
        Some(rest) if rest.starts_with(' ') => match rest.split_once(": ") {
            Some((logger, message)) if !logger.trim().contains(' ') => message,
            _ => rest,
        },
        Some("" | ":") => "",
        _ => masked,
    }
}

/// The class that a text begins with, or its `<`.
fn class(text: &str) -> &str {
    let end = slice(text.as_bytes(), 0, 10).iter().position(|byte| *byte == b'>');
    let class = end.and_then(|end| text.get(..=end)).filter(|class| !class.contains(' '));
    class.unwrap_or("<")
}

/// One word of those that a text begins with: up to a capital that follows a small letter, or a single character of a
/// script without spaces.
fn word_length(text: &str) -> usize {
    let mut before: Option<char> = None;
    for (place, character) in text.char_indices() {
        let hump = before.is_some_and(|before| before.is_lowercase() && character.is_uppercase());
        let unspaced = before.is_some_and(|before| ('\u{2e80}'..='\u{9fff}').contains(&before));
        if !(character.is_alphabetic() || matches!(character, '\'' | '’')) || hump || unspaced {
            return place.max(1);
        }
        before = Some(character);
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(level: Option<Level>, masked: &str, expected: usize) {
        assert_eq!(words_left(level, masked), expected, "{masked:?}");
    }

    #[test]
    fn classes_and_the_header_are_no_words() {
        check(None, "", 0);
        check(None, "--- <num> <hex>: 0", 0);
        check(None, "<", 0);
        check(Some(Level::Error), "error: <id> <path>", 0);
        check(Some(Level::Error), "error", 0);
        check(Some(Level::Error), "error kubelet: <id>", 0);
        check(Some(Level::Info), "info: started", 1);
        check(Some(Level::Info), "info kubelet: pod started: <id>", 2);
        check(None, "kubelet: <id>", 1);
        check(None, "disk full", 2);
    }

    #[test]
    fn what_tells_as_much_as_a_word_counts() {
        check(None, "<5xx> <num>", 1);
        check(None, "<attack>", 1);
        check(None, "<k/n> <full%>", 2);
        check(None, "OutOfMemoryError", 2);
        check(None, "panic", 1);
        check(None, "can't", 1);
        check(None, "<b c", 2);
    }

    #[test]
    fn other_scripts_have_words_too() {
        check(None, "磁盘", 2);
        check(None, "диск", 1);
        check(None, "диск полон", 2);
        check(None, "é", 1);
    }
}
