//! The words of a masked text.

use std::ops::Range;

/// Words: letters and digits with what joins them inside (`out-of-memory`, `reflector.go`, `can't`). Mask classes:
/// `<num>`. In scripts without spaces every character is a word.
pub(crate) fn words(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut characters = text.char_indices().peekable();
    while let Some((start, character)) = characters.next() {
        let mut end = start + character.len_utf8();
        if character == '<'
            && let Some(length) = class_length(&text[start..])
        {
            end = start + length;
        } else if is_unspaced(character) {
        } else if character.is_alphanumeric() {
            let mut before = character;
            while let Some(&(place, next)) = characters.peek() {
                let joins = matches!(next, '_' | '-' | '.' | '\'' | '/' | '@') && before.is_alphanumeric();
                if is_unspaced(next) || !(next.is_alphanumeric() || joins) {
                    break;
                }
                if next.is_alphanumeric() {
                    end = place + next.len_utf8();
                }
                before = next;
                characters.next();
            }
        } else {
            continue;
        }
        while characters.next_if(|(place, _)| *place < end).is_some() {}
        words.push(start..end);
    }
    words
}

/// The length of the mask class that a text begins with.
fn class_length(text: &str) -> Option<usize> {
    let inside = text.get(1..)?;
    let length = inside.bytes().take(8).position(|byte| byte == b'>')?;
    let is_class =
        inside.bytes().take(length).all(|byte| byte.is_ascii_alphanumeric() || b"/%*#".contains(&byte));
    (length > 0 && is_class).then_some(length + 2)
}

/// Chinese, Japanese and their like are written without spaces.
fn is_unspaced(character: char) -> bool {
    matches!(character, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
        && character.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = words(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn words_and_classes_are_taken_whole() {
        check("", &[]);
        check(" -- … !", &[]);
        check("error kubelet: can't pull", &["error", "kubelet", "can't", "pull"]);
        check("at reflector.go:<num>", &["at", "reflector.go", "<num>"]);
        check("status=<5xx> <k/n> <full%>", &["status", "<5xx>", "<k/n>", "<full%>"]);
        check("out-of-memory, e-- f.", &["out-of-memory", "e", "f"]);
        check("a <b c> <", &["a", "b", "c"]);
        check("磁盘 full", &["磁", "盘", "full"]);
        check("диск полон", &["диск", "полон"]);
        check("<num><num>", &["<num>", "<num>"]);
    }
}
