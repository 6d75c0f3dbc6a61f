//! General matrix products for training, where every operand changes at every step: both are packed per call.
//! Values are f32, and so are sums; factors may be rounded to bf16 on the way, which doubles the speed.
//!
//! `C = A B`, `A Bᵀ` and `Aᵀ B` are one function, because a [`Matrix`] is a slice with two strides. Packing costs
//! `O(n k + m k)` against `O(m n k)` of work.
#![expect(unsafe_code, reason = "hands checked slices to the kernels")]

use super::{buffer::Aligned, isa::Isa, kernels::Kernels, pack::Packing, product::Panel};

/// A matrix inside a slice: element `(i, j)` is `values[i * row_stride + j * column_stride]`.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Row-major, rows `stride` apart.
    #[must_use]
    pub fn new(values: &'a [f32], stride: usize) -> Self {
        Self { values, row_stride: stride, column_stride: 1 }
    }

    /// The transpose, without moving anything.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { row_stride: self.column_stride, column_stride: self.row_stride, ..self }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.values.len()
    }
}

/// What the factors of a product are rounded to; sums are f32 always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Factors {
    /// Not at all.
    F32,
    /// 8 significant bits: the precision that networks are usually trained in.
    Bf16,
}

impl Factors {
    /// bf16 where the CPU multiplies it faster than f32.
    #[must_use]
    pub fn fastest(isa: Isa) -> Self {
        if Kernels::of(isa).fast_bf16 { Self::Bf16 } else { Self::F32 }
    }
}

/// Space for packed operands; keep one per thread and pass it to every call.
#[derive(Debug, Default)]
pub struct Scratch {
    left: Aligned<u32>,
    right: Aligned<u32>,
}

/// Depth of a packed block in words: a tile's six left rows of 256 stay in L1, a 64-wide panel of it (64 KiB) streams from L2.
const DEPTH: usize = 256;
/// Rows of A packed at once: 192 × 256 words are 192 KiB, in L2 with the panel.
const ROWS: usize = 192;
/// Columns packed at once: 512 × 256 words are 512 KiB, in L2.
const COLUMNS: usize = 512;

/// `C = A B`, or `C += A B` if `accumulate`, in f32; see [`gemm`].
///
/// # Panics
/// As [`gemm`].
pub fn sgemm(
    isa: Isa,
    shape: (usize, usize, usize),
    a: Matrix<'_>,
    b: Matrix<'_>,
    accumulate: bool,
    c: &mut [f32],
    c_stride: usize,
    scratch: &mut Scratch,
) {
    gemm(isa, Factors::F32, shape, a, b, accumulate, c, c_stride, scratch);
}

/// `C = A B`, or `C += A B` if `accumulate`: `a` is `m × k`, `b` is `k × n`, and `c` is `m × n`, row-major with rows
/// `c_stride` apart. `isa` falls back to portable code where this CPU lacks it.
///
/// # Panics
/// If a slice is too short for its shape.
#[expect(clippy::panic, reason = "a wrong shape is a bug in the caller, and the kernels rely on it")]
pub fn gemm(
    isa: Isa,
    factors: Factors,
    (m, n, k): (usize, usize, usize),
    a: Matrix<'_>,
    b: Matrix<'_>,
    accumulate: bool,
    c: &mut [f32],
    c_stride: usize,
    scratch: &mut Scratch,
) {
    if m == 0 || n == 0 {
        return;
    }
    if !(a.holds(m, k) && b.holds(k, n) && n <= c_stride && (m - 1) * c_stride + n <= c.len()) {
        panic!("a slice is too short for the product of {m} × {k} and {k} × {n}");
    }
    if k == 0 && !accumulate {
        c.chunks_mut(c_stride).take(m).for_each(|row| row[..n].fill(0.0));
    }
    let kernels = Kernels::of(isa);
    let (per_word, pack, multiply) = match factors {
        Factors::F32 => (1, kernels.pack_f32, kernels.accumulate_f32),
        Factors::Bf16 => (2, kernels.pack_bf16, kernels.accumulate_bf16),
    };
    for depth_start in (0..k).step_by(DEPTH * per_word) {
        let depth = (DEPTH * per_word).min(k - depth_start);
        let steps = depth.div_ceil(per_word);
        for column_start in (0..n).step_by(COLUMNS) {
            let columns = COLUMNS.min(n - column_start);
            let right = scratch.right.take(columns.next_multiple_of(kernels.panel) * steps);
            for (index, panel) in right.chunks_exact_mut(kernels.panel * steps).enumerate() {
                let used = kernels.panel.min(columns - index * kernels.panel);
                if used < kernels.panel {
                    panel.fill(0);
                }
                let first = column_start + index * kernels.panel;
                // SAFETY: `Kernels::of` checked the CPU, `b` holds `k × n`, and the panel has `steps` rows of words.
                unsafe {
                    pack(Packing {
                        from: b.values[depth_start * b.row_stride + first * b.column_stride..].as_ptr(),
                        stride: b.row_stride.max(b.column_stride),
                        depth,
                        across: used,
                        along: b.row_stride == 1,
                        to: panel.as_mut_ptr(),
                        to_stride: kernels.panel,
                        transposed: b.row_stride == 1,
                    });
                }
            }
            for row_start in (0..m).step_by(ROWS) {
                let rows = ROWS.min(m - row_start);
                let values = &a.values[row_start * a.row_stride + depth_start * a.column_stride..];
                let along = a.column_stride == 1;
                let (left, left_stride) = if along && factors == Factors::F32 {
                    (values.as_ptr().cast(), a.row_stride)
                } else {
                    let left = scratch.left.take(rows * steps).as_mut_ptr();
                    // SAFETY: `a` holds `m × k`, and `left` has `rows` rows of `steps` words.
                    unsafe {
                        pack(Packing {
                            from: values.as_ptr(),
                            stride: a.row_stride.max(a.column_stride),
                            depth,
                            across: rows,
                            along,
                            to: left,
                            to_stride: steps,
                            transposed: !along,
                        });
                    }
                    (left.cast_const(), steps)
                };
                for (index, panel) in right.chunks_exact(kernels.panel * steps).enumerate() {
                    let column = index * kernels.panel;
                    let result = &mut c[row_start * c_stride + column_start + column..];
                    let panel = Panel {
                        rows,
                        columns: kernels.panel.min(columns - column),
                        steps,
                        left,
                        left_stride,
                        right: panel.as_ptr(),
                        result: result.as_mut_ptr(),
                        result_stride: c_stride,
                    };
                    // SAFETY: shapes were checked above: the left block has `rows` rows of `steps` words, the panel is
                    // `steps × kernels.panel`, the result `rows × columns` within `c`.
                    unsafe { multiply(panel, accumulate || depth_start > 0) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::fill_uniform;

    fn reference(
        (m, n, k): (usize, usize, usize),
        a: Matrix<'_>,
        b: Matrix<'_>,
        c: &mut [f32],
        stride: usize,
    ) {
        let at = |x: &Matrix<'_>, i, j| f64::from(x.values[i * x.row_stride + j * x.column_stride]);
        for i in 0..m {
            for j in 0..n {
                let sum: f64 = (0..k).map(|l| at(&a, i, l) * at(&b, l, j)).sum();
                c[i * stride + j] = (f64::from(c[i * stride + j]) + sum) as f32;
            }
        }
    }

    #[test]
    fn every_layout_and_odd_shape_equals_the_definition() {
        let sizes = [1, 2, 3, 5, 6, 7, 12, 13, 16, 17, 63, 64, 65, 100, 193, 257, 513];
        let mut state = 1;
        let mut pick = |limit: usize| {
            let mut value = [0f32];
            state += 1;
            fill_uniform(&mut value, 1.0, state);
            sizes[((value[0].abs() * 1e4) as usize) % sizes.len()].min(limit)
        };
        let mut scratch = Scratch::default();
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            for round in 0..60 {
                let (m, n, k) = (pick(257), pick(600), pick(600));
                let (transpose_a, transpose_b, accumulate) = (round & 1 > 0, round & 2 > 0, round & 4 > 0);
                let (mut a, mut b) = (vec![0.0; (m + 3) * (k + 3)], vec![0.0; (k + 3) * (n + 3)]);
                fill_uniform(&mut a, 1.0, 7);
                fill_uniform(&mut b, 1.0, 8);
                let a =
                    if transpose_a { Matrix::new(&a, m + 2).transposed() } else { Matrix::new(&a, k + 1) };
                let b =
                    if transpose_b { Matrix::new(&b, k + 1).transposed() } else { Matrix::new(&b, n + 2) };
                let stride = n + round % 3;
                let mut c = vec![0.5; m * stride];
                let mut expected = if accumulate { c.clone() } else { vec![0.0; m * stride] };
                reference((m, n, k), a, b, &mut expected, stride);
                let factors = if round & 8 > 0 { Factors::Bf16 } else { Factors::F32 };
                gemm(isa, factors, (m, n, k), a, b, accumulate, &mut c, stride, &mut scratch);
                // Each factor is off by 2⁻⁹ of itself at most.
                let tolerance = if factors == Factors::F32 { 2e-5 } else { 4e-3 };
                for i in 0..m {
                    for j in 0..stride {
                        let (got, expected) =
                            (c[i * stride + j], if j < n { expected[i * stride + j] } else { 0.5 });
                        let close = (got - expected).abs() <= tolerance * (k as f32).sqrt();
                        assert!(close, "{isa} {factors:?} {m}×{n}×{k} ({i}, {j}): {got} against {expected}");
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "too short")]
    fn a_short_slice_is_refused() {
        let values = [0.0; 5];
        let matrix = Matrix::new(&values, 2);
        sgemm(Isa::Portable, (3, 2, 2), matrix, matrix, false, &mut [0.0; 6], 2, &mut Scratch::default());
    }
}
