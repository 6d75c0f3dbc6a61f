//! The encoder's forward pass over ragged batches: BERT, DistilBERT and MiniLM shapes, on packed weights.
//!
//! ```text
//! Weights ──pack once──► Encoder ──forward_cls(Tokens)──► [CLS] vectors ──heads──► risk and tag logits
//! ```
//! Three things make it fast. Lines are never padded: many lines' tokens are one tall matrix. Weights are packed once in
//! the order in which the micro-kernel of this CPU reads them, in f32, bf16 or int8. And of the last layer only [CLS] is
//! computed past attention. A line's result does not depend on the batch it is in, to the last bit.
//!
//! | file | holds |
//! |---|---|
//! | `forward` | the layers, chunk by chunk |
//! | `packed` | weights in panels |
//! | `kernels` | the table of kernels, behind functions that check shapes |
//! | `product`, `rows`, `attention` | the kernels, each written once over `simd` |
//! | `avx512`, `avx2`, `portable` | the instruction sets |
//! | `gemm`, `pack` | the general product, for training |
//! | `vectorize` | plain loops compiled for an instruction set, for training |

mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod buffer;
mod forward;
pub mod gemm;
mod isa;
mod kernels;
mod pack;
mod packed;
mod portable;
mod product;
mod rows;
mod simd;
mod vectorize;

use crate::weights::{Activation, Head, Linear, Weights};
use forward::Body;
use kernels::Kernels;
use logrisk_base::{Risk, Tag};
use packed::Packed;
use std::{ops::Range, sync::Arc};

pub use forward::Scratch;
pub use isa::{Isa, Precision, UnknownName};
pub use vectorize::{Loops, vectorize};

/// Many lines' tokens as one ragged matrix: no padding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Token ids of all lines, one after the other, each with its [CLS] and [SEP].
    pub ids: Vec<u32>,
    /// Where each line ends in `ids`; line `i` is `ids[ends[i - 1]..ends[i]]`.
    pub ends: Vec<usize>,
}

impl Tokens {
    /// Where line `i` lies in `ids`; cut to what is there if `ends` does not ascend within it.
    #[must_use]
    pub fn line(&self, i: usize) -> Range<usize> {
        let end = |i: usize| self.ends.get(i).copied().unwrap_or(usize::MAX).min(self.ids.len());
        let start = if i == 0 { 0 } else { end(i - 1) };
        start..end(i).max(start)
    }
}

/// A model ready to run: weights packed for one instruction set and one precision. Shared between threads, each of which
/// brings its own [`Scratch`].
#[derive(Debug)]
pub struct Encoder {
    body: Body,
    heads: Option<Heads>,
}

/// The two heads, in f32: `hidden → hidden / 2 → ReLU → {risks, tags}`.
#[derive(Debug)]
struct Heads {
    dense: Packed,
    /// Risk logits, then tag logits.
    output: Packed,
}

/// What the heads say of each line, before any softmax.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Logits {
    /// Lines × [`Risk::COUNT`].
    pub risk: Vec<f32>,
    /// Lines × [`Tag::COUNT`].
    pub tag: Vec<f32>,
}

impl Encoder {
    /// Packs the weights, whose tensors must have the sizes that their shape says (as those of a loaded archive do).
    ///
    /// An `isa` that this CPU lacks falls back to [`Isa::Portable`]. Widths (hidden, feed-forward, a head's) that are no
    /// multiple of 16 run in f32 without vectors; no published checkpoint has such.
    ///
    /// For int8, [`Self::with_sample`] is more exact.
    #[must_use]
    pub fn new(weights: &Weights, precision: Precision, isa: Isa) -> Self {
        Self::with_sample(weights, precision, isa, &Tokens::default())
    }

    /// As [`Self::new`], with a few typical lines (up to 128 tokens are used; any will do that the tokeniser makes of real
    /// text). int8 runs them in bf16 first and rounds its weights so that errors cancel on what [CLS] looks like; the other
    /// precisions ignore them.
    #[must_use]
    pub fn with_sample(weights: &Weights, precision: Precision, isa: Isa, sample: &Tokens) -> Self {
        let shape = &weights.shape;
        let head_width = shape.hidden / shape.heads.max(1);
        let head_inner = weights.head.as_ref().map_or(0, |head| head.dense.outputs);
        let widths = [shape.hidden, shape.intermediate, head_width, head_inner];
        let regular = widths.iter().all(|width| width.is_multiple_of(16));
        let (kernels, precision) =
            if regular { (Kernels::of(isa), precision) } else { (Kernels::of_any_width(), Precision::F32) };
        let embeddings = Arc::new(weights.embeddings.clone());
        let pack = |precision, tail_precision, typical: &[_]| {
            Body::new(weights, embeddings.clone(), kernels, precision, tail_precision, typical)
        };
        let body = match precision {
            Precision::F32 | Precision::Bf16 => pack(precision, precision, &[]),
            Precision::Int8 => {
                let typical = match sample.ends.is_empty() {
                    true => Vec::new(),
                    // bf16 is near enough to say what [CLS] looks like, and costs half of f32's memory.
                    false => pack(Precision::Bf16, Precision::Bf16, &[]).typical_inputs(sample),
                };
                // The last layer's second half is nearest to the output and costs next to nothing.
                pack(precision, Precision::Bf16, &typical)
            }
        };
        let heads = weights.head.as_ref().map(|Head { dense, risk, tag }| {
            let pack = |layers: &[(&Linear, f32)]| Packed::new(kernels, Precision::F32, layers, None);
            Heads { dense: pack(&[(dense, 1.0)]), output: pack(&[(risk, 1.0), (tag, 1.0)]) }
        });
        Self { body, heads }
    }

    /// Width of a [CLS] vector.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.body.shape.hidden
    }

    /// Appends each line's [CLS] vector of [`Self::hidden`] f32 to `cls`, in order.
    ///
    /// An id past the vocabulary reads as 0, a position past the last as the last one; the vector of a line without
    /// tokens means nothing. After the first large batch nothing is allocated but what `cls` needs.
    pub fn forward_cls(&self, tokens: &Tokens, scratch: &mut Scratch, cls: &mut Vec<f32>) {
        self.body.forward_cls(tokens, scratch, cls);
    }

    /// Width of what [`Self::head_features`] gives for a line: half of [`Self::hidden`]; 0 if the weights have no heads.
    #[must_use]
    pub fn head_width(&self) -> usize {
        self.heads.as_ref().map_or(0, |heads| heads.dense.outputs)
    }

    /// What the two heads see of [CLS] vectors: their shared hidden layer, none of it negative; empty if the weights have
    /// no heads.
    #[must_use]
    pub fn head_features(&self, cls: &[f32], scratch: &mut Scratch) -> Vec<f32> {
        let (Some(heads), hidden) = (&self.heads, self.hidden()) else { return Vec::new() };
        let (rows, kernels, encoded) = (cls.len() / hidden, self.body.kernels, &mut scratch.encoded);
        let x = scratch.x.take(rows * hidden);
        x.copy_from_slice(&cls[..rows * hidden]);
        kernels.encode(x, hidden, Precision::F32, encoded);
        let y = scratch.y.take(rows * heads.dense.outputs);
        kernels.multiply(encoded, &heads.dense, y);
        y.iter().map(|value| value.max(0.0)).collect()
    }

    /// The heads' logits of [CLS] vectors; empty if the weights have no heads.
    #[must_use]
    pub fn heads(&self, cls: &[f32], scratch: &mut Scratch) -> Logits {
        let (Some(heads), hidden) = (&self.heads, self.hidden()) else { return Logits::default() };
        let (rows, inner, outputs) = (cls.len() / hidden, heads.dense.outputs, Risk::COUNT + Tag::COUNT);
        let (kernels, encoded) = (self.body.kernels, &mut scratch.encoded);
        let x = scratch.x.take(rows * hidden);
        x.copy_from_slice(&cls[..rows * hidden]);
        kernels.encode(x, hidden, Precision::F32, encoded);
        let y = scratch.y.take(rows * inner);
        kernels.multiply(encoded, &heads.dense, y);
        kernels.activate(y, inner, Activation::Relu, Precision::F32, encoded);
        let logits = scratch.x.take(rows * outputs);
        kernels.multiply(encoded, &heads.output, logits);
        let rows = logits.chunks_exact(outputs).map(|row| row.split_at(Risk::COUNT));
        Logits {
            risk: rows.clone().flat_map(|row| row.0).copied().collect(),
            tag: rows.flat_map(|row| row.1).copied().collect(),
        }
    }
}

#[cfg(test)]
mod kernel_tests;
#[cfg(test)]
mod tests;
