//! From nothing to a model of one's own: generate, label, split, train, evaluate, score; and what can go wrong.

use std::{fs, path::Path};

use crate::common::{Outcome, repository, run};

fn ok(arguments: &[&str]) -> Outcome {
    let outcome = run(arguments, "");
    assert_eq!(outcome.code, 0, "{arguments:?}: {}", outcome.stderr);
    outcome
}

fn fails(arguments: &[&str], expected: &[&str]) {
    let outcome = run(arguments, "");
    assert_ne!(outcome.code, 0, "{arguments:?}");
    for part in expected {
        assert!(outcome.stderr.contains(part), "{arguments:?}: no {part:?} in {}", outcome.stderr);
    }
}

/// A small training that ends in seconds.
const SMALL: [&str; 10] =
    ["--shape", "2x64", "--vocabulary", "1500", "--threads", "1", "--epochs", "1", "--seed", "7"];

fn rows(path: &Path) -> usize {
    csv::Reader::from_path(path).unwrap().records().map(Result::unwrap).count()
}

#[test]
fn a_model_of_ones_own_from_generated_lines() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (labelled, parts, model) = (at("labelled.csv"), at("parts"), at("model"));
    ok(&["generate", "--count", "1500", "--balanced", "--labels", "--output", &labelled]);
    ok(&["split", "-i", &labelled, "-o", &parts, "--by", "pattern"]);
    let count: usize =
        ["train.csv", "val.csv", "test.csv"].iter().map(|part| rows(&Path::new(&parts).join(part))).sum();
    assert_eq!(count, 1500);

    let (train, val, test) =
        (format!("{parts}/train.csv"), format!("{parts}/val.csv"), format!("{parts}/test.csv"));
    let mut arguments =
        vec!["train", "--data", &train, "--validation", &val, "--output", &model, "--lr", "2e-3"];
    arguments.extend(SMALL);
    let trained = ok(&arguments);
    assert!(trained.stderr.contains("wrote"), "{}", trained.stderr);
    for file in [
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "manifest.json",
        "training_history.json",
        "training_history.svg",
    ] {
        assert!(Path::new(&model).join(file).is_file(), "{file}");
    }
    ok(&["model", "verify", &model]);
    let packed = at("model.tar.zst");
    ok(&["model", "pack", &model, &packed]);

    // Learnt something: better than saying 5 to everything, which is off by 2.7 on average here.
    let report =
        ok(&["evaluate", "--model", &packed, "--data", &test, "--format", "json", "--bootstrap", "20"]);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    let text = report[0].to_string();
    assert!(text.contains("mae"), "{text}");

    let folder_scores = run(&["score", "--model", &model], "ERROR disk full\n").stdout;
    assert_eq!(folder_scores, run(&["score", "--model", &packed], "ERROR disk full\n").stdout);
}

#[test]
fn labels_by_rules_have_a_row_a_record_or_a_pattern() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("labelled.csv");
    let (sample, path) = (repository("samples/incident.log"), output.display().to_string());
    ok(&["label", "-i", &sample, "-o", &path]);
    let records = rows(&output);
    ok(&["label", "-i", &sample, "-o", &path, "--patterns"]);
    let patterns = rows(&output);
    assert!(records > 3000 && patterns < records / 5, "{records} records, {patterns} patterns");
}

#[test]
fn the_rules_that_ship_pass_their_own_examples() {
    ok(&["rules", "test"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yaml");
    fs::write(&path, "rules:\n  - name: a\n    keywords: [boom]\n    tga: WARN\n").unwrap();
    let outcome = run(&["rules", "test", path.to_str().unwrap()], "");
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("tga"), "{}", outcome.stderr);
}

#[test]
fn data_that_cannot_be_learnt_from_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("model").display().to_string();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let wrong = write("wrong.csv", "text,risk_label\nok,3\nbad,11\n");
    fails(&["train", "--data", &wrong, "--output", &output], &["wrong.csv", "3", "11"]);
    let columns = write("columns.csv", "message,severity\na,1\n");
    fails(&["train", "--data", &columns, "--output", &output], &["columns.csv", "risk_label"]);
    let single = write("single.csv", "text,risk_label\na b,3\nc d,3\n");
    fails(&["train", "--data", &single, "--output", &output], &["two different risks"]);
    fails(&["train", "--data", "nowhere.csv", "--output", &output], &["nowhere.csv"]);
    fails(&["train", "--output", &output], &["--data", "--recipe"]);
    fails(&["evaluate", "--data", "nowhere.csv"], &["nowhere.csv"]);
    assert!(!Path::new(&output).exists());
}

#[test]
fn an_occupied_folder_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    let output = folder.path().display().to_string();
    fails(&["train", "--data", "any.csv", "--output", &output], &["no model archive"]);
    assert_eq!(fs::read_to_string(folder.path().join("thesis.txt")).unwrap(), "years of work");
}

#[test]
fn an_ensemble_teaches_the_model_and_what_is_done_is_not_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let data = at("labelled.csv");
    ok(&["generate", "--count", "300", "--balanced", "--labels", "--output", &data]);
    let train = |output: &str, more: &[&str]| {
        let output = at(output);
        let mut arguments =
            vec!["train", "--data", &data, "--validation", &data, "--force", "--output", &output];
        arguments.extend(SMALL.iter().chain(more));
        ok(&arguments);
        let manifest = fs::read(Path::new(&output).join("manifest.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&manifest).unwrap()
    };
    let taught = train("taught", &["--ensemble", "2"]);
    assert_eq!(taught["data"]["teachers"], serde_json::json!(["seed 8", "seed 9"]));
    assert!(!folder.path().join("taught.training").exists(), "the teachers are not kept");

    let alone = train("alone", &[]);
    let done = folder.path().join("resumed.training/teacher-1");
    fs::create_dir_all(&done).unwrap();
    fs::rename(folder.path().join("alone"), done.join("model")).unwrap();
    let resumed = train("resumed", &["--ensemble", "1", "--resume"]);
    assert_eq!(resumed["data"]["teachers"], serde_json::json!([alone["version"]]));
}
