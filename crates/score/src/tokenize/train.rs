//! Learns a WordPiece vocabulary from text, for models that are trained from scratch.
//!
//! As Hugging Face's `WordPieceTrainer` it merges the most frequent pair of pieces over and over (byte-pair encoding with `##`).
//! Unlike it, the result depends on the text alone: ties go to the pair that was met first in a sorted list of words.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
};

use foldhash::fast::FixedState;

use super::{
    AddedToken, Normalizer, Tokenizer, TokenizerError,
    read::{MARKS, PREFIX},
    split::{Scratch, Segment, Splitter},
};

/// Single characters that a vocabulary holds at most, by frequency: what else a site writes becomes [UNK].
const LARGEST_ALPHABET: usize = 1_000;

/// Counts words, then makes a tokeniser of them.
#[derive(Debug)]
pub struct VocabularyTrainer {
    splitter: Splitter,
    added: Vec<String>,
    normalizer: Normalizer,
    counts: HashMap<String, u64, FixedState>,
    scratch: Scratch,
}

type Pair = (u32, u32);

impl VocabularyTrainer {
    /// No words yet. `added` are matched in the text itself, as in the tokeniser that comes out.
    #[must_use]
    pub fn new(normalizer: Normalizer, added: &[&str]) -> Self {
        let tokens: Vec<AddedToken> = MARKS
            .iter()
            .chain(added)
            .filter(|content| !content.is_empty())
            .map(|content| AddedToken {
                content: (*content).to_owned(),
                id: 0,
                special: false,
                normalized: false,
            })
            .collect();
        Self {
            splitter: Splitter::new(normalizer, &tokens),
            added: added.iter().map(|content| (*content).to_owned()).collect(),
            normalizer,
            counts: HashMap::default(),
            scratch: Scratch::default(),
        }
    }

    /// Counts the words of a text, `times` times.
    pub fn add(&mut self, text: &str, times: u64) {
        let counts = &mut self.counts;
        self.splitter.split(text, &mut self.scratch, |segment| {
            if let Segment::Word(word) = segment {
                match counts.get_mut(word) {
                    Some(count) => *count += times,
                    None => {
                        counts.insert(word.to_owned(), times);
                    }
                }
            }
        });
    }

    /// A tokeniser of at most `size` tokens, those added included (more only if the marks and the alphabet are more).
    ///
    /// # Errors
    /// [`TokenizerError`] if an added token is empty.
    pub fn finish(self, size: usize) -> Result<Tokenizer, TokenizerError> {
        let mut words: Vec<(String, u64)> = self.counts.into_iter().collect();
        words.sort();
        let room = size.saturating_sub(self.added.len());
        let tokens = learn(&words, room);
        let added: Vec<&str> = self.added.iter().map(String::as_str).collect();
        Tokenizer::from_vocabulary(tokens, self.normalizer, &added)
    }
}

/// The marks, the alphabet and the merged pieces.
fn learn(words: &[(String, u64)], size: usize) -> Vec<String> {
    let mut pieces = Pieces::default();
    for mark in MARKS {
        pieces.id(mark.to_owned());
    }
    let alphabet = alphabet(words);
    // First all word-initial characters, then the continuing ones: the order does not hang on the words'.
    let mut sorted: Vec<char> = alphabet.iter().copied().collect();
    sorted.sort_unstable();
    for prefix in ["", PREFIX] {
        for c in &sorted {
            pieces.id(format!("{prefix}{c}"));
        }
    }
    let mut spelt: Vec<(Vec<u32>, u64)> = words
        .iter()
        .filter(|(word, _)| word.chars().all(|c| alphabet.contains(&c)))
        .map(|(word, count)| {
            let spelling = word
                .chars()
                .enumerate()
                .map(|(index, c)| pieces.id(format!("{}{c}", if index == 0 { "" } else { PREFIX })));
            (spelling.collect(), *count)
        })
        .collect();

    let mut pairs: HashMap<Pair, u64, FixedState> = HashMap::default();
    let mut places: HashMap<Pair, Vec<u32>, FixedState> = HashMap::default();
    for (index, (spelling, count)) in spelt.iter().enumerate() {
        for pair in pairs_of(spelling) {
            *pairs.entry(pair).or_default() += count;
            places.entry(pair).or_default().push(index as u32);
        }
    }
    let mut heap: BinaryHeap<(u64, Reverse<Pair>)> =
        pairs.iter().map(|(&pair, &count)| (count, Reverse(pair))).collect();
    while pieces.list.len() < size {
        let Some((count, Reverse(pair))) = heap.pop() else { break };
        let now = pairs.get(&pair).copied().unwrap_or(0);
        if now != count {
            // Counts only fall for pairs in the heap; a fresh entry was pushed where one rose.
            if now > 0 {
                heap.push((now, Reverse(pair)));
            }
            continue;
        }
        // A pair that one text has once is not a piece of the language.
        if count < 2 {
            break;
        }
        let merged = pieces.merge(pair);
        let mut risen: HashSet<Pair, FixedState> = HashSet::default();
        for place in places.remove(&pair).unwrap_or_default() {
            let Some((spelling, count)) = spelt.get_mut(place as usize) else { continue };
            for old in pairs_of(spelling) {
                if let Some(total) = pairs.get_mut(&old) {
                    *total = total.saturating_sub(*count);
                }
            }
            replace(spelling, pair, merged);
            for new in pairs_of(spelling) {
                *pairs.entry(new).or_default() += *count;
                if new.0 == merged || new.1 == merged {
                    places.entry(new).or_default().push(place);
                    risen.insert(new);
                }
            }
        }
        pairs.remove(&pair);
        heap.extend(risen.into_iter().filter_map(|pair| Some((*pairs.get(&pair)?, Reverse(pair)))));
    }
    pieces.list
}

fn pairs_of(spelling: &[u32]) -> impl Iterator<Item = Pair> + '_ {
    spelling.iter().copied().zip(spelling.iter().copied().skip(1))
}

fn replace(spelling: &mut Vec<u32>, pair: Pair, merged: u32) {
    let mut kept: Vec<u32> = Vec::with_capacity(spelling.len());
    let mut left = spelling.iter().copied().peekable();
    while let Some(piece) = left.next() {
        if piece == pair.0 && left.next_if_eq(&pair.1).is_some() {
            kept.push(merged);
        } else {
            kept.push(piece);
        }
    }
    *spelling = kept;
}

/// All printable ASCII characters, so that no ASCII word is ever [UNK], and the most frequent others.
fn alphabet(words: &[(String, u64)]) -> HashSet<char, FixedState> {
    let mut counts: HashMap<char, u64, FixedState> = HashMap::default();
    for (word, count) in words {
        for c in word.chars() {
            *counts.entry(c).or_default() += count;
        }
    }
    let upper_case_seen = counts.keys().any(char::is_ascii_uppercase);
    let mut kept: HashSet<char, FixedState> =
        (b'!'..=b'~').map(char::from).filter(|c| upper_case_seen || !c.is_ascii_uppercase()).collect();
    let mut others: Vec<(char, u64)> = counts.into_iter().collect();
    others.sort_by_key(|&(c, count)| (Reverse(count), c));
    kept.extend(others.into_iter().map(|(c, _)| c).take(LARGEST_ALPHABET));
    kept
}

/// Pieces by id, and back.
#[derive(Default)]
struct Pieces {
    list: Vec<String>,
    ids: HashMap<String, u32, FixedState>,
}

impl Pieces {
    fn id(&mut self, piece: String) -> u32 {
        if let Some(&id) = self.ids.get(&piece) {
            return id;
        }
        let id = self.list.len() as u32;
        self.list.push(piece.clone());
        self.ids.insert(piece, id);
        id
    }

    fn merge(&mut self, (left, right): Pair) -> u32 {
        let text = |id: u32| self.list.get(id as usize).map_or("", String::as_str);
        let right = text(right);
        let merged = format!("{}{}", text(left), right.strip_prefix(PREFIX).unwrap_or(right));
        self.id(merged)
    }
}
