//! The forward pass: chunks of whole lines go through all layers, and [CLS] rows gather for the last layer's second half.
//!
//! ```text
//! ids ─► embed ─► norm ─┬► query key value ─► attend ─► project ─► add, norm ─► inner ─► activate ─► outer ─► add, norm ─┐
//!                       └───────────────────────────── layers − 1 times ────────────────────────────────────────────────┘
//! last layer: keys and values of all tokens, but the query and everything after attention of [CLS] alone: nothing else
//! is read from it, so this is exact, and it saves most of that layer.
//! ```
//! The matrices of a chunk stay in the L2 cache. Gathered [CLS] rows are finished [`GATHERED`] at a time, since a product
//! of two rows would mostly wait for its weights.

use super::{
    Precision, Tokens,
    buffer::Aligned,
    kernels::{Encodings, Heads, Kernels},
    packed::Packed,
};
use crate::weights::{Embeddings, Layer, Norm, Shape, Weights};
use std::{ops::Range, panic::resume_unwind, sync::Arc, thread};

/// Tokens of a chunk, unless one line alone has more. 64 to 768 were equally fast; fewer keep more in the L2 cache.
const CHUNK: usize = 128;

/// [CLS] rows finished together. More than 32 gain nothing.
const GATHERED: usize = 64;

/// One layer's weights, packed.
#[derive(Debug)]
struct PackedLayer {
    /// Query, key and value; in the last layer key and value only.
    attention: Packed,
    /// The last layer's query.
    query: Option<Packed>,
    attention_output: Packed,
    attention_norm: Norm,
    intermediate: Packed,
    output: Packed,
    output_norm: Norm,
}

/// Everything that the forward pass reads.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) shape: Shape,
    pub(super) kernels: &'static Kernels,
    precision: Precision,
    /// Of the last layer's second half, which costs little and is nearest to the output.
    tail_precision: Precision,
    embeddings: Arc<Embeddings>,
    layers: Vec<PackedLayer>,
}

/// Working memory of one thread: grows to the largest batch, then is used again.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The chunk's token vectors.
    pub(super) x: Aligned<f32>,
    /// What a layer adds to them; before that, the context of attention.
    pub(super) y: Aligned<f32>,
    /// Queries, keys and values; then the feed-forward's inner vectors.
    wide: Aligned<f32>,
    pub(super) encoded: Encodings,
    attention: Aligned<u32>,
    /// [CLS] rows before the last layer, and their context in it.
    gathered: Aligned<f32>,
    context: Aligned<f32>,
}

impl Body {
    pub(super) fn new(
        weights: &Weights,
        embeddings: Arc<Embeddings>,
        kernels: &'static Kernels,
        precision: Precision,
        tail_precision: Precision,
        typical: &[Vec<f32>],
    ) -> Self {
        let shape = weights.shape.clone();
        // The softmax is computed as a power of two, of scores divided by √width: both go into the query.
        let factor = std::f32::consts::LOG2_E / ((shape.hidden / shape.heads.max(1)) as f32).sqrt();
        let count = weights.layers.len();
        let pack = |(index, layer): (usize, &Layer)| {
            let last = index + 1 == count;
            // A layer multiplies four times, and that is how `typical` lists inputs.
            let typical = |product: usize| typical.get(4 * index + product).map(Vec::as_slice);
            let pack_after = |linear, product| {
                let precision = if last { tail_precision } else { precision };
                Packed::new(kernels, precision, &[(linear, 1.0)], typical(product))
            };
            let (query, key, value) = ((&layer.query, factor), (&layer.key, 1.0), (&layer.value, 1.0));
            let attention: &[_] = if last { &[key, value] } else { &[query, key, value] };
            PackedLayer {
                attention: Packed::new(kernels, precision, attention, typical(0)),
                query: last.then(|| Packed::new(kernels, tail_precision, &[query], None)),
                attention_output: pack_after(&layer.attention_output, 1),
                attention_norm: layer.attention_norm.clone(),
                intermediate: pack_after(&layer.intermediate, 2),
                output: pack_after(&layer.output, 3),
                output_norm: layer.output_norm.clone(),
            }
        };
        // int8's rounding is most of what a start costs; layers do not need each other for it.
        let pack = &pack;
        let layers = thread::scope(|scope| {
            let threads: Vec<_> =
                weights.layers.iter().enumerate().map(|each| scope.spawn(move || pack(each))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
                .collect()
        });
        Self { shape, kernels, precision, tail_precision, embeddings, layers }
    }

    /// The mean of [CLS] at the input of each product of each layer but the last one's second half, over the lines of the
    /// first chunk of `sample`.
    pub(super) fn typical_inputs(&self, sample: &Tokens) -> Vec<Vec<f32>> {
        let mut scratch = Scratch::default();
        scratch.encoded.record = Some(Vec::new());
        if !sample.ends.is_empty() {
            self.forward_chunk(sample, 0..chunk_end(sample, 0, GATHERED), 0, &mut scratch);
        }
        scratch.encoded.record.unwrap_or_default()
    }

    /// Appends each line's [CLS] vector to `cls`.
    pub(super) fn forward_cls(&self, tokens: &Tokens, scratch: &mut Scratch, cls: &mut Vec<f32>) {
        cls.reserve(tokens.ends.len() * self.shape.hidden);
        let (mut first, mut gathered) = (0, 0);
        while first < tokens.ends.len() {
            let lines = first..chunk_end(tokens, first, GATHERED - gathered);
            first = lines.end;
            self.forward_chunk(tokens, lines.clone(), gathered, scratch);
            gathered += lines.len();
            if gathered == GATHERED || first == tokens.ends.len() {
                self.finish(gathered, scratch, cls);
                gathered = 0;
            }
        }
    }

    /// Runs whole lines up to the last layer's attention, and leaves the context of their [CLS] and what it is to be
    /// added to in rows `gathered..` of the scratch.
    fn forward_chunk(&self, tokens: &Tokens, lines: Range<usize>, gathered: usize, scratch: &mut Scratch) {
        let (hidden, kernels) = (self.shape.hidden, self.kernels);
        let start = tokens.line(lines.start).start;
        let local =
            lines.clone().map(|line| tokens.line(line)).map(|line| line.start - start..line.end - start);
        let rows = tokens.line(lines.end.saturating_sub(1)).end - start;
        // [CLS] rows may take two.
        let room = rows + lines.len();
        let x = scratch.x.take(rows * hidden);
        for line in lines.clone() {
            let range = tokens.line(line);
            self.embed(&tokens.ids[range.clone()], &mut x[(range.start - start) * hidden..]);
        }
        let encoded = &mut scratch.encoded;
        encoded.set_fine(local.clone().filter(|line| !line.is_empty()).map(|line| line.start));
        kernels.add_norm(x, None, &self.embeddings.norm, self.shape.norm_epsilon, self.precision, encoded);
        let heads = self.heads();
        for layer in &self.layers {
            let stride = layer.attention.outputs;
            let wide = scratch.wide.take(room * stride.max(self.shape.intermediate));
            kernels.multiply(encoded, &layer.attention, wide);
            let y = scratch.y.take(room * hidden);
            let Some(query) = &layer.query else {
                for line in local.clone() {
                    let part = &wide[line.start * stride..line.end * stride];
                    let context = &mut y[line.start * hidden..line.end * hidden];
                    kernels.attend(
                        heads,
                        (part, stride),
                        (part, stride, [hidden, 2 * hidden]),
                        context,
                        &mut scratch.attention,
                    );
                }
                kernels.encode(&mut y[..rows * hidden], hidden, self.precision, encoded);
                self.second_half(layer, self.precision, x, y, wide, encoded);
                continue;
            };
            let gathered = gathered * hidden..(gathered + lines.len()) * hidden;
            let kept = &mut scratch.gathered.take(GATHERED * hidden)[gathered.clone()];
            gather(x, local.clone(), kept, hidden);
            kernels.encode(kept, hidden, self.tail_precision, encoded);
            kernels.multiply(encoded, query, y);
            let context = &mut scratch.context.take(GATHERED * hidden)[gathered];
            let rows = y.chunks_exact(hidden).zip(context.chunks_exact_mut(hidden));
            for (line, (query, context)) in local.clone().zip(rows) {
                let part = &wide[line.start * stride..line.end * stride];
                kernels.attend(
                    heads,
                    (query, hidden),
                    (part, stride, [0, hidden]),
                    context,
                    &mut scratch.attention,
                );
            }
        }
        if self.layers.is_empty() {
            gather(x, local, &mut scratch.gathered.take(GATHERED * hidden)[gathered * hidden..], hidden);
        }
    }

    fn heads(&self) -> Heads {
        let heads = self.shape.heads;
        Heads { heads, head_width: self.shape.hidden / heads.max(1), half: self.precision != Precision::F32 }
    }

    /// The sum of word and position vectors. Ids past the vocabulary read as 0, positions past the last as the last;
    /// tokenisers that belong to the model produce neither.
    fn embed(&self, ids: &[u32], x: &mut [f32]) {
        let hidden = self.shape.hidden;
        for (position, (&id, row)) in ids.iter().zip(x.chunks_exact_mut(hidden)).enumerate() {
            let id = if (id as usize) < self.shape.vocabulary { id as usize } else { 0 };
            let position = position.min(self.shape.positions.saturating_sub(1));
            let word = &self.embeddings.word[id * hidden..][..hidden];
            let place = &self.embeddings.position[position * hidden..][..hidden];
            for ((sum, a), b) in row.iter_mut().zip(word).zip(place) {
                *sum = a + b;
            }
        }
    }

    /// Of a layer: everything after attention, whose encoded context is in `encoded`.
    fn second_half(
        &self,
        layer: &PackedLayer,
        precision: Precision,
        x: &mut [f32],
        y: &mut [f32],
        wide: &mut [f32],
        encoded: &mut Encodings,
    ) {
        let (kernels, epsilon, inner) = (self.kernels, self.shape.norm_epsilon, self.shape.intermediate);
        let rows = x.len() / self.shape.hidden;
        kernels.multiply(encoded, &layer.attention_output, y);
        kernels.add_norm(x, Some(y), &layer.attention_norm, epsilon, precision, encoded);
        kernels.multiply(encoded, &layer.intermediate, wide);
        kernels.activate(&mut wide[..rows * inner], inner, self.shape.activation, precision, encoded);
        kernels.multiply(encoded, &layer.output, y);
        kernels.add_norm(x, Some(y), &layer.output_norm, epsilon, precision, encoded);
    }

    /// The last layer's second half for all gathered [CLS] rows.
    fn finish(&self, gathered: usize, scratch: &mut Scratch, cls: &mut Vec<f32>) {
        let hidden = self.shape.hidden;
        let x = &mut scratch.gathered.take(GATHERED * hidden)[..gathered * hidden];
        if let Some(layer) = self.layers.last() {
            let context = &mut scratch.context.take(GATHERED * hidden)[..gathered * hidden];
            self.kernels.encode(context, hidden, self.tail_precision, &mut scratch.encoded);
            let wide = scratch.wide.take(gathered * self.shape.intermediate);
            self.second_half(layer, self.tail_precision, x, context, wide, &mut scratch.encoded);
        }
        cls.extend_from_slice(x);
    }
}

/// The first rows of lines; zeros for a line without tokens.
fn gather(x: &[f32], lines: impl Iterator<Item = Range<usize>>, to: &mut [f32], width: usize) {
    for (line, row) in lines.zip(to.chunks_exact_mut(width)) {
        match x.get(line.start * width..(line.start + 1) * width) {
            Some(first) if !line.is_empty() => row.copy_from_slice(first),
            _ => row.fill(0.0),
        }
    }
}

/// Where the chunk that starts with line `first` ends: after at least one line, at most `limit`, and before its tokens
/// exceed [`CHUNK`].
fn chunk_end(tokens: &Tokens, first: usize, limit: usize) -> usize {
    let start = tokens.line(first).start;
    let fits = |&line: &usize| tokens.line(line).end - start <= CHUNK;
    let most = tokens.ends.len().min(first + limit);
    (first + 1..most).find(|line| !fits(line)).unwrap_or(most)
}
