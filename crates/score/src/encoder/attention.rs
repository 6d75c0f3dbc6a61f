//! Attention of one line: each head's scores for a few queries at a time, so that nothing quadratic is ever stored.
//!
//! ```text
//! keys ──transpose──► [head width × keys] ─┐
//! queries, six rows at a time ────────────►│ scores ──softmax──► weights ─┐
//! values [keys × head width] ──────────────┴─────────────────────────────►│ context
//! ```
//! Queries come scaled by `log₂ e / √width` (folded into their weights), so that the softmax is one power of two.
//! Where bf16 has its own instruction, both products use it: pairs of dimensions, then pairs of keys, share a word.
#![expect(
    unsafe_code,
    reason = "vector instructions on raw rows: each kernel is tested against the portable one"
)]

use super::{
    rows::exp2,
    simd::{Dot, DotBf16, DotF32, Simd, even_blocks, tile},
};

/// One line's queries, keys and values of all heads.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub(super) heads: usize,
    pub(super) head_width: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
    /// `queries` rows of `heads × head_width`, `query_stride` apart; so below.
    pub(super) query: *const f32,
    pub(super) query_stride: usize,
    pub(super) key: *const f32,
    pub(super) value: *const f32,
    pub(super) key_stride: usize,
    pub(super) context: *mut f32,
    pub(super) context_stride: usize,
    /// At least [`scratch_words`] of them.
    pub(super) scratch: *mut u32,
}

/// Rows of scores that are kept at once: the tallest tile.
const ROWS: usize = 6;

/// Space for a line of `keys` tokens: keys, values and queries of one head, scores and weights of a block of rows.
pub(super) fn scratch_words(keys: usize, head_width: usize) -> usize {
    let padded = padded(keys);
    3 * padded * head_width + 2 * ROWS * padded
}

/// Whole vectors for all instruction sets.
fn padded(keys: usize) -> usize {
    keys.next_multiple_of(16)
}

/// Attends from every query to every key, head by head, with both products in f32 or in bf16.
///
/// # Safety
/// The CPU has `S`; pointers are valid for the shapes named; `head_width` is a multiple of `LANES`, and of twice as many
/// if `HALF`; `keys` is not 0.
#[inline(always)]
pub(super) unsafe fn attend<S: Simd, const HALF: bool, const MAX_ROWS: usize>(line: Line) {
    let padded = padded(line.keys);
    // SAFETY: the caller's promise; the four areas are those that `scratch_words` counts.
    unsafe {
        let keys = line.scratch;
        let values = keys.add(padded * line.head_width);
        let queries = values.add(padded * line.head_width);
        let scores = queries.add(padded * line.head_width);
        for head in 0..line.heads {
            let at = head * line.head_width;
            let (query, key, value) = (line.query.add(at), line.key.add(at), line.value.add(at));
            let context = line.context.add(at);
            if HALF {
                // The rows to transpose are rounded into the space of the values, which are packed afterwards.
                let words = line.head_width / 2;
                round_rows::<S>(key, line.keys, line.key_stride, line.head_width, values);
                values.add(line.keys * words).write_bytes(0, (padded - line.keys) * words);
                transpose::<S>(values, words, padded, words, keys, padded);
                round_rows::<S>(query, line.queries, line.query_stride, line.head_width, queries);
                pair_rows::<S>(value, line.keys, line.key_stride, line.head_width, values);
                let head =
                    Head { steps: words, padded, query: queries, query_stride: words, keys, context, scores };
                let (steps, stride) = (line.keys.div_ceil(2), line.head_width);
                rows::<S, DotBf16, HALF, MAX_ROWS>(line, head, Values { steps, words: values, stride });
            } else {
                let words = line.head_width;
                transpose::<S>(key.cast(), line.key_stride, line.keys, words, keys, padded);
                let (query, query_stride) = (query.cast(), line.query_stride);
                let head = Head { steps: words, padded, query, query_stride, keys, context, scores };
                let (steps, stride) = (line.keys, line.key_stride);
                rows::<S, DotF32, HALF, MAX_ROWS>(line, head, Values { steps, words: value.cast(), stride });
            }
        }
    }
}

/// One head's operands as words.
#[derive(Clone, Copy)]
struct Head {
    steps: usize,
    padded: usize,
    query: *const u32,
    query_stride: usize,
    keys: *const u32,
    context: *mut f32,
    scores: *mut u32,
}

#[derive(Clone, Copy)]
struct Values {
    steps: usize,
    words: *const u32,
    stride: usize,
}

/// # Safety
/// As [`attend`].
#[inline(always)]
unsafe fn rows<S: Simd, D: Dot<S, Sum = S::F>, const HALF: bool, const MAX_ROWS: usize>(
    line: Line,
    head: Head,
    values: Values,
) {
    for (start, rows) in even_blocks(line.queries, MAX_ROWS) {
        // SAFETY: `start + rows <= queries`.
        unsafe {
            match rows {
                1 => block::<S, D, HALF, 1>(line, head, values, start),
                2 => block::<S, D, HALF, 2>(line, head, values, start),
                3 if MAX_ROWS >= 3 => block::<S, D, HALF, 3>(line, head, values, start),
                4 if MAX_ROWS >= 4 => block::<S, D, HALF, 4>(line, head, values, start),
                5 if MAX_ROWS >= 5 => block::<S, D, HALF, 5>(line, head, values, start),
                6 if MAX_ROWS >= 6 => block::<S, D, HALF, 6>(line, head, values, start),
                _ => {}
            }
        }
    }
}

/// Scores, softmax and context of `MR` queries of one head.
///
/// # Safety
/// As [`attend`].
#[inline(always)]
unsafe fn block<S: Simd, D: Dot<S, Sum = S::F>, const HALF: bool, const MR: usize>(
    line: Line,
    head: Head,
    values: Values,
    start: usize,
) {
    let padded = head.padded;
    // SAFETY: the caller's promise; `scores` has `ROWS` rows of `padded`, the weights after them as many.
    unsafe {
        let scores = head.scores.cast::<f32>();
        let query = head.query.add(start * head.query_stride);
        wide::<S, D, MR>(
            (head.steps, padded),
            (query, head.query_stride),
            (head.keys, padded),
            (scores, padded),
            [1.0; MR],
        );
        let weights = if HALF { head.scores.add(ROWS * padded) } else { head.scores };
        let weight_stride = if HALF { padded / 2 } else { padded };
        let mut shares = [0.0; MR];
        for (r, share) in shares.iter_mut().enumerate() {
            let row = scores.add(r * padded);
            for key in line.keys..padded {
                *row.add(key) = f32::NEG_INFINITY;
            }
            *share = 1.0 / softmax::<S, HALF>(row, padded, weights.add(r * weight_stride));
        }
        let context = head.context.add(start * line.context_stride);
        wide::<S, D, MR>(
            (values.steps, line.head_width),
            (weights, weight_stride),
            (values.words, values.stride),
            (context, line.context_stride),
            shares,
        );
    }
}

/// Powers of two of a row of scores less their largest, written as f32 over the scores or as bf16 to `weights`; returns
/// their sum.
///
/// # Safety
/// As [`attend`].
#[inline(always)]
unsafe fn softmax<S: Simd, const HALF: bool>(scores: *mut f32, padded: usize, weights: *mut u32) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let mut most = S::load(scores);
        for i in (S::LANES..padded).step_by(S::LANES) {
            most = S::max(most, S::load(scores.add(i)));
        }
        let most = S::splat(S::max_lanes(most));
        let mut sum = S::splat(0.0);
        for i in (0..padded).step_by(S::LANES) {
            let less = S::sub(S::load(scores.add(i)), most);
            let power = if HALF { exp2::<S, 4>(less) } else { exp2::<S, 6>(less) };
            sum = S::add(sum, power);
            if HALF {
                S::store_bf16(weights.cast::<u16>().add(i), power);
            } else {
                S::store(scores.add(i), power);
            }
        }
        S::sum_lanes(sum)
    }
}

/// `MR` rows of a product of any width that is a multiple of `LANES`, each row times its factor.
///
/// # Safety
/// As [`tile`]; `to` is valid for `MR` rows of `columns`.
#[inline(always)]
unsafe fn wide<S: Simd, D: Dot<S, Sum = S::F>, const MR: usize>(
    (steps, columns): (usize, usize),
    (a, stride_a): (*const u32, usize),
    (b, stride_b): (*const u32, usize),
    (to, stride): (*mut f32, usize),
    factors: [f32; MR],
) {
    let mut column = 0;
    while column < columns {
        let vectors = (columns - column) / S::LANES;
        // SAFETY: `column + vectors * LANES <= columns`.
        unsafe {
            let (b, to) = (b.add(column), to.add(column));
            column += S::LANES
                * match vectors {
                    0..2 => part::<S, D, MR, 1>(steps, (a, stride_a), (b, stride_b), (to, stride), factors),
                    2..4 => part::<S, D, MR, 2>(steps, (a, stride_a), (b, stride_b), (to, stride), factors),
                    _ if S::LANES < 16 => {
                        part::<S, D, MR, 2>(steps, (a, stride_a), (b, stride_b), (to, stride), factors)
                    }
                    _ => part::<S, D, MR, 4>(steps, (a, stride_a), (b, stride_b), (to, stride), factors),
                };
        }
    }
}

/// `NV` vectors' columns of [`wide`]; returns `NV`.
///
/// # Safety
/// As [`wide`].
#[inline(always)]
unsafe fn part<S: Simd, D: Dot<S, Sum = S::F>, const MR: usize, const NV: usize>(
    steps: usize,
    (a, stride_a): (*const u32, usize),
    (b, stride_b): (*const u32, usize),
    (to, stride): (*mut f32, usize),
    factors: [f32; MR],
) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        let sums = tile::<S, D, MR, NV>(steps, a, stride_a, b, stride_b);
        for (r, row) in sums.iter().enumerate() {
            for (v, &sum) in row.iter().enumerate() {
                S::store(to.add(r * stride + v * S::LANES), S::mul(sum, S::splat(factors[r])));
            }
        }
    }
    NV
}

/// `to[j][i] = from[i][j]` for `rows × columns` words; the columns of `to` past `rows`, up to a whole vector, are zeros.
///
/// # Safety
/// As [`attend`]; `columns` is a multiple of `LANES`.
#[inline(always)]
unsafe fn transpose<S: Simd>(
    from: *const u32,
    from_stride: usize,
    rows: usize,
    columns: usize,
    to: *mut u32,
    padded: usize,
) {
    // SAFETY: only whole blocks of `LANES` rows are read as such, the rest word by word.
    unsafe {
        let whole = rows / S::LANES * S::LANES;
        for i in (0..whole).step_by(S::LANES) {
            for j in (0..columns).step_by(S::LANES) {
                S::transpose(from.add(i * from_stride + j), from_stride, to.add(j * padded + i), padded);
            }
        }
        for j in 0..columns {
            for i in whole..padded {
                *to.add(j * padded + i) = if i < rows { *from.add(i * from_stride + j) } else { 0 };
            }
        }
    }
}

/// Rows of f32 as contiguous rows of bf16.
///
/// # Safety
/// As [`attend`].
#[inline(always)]
unsafe fn round_rows<S: Simd>(from: *const f32, rows: usize, stride: usize, width: usize, to: *mut u32) {
    for r in 0..rows {
        for i in (0..width).step_by(S::LANES) {
            // SAFETY: the caller's promise.
            unsafe { S::store_bf16(to.cast::<u16>().add(r * width + i), S::load(from.add(r * stride + i))) }
        }
    }
}

/// Rows `2r` and `2r + 1` of f32 as row `r` of words of two bf16; a missing last row is zeros.
///
/// # Safety
/// As [`attend`].
#[inline(always)]
unsafe fn pair_rows<S: Simd>(from: *const f32, rows: usize, stride: usize, width: usize, to: *mut u32) {
    for r in (0..rows).step_by(2) {
        for i in (0..width).step_by(S::LANES) {
            // SAFETY: the caller's promise.
            unsafe {
                let first = S::load(from.add(r * stride + i));
                let second =
                    if r + 1 < rows { S::load(from.add((r + 1) * stride + i)) } else { S::splat(0.0) };
                S::store_words(to.add(r / 2 * width + i), S::pair_bf16(first, second));
            }
        }
    }
}
