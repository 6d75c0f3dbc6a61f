//! From examples to steps: shuffled, in batches of similar lengths within a budget of lines and tokens.

use std::ops::Range;

use logrisk_score::encoder::Tokens;

use super::{elementwise::mix, loss::Goal, options::Options};
use crate::example::Example;

/// Lines that are sorted by length together: large enough for batches of nearly equal lengths, small enough to leave the
/// order of an epoch random.
const BUCKET_LINES: usize = 4096;

/// The lines of one step.
#[derive(Debug, Clone, Default)]
pub(super) struct Batch {
    pub(super) tokens: Tokens,
    /// One a line.
    pub(super) goals: Vec<Goal>,
}

/// One epoch, ready to be cut into batches.
#[derive(Debug)]
pub(super) struct Epoch {
    tokens: Tokens,
    goals: Vec<Goal>,
    /// Each batch's lines.
    pub(super) batches: Vec<Vec<u32>>,
}

/// A generator for shuffles: SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        // The high half of a 64 × 64 bit product; the bias is below 2⁻³² for any bound that fits memory.
        ((u128::from(mix(self.0)) * bound as u128) >> 64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

impl Epoch {
    /// Tokenises and shuffles; the same examples, options and epoch give the same batches.
    ///
    /// Examples that `tokenize` turns into nothing, or that weigh nothing, are left out.
    pub(super) fn new(
        examples: &[Example],
        tokenize: &dyn Fn(&str, &mut Vec<u32>),
        options: &Options,
        epoch: usize,
    ) -> Self {
        let mut tokens = Tokens::default();
        let mut goals = Vec::with_capacity(examples.len());
        for example in examples {
            let goal = Goal::new(example, options);
            tokenize(&example.text, &mut tokens.ids);
            if tokens.ids.len() > tokens.ends.last().copied().unwrap_or(0) && goal.weight > 0.0 {
                tokens.ends.push(tokens.ids.len());
                goals.push(goal);
            } else {
                tokens.ids.truncate(tokens.ends.last().copied().unwrap_or(0));
            }
        }
        let mut lines: Vec<u32> = (0..goals.len() as u32).collect();
        let mut random = Random(mix(options.seed ^ mix(epoch as u64)));
        random.shuffle(&mut lines);
        let length = |line: u32| line_range(&tokens, line).len();
        let mut batches = Vec::new();
        for bucket in lines.chunks_mut(BUCKET_LINES) {
            // Stable, so that equal lengths stay shuffled.
            bucket.sort_by_key(|&line| length(line));
            let mut batch: Vec<u32> = Vec::new();
            let mut size = 0;
            for &line in &*bucket {
                let full = batch.len() >= options.batch_lines || size + length(line) > options.batch_tokens;
                if full && !batch.is_empty() {
                    batches.push(std::mem::take(&mut batch));
                    size = 0;
                }
                size += length(line);
                batch.push(line);
            }
            batches.extend((!batch.is_empty()).then_some(batch));
        }
        random.shuffle(&mut batches);
        Self { tokens, goals, batches }
    }

    /// The lines of batch `index`, copied together.
    pub(super) fn batch(&self, index: usize) -> Batch {
        let mut batch = Batch::default();
        for &line in self.batches.get(index).into_iter().flatten() {
            batch.tokens.ids.extend_from_slice(&self.tokens.ids[line_range(&self.tokens, line)]);
            batch.tokens.ends.push(batch.tokens.ids.len());
            batch.goals.push(self.goals[line as usize]);
        }
        batch
    }
}

fn line_range(tokens: &Tokens, line: u32) -> Range<usize> {
    let line = line as usize;
    let start = if line == 0 { 0 } else { tokens.ends[line - 1] };
    start..tokens.ends[line]
}

/// Some consecutive lines of a batch.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) tokens: Tokens,
    /// Which lines of the whole these are.
    pub(super) lines: Range<usize>,
}

/// Cuts the lines, in order, into at most `parts` pieces of about equally many tokens.
pub(super) fn split(tokens: &Tokens, parts: usize) -> Vec<Piece> {
    let total = tokens.ids.len().max(1);
    let mut pieces: Vec<Piece> = Vec::with_capacity(parts);
    let mut current = None;
    let mut start = 0;
    for (line, &end) in tokens.ends.iter().enumerate() {
        // By the middle of the line, so that pieces differ by about one line's length.
        let part = Some((start + end) / 2 * parts / total);
        if part != current {
            pieces.push(Piece { tokens: Tokens::default(), lines: line..line });
            current = part;
        }
        if let Some(piece) = pieces.last_mut() {
            piece.tokens.ids.extend_from_slice(&tokens.ids[start..end]);
            piece.tokens.ends.push(piece.tokens.ids.len());
            piece.lines.end = line + 1;
        }
        start = end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(number: usize, options: &Options) -> Epoch {
        let examples: Vec<Example> = (0..1000)
            .map(|index| Example {
                text: "x".repeat(1 + index * 7 % 40),
                target: [1.0 / 11.0; 11],
                tag: None,
                weight: if index == 3 { 0.0 } else { 1.0 },
            })
            .collect();
        let tokenize = |text: &str, ids: &mut Vec<u32>| ids.extend(std::iter::repeat_n(1, text.len()));
        Epoch::new(&examples, &tokenize, options, number)
    }

    #[test]
    fn batches_hold_every_line_once_within_the_budget() {
        let options = Options { batch_lines: 16, batch_tokens: 200, ..Options::default() };
        let epoch = epoch(0, &options);
        let mut seen: Vec<u32> = epoch.batches.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..999).collect::<Vec<_>>());
        for index in 0..epoch.batches.len() {
            let batch = epoch.batch(index);
            assert!(batch.goals.len() <= 16 && batch.tokens.ids.len() <= 200);
            let pieces = split(&batch.tokens, 3);
            assert!(pieces.len() <= 3);
            let ids: Vec<u32> = pieces.iter().flat_map(|piece| piece.tokens.ids.clone()).collect();
            assert_eq!(ids, batch.tokens.ids);
            assert_eq!(pieces.iter().map(|piece| piece.lines.len()).sum::<usize>(), batch.goals.len());
        }
    }

    #[test]
    fn the_order_depends_on_seed_and_epoch_alone() {
        let options = Options::default();
        assert_eq!(epoch(1, &options).batches, epoch(1, &options).batches);
        assert_ne!(epoch(1, &options).batches, epoch(2, &options).batches);
    }
}
