//! ONNX from PyTorch's exporters computes here what it computes there. The files in onnx/ and PyTorch's answers were made
//! once by tests/reference/exporters.py.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{fs, path::Path, process::Command};

use logrisk_base::Risk;
use logrisk_score::{
    encoder::{Encoder, Isa, Logits, Precision, Scratch, Tokens},
    onnx::{self, Export},
    weights::{Activation, Shape, Weights},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    ids: Vec<u32>,
    logits: Vec<f32>,
}

#[test]
fn exported_models_say_what_pytorch_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx");
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "onnx") {
            continue;
        }
        count += 1;
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let bytes = fs::read(&path).unwrap();
        let imported = onnx::read(&bytes, &mut |name| fs::read(folder.join(name)));
        let weights = imported.unwrap_or_else(|error| panic!("{name}: {error}")).weights;
        let reference = fs::read(path.with_extension("json")).unwrap();
        let reference: Reference = serde_json::from_slice(&reference).unwrap();
        let lines: Vec<Vec<u32>> = reference.lines.iter().map(|line| line.ids.clone()).collect();
        let logits = ours(&weights, &lines).risk;
        let expected: Vec<Vec<f32>> = reference.lines.iter().map(|line| line.logits.clone()).collect();
        let difference = largest_difference(&logits, &expected);
        println!("{name}: {difference:.1e}");
        assert!(difference < 1e-4, "{name}: {difference}");
    }
    assert!(count >= 4, "{count} files");
}

#[derive(Deserialize)]
struct Outputs {
    logits: Vec<Vec<f32>>,
    tag_logits: Vec<Vec<f32>>,
}

/// Wide enough that lines, heads and risks differ.
fn random(layers: usize, hidden: usize, activation: Activation) -> Weights {
    let shape = Shape {
        vocabulary: 500,
        hidden,
        layers,
        heads: hidden / 32,
        intermediate: 4 * hidden,
        positions: 128,
        norm_epsilon: 1e-12,
        activation,
    };
    let mut weights = Weights::random(shape, 11);
    for tensor in weights.tensors_mut().into_iter().filter(|tensor| !tensor.name.contains("LayerNorm")) {
        tensor.values.iter_mut().for_each(|value| *value *= 3.0);
    }
    weights
}

/// What ONNX Runtime says, once the ONNX checker has said yes: all lines padded to the longest, to 128, and alone.
fn in_onnx_runtime(file: &[u8], lines: &[Vec<u32>]) -> Vec<Outputs> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models");
    let packages = Command::new(models.join("onnxruntime.sh")).output().unwrap();
    assert!(packages.status.success(), "{}", String::from_utf8_lossy(&packages.stderr));
    let folder = tempfile::tempdir().unwrap();
    let (path, input) = (folder.path().join("model.onnx"), folder.path().join("lines.json"));
    fs::write(&path, file).unwrap();
    fs::write(&input, serde_json::json!({ "lines": lines }).to_string()).unwrap();
    let output = Command::new("python3")
        .arg(models.join("run_onnx.py"))
        .arg(&path)
        .env("PYTHONPATH", String::from_utf8(packages.stdout).unwrap().trim())
        .stdin(fs::File::open(input).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn ragged_lines() -> Vec<Vec<u32>> {
    [1usize, 2, 7, 128, 33, 64, 12]
        .iter()
        .enumerate()
        .map(|(number, length)| (0..*length).map(|i| ((number * 31 + i * i * 7 + i) % 500) as u32).collect())
        .collect()
}

fn ours(weights: &Weights, lines: &[Vec<u32>]) -> Logits {
    let mut tokens = Tokens::default();
    for line in lines {
        tokens.ids.extend(line);
        tokens.ends.push(tokens.ids.len());
    }
    let encoder = Encoder::new(weights, Precision::F32, Isa::detect());
    let (mut scratch, mut cls) = (Scratch::default(), Vec::new());
    encoder.forward_cls(&tokens, &mut scratch, &mut cls);
    encoder.heads(&cls, &mut scratch)
}

fn largest_difference(ours: &[f32], theirs: &[Vec<f32>]) -> f32 {
    let theirs = theirs.concat();
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn onnx_runtime_says_what_we_say_however_lines_are_padded() {
    let lines = ragged_lines();
    for (layers, hidden, activation) in
        [(4, 256, Activation::Gelu), (2, 96, Activation::GeluTanh), (1, 64, Activation::Relu)]
    {
        let weights = random(layers, hidden, activation);
        let file = onnx::write(&weights, &Export::default()).unwrap();
        let expected = ours(&weights, &lines);
        let batches = in_onnx_runtime(&file, &lines);
        assert_eq!(batches.len(), 3);
        for outputs in batches {
            let risk = largest_difference(&expected.risk, &outputs.logits);
            let tag = largest_difference(&expected.tag, &outputs.tag_logits);
            println!("{layers} × {hidden} {activation:?}: risk {risk:.1e}, tag {tag:.1e}");
            assert!(risk < 1e-4 && tag < 1e-4, "{layers} × {hidden} {activation:?}: {risk} {tag}");
        }
    }
}

#[test]
fn the_highest_logit_is_the_label_where_asked_and_the_others_stay() {
    let lines = ragged_lines();
    let mut weights = random(2, 96, Activation::Gelu);
    // Between two ends, so that the likeliest risk and the expected one are far apart.
    let risk = &mut weights.head.as_mut().unwrap().risk;
    risk.weight.iter_mut().for_each(|weight| *weight *= 4.0);
    risk.bias.iter_mut().enumerate().for_each(|(risk, bias)| *bias += (risk as f32 - 5.0).abs() / 2.0);
    let file = onnx::write(&weights, &Export { argmax_is_label: true, ..Export::default() }).unwrap();
    let raw = ours(&weights, &lines).risk;
    let mut moved = 0;
    for (logits, raw) in in_onnx_runtime(&file, &lines)[1].logits.iter().zip(raw.chunks(11)) {
        let powers: Vec<f32> = raw.iter().map(|logit| logit.exp()).collect();
        let sum: f32 = powers.iter().sum();
        let expected: f32 = powers.iter().zip(0u8..).map(|(power, risk)| f32::from(risk) * power / sum).sum();
        let label = usize::from(Risk::nearest(expected).get());
        let highest = |values: &[f32]| (0..11).max_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap();
        assert_eq!(highest(logits), label);
        moved += usize::from(highest(raw) != label);
        for (risk, (after, before)) in logits.iter().zip(raw).enumerate() {
            assert!(risk == label || (after - before).abs() < 1e-4, "{risk}: {before} became {after}");
        }
    }
    assert!(moved > 0, "no line shows the difference");
}
