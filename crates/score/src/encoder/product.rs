//! Matrix products: all rows of a block against one packed panel, in registers tile by tile.
#![expect(
    unsafe_code,
    reason = "vector instructions and raw panels: each kernel is tested against the portable one"
)]

use super::{
    rows::RowScale,
    simd::{Dot, DotInt8, Simd, even_blocks, tile},
};

/// `rows × columns` of a product.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    pub(super) rows: usize,
    /// Of the panel that the result has; the rest of the panel is zeros.
    pub(super) columns: usize,
    /// Words summed over.
    pub(super) steps: usize,
    /// `rows` rows of `steps` words, `left_stride` words apart.
    pub(super) left: *const u32,
    pub(super) left_stride: usize,
    /// `steps` rows of as many words as the panel is wide, contiguous.
    pub(super) right: *const u32,
    /// `rows` rows of `columns` f32, `result_stride` apart.
    pub(super) result: *mut f32,
    pub(super) result_stride: usize,
}

/// What a finished sum becomes.
pub(super) trait Finish<S: Simd, D: Dot<S>>: Copy {
    /// # Safety
    /// The CPU has `S`; `row` and `column .. column + LANES` lie in the panel; `to` points at the element.
    unsafe fn finish(self, row: usize, column: usize, sum: D::Sum, to: *const f32) -> S::F;
}

/// Overwrites, or adds to what is there.
#[derive(Clone, Copy)]
pub(super) struct Plain {
    pub(super) accumulate: bool,
}

impl<S: Simd, D: Dot<S, Sum = S::F>> Finish<S, D> for Plain {
    #[inline(always)]
    unsafe fn finish(self, _: usize, _: usize, sum: S::F, to: *const f32) -> S::F {
        // SAFETY: the caller's promise.
        unsafe { if self.accumulate { S::add(S::load(to), sum) } else { sum } }
    }
}

/// Adds a bias, one value a column.
#[derive(Clone, Copy)]
pub(super) struct Bias(pub(super) *const f32);

impl<S: Simd, D: Dot<S, Sum = S::F>> Finish<S, D> for Bias {
    #[inline(always)]
    unsafe fn finish(self, _: usize, column: usize, sum: S::F, _: *const f32) -> S::F {
        // SAFETY: the caller's promise.
        unsafe { S::add(sum, S::load(self.0.add(column))) }
    }
}

/// Turns a sum of integers into what it stands for. An input is `low + scale · q`, a weight `step · w`, so their product
/// is `scale · step · Σ q w + low · step · Σ w`, and the second sum is known when weights are packed.
#[derive(Clone, Copy)]
pub(super) struct Rescale {
    pub(super) bias: *const f32,
    pub(super) step: *const f32,
    pub(super) sum: *const f32,
    pub(super) rows: *const RowScale,
}

impl<S: Simd> Finish<S, DotInt8> for Rescale {
    #[inline(always)]
    unsafe fn finish(self, row: usize, column: usize, sum: S::I, _: *const f32) -> S::F {
        // SAFETY: the caller's promise.
        unsafe {
            let RowScale { scale, low } = *self.rows.add(row);
            let offset = S::fma(S::splat(low), S::load(self.sum.add(column)), S::load(self.bias.add(column)));
            let product = S::mul(S::to_f32(sum), S::splat(scale));
            S::fma(product, S::load(self.step.add(column)), offset)
        }
    }
}

/// One panel's part of a product, finished by `finish`.
///
/// # Safety
/// The CPU has `S`; the panel's pointers and those of `finish` are valid for the shapes named.
#[inline(always)]
pub(super) unsafe fn panel<S: Simd, D: Dot<S>, E: Finish<S, D>, const MAX_ROWS: usize, const NV: usize>(
    panel: Panel,
    finish: E,
) {
    for (start, rows) in even_blocks(panel.rows, MAX_ROWS) {
        // SAFETY: `start + rows <= panel.rows`.
        unsafe {
            match rows {
                1 => block::<S, D, E, 1, NV>(panel, start, finish),
                2 => block::<S, D, E, 2, NV>(panel, start, finish),
                3 if MAX_ROWS >= 3 => block::<S, D, E, 3, NV>(panel, start, finish),
                4 if MAX_ROWS >= 4 => block::<S, D, E, 4, NV>(panel, start, finish),
                5 if MAX_ROWS >= 5 => block::<S, D, E, 5, NV>(panel, start, finish),
                6 if MAX_ROWS >= 6 => block::<S, D, E, 6, NV>(panel, start, finish),
                _ => {}
            }
        }
    }
}

/// # Safety
/// As [`panel`], for the `MR` rows from `start`.
#[inline(always)]
unsafe fn block<S: Simd, D: Dot<S>, E: Finish<S, D>, const MR: usize, const NV: usize>(
    panel: Panel,
    start: usize,
    finish: E,
) {
    let Panel { columns, steps, left_stride, result_stride, .. } = panel;
    let width = NV * S::LANES;
    // SAFETY: the caller's promise; a narrow last panel goes through `edge`, so that no column past the last is touched.
    unsafe {
        let left = panel.left.add(start * left_stride);
        let sums = tile::<S, D, MR, NV>(steps, left, left_stride, panel.right, width);
        let to = panel.result.add(start * result_stride);
        if columns == width {
            // By hand: left to itself, the compiler unrolls neither this nor keeps the sums in registers.
            macro_rules! rows {
                ($($r:literal)*) => {$(
                    if $r < MR {
                        for (v, &sum) in sums[$r % MR].iter().enumerate() {
                            let to = to.add($r * result_stride + v * S::LANES);
                            S::store(to, finish.finish(start + $r, v * S::LANES, sum, to));
                        }
                    }
                )*};
            }
            rows!(0 1 2 3 4 5);
            return;
        }
        for (r, row) in sums.iter().enumerate() {
            let to = to.add(r * result_stride);
            // As wide as the widest panel.
            let mut edge = [0f32; 64];
            to.copy_to_nonoverlapping(edge.as_mut_ptr(), columns);
            for (v, &sum) in row.iter().enumerate() {
                let at = edge.as_mut_ptr().add(v * S::LANES);
                S::store(at, finish.finish(start + r, v * S::LANES, sum, at));
            }
            to.copy_from_nonoverlapping(edge.as_ptr(), columns);
        }
    }
}
