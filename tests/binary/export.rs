//! Models that go to other programs and come back.
use std::{fs, path::Path};

use crate::common::{repository, run};

const LINES: &str = "ERROR db: connection refused (attempt 3 of 3)\nINFO http: GET /health 200\nkernel: Out of memory: \
                     Killed process 4242 (java)\n";

/// The probabilities of three lines, in f32, under a model.
fn probabilities(arguments: &[&str]) -> Vec<Vec<f64>> {
    let mut all = vec!["score", "--format", "json", "--probabilities", "--precision", "f32"];
    all.extend(arguments);
    let outcome = run(&all, LINES);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    outcome
        .json()
        .iter()
        .map(|record| serde_json::from_value(record["probabilities"].clone()).unwrap())
        .collect()
}

fn difference(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    assert_eq!((a.len(), b.len()), (3, 3));
    a.concat().iter().zip(b.concat()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn an_exported_model_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let expected = probabilities(&[]);

    let onnx = at("model.onnx");
    let outcome = run(&["export", "--onnx", &onnx], "");
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for file in [
        "tokenizer.json",
        "vocab.txt",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
    ] {
        assert!(folder.path().join("tokenizer").join(file).is_file(), "{file}");
    }
    // Beside the file, named, and in the older files alone.
    assert!(difference(&expected, &probabilities(&["-m", &onnx])) < 1e-5);
    assert!(
        difference(&expected, &probabilities(&["-m", &onnx, "-t", &at("tokenizer/tokenizer.json")])) < 1e-5
    );
    let packed = at("packed.tar.zst");
    assert_eq!(run(&["model", "pack", &onnx, &packed], "").code, 0);
    assert!(difference(&expected, &probabilities(&["-m", &packed])) < 1e-2);

    let checkpoint = at("checkpoint");
    let outcome = run(&["export", "--safetensors", &checkpoint], "");
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(difference(&expected, &probabilities(&["-m", &checkpoint])) < 1e-5);
    // A folder with files in it is left alone.
    let again = run(&["export", "--safetensors", &checkpoint], "");
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("exists"), "{}", again.stderr);
}

#[test]
fn the_first_seeds_model_is_read_behind_its_own_masks() {
    let folder = tempfile::tempdir().unwrap();
    let model = repository("crates/score/tests/onnx/seed-legacy14-eager-gelu-t4.46.onnx");
    let vocabulary: String = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "error", "at", "<", ">", "ip"]
        .into_iter()
        .map(str::to_owned)
        .chain((0..30).map(|number| format!("word{number}")))
        .map(|token| token + "\n")
        .collect();
    fs::write(folder.path().join("vocab.txt"), vocabulary).unwrap();
    let tokenizer = folder.path().display().to_string();
    let arguments = ["predict", "-m", &model, "-t", &tokenizer, "-i", "ERROR at 10.0.0.1", "--preprocess"];
    let outcome = run(&arguments, "");
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let records: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(records[0]["preprocessed"], "error at <ip>");
    // The likeliest risk, as the seed chose it.
    let shares: Vec<f64> = serde_json::from_value(records[0]["probabilities"].clone()).unwrap();
    let label = records[0]["risk_label"].as_u64().unwrap() as usize;
    assert!(shares.iter().all(|share| *share <= shares[label]), "{label} of {shares:?}");

    let without = run(&["score", "-m", &model], "");
    assert_eq!(without.code, 1);
    assert!(without.stderr.contains("--tokenizer"), "{}", without.stderr);
}

#[test]
fn models_that_cannot_be_read_are_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |arguments: &[&str], expected: &[&str]| {
        let outcome = run(arguments, "INFO a\n");
        assert_ne!(outcome.code, 0, "{arguments:?}");
        for part in expected {
            assert!(outcome.stderr.contains(part), "{arguments:?}: no {part:?} in {}", outcome.stderr);
        }
    };
    let path = folder.path().join("cut.onnx");
    fs::write(&path, b"\x08\x08\x12\xff").unwrap();
    let cut = path.display().to_string();
    let tokenizer = repository("models/default");
    fails(&["score", "-m", &cut, "-t", &tokenizer], &["cut.onnx", "truncated"]);
    fails(&["score", "-m", "nowhere.onnx", "-t", &tokenizer], &["nowhere.onnx"]);

    let pickle = folder.path().join("bert-mini");
    fs::create_dir(&pickle).unwrap();
    fs::write(pickle.join("pytorch_model.bin"), b"PK").unwrap();
    let pickle = pickle.display().to_string();
    fails(&["score", "-m", &pickle], &["pytorch_model.bin", "python3 -c", &pickle]);

    let bare = repository("crates/score/tests/checkpoints/bert-mini");
    fails(&["score", "-m", &bare], &["bare encoder", "logrisk train"]);
    fails(&["export", "-m", &bare, "--onnx", &cut], &["bare encoder", "logrisk train"]);
    assert_eq!(fs::read(&path).unwrap(), b"\x08\x08\x12\xff", "what was there is still there");
    fails(&["export"], &["--onnx", "--safetensors"]);
    let missing = Path::new("no/such/folder/model.onnx").display().to_string();
    fails(&["export", "--onnx", &missing], &[&missing]);
}

/// Each family learns from the same lines, and what comes of it scores.
#[test]
fn every_family_can_be_fine_tuned() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.csv");
    let rows: String = (0..60)
        .map(|n| {
            if n % 2 == 0 {
                format!("error disk {n} is full,8\n")
            } else {
                format!("info nginx started {n},2\n")
            }
        })
        .collect();
    fs::write(&data, format!("text,risk_label\n{rows}")).unwrap();
    for name in ["bert-mini", "distilbert", "sharded"] {
        let base = repository(&format!("crates/score/tests/checkpoints/{name}"));
        let output = folder.path().join(name).display().to_string();
        let data = data.display().to_string();
        let trained = run(
            &[
                "train",
                "--data",
                &data,
                "--base",
                &base,
                "--output",
                &output,
                "--threads",
                "1",
                "--epochs",
                "2",
                "--f32",
                "--line-tokens",
                "64",
            ],
            "",
        );
        assert_eq!(trained.code, 0, "{name}: {}", trained.stderr);
        let outcome = run(&["score", "-m", &output], "error disk 3 is full\n");
        assert_eq!(outcome.code, 0, "{name}: {}", outcome.stderr);
    }
}
