//! What is done to one row at a time between the products: layer norm, activation, and encoding for the next product.
#![expect(
    unsafe_code,
    reason = "vector instructions on raw rows: each kernel is tested against the portable one"
)]

use super::{
    isa::Precision,
    simd::{Simd, even_blocks},
};
use crate::weights::Activation;
use std::f32::consts::{FRAC_1_SQRT_2, LN_2, LOG2_E};

/// How a row of u8 stands for f32: `low + scale * q`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct RowScale {
    pub(super) scale: f32,
    pub(super) low: f32,
}

/// Where encoded rows go: `stride` words each, and for int8 a scale each.
#[derive(Clone, Copy)]
pub(super) struct Encoded {
    pub(super) precision: Precision,
    pub(super) words: *mut u32,
    pub(super) stride: usize,
    pub(super) scales: *mut RowScale,
}

/// `rows` rows of `width` f32, contiguous.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) rows: usize,
    pub(super) width: usize,
    pub(super) values: *mut f32,
}

/// Rounds rows to what the next product reads. int8 is asymmetric: the row's smallest value is 0, its largest 255,
/// which gives the one-sided output of an activation twice the resolution.
///
/// # Safety
/// The CPU has `S`; pointers are valid for the shapes named; `width` is a multiple of `LANES`.
#[inline(always)]
pub(super) unsafe fn encode<S: Simd>(rows: Rows, to: Encoded) {
    // SAFETY: the caller's promise.
    unsafe { activate_with::<S, Same>(rows, to, &Same) }
}

/// For each of the listed rows, what rounding it to u8 left over, encoded as one more row after the others: the two
/// together hold 16 bits. `rows` are those that were just encoded.
///
/// # Safety
/// As [`encode`]; `fine` has `count` row numbers below `rows.rows`, and `to` has room for as many rows more.
#[inline(always)]
pub(super) unsafe fn refine<S: Simd>(rows: Rows, fine: *const usize, count: usize, to: Encoded) {
    for i in 0..count {
        // SAFETY: the caller's promise.
        unsafe {
            let (r, extra) = (*fine.add(i), rows.rows + i);
            let RowScale { scale, low } = *to.scales.add(r);
            // The rest is within half a step.
            *to.scales.add(extra) = RowScale { scale: scale / 255.0, low: -scale / 2.0 };
            let (inverse, offset) = (S::splat(1.0 / scale), S::splat(-low / scale));
            let words = to.words.add(extra * to.stride).cast::<u8>();
            for column in (0..rows.width).step_by(S::LANES) {
                let value = S::fma(S::load(rows.values.add(r * rows.width + column)), inverse, offset);
                let rest = S::sub(value, S::round(value));
                S::store_u8(words.add(column), S::fma(rest, S::splat(255.0), S::splat(127.5)));
            }
        }
    }
}

/// Calls `$function::<S, N>` with every block of up to four rows. A row alone would mostly wait for its sums and divisions,
/// one after the other; those of four overlap.
macro_rules! by_four {
    ($count:expr, |$start:ident, $rows:ident| $call:expr) => {
        for ($start, rows) in even_blocks($count, 4) {
            match rows {
                1 => by_four!(@call 1, $rows, $call),
                2 => by_four!(@call 2, $rows, $call),
                3 => by_four!(@call 3, $rows, $call),
                _ => by_four!(@call 4, $rows, $call),
            }
        }
    };
    (@call $number:literal, $rows:ident, $call:expr) => {{
        const $rows: usize = $number;
        $call
    }};
}

/// `x = norm(x + y) · gain + bias` for each row of `x`, which is also encoded. Without `y`, `x` alone is normed.
///
/// # Safety
/// As [`encode`]; `y` is null or as large as `x`; `gain` and `bias` have `width` values.
#[inline(always)]
pub(super) unsafe fn add_norm<S: Simd>(
    x: Rows,
    y: *const f32,
    gain: *const f32,
    bias: *const f32,
    epsilon: f32,
    to: Encoded,
) {
    by_four!(x.rows, |start, ROWS| {
        // SAFETY: the caller's promise.
        unsafe { add_norm_block::<S, ROWS>(start, x, y, (gain, bias, epsilon), to) }
    });
}

/// # Safety
/// As [`add_norm`], for `N` rows from `start`.
#[inline(always)]
unsafe fn add_norm_block<S: Simd, const N: usize>(
    start: usize,
    x: Rows,
    y: *const f32,
    (gain, bias, epsilon): (*const f32, *const f32, f32),
    to: Encoded,
) {
    let width = x.width;
    // SAFETY: the caller's promise.
    unsafe {
        let row = |r: usize| x.values.add((start + r) * width);
        let mut sums = [S::splat(0.0); N];
        for (r, sum) in sums.iter_mut().enumerate() {
            let row = row(r);
            for i in (0..width).step_by(S::LANES) {
                let mut value = S::load(row.add(i));
                if !y.is_null() {
                    value = S::add(value, S::load(y.add((start + r) * width + i)));
                    S::store(row.add(i), value);
                }
                *sum = S::add(*sum, value);
            }
        }
        let mut means = sums;
        for mean in &mut means {
            *mean = S::splat(S::sum_lanes(*mean) / width as f32);
        }
        let mut squares = [S::splat(0.0); N];
        for (r, square) in squares.iter_mut().enumerate() {
            for i in (0..width).step_by(S::LANES) {
                let value = S::sub(S::load(row(r).add(i)), means[r]);
                *square = S::fma(value, value, *square);
            }
        }
        let mut ranges = [Range::<S>::new(); N];
        for (r, range) in ranges.iter_mut().enumerate() {
            let variance = S::sum_lanes(squares[r]) / width as f32;
            let inverse = S::splat(1.0 / (variance + epsilon).sqrt());
            for i in (0..width).step_by(S::LANES) {
                let value = S::mul(S::sub(S::load(row(r).add(i)), means[r]), inverse);
                let value = S::fma(value, S::load(gain.add(i)), S::load(bias.add(i)));
                S::store(row(r).add(i), value);
                range.widen(value);
            }
        }
        encode_block::<S, N>(start, x, ranges, to);
    }
}

/// Applies the activation to each row, in place, and encodes it. In f32 it is exact to 1e-6; before rounding to fewer
/// bits a polynomial with an error of 6e-4 does (int8's own step is ten times that).
///
/// # Safety
/// As [`encode`].
#[inline(always)]
pub(super) unsafe fn activate<S: Simd>(rows: Rows, activation: Activation, to: Encoded) {
    // SAFETY: the caller's promise.
    unsafe {
        match (activation, to.precision) {
            (Activation::Relu, _) => activate_with::<S, Relu>(rows, to, &Relu),
            (Activation::Gelu, Precision::F32) => activate_with::<S, Gelu>(rows, to, &Gelu),
            (Activation::GeluTanh, Precision::F32) => activate_with::<S, GeluTanh>(rows, to, &GeluTanh),
            (Activation::Gelu, _) => activate_with::<S, Gate>(rows, to, &GELU_GATE),
            (Activation::GeluTanh, _) => activate_with::<S, Gate>(rows, to, &GELU_TANH_GATE),
        }
    }
}

/// # Safety
/// As [`encode`].
#[inline(always)]
unsafe fn activate_with<S: Simd, F: Function<S>>(rows: Rows, to: Encoded, function: &F) {
    by_four!(rows.rows, |start, ROWS| {
        // SAFETY: the caller's promise.
        unsafe { activate_block::<S, F, ROWS>(start, rows, to, function) }
    });
}

/// # Safety
/// As [`encode`], for `N` rows from `start`.
#[inline(always)]
unsafe fn activate_block<S: Simd, F: Function<S>, const N: usize>(
    start: usize,
    rows: Rows,
    to: Encoded,
    function: &F,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut ranges = [Range::<S>::new(); N];
        for (r, range) in ranges.iter_mut().enumerate() {
            let row = rows.values.add((start + r) * rows.width);
            for i in (0..rows.width).step_by(S::LANES) {
                let value = function.of(S::load(row.add(i)));
                S::store(row.add(i), value);
                range.widen(value);
            }
        }
        encode_block::<S, N>(start, rows, ranges, to);
    }
}

/// # Safety
/// As [`encode`], for `N` rows from `start`.
#[inline(always)]
unsafe fn encode_block<S: Simd, const N: usize>(
    start: usize,
    rows: Rows,
    ranges: [Range<S>; N],
    to: Encoded,
) {
    let width = rows.width;
    let mut scales = [RowScale::default(); N];
    // SAFETY: the caller's promise: `words` has room for `stride` words a row, `scales` for one a row.
    unsafe {
        if to.precision == Precision::Int8 {
            for (r, scale) in scales.iter_mut().enumerate() {
                let (low, high) = ranges[r].ends();
                // A constant row has no range: any scale will do, all its values are `low`.
                *scale = RowScale { scale: ((high - low) / 255.0).max(1e-30), low };
                *to.scales.add(start + r) = *scale;
            }
        }
        for (r, RowScale { scale, low }) in scales.into_iter().enumerate() {
            let row = rows.values.add((start + r) * width);
            let words = to.words.add((start + r) * to.stride);
            match to.precision {
                Precision::F32 => words.cast::<f32>().copy_from_nonoverlapping(row, width),
                Precision::Bf16 => {
                    for i in (0..width).step_by(S::LANES) {
                        S::store_bf16(words.cast::<u16>().add(i), S::load(row.add(i)));
                    }
                }
                Precision::Int8 => {
                    let (inverse, offset) = (S::splat(1.0 / scale), S::splat(-low / scale));
                    for i in (0..width).step_by(S::LANES) {
                        let value = S::fma(S::load(row.add(i)), inverse, offset);
                        S::store_u8(words.cast::<u8>().add(i), value);
                    }
                }
            }
        }
    }
}

/// The smallest and the largest value of a row so far.
#[derive(Clone, Copy)]
struct Range<S: Simd> {
    low: S::F,
    high: S::F,
}

impl<S: Simd> Range<S> {
    /// # Safety
    /// The CPU has `S`, here and below.
    #[inline(always)]
    unsafe fn new() -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self { low: S::splat(f32::INFINITY), high: S::splat(f32::NEG_INFINITY) } }
    }

    #[inline(always)]
    unsafe fn widen(&mut self, value: S::F) {
        // SAFETY: the caller's promise.
        unsafe { (self.low, self.high) = (S::min(self.low, value), S::max(self.high, value)) }
    }

    #[inline(always)]
    unsafe fn ends(self) -> (f32, f32) {
        // SAFETY: the caller's promise.
        unsafe { (-S::max_lanes(S::sub(S::splat(0.0), self.low)), S::max_lanes(self.high)) }
    }
}

/// A function of each lane.
trait Function<S: Simd> {
    /// # Safety
    /// The CPU has `S`.
    unsafe fn of(&self, x: S::F) -> S::F;
}

/// Leaves values as they are.
struct Same;

impl<S: Simd> Function<S> for Same {
    #[inline(always)]
    unsafe fn of(&self, x: S::F) -> S::F {
        x
    }
}

struct Relu;

impl<S: Simd> Function<S> for Relu {
    #[inline(always)]
    unsafe fn of(&self, x: S::F) -> S::F {
        // SAFETY: the caller's promise.
        unsafe { S::max(x, S::splat(0.0)) }
    }
}

/// `x Φ(x) = max(x, 0) - |x| Φ(-|x|)`, with the tail after Abramowitz and Stegun 7.1.26 (error of erf below 1.5e-7).
struct Gelu;

impl<S: Simd> Function<S> for Gelu {
    #[inline(always)]
    unsafe fn of(&self, x: S::F) -> S::F {
        // SAFETY: the caller's promise.
        unsafe {
            let size = S::max(x, S::sub(S::splat(0.0), x));
            let z = S::mul(size, S::splat(FRAC_1_SQRT_2));
            let t = S::div(S::splat(1.0), S::fma(z, S::splat(0.327_591_1), S::splat(1.0)));
            let tail =
                polynomial::<S>(t, &[0.254_829_6, -0.284_496_74, 1.421_413_7, -1.453_152, 1.061_405_4]);
            let bell = exp2::<S, 6>(S::mul(S::mul(z, z), S::splat(-LOG2_E)));
            let tail = S::mul(S::mul(S::mul(tail, t), bell), S::splat(0.5));
            S::sub(S::max(x, S::splat(0.0)), S::mul(size, tail))
        }
    }
}

/// `x σ(2u)` with `u = √(2/π) (x + 0.044715 x³)`; as `max(x, 0) - |x| σ(-|2u|)` no power overflows.
struct GeluTanh;

impl<S: Simd> Function<S> for GeluTanh {
    #[inline(always)]
    unsafe fn of(&self, x: S::F) -> S::F {
        // SAFETY: the caller's promise.
        unsafe {
            let size = S::max(x, S::sub(S::splat(0.0), x));
            let scale = -2.0 * LOG2_E * 0.797_884_6;
            let factor = S::fma(S::mul(x, x), S::splat(0.044_715 * scale), S::splat(scale));
            let power = exp2::<S, 6>(S::mul(factor, size));
            let share = S::div(power, S::add(S::splat(1.0), power));
            S::sub(S::max(x, S::splat(0.0)), S::mul(size, share))
        }
    }
}

/// Limit and coefficients of an odd gate `t P(t²)`, `t = x` cut to ± limit, so that `x (½ + gate)` is the activation.
/// Fitted by iteratively reweighted least squares on the error of the activation, with no error at the limit.
struct Gate {
    limit: f32,
    coefficients: [f32; 6],
}

/// Error 5.8e-4.
const GELU_GATE: Gate = Gate {
    limit: 3.6,
    coefficients: [0.396_161_02, -0.062_211_193, 0.007_705_488, -5.941_014e-4, 2.517_173e-5, -4.434_543e-7],
};

/// Error 4.4e-4.
const GELU_TANH_GATE: Gate = Gate {
    limit: 3.6,
    coefficients: [0.396_658_8, -0.063_035_71, 0.008_054_418, -6.530_119e-4, 2.952_321e-5, -5.609_095e-7],
};

impl<S: Simd> Function<S> for Gate {
    #[inline(always)]
    unsafe fn of(&self, x: S::F) -> S::F {
        // SAFETY: the caller's promise.
        unsafe {
            let t = S::min(S::max(x, S::splat(-self.limit)), S::splat(self.limit));
            let sum = polynomial::<S>(S::mul(t, t), &self.coefficients);
            S::mul(x, S::fma(sum, t, S::splat(0.5)))
        }
    }
}

/// `Σ coefficients[i] xⁱ`
///
/// # Safety
/// The CPU has `S`.
#[inline(always)]
unsafe fn polynomial<S: Simd>(x: S::F, coefficients: &[f32]) -> S::F {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sum = S::splat(0.0);
        for &coefficient in coefficients.iter().rev() {
            sum = S::fma(sum, x, S::splat(coefficient));
        }
        sum
    }
}

/// `2ˣ` for `x <= 0`; below 2⁻¹²⁵ it stays there, which is as good as 0. `TERMS` is 4 or 6, for a relative error of 4e-5
/// (below what bf16 keeps) or 1.2e-7.
///
/// # Safety
/// The CPU has `S`.
#[inline(always)]
pub(super) unsafe fn exp2<S: Simd, const TERMS: usize>(x: S::F) -> S::F {
    /// Taylor's series.
    const SERIES: [f32; 7] =
        [1.0, LN_2, 0.240_226_5, 5.550_411e-2, 9.618_129e-3, 1.333_355_8e-3, 1.540_353e-4];
    // SAFETY: the caller's promise.
    unsafe {
        let x = S::max(x, S::splat(-125.0));
        let whole = S::round(x);
        let power = polynomial::<S>(S::sub(x, whole), &SERIES[..=TERMS]);
        S::scale_by_power(power, whole)
    }
}
