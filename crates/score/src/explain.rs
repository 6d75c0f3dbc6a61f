//! Why a text got its risk: what each word adds, and which known patterns lie near.
//!
//! ```text
//! text ─► leave out one word or mask class at a time ─► one ragged batch ─► how much lower is the expected risk?
//!     └─► words and pairs of words ─► the nearest known patterns
//! ```
//! Leaving a word out asks the model itself, and needs no gradient and no second model (occlusion; Zeiler and Fergus
//! 2014). What is left is still a log line, which the model has seen many of; a [MASK] it has never seen. It does not see
//! that two words matter only together.

use std::ops::Range;

use serde::Serialize;

use crate::{
    known::Neighbour,
    model::{Model, ModelScratch},
    words::words,
};

/// Why a text got its risk.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Explanation {
    /// Every word and mask class of the text, in order; together where the text is long. A few separators belong to
    /// none.
    pub words: Vec<Contribution>,
    /// The nearest known patterns, nearest first; none where the model carries none.
    pub nearest: Vec<Neighbour>,
}

/// What one word or mask class does to the expected risk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contribution {
    /// Where in the text it stands, in bytes.
    #[serde(skip)]
    pub range: Range<usize>,
    /// The word.
    pub word: String,
    /// The expected risk less that of the text without it: above 0, the word makes the text riskier.
    pub effect: f32,
}

/// Known patterns that are shown.
const NEAREST: usize = 3;

/// Tokens that all shortened texts may have together: about 25 ms on one core. A line of 20 words needs 500.
const TOKENS: usize = 1024;

/// Parts that even the longest text is cut into.
const FEWEST_PARTS: usize = 8;

impl Model {
    /// Why the model answers what it answers to a masked text. In int8 or bf16, too, equal texts get equal reasons.
    #[must_use]
    pub fn explain(&self, text: &str, scratch: &mut ModelScratch) -> Explanation {
        let nearest = self.known().map_or_else(Vec::new, |known| known.nearest(text, NEAREST));
        let mut ids = Vec::new();
        self.tokenizer().encode_into(text, self.limit(), &mut ids);
        let parts = parts(text, (TOKENS / ids.len().max(1)).max(FEWEST_PARTS));
        let texts: Vec<String> = parts.iter().map(|part| without(text, part)).collect();
        let mut borrowed = vec![text];
        borrowed.extend(texts.iter().map(String::as_str));
        let mut answers = Vec::with_capacity(borrowed.len());
        self.assess(&borrowed, scratch, &mut answers);
        let scores: Vec<f32> = answers.iter().map(|answer| answer.expected()).collect();
        let Some((whole, shortened)) = scores.split_first() else { return Explanation::default() };
        let words = parts
            .into_iter()
            .zip(shortened)
            .map(|(range, score)| Contribution {
                word: text.get(range.clone()).unwrap_or_default().to_owned(),
                range,
                effect: whole - score,
            })
            .collect();
        Explanation { words, nearest }
    }
}

/// The words and mask classes of a text; neighbours together where there are more than `most`.
fn parts(text: &str, most: usize) -> Vec<Range<usize>> {
    let words = words(text);
    let together = words.len().div_ceil(most.max(1)).max(1);
    words.chunks(together).filter_map(|words| Some(words.first()?.start..words.last()?.end)).collect()
}

/// The text without a part, and without one of two spaces that then meet.
fn without(text: &str, part: &Range<usize>) -> String {
    let (head, tail) = (&text[..part.start], &text[part.end..]);
    let tail =
        if head.is_empty() || head.ends_with(' ') { tail.strip_prefix(' ').unwrap_or(tail) } else { tail };
    format!("{head}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_into_few_parts() {
        let text = "word ".repeat(100);
        assert_eq!(parts(&text, 8).len(), 8);
        assert_eq!(parts(&text, 8)[0], 0..64);
        assert_eq!(parts("a b", 8), [0..1, 2..3]);
        assert!(parts("", 8).is_empty());
    }

    #[test]
    fn a_word_leaves_no_double_space() {
        for (part, expected) in [(0..1, "bb c"), (2..4, "a c"), (5..6, "a bb ")] {
            assert_eq!(without("a bb c", &part), expected);
        }
        assert_eq!(without("x=<num>, y", &(2..7)), "x=, y");
    }
}
