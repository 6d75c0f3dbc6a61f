//! Attention inside each line, forward and backward. Lines never see each other, so nothing is masked or padded.

use std::ops::Range;

use logrisk_score::encoder::{Isa, Loops, vectorize};

use super::elementwise::{Dropout, add_scaled, dot, multiply, softmax, sum};

/// Which rows ask, of which lines, in how many heads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attention<'a> {
    /// Where each line ends among the tokens.
    pub(super) ends: &'a [usize],
    /// Heads.
    pub(super) heads: usize,
    /// Width of all heads together.
    pub(super) hidden: usize,
    /// Only the first token of each line asks, as in the last layer; the queries are then one row a line.
    pub(super) first_only: bool,
    /// On the probabilities.
    pub(super) dropout: Dropout,
}

/// One head of one line.
struct Part {
    /// Rows of the queries.
    queries: Range<usize>,
    /// Rows of keys and values.
    tokens: Range<usize>,
    /// Columns of the head.
    columns: Range<usize>,
    /// Its `[queries, tokens]` among the probabilities.
    probabilities: Range<usize>,
}

impl Attention<'_> {
    fn parts(self) -> impl Iterator<Item = Part> {
        let width = self.hidden / self.heads;
        let mut first_token = 0;
        let mut first_probability = 0;
        self.ends.iter().enumerate().flat_map(move |(line, &end)| {
            let tokens = first_token..end;
            let queries = if self.first_only { line..line + 1 } else { tokens.clone() };
            let size = queries.len() * tokens.len();
            let base = first_probability;
            first_token = end;
            first_probability += size * self.heads;
            (0..self.heads).map(move |head| Part {
                queries: queries.clone(),
                tokens: tokens.clone(),
                columns: head * width..(head + 1) * width,
                probabilities: base + head * size..base + (head + 1) * size,
            })
        })
    }

    /// How many probabilities there are in all.
    fn size(self) -> usize {
        let mut start = 0;
        let mut size = 0;
        for &end in self.ends {
            let length = end - start;
            size += self.heads * length * if self.first_only { 1 } else { length };
            start = end;
        }
        size
    }

    /// The columns `part.columns` of row `row`.
    #[inline(always)]
    fn slice<'v>(self, values: &'v [f32], row: usize, part: &Part) -> &'v [f32] {
        &values[row * self.hidden..][part.columns.clone()]
    }

    #[inline(always)]
    fn slice_mut<'v>(self, values: &'v mut [f32], row: usize, part: &Part) -> &'v mut [f32] {
        &mut values[row * self.hidden..][part.columns.clone()]
    }

    #[inline(always)]
    fn scale(self) -> f32 {
        1.0 / ((self.hidden / self.heads) as f32).sqrt()
    }

    /// `context = softmax(query keyᵀ / √width) value`, head by head; the probabilities are kept for the way back.
    pub(super) fn forward(
        self,
        query: &[f32],
        key: &[f32],
        value: &[f32],
        probabilities: &mut Vec<f32>,
        context: &mut Vec<f32>,
    ) {
        probabilities.resize(self.size(), 0.0);
        context.clear();
        context.resize(query.len(), 0.0);
        vectorize(Isa::detect(), Forward { attention: self, query, key, value, probabilities, context });
    }

    #[inline(always)]
    fn forward_loops(
        self,
        query: &[f32],
        key: &[f32],
        value: &[f32],
        probabilities: &mut [f32],
        context: &mut [f32],
    ) {
        let scale = self.scale();
        let mut dropped = Vec::new();
        for part in self.parts() {
            let first = part.probabilities.start;
            let table = &mut probabilities[part.probabilities.clone()];
            for (index, (query_row, row)) in
                part.queries.clone().zip(table.chunks_exact_mut(part.tokens.len())).enumerate()
            {
                let question = self.slice(query, query_row, &part);
                for (score, token) in row.iter_mut().zip(part.tokens.clone()) {
                    *score = dot(question, self.slice(key, token, &part)) * scale;
                }
                softmax(row);
                let row = self.drop_row(row, first + index * part.tokens.len(), &mut dropped);
                let answer = self.slice_mut(context, query_row, &part);
                for (&probability, token) in row.iter().zip(part.tokens.clone()) {
                    add_scaled(answer, probability, self.slice(value, token, &part));
                }
            }
        }
    }

    /// The row after dropout; the row itself where dropout is off.
    #[inline(always)]
    fn drop_row<'r>(self, row: &'r [f32], first: usize, buffer: &'r mut Vec<f32>) -> &'r [f32] {
        if !self.dropout.is_on() {
            return row;
        }
        buffer.clear();
        buffer.extend_from_slice(row);
        self.dropout.apply(buffer, first);
        buffer
    }

    /// From the gradient of the context to those of query, key and value, which are overwritten.
    pub(super) fn backward(
        self,
        [query, key, value]: [&[f32]; 3],
        probabilities: &[f32],
        context_gradient: &[f32],
        [query_gradient, key_gradient, value_gradient]: [&mut Vec<f32>; 3],
    ) {
        for (gradient, like) in
            [(&mut *query_gradient, query), (&mut *key_gradient, key), (&mut *value_gradient, value)]
        {
            gradient.clear();
            gradient.resize(like.len(), 0.0);
        }
        vectorize(
            Isa::detect(),
            Backward {
                attention: self,
                inputs: [query, key, value],
                probabilities,
                context_gradient,
                gradients: [query_gradient, key_gradient, value_gradient],
            },
        );
    }

    #[inline(always)]
    fn backward_loops(
        self,
        [query, key, value]: [&[f32]; 3],
        probabilities: &[f32],
        context_gradient: &[f32],
        [query_gradient, key_gradient, value_gradient]: [&mut [f32]; 3],
    ) {
        let scale = self.scale();
        let (mut dropped, mut scores) = (Vec::new(), Vec::new());
        for part in self.parts() {
            let length = part.tokens.len();
            let table = &probabilities[part.probabilities.clone()];
            for (index, (query_row, row)) in part.queries.clone().zip(table.chunks_exact(length)).enumerate()
            {
                let first = part.probabilities.start + index * length;
                let answer = self.slice(context_gradient, query_row, &part);
                scores.clear();
                for token in part.tokens.clone() {
                    scores.push(dot(answer, self.slice(value, token, &part)));
                }
                let kept = self.drop_row(row, first, &mut dropped);
                for (&probability, token) in kept.iter().zip(part.tokens.clone()) {
                    add_scaled(self.slice_mut(value_gradient, token, &part), probability, answer);
                }
                // Softmax backward: p (g - Σ p g).
                self.dropout.apply(&mut scores, first);
                multiply(&mut scores, row);
                let total = sum(&scores);
                for (score, probability) in scores.iter_mut().zip(row) {
                    *score = (*score - probability * total) * scale;
                }
                let question = self.slice(query, query_row, &part);
                let target = self.slice_mut(query_gradient, query_row, &part);
                for (&score, token) in scores.iter().zip(part.tokens.clone()) {
                    add_scaled(target, score, self.slice(key, token, &part));
                    add_scaled(self.slice_mut(key_gradient, token, &part), score, question);
                }
            }
        }
    }
}

struct Forward<'a> {
    attention: Attention<'a>,
    query: &'a [f32],
    key: &'a [f32],
    value: &'a [f32],
    probabilities: &'a mut [f32],
    context: &'a mut [f32],
}

impl Loops for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { attention, query, key, value, probabilities, context } = self;
        attention.forward_loops(query, key, value, probabilities, context);
    }
}

struct Backward<'a> {
    attention: Attention<'a>,
    inputs: [&'a [f32]; 3],
    probabilities: &'a [f32],
    context_gradient: &'a [f32],
    gradients: [&'a mut [f32]; 3],
}

impl Loops for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { attention, inputs, probabilities, context_gradient, gradients } = self;
        attention.backward_loops(inputs, probabilities, context_gradient, gradients);
    }
}
