//! BERT's text normalisation and its three classes of characters.
//!
//! The tables are those of the crates that Hugging Face's `tokenizers` uses (Unicode 8 and 9). Newer tables would be more
//! right and less equal: a mark that the reference does not know makes its word [UNK] there, and models were trained so.

use unicode_categories::UnicodeCategories;
use unicode_normalization_alignments::UnicodeNormalization;

/// What happens to text before it is cut into words; Hugging Face's `BertNormalizer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Normalizer {
    /// Drop control characters, and make every white space a plain space.
    pub clean_text: bool,
    /// Put spaces around CJK ideographs, so that each is a word.
    pub handle_chinese_chars: bool,
    /// Decompose (NFD) and drop the nonspacing marks.
    pub strip_accents: bool,
    /// Lower-case.
    pub lowercase: bool,
}

impl Default for Normalizer {
    /// As in the uncased models of the BERT family.
    fn default() -> Self {
        Self { clean_text: true, handle_chinese_chars: true, strip_accents: true, lowercase: true }
    }
}

impl Normalizer {
    /// Appends the normalised text to `out`. `cleaned` is scratch.
    pub(super) fn append(self, text: &str, cleaned: &mut String, out: &mut String) {
        // One pass that the compiler vectorises. Tabs and line ends are left to the slow path, which makes them spaces.
        let plain = text.bytes().fold(true, |plain, byte| plain & (0x20..0x7f).contains(&byte));
        if plain {
            let start = out.len();
            out.push_str(text);
            if self.lowercase
                && let Some(appended) = out.get_mut(start..)
            {
                appended.make_ascii_lowercase();
            }
            return;
        }
        cleaned.clear();
        self.clean(text, cleaned);
        // ASCII neither decomposes nor takes part in reordering, so only the runs between need the tables.
        let mut rest = cleaned.as_str();
        while let Some(first) = rest.chars().next() {
            let ascii = first.is_ascii();
            let end = rest.bytes().position(|byte| byte.is_ascii() != ascii).unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            rest = after;
            if ascii {
                out.extend(run.chars().map(|c| if self.lowercase { c.to_ascii_lowercase() } else { c }));
            } else if self.strip_accents {
                let bare = run.nfd().map(|(c, _)| c).filter(|c| !c.is_mark_nonspacing());
                self.push_lower(bare, out);
            } else {
                self.push_lower(run.chars(), out);
            }
        }
    }

    fn clean(self, text: &str, out: &mut String) {
        for c in text.chars() {
            let blank = c.is_whitespace();
            let control = !matches!(c, '\t' | '\n' | '\r') && is_control(c);
            if self.clean_text && control {
            } else if self.clean_text && blank {
                out.push(' ');
            } else if self.handle_chinese_chars && is_ideograph(c) {
                out.extend([' ', c, ' ']);
            } else {
                out.push(c);
            }
        }
    }

    fn push_lower(self, characters: impl Iterator<Item = char>, out: &mut String) {
        if self.lowercase {
            // Character by character, as the reference: no final sigma.
            out.extend(characters.flat_map(char::to_lowercase));
        } else {
            out.extend(characters);
        }
    }
}

/// What a character of normalised text does to the word that it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Goes on with the word.
    Word,
    /// Ends the word.
    Space,
    /// Ends the word and is one itself.
    Punctuation,
}

impl Class {
    pub(super) fn of(c: char) -> Self {
        if c.is_whitespace() {
            Self::Space
        } else if c.is_ascii_punctuation() || c.is_punctuation() {
            Self::Punctuation
        } else {
            Self::Word
        }
    }
}

/// [`Class::of`] of the ASCII characters.
pub(super) static ASCII: [Class; 128] = {
    let mut table = [Class::Word; 128];
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_punctuation() {
            table[byte] = Class::Punctuation;
        }
        byte += 1;
    }
    // `char::is_whitespace` in ASCII; vertical tab (0x0b) is in it, unlike in `is_ascii_whitespace`.
    let mut blank = 0x09;
    while blank <= 0x0d {
        table[blank] = Class::Space;
        blank += 1;
    }
    table[b' ' as usize] = Class::Space;
    table
};

fn is_control(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_control() } else { c == '\u{fffd}' || c.is_other() }
}

/// The CJK blocks that BERT lists; kana and hangul are words with spaces and not among them.
fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c),
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x20000..=0x2A6DF | 0x2A700..=0x2B73F | 0x2B740..=0x2B81F
        | 0x2B920..=0x2CEAF | 0xF900..=0xFAFF | 0x2F800..=0x2FA1F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ascii_table_says_what_the_function_says() {
        for byte in 0..128u8 {
            assert_eq!(ASCII[byte as usize], Class::of(byte as char), "{byte:#x}");
        }
    }
}
