//! Checkpoints that `transformers` wrote: what PyTorch computes with them, we compute too. tests/reference/checkpoints.py made the
//! tiny ones here; LOGRISK_CHECKPOINTS names a folder with others, such as the full-size ones that it makes.

use std::{fs, path::PathBuf, time::Instant};

use logrisk_score::{
    archive::Archive,
    encoder::{Encoder, Isa, Precision, Scratch, Tokens},
    model::Model,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    text: String,
    ids: Vec<u32>,
    cls: Vec<f32>,
}

fn folder() -> PathBuf {
    let stored = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/checkpoints");
    std::env::var_os("LOGRISK_CHECKPOINTS").map_or_else(stored, PathBuf::from)
}

#[test]
fn cls_vectors_of_every_family_are_within_1e_4_of_pytorch() {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let archive = Archive::open_checkpoint(&path).unwrap();
        let reference: Reference =
            serde_json::from_slice(&fs::read(path.join("reference.json")).unwrap()).unwrap();
        let mut tokens = Tokens::default();
        for line in &reference.lines {
            let start = tokens.ids.len();
            archive.tokenizer.encode_head_into(&line.text, 64, &mut tokens.ids);
            assert_eq!(tokens.ids[start..], line.ids, "{name}: {}", line.text);
            tokens.ends.push(tokens.ids.len());
        }
        let encoder = Encoder::new(&archive.weights, Precision::F32, Isa::detect());
        let (mut scratch, mut cls) = (Scratch::default(), Vec::new());
        let began = Instant::now();
        encoder.forward_cls(&tokens, &mut scratch, &mut cls);
        let seconds = began.elapsed().as_secs_f64();
        let expected: Vec<f32> = reference.lines.iter().flat_map(|line| line.cls.clone()).collect();
        assert_eq!(cls.len(), expected.len());
        let difference = cls.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{name}: {difference:.1e}, {} lines in {seconds:.3} s", reference.lines.len());
        assert!(difference < 1e-4, "{name}: {difference}");
        names.push(name);
    }
    assert!(names.len() >= 3, "{names:?}");
}

#[test]
fn a_distilbert_classifier_of_eleven_classes_has_its_risk_head() {
    let archive = Archive::open_checkpoint(&folder().join("distilbert")).unwrap();
    let (hidden, head) = (archive.weights.shape.hidden, archive.weights.head.clone().unwrap());
    assert_eq!((head.dense.outputs, head.risk.inputs), (hidden, hidden));
    Model::load(archive, Precision::F32, Isa::detect()).unwrap();
}
