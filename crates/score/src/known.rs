//! Known patterns: masked texts whose risk a person gave, so that a new text can be shown beside its like.
//!
//! They are a file of lines, `RISK<tab>TEXT`. Likeness is the cosine of TF-IDF vectors of words and pairs of neighbouring
//! words (Salton and Buckley 1988), each counted once. The model has no part in it: where its heads see a text is where
//! the risk is the same, and an index out of range in Go is no kin of a broken file system. The index of 26,000 patterns
//! takes a tenth of a second, at the first question.

use std::{borrow::Cow, ops::Range, sync::OnceLock};

use logrisk_base::Risk;
use serde::Serialize;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::words::words;

/// Patterns with their risks.
///
/// Those that lie in the binary are used where they lie, so that a program which explains nothing has no copy of them.
#[derive(Debug, Clone)]
pub struct KnownPatterns {
    file: Cow<'static, str>,
    index: OnceLock<Index>,
}

/// A known pattern near a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Neighbour {
    /// The cosine: 1 has the same words, 0 none in common.
    pub similarity: f32,
    /// The risk that a person gave it.
    pub risk: Risk,
    /// Its masked text.
    pub pattern: String,
}

#[derive(Debug, Clone)]
struct Index {
    lines: Vec<(Risk, Range<usize>)>,
    /// The length of each line's vector.
    lengths: Vec<f32>,
    /// Terms and the lines that have them, sorted.
    postings: Vec<(u32, u32)>,
}

impl KnownPatterns {
    /// Of these texts; what would break a line becomes a space.
    #[must_use]
    pub fn new(patterns: &[(String, Risk)]) -> Self {
        let line =
            |(text, risk): &(String, Risk)| format!("{risk}\t{}\n", text.replace(char::is_control, " "));
        Self { file: patterns.iter().map(line).collect::<String>().into(), index: OnceLock::new() }
    }

    /// The patterns that share most with a text, nearest first; none that has no word of it.
    #[must_use]
    pub fn nearest(&self, text: &str, count: usize) -> Vec<Neighbour> {
        let index = self.index.get_or_init(|| Index::of(&self.file));
        let nearest = index.nearest(text, count).into_iter();
        let neighbour = |(similarity, line): (f32, usize)| {
            let (risk, range) = index.lines.get(line)?;
            Some(Neighbour { similarity, risk: *risk, pattern: self.file.get(range.clone())?.to_owned() })
        };
        nearest.filter_map(neighbour).collect()
    }

    /// The file.
    #[must_use]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.file.as_bytes()
    }

    /// Reads what [`Self::as_bytes`] wrote; says what is wrong with anything else.
    pub(crate) fn read(bytes: Cow<'static, [u8]>) -> Result<Self, String> {
        let not_utf8 = "is not UTF-8 text";
        let file: Cow<'static, str> = match bytes {
            Cow::Borrowed(bytes) => str::from_utf8(bytes).map_err(|_| not_utf8)?.into(),
            Cow::Owned(bytes) => String::from_utf8(bytes).map_err(|_| not_utf8)?.into(),
        };
        match file.lines().position(|line| parse(line).is_none()) {
            Some(place) => Err(format!("has no `RISK<tab>TEXT` in line {}", place + 1)),
            None => Ok(Self { file, index: OnceLock::new() }),
        }
    }
}

impl PartialEq for KnownPatterns {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file
    }
}

fn parse(line: &str) -> Option<(Risk, &str)> {
    let (risk, text) = line.split_once('\t')?;
    Some((Risk::new(risk.parse().ok()?).ok()?, text))
}

impl Index {
    fn of(file: &str) -> Self {
        let mut index = Self { lines: Vec::new(), lengths: Vec::new(), postings: Vec::new() };
        let mut end = 0;
        for line in file.split_inclusive('\n') {
            end += line.len();
            let Some((risk, text)) = parse(line) else { continue };
            let begin = end - text.len();
            let text = text.trim_end_matches('\n');
            let number = index.lines.len() as u32;
            index.postings.extend(terms(text).into_iter().map(|term| (term, number)));
            index.lines.push((risk, begin..begin + text.len()));
        }
        index.postings.sort_unstable();
        let mut squares = vec![0.0f32; index.lines.len()];
        for same in index.postings.chunk_by(|(one, _), (other, _)| one == other) {
            let rarity = index.rarity(same.len());
            for (_, line) in same {
                squares[*line as usize] += rarity * rarity;
            }
        }
        index.lengths = squares.into_iter().map(f32::sqrt).collect();
        index
    }

    /// How much a term says that so many lines have.
    fn rarity(&self, lines: usize) -> f32 {
        ((1.0 + self.lines.len() as f32) / (1.0 + lines as f32)).ln() + 1.0
    }

    fn nearest(&self, text: &str, count: usize) -> Vec<(f32, usize)> {
        let mut products = vec![0.0f32; self.lines.len()];
        let mut square = 0.0f32;
        for term in terms(text) {
            let begin = self.postings.partition_point(|(other, _)| *other < term);
            let same = self.postings[begin..].partition_point(|(other, _)| *other == term);
            let weight = self.rarity(same).powi(2);
            square += weight;
            for (_, line) in &self.postings[begin..begin + same] {
                products[*line as usize] += weight;
            }
        }
        let length = square.sqrt();
        let mut nearest: Vec<(f32, usize)> = products
            .iter()
            .zip(&self.lengths)
            .enumerate()
            .filter(|(_, (product, _))| **product > 0.0)
            .map(|(line, (product, other))| (product / (length * other), line))
            .collect();
        nearest
            .sort_unstable_by(|(one, first), (other, second)| other.total_cmp(one).then(first.cmp(second)));
        nearest.truncate(count);
        nearest
    }
}

/// The digests of the words and pairs of neighbouring words of a text in lower case, each once.
fn terms(text: &str) -> Vec<u32> {
    let lower = text.to_lowercase();
    let mut terms = Vec::new();
    let mut before = None;
    for word in words(&lower) {
        let word = lower.get(word).unwrap_or_default().as_bytes();
        let digest = xxh3_64(word);
        terms.push(digest as u32);
        terms.extend(before.map(|before| xxh3_64_with_seed(word, before) as u32));
        before = Some(digest);
    }
    terms.sort_unstable();
    terms.dedup();
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn risk(value: u8) -> Risk {
        Risk::new(value).unwrap()
    }

    fn known() -> KnownPatterns {
        KnownPatterns::new(&[
            ("disk é full on <path>".to_owned(), risk(8)),
            (String::new(), risk(0)),
            ("server\nstarted".to_owned(), risk(2)),
            ("disk <dev> is half full".to_owned(), risk(3)),
        ])
    }

    #[test]
    fn the_nearest_come_first() {
        let found = known().nearest("Disk é FULL on <host>", 3);
        assert_eq!((found[0].pattern.as_str(), found[0].risk.get()), ("disk é full on <path>", 8));
        assert!(found[0].similarity > 0.5 && found[1].similarity < found[0].similarity, "{found:?}");
        assert_eq!(found.len(), 2, "the others share no word: {found:?}");
        let same = known().nearest("server started", 1);
        assert!((same[0].similarity - 1.0).abs() < 1e-5 && same[0].pattern == "server started", "{same:?}");
        assert_eq!(known().nearest("", 3), []);
        assert_eq!(known().nearest("nothing alike", 3), []);
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let bytes = known().as_bytes().to_vec();
        assert_eq!(KnownPatterns::read(Cow::Owned(bytes)).unwrap(), known());
        let none = KnownPatterns::read(Cow::Borrowed(b"")).unwrap();
        assert_eq!((none.nearest("x", 3), none), (Vec::new(), KnownPatterns::new(&[])));
    }

    #[test]
    fn a_file_that_is_no_such_file_is_refused() {
        let error = |bytes: &'static [u8]| KnownPatterns::read(Cow::Borrowed(bytes)).unwrap_err();
        assert!(error(b"8\tfull\n11\tx\n").contains("line 2"));
        assert!(error(b"8 full\n").contains("line 1"));
        assert!(error(b"8\t\xff\n").contains("UTF-8"));
    }
}
