//! Rearranges the operands of a general product into the words that the tiles read, in f32 or pairs of bf16.
//!
//! Both operands become a matrix of words `[line, word]`, written as it is or transposed:
//!
//! | operand | contiguous in memory | a line is | written |
//! |---|---|---|---|
//! | left, `[row, depth]` | depth | a row | as it is |
//! | left | rows | a depth | transposed |
//! | right, `[depth, column]` | columns | a depth | as it is |
//! | right | depth | a column | transposed |
#![expect(
    unsafe_code,
    reason = "vector instructions over raw operands: compared with the definition in gemm's tests"
)]

use super::simd::Simd;
use half::bf16;

/// A stretch of an operand, and where its words go.
#[derive(Clone, Copy)]
pub(super) struct Packing {
    /// The first value; lines of values are `stride` apart.
    pub(super) from: *const f32,
    pub(super) stride: usize,
    /// Values along the summed dimension, and across it.
    pub(super) depth: usize,
    pub(super) across: usize,
    /// Whether the values of a line follow each other along the summed dimension.
    pub(super) along: bool,
    /// The first word; words that differ in the line are `to_stride` apart, or 1 if `transposed`.
    pub(super) to: *mut u32,
    pub(super) to_stride: usize,
    pub(super) transposed: bool,
}

impl Packing {
    /// The word at that place, values past the last depth being zero.
    ///
    /// # Safety
    /// `from` is valid for all values named by the fields.
    unsafe fn word<const HALF: bool>(&self, line: usize, word: usize) -> u32 {
        let value = |depth: usize, across: usize| {
            if depth >= self.depth {
                return 0.0;
            }
            let (line, at) = if self.along { (across, depth) } else { (depth, across) };
            // SAFETY: `depth` and `across` are within the fields' bounds.
            unsafe { *self.from.add(line * self.stride + at) }
        };
        let (depth, across) = if self.along { (word, line) } else { (line, word) };
        if HALF {
            let bits = |value: f32| u32::from(bf16::from_f32(value).to_bits());
            bits(value(2 * depth, across)) | bits(value(2 * depth + 1, across)) << 16
        } else {
            value(depth, across).to_bits()
        }
    }
}

impl Packing {
    /// `LANES` words of a line, from `word` on.
    ///
    /// # Safety
    /// The CPU has `S`; `from` is valid for all values of these words.
    // Not a closure: those are compiled without the instruction set unless they happen to be inlined.
    #[inline(always)]
    unsafe fn vector<S: Simd, const HALF: bool>(&self, line: usize, word: usize) -> S::I {
        let Self { from, stride, along, .. } = *self;
        // SAFETY: the caller's promise.
        unsafe {
            if !HALF {
                S::load_words(from.add(line * stride + word).cast())
            } else if along {
                // As wide as two vectors of sixteen.
                let mut halves = [0u16; 32];
                let first = from.add(line * stride + 2 * word);
                S::store_bf16(halves.as_mut_ptr(), S::load(first));
                S::store_bf16(halves.as_mut_ptr().add(S::LANES), S::load(first.add(S::LANES)));
                S::load_words(halves.as_ptr().cast())
            } else {
                let first = from.add(2 * line * stride + word);
                S::pair_bf16(S::load(first), S::load(first.add(stride)))
            }
        }
    }
}

/// # Safety
/// The CPU has `S`; `from` is valid for the values and `to` for the words that the fields name.
#[inline(always)]
pub(super) unsafe fn pack<S: Simd, const HALF: bool>(packing: Packing) {
    let Packing { to, to_stride, .. } = packing;
    let words_deep = if HALF { packing.depth.div_ceil(2) } else { packing.depth };
    let whole_deep = if HALF { packing.depth / 2 } else { packing.depth };
    // Lines and words of which all values exist.
    let (lines, words, whole_lines, whole_words) = if packing.along {
        (packing.across, words_deep, packing.across, whole_deep / S::LANES * S::LANES)
    } else {
        (words_deep, packing.across, whole_deep, packing.across / S::LANES * S::LANES)
    };
    let block_lines = if packing.transposed { whole_lines / S::LANES * S::LANES } else { whole_lines };
    // SAFETY: every word written lies among the `lines × words` of the target.
    unsafe {
        if packing.transposed {
            let mut block = [0u32; 256];
            for line in (0..block_lines).step_by(S::LANES) {
                for word in (0..whole_words).step_by(S::LANES) {
                    for row in 0..S::LANES {
                        S::store_words(
                            block.as_mut_ptr().add(row * S::LANES),
                            packing.vector::<S, HALF>(line + row, word),
                        );
                    }
                    S::transpose(block.as_ptr(), S::LANES, to.add(word * to_stride + line), to_stride);
                }
            }
        } else {
            for line in 0..block_lines {
                for word in (0..whole_words).step_by(S::LANES) {
                    S::store_words(to.add(line * to_stride + word), packing.vector::<S, HALF>(line, word));
                }
            }
        }
        for line in 0..lines {
            let done = if line < block_lines { whole_words } else { 0 };
            for word in done..words {
                let at = if packing.transposed { word * to_stride + line } else { line * to_stride + word };
                *to.add(at) = packing.word::<HALF>(line, word);
            }
        }
    }
}
