//! Strangers' text in a page: log lines are hostile input.

use std::fmt::Write as _;

/// Appends text so that it is nothing but text: markup is escaped, and what would hide or turn the words around it
/// (control characters, bidirectional overrides, invisible letters) stands there as an outlined `U+202E`.
pub(super) fn push(text: &str, out: &mut String) {
    let mut marks = 0;
    for character in text.chars() {
        // Four stacked accents are writing, hundreds are an attack on the lines above and below.
        marks = if is_mark(character) { marks + 1 } else { 0 };
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push('⏎'),
            '\t' => out.push(' '),
            '\u{1b}' => out.push_str("<i>ESC</i>"),
            character if marks > 4 || is_invisible(character) => {
                _ = write!(out, "<i>U+{:04X}</i>", u32::from(character));
            }
            character => out.push(character),
        }
    }
}

/// The escaped text.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    push(text, &mut out);
    out
}

fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{ffa0}' | '\u{e0000}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn text_stays_text() {
        for (text, expected) in [
            ("<img src=x onerror='a()'>", "&lt;img src=x onerror=&#39;a()&#39;&gt;"),
            ("a\u{202e}b\u{0}\n", "a<i>U+202E</i>b<i>U+0000</i>⏎"),
            ("\u{1b}[31mred", "<i>ESC</i>[31mred"),
            ("größe 磁盘", "größe 磁盘"),
        ] {
            assert_eq!(escaped(text), expected);
        }
        assert!(escaped(&format!("a{}", "\u{301}".repeat(500))).matches("U+0301").count() >= 496);
    }
}
