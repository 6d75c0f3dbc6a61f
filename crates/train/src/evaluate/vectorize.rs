//! Text as TF-IDF of words and pairs of neighbouring words, as scikit-learn's `TfidfVectorizer` computes it with
//! `sublinear_tf` and `min_df=2`.

use foldhash::{HashMap, HashMapExt, HashSet};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::sparse::Row;

/// The words of a corpus, with their rarity.
#[derive(Debug)]
pub(super) struct Vectorizer {
    /// From the 64-bit digest of a word or pair to its column: among a million words two meet with probability 3e-8.
    columns: HashMap<u64, u32>,
    rarity: Vec<f32>,
}

/// What stands in one text alone says something of that text alone.
const LEAST_TEXTS: u32 = 2;

impl Vectorizer {
    /// Learns words and pairs that at least two of the texts have.
    pub(super) fn fit<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut counts: HashMap<u64, u32> = HashMap::new();
        let mut order = Vec::new();
        let mut total = 0.0f32;
        let mut seen = HashSet::default();
        for text in texts {
            total += 1.0;
            seen.clear();
            for_each_term(text, |term| {
                if seen.insert(term) {
                    let count = counts.entry(term).or_insert_with(|| {
                        order.push(term);
                        0
                    });
                    *count += 1;
                }
            });
        }
        let mut columns = HashMap::new();
        let mut rarity = Vec::new();
        // In order of first appearance, so that the sums of a solver are the same on every run.
        for term in order {
            let count = counts.get(&term).copied().unwrap_or_default();
            if count >= LEAST_TEXTS {
                columns.insert(term, rarity.len() as u32);
                rarity.push(((1.0 + total) / (1.0 + count as f32)).ln() + 1.0);
            }
        }
        Self { columns, rarity }
    }

    /// How many columns rows have.
    pub(super) fn columns(&self) -> usize {
        self.rarity.len()
    }

    /// A text as a row of length 1; without a known word it is empty.
    pub(super) fn row(&self, text: &str) -> Row {
        let mut columns = Vec::new();
        for_each_term(text, |term| columns.extend(self.columns.get(&term)));
        columns.sort_unstable();
        let mut row = Row::with_capacity(columns.len());
        for same in columns.chunk_by(|one, other| one == other) {
            if let Some(&column) = same.first() {
                let rarity = self.rarity.get(column as usize).copied().unwrap_or_default();
                row.push((column, (1.0 + (same.len() as f32).ln()) * rarity));
            }
        }
        let length = row.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
        row.iter_mut().for_each(|(_, value)| *value /= length);
        row
    }
}

/// The digests of all words and pairs of neighbouring words of a text, in lower case.
fn for_each_term(text: &str, mut visit: impl FnMut(u64)) {
    let lower = text.to_lowercase();
    let mut previous = None;
    let mut rest = lower.as_str();
    while let Some((word, after)) = next_word(rest) {
        let digest = xxh3_64(word.as_bytes());
        visit(digest);
        if let Some(previous) = previous {
            visit(xxh3_64_with_seed(word.as_bytes(), previous));
        }
        previous = Some(digest);
        rest = after;
    }
}

/// The first word and what follows it: a mask class (`<high%>`) or a run of letters, digits and `_`.
fn next_word(text: &str) -> Option<(&str, &str)> {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = text;
    loop {
        let begin = rest.find(|c| in_word(c) || c == '<')?;
        rest = rest.get(begin..)?;
        let Some(inside) = rest.strip_prefix('<') else {
            return Some(rest.split_at(rest.find(|c| !in_word(c)).unwrap_or(rest.len())));
        };
        let end = inside.find(|c: char| c == '<' || c == '>' || c.is_whitespace());
        match end {
            Some(end) if end > 0 && inside.get(end..).is_some_and(|end| end.starts_with('>')) => {
                return Some(rest.split_at(end + 2));
            }
            _ => rest = inside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_mask_classes() {
        let words = |text| {
            let (mut words, mut rest) = (Vec::new(), text);
            while let Some((word, after)) = next_word(rest) {
                words.push(word);
                rest = after;
            }
            words
        };
        assert_eq!(
            words("disk <path> is at <high%>, a_b=<n/n>"),
            ["disk", "<path>", "is", "at", "<high%>", "a_b", "<n/n>"]
        );
        assert_eq!(words("a<b c> <> <<x>> über<"), ["a", "b", "c", "<x>", "über"]);
        assert_eq!(words(""), Vec::<&str>::new());
    }

    #[test]
    fn rows_have_length_one_and_unknown_texts_none() {
        let vectorizer = Vectorizer::fit(["a b a", "a c", "b a"].into_iter());
        let row = vectorizer.row("a a b");
        assert!((row.iter().map(|(_, value)| value * value).sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(vectorizer.row("never seen"), Row::new());
    }
}
