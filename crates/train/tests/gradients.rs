//! The hand-written backward pass against PyTorch's autograd, for every parameter of three shapes.
//!
//! The references are made by tests/reference/gradients.py from the same weights, which SplitMix64 fills.
#![expect(clippy::unwrap_used, reason = "a broken fixture should end the test")]

use logrisk_base::Tag;
use logrisk_score::weights::{Activation, Shape, Weights, fill_uniform};
use logrisk_train::{
    example::Example,
    fine_tune::{Loss, Options, batch_gradient},
};
use serde_json::Value;

fn tokenize(text: &str, ids: &mut Vec<u32>) {
    ids.extend(text.split(' ').map(|id| id.parse::<u32>().unwrap()));
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn weights_of(case: &Value) -> Weights {
    let size = |name: &str| case[name].as_u64().unwrap() as usize;
    let shape = Shape {
        vocabulary: size("vocabulary"),
        hidden: size("hidden"),
        layers: size("layers"),
        heads: size("heads"),
        intermediate: size("intermediate"),
        positions: size("positions"),
        norm_epsilon: 1e-12,
        activation: if case["activation"] == "gelu_new" { Activation::GeluTanh } else { Activation::Gelu },
    };
    let mut weights = Weights::zeros(shape, true);
    for (index, tensor) in weights.tensors_mut().into_iter().enumerate() {
        let is_gain = tensor.name.ends_with("LayerNorm.weight");
        fill_uniform(tensor.values, if is_gain { 0.5 } else { 0.2 }, size("seed") as u64 + index as u64);
        if is_gain {
            tensor.values.iter_mut().for_each(|value| *value += 1.0);
        }
    }
    weights
}

fn examples_of(case: &Value) -> Vec<Example> {
    let lines = case["lines"].as_array().unwrap().iter();
    lines
        .map(|line| {
            let ids: Vec<String> = line["ids"].as_array().unwrap().iter().map(Value::to_string).collect();
            Example {
                text: ids.join(" "),
                target: std::array::from_fn(|risk| number(&line["target"][risk]) as f32),
                tag: line["tag"].as_u64().map(|tag| Tag::ALL[tag as usize]),
                weight: number(&line["weight"]) as f32,
            }
        })
        .collect()
}

fn options_of(case: &Value, threads: usize) -> Options {
    Options {
        loss: Loss::Ordinal,
        cumulative: number(&case["cumulative"]) as f32,
        tag: number(&case["tag"]) as f32,
        label_smoothing: number(&case["label_smoothing"]) as f32,
        class_weights: Some(std::array::from_fn(|risk| number(&case["class_weights"][risk]) as f32)),
        threads,
        bf16: false,
        ..Options::default()
    }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

fn check(case: &str) {
    let case: Value = serde_json::from_str(case).unwrap();
    let (weights, examples) = (weights_of(&case), examples_of(&case));
    for threads in [1, 3] {
        let (loss, gradient) = batch_gradient(&weights, &examples, &tokenize, &options_of(&case, threads));
        assert!((loss - number(&case["loss"])).abs() < 1e-5, "loss {loss}, expected {}", case["loss"]);
        let mut worst = (0.0, String::new());
        let mut seen = 0;
        for tensor in gradient.tensors() {
            let expected = &case["gradients"][&tensor.name];
            let expected_norm = number(&expected["norm"]);
            seen += 1;
            if tensor.name.ends_with("key.bias") {
                // Adding one vector to all keys of a line shifts each query's scores alike, which softmax ignores: the
                // true gradient is zero, and what is left is rounding.
                assert!(norm(tensor.values) < 1e-5, "{}", tensor.name);
                continue;
            }
            assert!(norm(tensor.values) > 0.0, "{} got no gradient", tensor.name);
            let relative = (norm(tensor.values) - expected_norm).abs() / expected_norm;
            assert!(
                relative < 1e-3,
                "norm of {}: {}, expected {expected_norm}",
                tensor.name,
                norm(tensor.values)
            );
            let sum: f64 = tensor.values.iter().copied().map(f64::from).sum();
            assert!((sum - number(&expected["sum"])).abs() < 1e-3 * expected_norm, "sum of {}", tensor.name);
            // Relative to each value, but to no less than the tensor's typical one.
            let typical = expected_norm / (tensor.values.len() as f64).sqrt();
            for sample in expected["samples"].as_array().unwrap() {
                let (index, value) = (sample[0].as_u64().unwrap() as usize, number(&sample[1]));
                let error = (f64::from(tensor.values[index]) - value).abs() / value.abs().max(typical);
                assert!(error < 1e-3, "{}[{index}]: {}, expected {value}", tensor.name, tensor.values[index]);
                if error > worst.0 {
                    worst = (error, tensor.name.clone());
                }
            }
        }
        assert_eq!(seen, case["gradients"].as_object().unwrap().len());
        println!("{} threads: worst relative error {:.1e} in {}", threads, worst.0, worst.1);
    }
}

#[test]
fn a_bert_mini_equals_pytorch() {
    check(include_str!("gradients/bert-mini.json"));
}

#[test]
fn a_distilbert_equals_pytorch() {
    check(include_str!("gradients/distilbert.json"));
}

#[test]
fn a_single_layer_with_tanh_gelu_equals_pytorch() {
    check(include_str!("gradients/bert-tanh.json"));
}

#[test]
fn bf16_factors_leave_every_gradient_its_direction() {
    let case: Value = serde_json::from_str(include_str!("gradients/bert-mini.json")).unwrap();
    let (weights, examples, options) = (weights_of(&case), examples_of(&case), options_of(&case, 1));
    let (_, exact) = batch_gradient(&weights, &examples, &tokenize, &options);
    let (_, rounded) = batch_gradient(&weights, &examples, &tokenize, &Options { bf16: true, ..options });
    for (exact, rounded) in exact.tensors().iter().zip(rounded.tensors()) {
        if exact.name.ends_with("key.bias") {
            continue; // zero but for rounding
        }
        let product: f64 =
            exact.values.iter().zip(rounded.values).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let cosine = product / (norm(exact.values) * norm(rounded.values));
        assert!(cosine > 0.99, "{}: cosine {cosine}", exact.name);
    }
}

/// No reference needed: the loss must fall along the gradient as fast as the gradient says, tensor by tensor.
#[test]
fn every_tensor_agrees_with_finite_differences() {
    let case: Value = serde_json::from_str(include_str!("gradients/bert-tanh.json")).unwrap();
    let (weights, examples, options) = (weights_of(&case), examples_of(&case), options_of(&case, 1));
    let (_, gradient) = batch_gradient(&weights, &examples, &tokenize, &options);
    for (index, direction) in gradient.tensors().iter().enumerate() {
        let slope = norm(direction.values);
        if slope < 1e-5 {
            continue; // the keys' bias, see above
        }
        let shifted = |by: f64| {
            let mut weights = weights.clone();
            let tensor = &mut weights.tensors_mut()[index];
            for (value, gradient) in tensor.values.iter_mut().zip(direction.values) {
                *value += (by * f64::from(*gradient) / slope) as f32;
            }
            batch_gradient(&weights, &examples, &tokenize, &options).0
        };
        let difference = (shifted(2e-3) - shifted(-2e-3)) / 4e-3;
        // f32 sums leave about 1e-7 / 4e-3 of noise in the difference.
        assert!(
            (difference - slope).abs() < 2e-3 * slope + 1e-4,
            "{}: {difference}, {slope}",
            direction.name
        );
    }
}
