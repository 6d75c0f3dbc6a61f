//! Cuts text into added tokens and words.

use super::{
    AddedToken, Normalizer,
    trie::{Node, Trie},
    unicode::{ASCII, Class},
};

/// What a text consists of, from left to right.
pub(super) enum Segment<'a> {
    /// A normalised word without white space and punctuation, or one punctuation character.
    Word(&'a str),
    /// The id of an added token.
    Added(u32),
}

/// Buffers that are used again, so that splitting allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    cleaned: String,
    normalized: String,
}

impl Scratch {
    pub(super) fn capacity(&self) -> usize {
        self.cleaned.capacity() + self.normalized.capacity()
    }
}

/// Normaliser, added tokens and word boundaries: everything before WordPiece.
#[derive(Debug, Clone)]
pub(super) struct Splitter {
    pub(super) normalizer: Normalizer,
    /// Matched in the raw text.
    raw: Matcher,
    /// Matched in the normalised text.
    normalized: Matcher,
}

impl Splitter {
    pub(super) fn new(normalizer: Normalizer, added: &[AddedToken]) -> Self {
        let raw = added.iter().filter(|token| !token.normalized);
        let mut cleaned = String::new();
        let normalized: Vec<(String, u32)> = added
            .iter()
            .filter(|token| token.normalized)
            .map(|token| {
                let mut content = String::new();
                normalizer.append(&token.content, &mut cleaned, &mut content);
                (content, token.id)
            })
            .collect();
        Self {
            normalizer,
            raw: Matcher::new(raw.map(|token| (token.content.as_str(), token.id))),
            normalized: Matcher::new(normalized.iter().map(|(content, id)| (content.as_str(), *id))),
        }
    }

    /// Calls `visit` with every segment in order.
    pub(super) fn split(&self, text: &str, scratch: &mut Scratch, mut visit: impl FnMut(Segment<'_>)) {
        self.raw.split(text, |part| match part {
            Part::Added(id) => visit(Segment::Added(id)),
            Part::Text(text) => {
                scratch.normalized.clear();
                self.normalizer.append(text, &mut scratch.cleaned, &mut scratch.normalized);
                self.normalized.split(&scratch.normalized, |part| match part {
                    Part::Added(id) => visit(Segment::Added(id)),
                    Part::Text(text) => for_each_word(text, |word| visit(Segment::Word(word))),
                });
            }
        });
    }
}

#[inline]
fn for_each_word<'a>(text: &'a str, mut visit: impl FnMut(&'a str)) {
    let bytes = text.as_bytes();
    let mut start = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let (class, length) = match ASCII.get(usize::from(byte)) {
            Some(&class) => (class, 1),
            None => {
                let c = text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or_default();
                (Class::of(c), c.len_utf8())
            }
        };
        if class != Class::Word {
            if let Some(word) = text.get(start..at).filter(|word| !word.is_empty()) {
                visit(word);
            }
            start = at + length;
            if class == Class::Punctuation
                && let Some(character) = text.get(at..start)
            {
                visit(character);
            }
        }
        at += length;
    }
    if let Some(word) = text.get(start..).filter(|word| !word.is_empty()) {
        visit(word);
    }
}

enum Part<'a> {
    Text(&'a str),
    Added(u32),
}

/// Finds added tokens: leftmost, then longest, without overlap.
#[derive(Debug, Clone)]
struct Matcher {
    trie: Trie,
    /// The distinct first bytes. There are two in practice, `[` and `<`, and `memchr` knows up to three.
    first: Vec<u8>,
}

impl Matcher {
    fn new<'a>(tokens: impl Iterator<Item = (&'a str, u32)> + Clone) -> Self {
        let mut first: Vec<u8> = tokens.clone().filter_map(|(content, _)| content.bytes().next()).collect();
        first.sort_unstable();
        first.dedup();
        Self { trie: Trie::new(tokens), first }
    }

    fn split<'a>(&self, text: &'a str, mut visit: impl FnMut(Part<'a>)) {
        let bytes = text.as_bytes();
        let mut start = 0;
        let mut at = 0;
        while let Some(offset) = bytes.get(at..).and_then(|rest| self.next_candidate(rest)) {
            at += offset;
            let rest = bytes.get(at..).unwrap_or_default();
            let Some((length, id)) = self.trie.longest(Node::ROOT, rest) else {
                at += 1;
                continue;
            };
            // Tokens are whole characters, so their ends are boundaries of the text's.
            if let Some(before) = text.get(start..at).filter(|before| !before.is_empty()) {
                visit(Part::Text(before));
            }
            visit(Part::Added(id));
            at += length;
            start = at;
        }
        if let Some(last) = text.get(start..).filter(|last| !last.is_empty()) {
            visit(Part::Text(last));
        }
    }

    fn next_candidate(&self, bytes: &[u8]) -> Option<usize> {
        match *self.first {
            [] => None,
            [a] => memchr::memchr(a, bytes),
            [a, b] => memchr::memchr2(a, b, bytes),
            [a, b, c] => memchr::memchr3(a, b, c, bytes),
            _ => bytes.iter().position(|byte| self.first.contains(byte)),
        }
    }
}
