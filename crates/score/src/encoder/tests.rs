//! The encoder as a whole: against a plain definition in f64, across instruction sets, precisions and batches.

use super::*;
use crate::weights::{Layer, Norm, Shape, fill_uniform};

fn shape(hidden: usize, heads: usize, layers: usize, intermediate: usize) -> Shape {
    let (vocabulary, positions, norm_epsilon) = (300, 128, 1e-12);
    Shape {
        vocabulary,
        hidden,
        layers,
        heads,
        intermediate,
        positions,
        norm_epsilon,
        activation: Activation::Gelu,
    }
}

/// Weights large enough that attention is not flat, with gains and biases that are not 1 and 0.
fn weights(shape: Shape) -> Weights {
    let mut weights = Weights::zeros(shape, true);
    for (index, tensor) in weights.tensors_mut().into_iter().enumerate() {
        fill_uniform(tensor.values, if tensor.dimensions.len() == 2 { 0.12 } else { 0.3 }, index as u64);
        if tensor.name.ends_with("LayerNorm.weight") {
            tensor.values.iter_mut().for_each(|gain| *gain += 1.0);
        }
    }
    weights
}

/// Lines of the given lengths.
fn tokens(lengths: &[usize]) -> Tokens {
    let mut tokens = Tokens::default();
    for (line, &length) in lengths.iter().enumerate() {
        tokens.ids.extend((0..length).map(|i| ((line * 31 + i * i * 7 + i) % 300) as u32));
        tokens.ends.push(tokens.ids.len());
    }
    tokens
}

fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

/// The definition, in f64, one line at a time.
fn reference(weights: &Weights, ids: &[u32]) -> Vec<f64> {
    let hidden = weights.shape.hidden;
    let linear = |linear: &Linear, x: &[Vec<f64>]| -> Vec<Vec<f64>> {
        let row = |x: &Vec<f64>, j: usize| -> f64 {
            let weights = &linear.weight[j * linear.inputs..][..linear.inputs];
            x.iter().zip(weights).map(|(x, &w)| x * f64::from(w)).sum::<f64>() + f64::from(linear.bias[j])
        };
        x.iter().map(|x| (0..linear.outputs).map(|j| row(x, j)).collect()).collect()
    };
    let norm = |norm: &Norm, x: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
        let one = |x: Vec<f64>| {
            let mean = x.iter().sum::<f64>() / hidden as f64;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / hidden as f64;
            let scale = 1.0 / (variance + f64::from(weights.shape.norm_epsilon)).sqrt();
            let parts = x.iter().zip(&norm.gain).zip(&norm.bias);
            parts.map(|((x, &g), &b)| (x - mean) * scale * f64::from(g) + f64::from(b)).collect()
        };
        x.into_iter().map(one).collect()
    };
    let add = |a: &[Vec<f64>], b: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
        a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect()
    };
    let gelu = |x: f64| 0.5 * x * (1.0 + erf(x / 2f64.sqrt()));
    let embedded = ids.iter().enumerate().map(|(i, &id)| {
        let word = &weights.embeddings.word[id as usize * hidden..][..hidden];
        let position = &weights.embeddings.position[i * hidden..][..hidden];
        word.iter().zip(position).map(|(&a, &b)| f64::from(a) + f64::from(b)).collect()
    });
    let mut x = norm(&weights.embeddings.norm, embedded.collect());
    for Layer { query, key, value, attention_output, attention_norm, intermediate, output, output_norm } in
        &weights.layers
    {
        let (q, k, v) = (linear(query, &x), linear(key, &x), linear(value, &x));
        let width = hidden / weights.shape.heads;
        let mut context = vec![vec![0.0; hidden]; x.len()];
        for head in (0..hidden).step_by(width) {
            for (q, context) in q.iter().zip(&mut context) {
                let score = |k: &Vec<f64>| -> f64 {
                    let dot: f64 = (head..head + width).map(|d| q[d] * k[d]).sum();
                    (dot / (width as f64).sqrt()).exp()
                };
                let scores: Vec<f64> = k.iter().map(score).collect();
                let total: f64 = scores.iter().sum();
                for d in head..head + width {
                    context[d] = scores.iter().zip(&v).map(|(s, v)| s / total * v[d]).sum();
                }
            }
        }
        x = norm(attention_norm, add(&x, linear(attention_output, &context)));
        let mut inner = linear(intermediate, &x);
        inner.iter_mut().flatten().for_each(|x| *x = gelu(*x));
        x = norm(output_norm, add(&x, linear(output, &inner)));
    }
    x.swap_remove(0)
}

/// By its series, for the modest arguments of a test.
fn erf(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..120 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |most, each| if each <= most { most } else { each })
}

#[test]
fn f32_equals_the_definition_on_every_instruction_set() {
    // Among them widths that are no multiple of 16, of 32, of a panel; head widths 64, 32, 16, 10.
    for (hidden, heads, layers, intermediate) in
        [(128, 2, 2, 256), (96, 3, 3, 160), (48, 3, 1, 80), (20, 2, 2, 36), (64, 1, 0, 64)]
    {
        let weights = weights(shape(hidden, heads, layers, intermediate));
        let tokens = tokens(&[1, 2, 15, 16, 17, 33, 5, 64, 128, 7]);
        let expected: Vec<f32> = (0..tokens.ends.len())
            .flat_map(|line| reference(&weights, &tokens.ids[tokens.line(line)]))
            .map(|value| value as f32)
            .collect();
        for isa in isas() {
            let mut cls = Vec::new();
            Encoder::new(&weights, Precision::F32, isa).forward_cls(
                &tokens,
                &mut Scratch::default(),
                &mut cls,
            );
            let difference = largest_difference(&cls, &expected);
            assert!(difference < 2e-5, "{isa} {hidden} wide: {difference}");
        }
    }
}

#[test]
fn fewer_bits_stay_near_f32() {
    let weights = weights(shape(128, 2, 3, 256));
    let tokens = tokens(&[3, 40, 17, 90, 1]);
    let run = |precision, isa| {
        let mut cls = Vec::new();
        Encoder::new(&weights, precision, isa).forward_cls(&tokens, &mut Scratch::default(), &mut cls);
        cls
    };
    let exact = run(Precision::F32, Isa::Portable);
    for isa in isas() {
        for (precision, limit) in [(Precision::Bf16, 0.06), (Precision::Int8, 0.25)] {
            let difference = largest_difference(&run(precision, isa), &exact);
            assert!(difference < limit, "{isa} {precision}: {difference}");
        }
    }
}

#[test]
fn a_line_does_not_depend_on_its_batch() {
    let weights = weights(shape(64, 2, 2, 128));
    let lengths: Vec<usize> = (0..150).map(|i| [1, 13, 50, 7, 128, 22][i % 6]).collect();
    let batch = tokens(&lengths);
    for isa in isas() {
        for precision in Precision::ALL {
            let encoder = Encoder::new(&weights, precision, isa);
            let (mut scratch, mut together, mut alone) = (Scratch::default(), Vec::new(), Vec::new());
            encoder.forward_cls(&batch, &mut scratch, &mut together);
            for line in 0..lengths.len() {
                let ids = batch.ids[batch.line(line)].to_vec();
                let ends = vec![ids.len()];
                encoder.forward_cls(&Tokens { ids, ends }, &mut scratch, &mut alone);
            }
            assert!(together == alone, "{isa} {precision}");
        }
    }
}

#[test]
fn heads_are_their_definition() {
    let weights = weights(shape(64, 2, 0, 64));
    let Some(head) = &weights.head else { panic!("weights() makes heads") };
    let mut cls = vec![0.0; 3 * 64];
    fill_uniform(&mut cls, 1.0, 1);
    let linear = |linear: &Linear, x: &[f32]| -> Vec<f32> {
        let rows = linear.weight.chunks_exact(linear.inputs).zip(&linear.bias);
        rows.map(|(w, b)| w.iter().zip(x).map(|(w, x)| w * x).sum::<f32>() + b).collect()
    };
    for isa in isas() {
        let logits = Encoder::new(&weights, Precision::Int8, isa).heads(&cls, &mut Scratch::default());
        for (line, x) in cls.chunks_exact(64).enumerate() {
            let inner: Vec<f32> = linear(&head.dense, x).into_iter().map(|x| x.max(0.0)).collect();
            let (risk, tag) = (&logits.risk[line * 11..][..11], &logits.tag[line * 5..][..5]);
            assert!(largest_difference(risk, &linear(&head.risk, &inner)) < 1e-5, "{isa}");
            assert!(largest_difference(tag, &linear(&head.tag, &inner)) < 1e-5, "{isa}");
        }
    }
}

#[test]
fn odd_input_is_no_reason_to_panic() {
    let encoder = Encoder::new(&weights(shape(32, 2, 1, 64)), Precision::Int8, Isa::detect());
    let (mut scratch, mut cls) = (Scratch::default(), Vec::new());
    let cases: [(&[u32], &[usize]); 6] = [
        (&[], &[]),
        (&[], &[0, 0]),
        (&[1, 2, 3], &[0, 3, 3]),
        (&[1, 2, 3], &[2, 1, 9]),
        (&[4_000_000_000, 299, 300], &[3]),
        (&[7; 400], &[400]),
    ];
    for (ids, ends) in cases {
        cls.clear();
        encoder.forward_cls(&Tokens { ids: ids.to_vec(), ends: ends.to_vec() }, &mut scratch, &mut cls);
        assert_eq!(cls.len(), ends.len() * encoder.hidden());
    }
}
