//! The encoder against PyTorch, whose outputs tests/reference/encoder.py wrote once.
#![expect(clippy::unwrap_used, reason = "a broken fixture may panic")]

use logrisk_score::{
    encoder::{Encoder, Isa, Precision, Scratch, Tokens},
    weights::{Activation, Shape, Weights, fill_uniform},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    shape: ReferenceShape,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct ReferenceShape {
    hidden: usize,
    heads: usize,
    layers: usize,
    activation: String,
}

#[derive(Deserialize)]
struct Line {
    length: usize,
    cls: Vec<f32>,
    risk: Vec<f32>,
    tag: Vec<f32>,
}

fn weights(shape: &ReferenceShape) -> Weights {
    let activation = if shape.activation == "gelu" { Activation::Gelu } else { Activation::GeluTanh };
    let mut weights = Weights::zeros(
        Shape {
            vocabulary: 1000,
            hidden: shape.hidden,
            layers: shape.layers,
            heads: shape.heads,
            intermediate: 4 * shape.hidden,
            positions: 128,
            norm_epsilon: 1e-12,
            activation,
        },
        true,
    );
    for (index, tensor) in weights.tensors_mut().into_iter().enumerate() {
        fill_uniform(tensor.values, if tensor.dimensions.len() == 2 { 0.08 } else { 0.3 }, index as u64);
        if tensor.name.ends_with("LayerNorm.weight") {
            tensor.values.iter_mut().for_each(|gain| *gain += 1.0);
        }
    }
    weights
}

fn largest_difference(got: &[f32], expected: impl Iterator<Item = f32>) -> f32 {
    got.iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |most, each| if each <= most { most } else { each })
}

fn check(text: &str) {
    let reference: Reference = serde_json::from_str(text).unwrap();
    let weights = weights(&reference.shape);
    let mut tokens = Tokens::default();
    for (number, line) in reference.lines.iter().enumerate() {
        tokens.ids.extend((0..line.length).map(|i| ((number * 31 + i * i * 7 + i) % 1000) as u32));
        tokens.ends.push(tokens.ids.len());
    }
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        for (precision, limit) in [(Precision::F32, 1e-4), (Precision::Bf16, 0.15), (Precision::Int8, 0.3)] {
            if isa == Isa::Portable && precision != Precision::F32 {
                continue; // Slow, and compared with the others in the unit tests.
            }
            let encoder = Encoder::new(&weights, precision, isa);
            let (mut scratch, mut cls) = (Scratch::default(), Vec::new());
            encoder.forward_cls(&tokens, &mut scratch, &mut cls);
            let logits = encoder.heads(&cls, &mut scratch);
            let lines = &reference.lines;
            for (what, got, expected) in [
                ("cls", &cls, lines.iter().flat_map(|line| line.cls.clone()).collect::<Vec<_>>()),
                ("risk", &logits.risk, lines.iter().flat_map(|line| line.risk.clone()).collect()),
                ("tag", &logits.tag, lines.iter().flat_map(|line| line.tag.clone()).collect()),
            ] {
                assert_eq!(got.len(), expected.len());
                let difference = largest_difference(got, expected.into_iter());
                println!("{isa} {precision} {what}: {difference:.1e}");
                assert!(difference < limit, "{isa} {precision} {what}: {difference}");
            }
        }
    }
}

#[test]
fn bert_mini_is_pytorchs() {
    check(include_str!("encoder/bert-mini.json"));
}

#[test]
fn minilm_shape_is_pytorchs() {
    check(include_str!("encoder/minilm-shape.json"));
}

#[test]
fn distilbert_is_pytorchs() {
    check(include_str!("encoder/distilbert.json"));
}
