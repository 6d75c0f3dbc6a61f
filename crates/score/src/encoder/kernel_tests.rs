//! Each kernel of each instruction set against its definition in f64, over odd shapes.

use super::{
    Isa, Precision,
    buffer::Aligned,
    kernels::{Encodings, Heads, Kernels},
    packed::Packed,
};
use crate::weights::{Activation, Linear, Norm, fill_uniform};

fn tables() -> impl Iterator<Item = (String, &'static Kernels)> {
    let available = Isa::ALL.into_iter().filter(|isa| isa.is_available());
    let named = available.map(|isa| (isa.to_string(), Kernels::of(isa)));
    let named = named.chain([("scalar".to_owned(), Kernels::of_any_width())]);
    // What a CPU like Ice Lake gets.
    #[cfg(target_arch = "x86_64")]
    let named = named.chain(
        Isa::Avx512
            .is_available()
            .then(|| ("avx512 without bf16".to_owned(), &super::avx512::without_bf16::KERNELS)),
    );
    named
}

fn random(len: usize, limit: f32, seed: u64) -> Vec<f32> {
    let mut values = vec![0.0; len];
    fill_uniform(&mut values, limit, seed);
    values
}

fn check(what: &str, got: &[f32], expected: impl Fn(usize) -> f64, tolerance: f64) {
    for (i, &got) in got.iter().enumerate() {
        let expected = expected(i);
        assert!(
            (f64::from(got) - expected).abs() <= tolerance,
            "{what}, element {i}: {got} against {expected}"
        );
    }
}

#[test]
fn products() {
    for (name, kernels) in tables() {
        for (rows, inputs, outputs) in [
            (1, 16, 1),
            (1, 64, 64),
            (2, 32, 65),
            (3, 48, 16),
            (5, 128, 63),
            (7, 16, 130),
            (13, 96, 100),
            (31, 320, 192),
        ] {
            let weight = random(inputs * outputs, 0.5, 1);
            let linear = Linear { weight, bias: random(outputs, 1.0, 2), inputs, outputs };
            let mut x = random(rows * inputs, 2.0, 3);
            let exact = |i: usize| {
                let (row, column) = (&x[i / outputs * inputs..][..inputs], i % outputs);
                let weights = &linear.weight[column * inputs..][..inputs];
                let sum: f64 = row.iter().zip(weights).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
                2.0 * (sum + f64::from(linear.bias[column]))
            };
            let expected: Vec<f64> = (0..rows * outputs).map(exact).collect();
            // The error of a sum of n products grows with √n; int8 rounds weights of ½ to 1/128 (AVX2 to 1/64).
            let root = (inputs as f64).sqrt();
            let int8 = if name == "avx2" { 0.045 } else { 0.025 };
            for (precision, tolerance) in
                [(Precision::F32, 1e-5), (Precision::Bf16, 0.012), (Precision::Int8, int8)]
            {
                let mut encodings = Encodings::default();
                encodings.set_fine([0, rows - 1].into_iter().take(rows));
                kernels.encode(&mut x, inputs, precision, &mut encodings);
                let packed = Packed::new(kernels, precision, &[(&linear, 2.0)], None);
                let mut result = vec![f32::NAN; (rows + 2) * outputs];
                kernels.multiply(&mut encodings, &packed, &mut result);
                let what = format!("{name} {precision} {rows} × {inputs} × {outputs}");
                check(&what, &result[..rows * outputs], |i| expected[i], tolerance * root);
            }
        }
    }
}

#[test]
fn sixteen_bits_take_the_rounding_of_inputs_away() {
    let (rows, width) = (9, 64);
    for (name, kernels) in tables() {
        let mut x = random(rows * width, 1.0, 1);
        x.iter_mut().step_by(width).for_each(|outlier| *outlier = 30.0);
        // The identity, whose weights int8 holds exactly.
        let mut weight = vec![0.0; width * width];
        weight.iter_mut().step_by(width + 1).for_each(|diagonal| *diagonal = 1.0);
        let linear = Linear { weight, bias: random(width, 1.0, 2), inputs: width, outputs: width };
        let mut encodings = Encodings::default();
        encodings.set_fine([0, 4, 8].into_iter());
        kernels.encode(&mut x, width, Precision::Int8, &mut encodings);
        let mut result = vec![0.0; (rows + 3) * width];
        let packed = Packed::new(kernels, Precision::Int8, &[(&linear, 1.0)], None);
        kernels.multiply(&mut encodings, &packed, &mut result);
        for row in 0..rows {
            let expected = |i: usize| f64::from(x[row * width + i] + linear.bias[i]);
            let tolerance = if row % 4 == 0 { 31.0 / 65_000.0 } else { 31.0 / 500.0 };
            check(&format!("{name}, row {row}"), &result[row * width..][..width], expected, tolerance);
        }
    }
}

#[test]
fn norms() {
    for (name, kernels) in tables() {
        for (rows, width) in [(1, 16), (2, 48), (3, 256), (4, 64), (5, 384), (11, 32)] {
            let (mut x, y) = (random(rows * width, 3.0, 1), random(rows * width, 3.0, 2));
            let norm = Norm { gain: random(width, 2.0, 3), bias: random(width, 2.0, 4) };
            let sums: Vec<f64> = x.iter().zip(&y).map(|(&x, &y)| f64::from(x) + f64::from(y)).collect();
            kernels.add_norm(&mut x, Some(&y), &norm, 1e-5, Precision::Int8, &mut Encodings::default());
            let expected = |i: usize| {
                let row = &sums[i / width * width..][..width];
                let mean = row.iter().sum::<f64>() / width as f64;
                let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                let (gain, bias) = (f64::from(norm.gain[i % width]), f64::from(norm.bias[i % width]));
                (sums[i] - mean) / (variance + 1e-5).sqrt() * gain + bias
            };
            check(&format!("{name} {rows} × {width}"), &x, expected, 5e-6);
        }
    }
}

#[test]
fn activations() {
    let width = 256;
    let grid: Vec<f32> = (0..32 * width).map(|i| (i as f32 / (16 * width) as f32 - 1.0) * 12.0).collect();
    let erf = |x: f64| {
        // The integral of the bell from 0, by Simpson's rule.
        let (steps, bell) = (2000, |t: f64| (-t * t).exp());
        let weight = |i: i32| if i == 0 || i == steps { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
        let h = x / f64::from(steps);
        (0..=steps).map(|i| weight(i) * bell(f64::from(i) * h)).sum::<f64>() * h / 3.0 * 2.0
            / std::f64::consts::PI.sqrt()
    };
    let definition = |activation, x: f64| match activation {
        Activation::Relu => x.max(0.0),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / 2f64.sqrt())),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
        }
    };
    for activation in [Activation::Relu, Activation::Gelu, Activation::GeluTanh] {
        let expected: Vec<f64> = grid.iter().map(|&x| definition(activation, f64::from(x))).collect();
        for (name, kernels) in tables() {
            for (precision, tolerance) in
                [(Precision::F32, 2e-6), (Precision::Bf16, 6e-4), (Precision::Int8, 6e-4)]
            {
                let mut values = grid.clone();
                kernels.activate(&mut values, width, activation, precision, &mut Encodings::default());
                check(&format!("{name} {activation:?} for {precision}"), &values, |i| expected[i], tolerance);
            }
        }
    }
}

#[test]
fn attention() {
    for (name, kernels) in tables() {
        for (heads, head_width, keys, queries) in [
            (1, 16, 1, 1),
            (2, 32, 2, 2),
            (3, 64, 7, 7),
            (2, 64, 16, 16),
            (1, 32, 17, 17),
            (4, 32, 50, 1),
            (2, 48, 129, 129),
        ] {
            let width = heads * head_width;
            let stride = 3 * width;
            let mut wide = random(keys * stride, 1.0, 1);
            // Scores up to ± 60, so that most powers vanish.
            wide.chunks_exact_mut(stride).for_each(|row| row[..width].iter_mut().for_each(|q| *q *= 4.0));
            let at = |row: usize, column: usize| f64::from(wide[row * stride + column]);
            let expected = |i: usize| {
                let (query, column) = (i / width, i % width);
                let head = column / head_width * head_width;
                let score = |key: usize| -> f64 {
                    (head..head + head_width).map(|d| at(query, d) * at(key, width + d)).sum::<f64>()
                };
                let most = (0..keys).map(score).fold(f64::NEG_INFINITY, f64::max);
                let powers: Vec<f64> = (0..keys).map(|key| (score(key) - most).exp2()).collect();
                let sum: f64 = powers.iter().sum();
                (0..keys).map(|key| powers[key] / sum * at(key, 2 * width + column)).sum()
            };
            for (half, tolerance) in [(false, 2e-5), (true, 0.04)] {
                let mut context = vec![f32::NAN; queries * width];
                let heads = Heads { heads, head_width, half };
                let keys_and_values = (wide.as_slice(), stride, [width, 2 * width]);
                kernels.attend(
                    heads,
                    (&wide, stride),
                    keys_and_values,
                    &mut context,
                    &mut Aligned::default(),
                );
                check(&format!("{name} {keys} keys, bf16 {half}"), &context, expected, tolerance);
            }
        }
    }
}
