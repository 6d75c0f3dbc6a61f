//! WordPiece, equal to Hugging Face `tokenizers` with BERT's normaliser and pre-tokeniser.
//!
//! ```text
//! text ─► added tokens cut out ─► normalise ─► added tokens cut out ─► words ─► longest pieces ─► ids
//!         (`normalized: false`)                (`normalized: true`)
//! ```
//!
//! Equal means equal: the same Unicode tables as the reference's, and tests that compare the two on every code point, on
//! random text and on real logs. It is faster because it keeps no offsets, makes no strings, finds a piece in one
//! walk down a trie instead of one look-up for each shorter and shorter candidate, and normalises ASCII, which is
//! what logs are, in one pass over bytes.

mod read;
mod split;
mod train;
mod trie;
mod trim;
mod unicode;
mod write;

use std::cell::Cell;

pub use read::TokenizerError;
pub use train::VocabularyTrainer;
pub use trim::Trimmed;
pub use unicode::Normalizer;

use split::{Scratch, Segment, Splitter};
use trie::{Node, Trie};

/// A token matched in the text itself, before WordPiece sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedToken {
    /// What is matched: leftmost first, then longest.
    pub content: String,
    /// Its id: that of the same vocabulary entry if there is one.
    pub id: u32,
    /// Whether it is one of the model's own marks ([CLS], [SEP] and so on).
    pub special: bool,
    /// Whether it is matched in the normalised text instead of in the raw one.
    pub normalized: bool,
}

/// Turns text into token ids; see the module. Share it between threads: encoding needs `&self` only.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    /// By id: the WordPiece vocabulary, then the added tokens that are not in it.
    tokens: Vec<String>,
    /// How many of `tokens` WordPiece may use.
    vocabulary: usize,
    added: Vec<AddedToken>,
    splitter: Splitter,
    trie: Trie,
    /// Where words go on after their first piece: behind `##`. `None` where no token starts so.
    continuing: Option<Node>,
    prefix: String,
    /// Longer words, in characters, are [UNK].
    longest_word: usize,
    unknown: u32,
    start: u32,
    end: u32,
}

/// A scratch above this is given back after use: one giant record must not hold its size for good.
const KEPT_SCRATCH_BYTES: usize = 1 << 20;

thread_local! {
    // Of the thread, so that encoding allocates nothing from the second call on and still takes `&self` only.
    static SCRATCH: Cell<Scratch> = Cell::default();
}

impl Tokenizer {
    /// Appends `[CLS] … [SEP]`, at most `limit` ids (never fewer than these two). Of a longer text the first three
    /// quarters of the room go to its head and the rest to its tail: the cause of a stack trace stands at the end.
    pub fn encode_into(&self, text: &str, limit: usize, ids: &mut Vec<u32>) {
        self.encode_keeping(text, limit, |room| room - room / 4, ids);
    }

    /// As [`Self::encode_into`], but a longer text loses its tail: what Hugging Face's truncation does.
    pub fn encode_head_into(&self, text: &str, limit: usize, ids: &mut Vec<u32>) {
        self.encode_keeping(text, limit, |room| room, ids);
    }

    fn encode_keeping(&self, text: &str, limit: usize, head_of: impl Fn(usize) -> usize, ids: &mut Vec<u32>) {
        ids.push(self.start);
        let body = ids.len();
        self.for_each_segment(text, |segment| match segment {
            Segment::Word(word) => self.push_pieces(word, ids),
            Segment::Added(id) => ids.push(id),
        });
        let room = limit.saturating_sub(2);
        let length = ids.len() - body;
        if length > room {
            let head = head_of(room);
            ids.drain(body + head..body + head + (length - room));
        }
        ids.push(self.end);
    }

    fn for_each_segment(&self, text: &str, visit: impl FnMut(Segment<'_>)) {
        SCRATCH.with(|kept| {
            let mut scratch = kept.take();
            self.splitter.split(text, &mut scratch, visit);
            if scratch.capacity() <= KEPT_SCRATCH_BYTES {
                kept.set(scratch);
            }
        });
    }

    /// Greedy longest match from the left; a word that cannot be covered is one [UNK].
    fn push_pieces(&self, word: &str, ids: &mut Vec<u32>) {
        let begin = ids.len();
        let mut rest = word.as_bytes();
        let mut node = Some(Node::ROOT);
        // Fewer bytes than the limit are fewer characters, so most words need no count.
        if word.len() > self.longest_word && word.chars().count() > self.longest_word {
            node = None;
        }
        while !rest.is_empty() {
            let Some((length, id)) = node.and_then(|node| self.trie.longest(node, rest)) else {
                ids.truncate(begin);
                ids.push(self.unknown);
                return;
            };
            ids.push(id);
            rest = rest.get(length..).unwrap_or_default();
            node = self.continuing;
        }
    }

    /// How many ids there are: the rows that the model's word embedding must have.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are no tokens; never, since a tokeniser without [UNK], [CLS] and [SEP] is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The token of an id.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).map(String::as_str)
    }

    /// The id of a token, spelt as in the vocabulary (`##ing`, `[CLS]`, `<num>`).
    #[must_use]
    pub fn id(&self, token: &str) -> Option<u32> {
        let in_vocabulary = self.trie.value(token.as_bytes());
        in_vocabulary.or_else(|| self.added.iter().find(|added| added.content == token).map(|added| added.id))
    }

    /// The tokens that are matched in the text itself, by id.
    #[must_use]
    pub fn added(&self) -> &[AddedToken] {
        &self.added
    }

    /// The id of [UNK].
    #[must_use]
    pub const fn unknown(&self) -> u32 {
        self.unknown
    }

    /// The id of [CLS], the first of every encoding.
    #[must_use]
    pub const fn start(&self) -> u32 {
        self.start
    }

    /// The id of [SEP], the last of every encoding.
    #[must_use]
    pub const fn end(&self) -> u32 {
        self.end
    }
}

#[cfg(test)]
mod tests;
