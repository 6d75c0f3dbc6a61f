//! The loops between the matrix products: layer norm, activations, softmax, dropout, sums; forward and backward.
//!
//! Written so that the compiler turns them into vector code on any instruction set: no branches, no calls, sums in
//! [`LANES`] independent lanes. `mul_add` is avoided, since without an FMA instruction it is a library call.

use logrisk_score::{
    encoder::{Isa, Loops, vectorize},
    weights::{Activation, Norm},
};

/// Independent partial sums: one AVX-512 register, two AVX2 ones.
const LANES: usize = 16;

/// Sum of `a[i] * b[i]`.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let mut total: f32 = add_lanes(sums);
    for (a, b) in a_rest.iter().zip(b_rest) {
        total += a * b;
    }
    total
}

/// Sum of all values.
#[inline(always)]
pub(super) fn sum(values: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (blocks, rest) = values.as_chunks::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            sums[lane] += block[lane];
        }
    }
    rest.iter().fold(add_lanes(sums), |total, value| total + value)
}

/// Halves, quarters, …: a short dependency chain, and the same order everywhere.
#[inline(always)]
fn add_lanes(sums: [f32; LANES]) -> f32 {
    let mut sums = sums;
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// `target[i] += source[i]`.
#[inline(always)]
pub(super) fn add(target: &mut [f32], source: &[f32]) {
    for (target, source) in target.iter_mut().zip(source) {
        *target += source;
    }
}

/// `target[i] += factor * source[i]`.
#[inline(always)]
pub(super) fn add_scaled(target: &mut [f32], factor: f32, source: &[f32]) {
    for (target, source) in target.iter_mut().zip(source) {
        *target += factor * source;
    }
}

/// `target[i] *= source[i]`.
#[inline(always)]
pub(super) fn multiply(target: &mut [f32], source: &[f32]) {
    for (target, source) in target.iter_mut().zip(source) {
        *target *= source;
    }
}

/// Adds every row of `rows` to `totals`: the gradient of a bias.
#[inline(always)]
pub(super) fn add_rows(totals: &mut [f32], rows: &[f32]) {
    for row in rows.chunks_exact(totals.len()) {
        add(totals, row);
    }
}

/// `e^x` to 2 units in the last place between −87 and 88, clamped outside (Cephes' polynomial). NaN stays NaN.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "the constants as Cephes prints them")]
pub(super) fn exp(x: f32) -> f32 {
    // Comparisons instead of `clamp`: they keep a NaN, which must reach the loss to be noticed.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits of the mantissa.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let r = x - whole * 0.693_359_375 - whole * -2.121_944_4e-4;
    let mut p = 1.987_569_15e-4;
    p = p * r + 1.398_199_950_7e-3;
    p = p * r + 8.333_451_907_3e-3;
    p = p * r + 4.166_579_589_4e-2;
    p = p * r + 1.666_666_545_9e-1;
    p = p * r + 5.000_000_120_1e-1;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    (p * r * r + r + 1.0) * power
}

/// The activation of `x` and its derivative there.
#[inline(always)]
fn gelu(x: f32) -> (f32, f32) {
    // Abramowitz & Stegun 7.1.26, |error| < 1.5e-7; the normal density shares its exponential.
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let e = exp(-z * z);
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let mut p = 1.061_405_4;
    p = p * t - 1.453_152_1;
    p = p * t + 1.421_413_8;
    p = p * t - 0.284_496_72;
    p = p * t + 0.254_829_6;
    let tail = 0.5 * p * t * e;
    let below = if x < 0.0 { tail } else { 1.0 - tail };
    (x * below, below + x * e * 0.398_942_3)
}

#[inline(always)]
fn gelu_tanh(x: f32) -> (f32, f32) {
    const SCALE: f32 = 0.797_884_6; // sqrt(2 / pi)
    let u = SCALE * (x + 0.044_715 * x * x * x);
    let tanh = 1.0 - 2.0 / (exp(2.0 * u) + 1.0);
    let slope = 0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * SCALE * (1.0 + 0.134_145 * x * x);
    (0.5 * x * (1.0 + tanh), slope)
}

/// Replaces `values` by their activation and writes the derivatives to `slopes`.
pub(super) fn activate(activation: Activation, values: &mut [f32], slopes: &mut [f32]) {
    vectorize(Isa::detect(), Activate { activation, values, slopes });
}

struct Activate<'a> {
    activation: Activation,
    values: &'a mut [f32],
    slopes: &'a mut [f32],
}

impl Loops for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let pairs = self.values.iter_mut().zip(self.slopes);
        // A loop each: a function passed in would be compiled without the instruction set.
        match self.activation {
            Activation::Gelu => {
                for (value, slope) in pairs {
                    (*value, *slope) = gelu(*value);
                }
            }
            Activation::GeluTanh => {
                for (value, slope) in pairs {
                    (*value, *slope) = gelu_tanh(*value);
                }
            }
            Activation::Relu => {
                for (value, slope) in pairs {
                    (*value, *slope) = if *value > 0.0 { (*value, 1.0) } else { (0.0, 0.0) };
                }
            }
        }
    }
}

/// Softmax in place.
#[inline(always)]
pub(super) fn softmax(values: &mut [f32]) {
    let mut largest = f32::NEG_INFINITY;
    for &value in &*values {
        largest = if value > largest { value } else { largest };
    }
    for value in values.iter_mut() {
        *value = exp(*value - largest);
    }
    let scale = 1.0 / sum(values);
    for value in values {
        *value *= scale;
    }
}

/// What a layer norm keeps for its backward pass.
#[derive(Debug, Default)]
pub(super) struct Normalised {
    /// `[rows, width]`: the input with mean 0 and variance 1, before gain and bias.
    values: Vec<f32>,
    /// `[rows]`: one over the standard deviation.
    scales: Vec<f32>,
}

impl Normalised {
    /// `output = norm(input)`, row by row; remembers what [`Self::backward`] needs.
    pub(super) fn forward(&mut self, input: &[f32], norm: &Norm, epsilon: f32, output: &mut Vec<f32>) {
        let width = norm.gain.len();
        let per_value = 1.0 / width as f32;
        self.values.resize(input.len(), 0.0);
        self.scales.resize(input.len() / width, 0.0);
        output.resize(input.len(), 0.0);
        let rows = input.chunks_exact(width).zip(self.values.chunks_exact_mut(width));
        for (((input, normal), scale), output) in
            rows.zip(&mut self.scales).zip(output.chunks_exact_mut(width))
        {
            let mean = sum(input) * per_value;
            for (normal, input) in normal.iter_mut().zip(input) {
                *normal = input - mean;
            }
            *scale = 1.0 / (dot(normal, normal) * per_value + epsilon).sqrt();
            for (((normal, gain), bias), output) in
                normal.iter_mut().zip(&norm.gain).zip(&norm.bias).zip(output)
            {
                *normal *= *scale;
                *output = *normal * gain + bias;
            }
        }
    }

    /// Turns the gradient of the output into that of the input, in place; adds to the gradients of gain and bias.
    pub(super) fn backward(&self, gradient: &mut [f32], norm: &Norm, norm_gradient: &mut Norm) {
        let width = norm.gain.len();
        let per_value = 1.0 / width as f32;
        for ((gradient, normal), scale) in
            gradient.chunks_exact_mut(width).zip(self.values.chunks_exact(width)).zip(&self.scales)
        {
            add(&mut norm_gradient.bias, gradient);
            for ((total, gradient), normal) in norm_gradient.gain.iter_mut().zip(&*gradient).zip(normal) {
                *total += gradient * normal;
            }
            multiply(gradient, &norm.gain);
            let mean = sum(gradient) * per_value;
            let projection = dot(gradient, normal) * per_value;
            for (gradient, normal) in gradient.iter_mut().zip(normal) {
                *gradient = (*gradient - mean - normal * projection) * scale;
            }
        }
    }
}

/// Inverted dropout whose mask is a function of the key and the element's index: it is not stored, the backward pass
/// applies the same function to the gradient, and a resumed training repeats it exactly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dropout {
    /// Elements whose hash is below are dropped; 0 switches dropout off.
    threshold: u32,
    /// What the kept elements are multiplied by.
    scale: f32,
    key: u64,
}

impl Dropout {
    /// Nothing is dropped.
    pub(super) const OFF: Self = Self { threshold: 0, scale: 1.0, key: 0 };

    /// Drops the share `rate`; equal keys give equal masks.
    pub(super) fn new(rate: f32, key: u64) -> Self {
        Self { threshold: (f64::from(rate) * 4_294_967_296.0) as u32, scale: 1.0 / (1.0 - rate), key }
    }

    /// The same rate with another mask, for another place in the model.
    pub(super) fn at(self, place: u64) -> Self {
        Self { key: mix(self.key ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15)), ..self }
    }

    /// Whether anything is dropped at all.
    pub(super) fn is_on(self) -> bool {
        self.threshold > 0
    }

    /// Drops and scales in place; `first` is the index of `values[0]` in the whole tensor.
    #[inline(always)]
    pub(super) fn apply(self, values: &mut [f32], first: usize) {
        if !self.is_on() {
            return;
        }
        let (low, high) = (self.key as u32, (self.key >> 32) as u32);
        for (index, value) in values.iter_mut().enumerate() {
            // Murmur3's 32-bit finaliser over index and key.
            let mut hash = ((first + index) as u32).wrapping_mul(0x9e37_79b1) ^ low;
            hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b) ^ high;
            hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
            hash ^= hash >> 16;
            *value *= if hash < self.threshold { 0.0 } else { self.scale };
        }
    }
}

/// SplitMix64's finaliser: spreads a key over all 64 bits.
pub(super) const fn mix(key: u64) -> u64 {
    let mut z = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_follows_the_library() {
        for step in -8700..8800 {
            let x = step as f32 * 0.01;
            let expected = f64::from(x).exp();
            assert!((f64::from(exp(x)) - expected).abs() <= 3e-7 * expected, "{x}");
        }
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn slopes_are_the_derivatives() {
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
            for step in -60..60 {
                let x = step as f32 * 0.1 + 0.05;
                let evaluate = |x: f32| {
                    let (mut value, mut slope) = ([x], [0.0]);
                    activate(activation, &mut value, &mut slope);
                    (f64::from(value[0]), f64::from(slope[0]))
                };
                let difference = (evaluate(x + 1e-2).0 - evaluate(x - 1e-2).0) / 2e-2;
                assert!((difference - evaluate(x).1).abs() < 2e-4, "{activation:?} at {x}");
            }
        }
    }

    #[test]
    fn dropout_keeps_the_mean_and_repeats() {
        let dropout = Dropout::new(0.1, 7).at(3);
        let mut values = vec![1.0; 100_000];
        dropout.apply(&mut values, 0);
        assert!((sum(&values) / 100_000.0 - 1.0).abs() < 5e-3);
        let mut tail = vec![1.0; 50];
        dropout.apply(&mut tail, 99_950);
        assert_eq!(tail, values[99_950..]);
    }
}
