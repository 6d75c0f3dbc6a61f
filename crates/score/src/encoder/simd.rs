//! What a kernel may ask of an instruction set, so that each kernel is written once.
//!
//! Kernels are generic over [`Simd`], marked `#[inline(always)]`, and instantiated inside functions that carry the
//! instruction set's `#[target_feature]` (see `kernels!` in `kernels.rs`); everything inlines into those.
//!
//! Matrix products see their operands as 32-bit *words* along the summed dimension: one f32, two bf16 or four 8-bit
//! integers. So one tile serves all three formats; only [`Dot::step`] differs.
#![expect(
    unsafe_code,
    reason = "vector instructions and raw panels: each kernel is tested against the portable one"
)]

/// Writes the methods of a [`Simd`] implementation as one expression each.
macro_rules! methods {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)? = $body:expr;)*) => {$(
        #[inline(always)]
        unsafe fn $name($($argument: $kind),*) $(-> $result)? {
            // SAFETY: the caller's promise, see `Simd`.
            unsafe { $body }
        }
    )*};
}
pub(super) use methods;

/// [`methods`] whose bodies are safe code.
macro_rules! safe_methods {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)? = $body:expr;)*) => {$(
        #[inline(always)]
        unsafe fn $name($($argument: $kind),*) $(-> $result)? {
            $body
        }
    )*};
}
pub(super) use safe_methods;

/// One instruction set's vectors of `LANES` 32-bit lanes.
///
/// # Safety
/// All methods: the CPU has the instruction set; pointers are valid for `LANES` elements (one for `broadcast`).
pub(super) trait Simd: Copy {
    /// f32 lanes.
    type F: Copy;
    /// 32-bit words, or i32 lanes.
    type I: Copy;
    /// Lanes of a vector.
    const LANES: usize;
    /// Whether [`Self::dot_bf16`] is one instruction; if not, attention stays in f32.
    const FAST_BF16: bool;

    unsafe fn splat(value: f32) -> Self::F;
    unsafe fn load(from: *const f32) -> Self::F;
    unsafe fn store(to: *mut f32, value: Self::F);
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// The nearest whole number.
    unsafe fn round(a: Self::F) -> Self::F;
    /// `a · 2ⁿ`, for whole `-126 <= n <= 0`.
    unsafe fn scale_by_power(a: Self::F, n: Self::F) -> Self::F;
    unsafe fn sum_lanes(a: Self::F) -> f32;
    unsafe fn max_lanes(a: Self::F) -> f32;
    /// Rounds to bf16, `LANES` of them.
    unsafe fn store_bf16(to: *mut u16, value: Self::F);
    /// Rounds to u8, `LANES` of them; values are within -0.5..255.5.
    unsafe fn store_u8(to: *mut u8, value: Self::F);

    unsafe fn zero_words() -> Self::I;
    unsafe fn load_words(from: *const u32) -> Self::I;
    unsafe fn store_words(to: *mut u32, value: Self::I);
    unsafe fn broadcast(from: *const u32) -> Self::I;
    /// Words of two bf16: `low` in the lower halves, `high` in the upper.
    unsafe fn pair_bf16(low: Self::F, high: Self::F) -> Self::I;
    /// Transposes `LANES × LANES` words, rows `from_stride` and `to_stride` apart.
    #[inline(always)]
    unsafe fn transpose(from: *const u32, from_stride: usize, to: *mut u32, to_stride: usize) {
        for i in 0..Self::LANES {
            for j in 0..Self::LANES {
                // SAFETY: the caller's promise.
                unsafe { *to.add(j * to_stride + i) = *from.add(i * from_stride + j) }
            }
        }
    }
    /// i32 lanes as f32.
    unsafe fn to_f32(a: Self::I) -> Self::F;

    /// `sum + a b`, words as f32.
    unsafe fn dot_f32(sum: Self::F, a: Self::I, b: Self::I) -> Self::F;
    /// `sum + a₀ b₀ + a₁ b₁`, words as pairs of bf16.
    unsafe fn dot_bf16(sum: Self::F, a: Self::I, b: Self::I) -> Self::F;
    /// `sum + Σ aᵢ bᵢ`, words as four u8 (`a`) and four i8 (`b`).
    unsafe fn dot_int8(sum: Self::I, a: Self::I, b: Self::I) -> Self::I;
}

/// How a word of the left and of the right operand add to a sum.
pub(super) trait Dot<S: Simd>: Copy {
    /// The running sum: f32 or i32 lanes.
    type Sum: Copy;
    /// # Safety
    /// As [`Simd`].
    unsafe fn zero() -> Self::Sum;
    /// # Safety
    /// As [`Simd`].
    unsafe fn step(sum: Self::Sum, a: S::I, b: S::I) -> Self::Sum;
}

/// Words are f32.
#[derive(Clone, Copy)]
pub(super) struct DotF32;
/// Words are two bf16.
#[derive(Clone, Copy)]
pub(super) struct DotBf16;
/// Words are four u8 on the left, four i8 on the right.
#[derive(Clone, Copy)]
pub(super) struct DotInt8;

impl<S: Simd> Dot<S> for DotF32 {
    type Sum = S::F;
    #[inline(always)]
    unsafe fn zero() -> S::F {
        // SAFETY: the caller's promise.
        unsafe { S::splat(0.0) }
    }
    #[inline(always)]
    unsafe fn step(sum: S::F, a: S::I, b: S::I) -> S::F {
        // SAFETY: the caller's promise.
        unsafe { S::dot_f32(sum, a, b) }
    }
}

impl<S: Simd> Dot<S> for DotBf16 {
    type Sum = S::F;
    #[inline(always)]
    unsafe fn zero() -> S::F {
        // SAFETY: the caller's promise.
        unsafe { S::splat(0.0) }
    }
    #[inline(always)]
    unsafe fn step(sum: S::F, a: S::I, b: S::I) -> S::F {
        // SAFETY: the caller's promise.
        unsafe { S::dot_bf16(sum, a, b) }
    }
}

impl<S: Simd> Dot<S> for DotInt8 {
    type Sum = S::I;
    #[inline(always)]
    unsafe fn zero() -> S::I {
        // SAFETY: the caller's promise.
        unsafe { S::zero_words() }
    }
    #[inline(always)]
    unsafe fn step(sum: S::I, a: S::I, b: S::I) -> S::I {
        // SAFETY: the caller's promise.
        unsafe { S::dot_int8(sum, a, b) }
    }
}

/// The heart: an `MR × (NV · LANES)` tile of products. `a` points at the first of `MR` rows of words, `stride_a` words
/// apart; `b` at `steps` rows of `NV` vectors of words, `stride_b` words apart.
///
/// # Safety
/// As [`Simd`]; `a` and `b` are valid for the words named above.
#[inline(always)]
pub(super) unsafe fn tile<S: Simd, D: Dot<S>, const MR: usize, const NV: usize>(
    steps: usize,
    a: *const u32,
    stride_a: usize,
    b: *const u32,
    stride_b: usize,
) -> [[D::Sum; NV]; MR] {
    // SAFETY: row `r` of `a` is read at `0..steps`, row `step` of `b` at `0..NV * LANES`, both promised by the caller.
    unsafe {
        let mut sums = [[D::zero(); NV]; MR];
        let (mut a, mut b) = (a, b);
        for _ in 0..steps {
            let mut right = [S::zero_words(); NV];
            for (v, word) in right.iter_mut().enumerate() {
                *word = S::load_words(b.add(v * S::LANES));
            }
            for (r, row) in sums.iter_mut().enumerate() {
                let left = S::broadcast(a.add(r * stride_a));
                for (sum, word) in row.iter_mut().zip(right) {
                    *sum = D::step(*sum, left, word);
                }
            }
            a = a.add(1);
            b = b.add(stride_b);
        }
        sums
    }
}

/// Cuts `rows` into blocks of at most `limit` that differ by at most one: 13 rows are 5 + 4 + 4, never 6 + 6 + 1,
/// because thin tiles waste loads.
pub(super) fn even_blocks(rows: usize, limit: usize) -> impl Iterator<Item = (usize, usize)> {
    let blocks = rows.div_ceil(limit);
    (0..blocks).map(move |block| {
        let start = block * rows / blocks;
        (start, (block + 1) * rows / blocks - start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_even_and_complete() {
        assert_eq!(even_blocks(13, 6).collect::<Vec<_>>(), [(0, 4), (4, 4), (8, 5)]);
        assert_eq!(even_blocks(0, 6).count(), 0);
        for rows in 1..200 {
            let mut next = 0;
            for (start, len) in even_blocks(rows, 6) {
                assert!(start == next && (1..=6).contains(&len));
                next = start + len;
            }
            assert_eq!(next, rows);
        }
    }
}
