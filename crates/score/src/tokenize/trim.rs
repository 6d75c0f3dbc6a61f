//! A smaller vocabulary from an existing one: what logs never use need not be shipped.

use std::cmp::Reverse;

use super::{
    AddedToken, Tokenizer, TokenizerError,
    read::{MARKS, Parts},
};

/// A smaller tokeniser, and where its tokens come from.
#[derive(Debug, Clone)]
pub struct Trimmed {
    /// The smaller tokeniser.
    pub tokenizer: Tokenizer,
    /// For each new id the old one, whose embedding goes on being used; `None` for a token that is new.
    pub old_ids: Vec<Option<u32>>,
}

impl Tokenizer {
    /// Keeps `size` tokens besides `added`: the marks ([PAD] and so on), every single printable ASCII character with and
    /// without `##` (so that no ASCII word becomes [UNK]), and then those with the highest `counts` (by old id; what is missing there
    /// counts 0). Equal counts, zero among them, go by old id, which in BERT's vocabularies is the order of frequency in
    /// English; `[unused…]` entries go last. Tokens keep their order, and `added` follow behind them.
    ///
    /// # Errors
    /// [`TokenizerError`] if one of `added` is empty.
    pub fn trimmed(&self, counts: &[u64], size: usize, added: &[&str]) -> Result<Trimmed, TokenizerError> {
        let mut order: Vec<u32> = (0..self.vocabulary as u32).collect();
        order.sort_by_key(|&id| {
            let token = self.token(id).unwrap_or_default();
            let unused = token.starts_with("[unused");
            (!self.is_needed(id, token), unused, Reverse(counts.get(id as usize).copied().unwrap_or(0)), id)
        });
        order.truncate(size.max(order.iter().filter(|&&id| self.is_needed(id, self.name_of(id))).count()));
        order.sort_unstable();
        let mut old_ids: Vec<Option<u32>> = order.iter().copied().map(Some).collect();
        let vocabulary: Vec<String> = order.iter().map(|&id| self.name_of(id).to_owned()).collect();

        let new_id = |old: u32| order.binary_search(&old).ok().map(|new| new as u32);
        let mut list: Vec<AddedToken> = Vec::new();
        for token in &self.added {
            let id = new_id(token.id).unwrap_or_else(|| {
                old_ids.push(Some(token.id));
                old_ids.len() as u32 - 1
            });
            list.push(AddedToken { id, ..token.clone() });
        }
        for content in added {
            if list.iter().any(|token| token.content == *content) {
                continue;
            }
            let kept = self.id(content).and_then(new_id);
            let id = kept.unwrap_or_else(|| {
                old_ids.push(self.id(content));
                old_ids.len() as u32 - 1
            });
            list.push(AddedToken { content: (*content).to_owned(), id, special: false, normalized: false });
        }
        let tokenizer = Self::from_parts(Parts {
            vocabulary,
            added: list,
            normalizer: self.splitter.normalizer,
            prefix: self.prefix.clone(),
            longest_word: self.longest_word,
            unknown: self.name_of(self.unknown).to_owned(),
            start: self.name_of(self.start).to_owned(),
            end: self.name_of(self.end).to_owned(),
        })?;
        Ok(Trimmed { tokenizer, old_ids })
    }

    fn name_of(&self, id: u32) -> &str {
        self.token(id).unwrap_or_default()
    }

    /// Whether trimming must keep it: marks, and the ASCII characters that every word can be spelt with.
    fn is_needed(&self, id: u32, token: &str) -> bool {
        let bare = token.strip_prefix(self.prefix.as_str()).unwrap_or(token);
        let spelling = matches!(bare.as_bytes(), [byte] if byte.is_ascii_graphic());
        spelling || MARKS.contains(&token) || [self.unknown, self.start, self.end].contains(&id)
    }
}
