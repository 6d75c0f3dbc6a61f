//! Reasons, doubt and calibration, through the binary.

use std::{fs, path::Path};

use serde_json::Value;

use crate::common::{Outcome, command, repository, run, run_bytes};

#[track_caller]
fn ok(arguments: &[&str], stdin: &str) -> Outcome {
    let outcome = run(arguments, stdin);
    assert_eq!(outcome.code, 0, "{arguments:?}: {}", outcome.stderr);
    outcome
}

#[test]
fn an_explanation_says_what_decided_and_what_is_near() {
    let text = ok(
        &["explain", "E0317 09:12:44.123456 1 pool.go:12] dial tcp 10.0.0.7:5432: connection refused"],
        "",
    );
    for part in
        ["risk ", "decided by", "the model, ", "klog, level error", "connection refused", "Nearest known"]
    {
        assert!(text.stdout.contains(part), "no {part:?} in {}", text.stdout);
    }
    assert!(!text.stdout.contains('\x1b'), "colours in a pipe");
    let coloured = ok(&["explain", "--color", "always", "ERROR disk full"], "");
    assert!(coloured.stdout.contains("\x1b["), "{}", coloured.stdout);
}

#[test]
fn reasons_as_json_add_to_what_score_says() {
    let line = "ERROR db: connection refused to 10.0.0.7";
    let explained = &ok(&["explain", "--format", "json", line], "").json()[0];
    let why = &explained["explanation"];
    assert_eq!((&why["decided_by"], &why["level"]), (&Value::from("model"), &Value::from("error")));
    assert!(why["masked"].as_str().unwrap().contains("connection refused to <ip>"), "{why}");
    let words: Vec<&str> =
        why["words"].as_array().unwrap().iter().map(|it| it["word"].as_str().unwrap()).collect();
    assert!(words.contains(&"refused") && words.contains(&"<ip>"), "{words:?}");
    assert!(why["words"].as_array().unwrap().iter().all(|word| word["effect"].is_f64()));
    assert_eq!(why["nearest"].as_array().unwrap().len(), 3);
    assert_eq!(explained["parsed"]["message"], "db: connection refused to 10.0.0.7");

    let scored = &ok(&["score", "--format", "json", "--explain"], &format!("{line}\n")).json()[0];
    assert_eq!(scored["explanation"], *why);
    assert_eq!(scored["risk_score"], explained["risk_score"]);
    let plain = &ok(&["score", "--format", "json"], &format!("{line}\n")).json()[0];
    assert!(plain.get("explanation").is_none());
    assert_eq!(plain["risk_score"], scored["risk_score"]);
    let refused = run(&["score", "--explain"], "");
    assert!(refused.code != 0 && refused.stderr.contains("--format json"), "{}", refused.stderr);
}

#[test]
fn a_rule_that_decided_the_tag_is_named_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    fs::write(&file, "extends: default\nrules:\n  - name: night-shift\n    keywords: [\"zebra\"]\n    tag: EXCEPTION\n    risk: 7\n    examples: [{ line: \"a zebra fell\", tag: EXCEPTION }]\n").unwrap();
    let path = file.display().to_string();
    let outcome = ok(&["explain", "--rules", &path, "a zebra fell into the database"], "");
    assert!(outcome.stdout.contains("night-shift") && outcome.stdout.contains(&path), "{}", outcome.stdout);
}

#[test]
fn hostile_lines_are_explained_too() {
    for line in
        ["", " ", "\t", "---", "\u{202e}\u{feff}", "<num>", "𝕬𝖇𝖈 磁盘空间不足", "a\nb\n\tat c.d(E.java:1)"]
    {
        let outcome = ok(&["explain", line], "");
        assert!(outcome.stdout.contains("risk "), "{line:?}: {}", outcome.stdout);
        ok(&["explain", "--format", "json", line], "").json();
    }
    assert!(ok(&["explain", ""], "").stdout.contains("nothing was logged"));
    assert!(!ok(&["explain", "\x1b[31mred\x1b[0m alert"], "").stdout.contains('\x1b'));
    assert_eq!(ok(&["explain"], "").stdout, "");

    let mut input = b"ERROR ".to_vec();
    input.resize(3 << 20, b'x');
    input.extend_from_slice(b"\n\xff\xfe\0\x01\xfa binary\n");
    let outcome = run_bytes(&["explain", "--format", "json"], &input);
    assert_eq!((outcome.code, outcome.json().len()), (0, 2), "{}", outcome.stderr);
    let long = format!("INFO {}", "many words in one line ".repeat(3000));
    ok(&["explain"], &long);
    let closed =
        command(&["explain", "ERROR disk full"]).stdout(std::process::Stdio::null()).status().unwrap();
    assert!(closed.success());
}

#[test]
fn what_masks_leave_nothing_of_is_unsure_and_not_alarming() {
    let lines = [
        "0f3a9c1e-1111-4222-8333-aaaaaaaaaaaa 192.168.7.3 8812 0xdeadbeef",
        "ERROR 10.0.0.7 8812",
        "",
        "INFO started",
        "started",
    ];
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let records = ok(&["score", "--no-join", "--format", "json"], &input).json();
    let (risk, unsure) =
        (|at: usize| records[at]["risk_label"].as_u64().unwrap(), |at: usize| &records[at]["unsure"]);
    assert!(risk(0) <= 4 && *unsure(0) == true, "{}", records[0]);
    assert!(risk(1) <= 7 && *unsure(1) == true, "{}", records[1]);
    assert!(risk(2) == 0 && *unsure(2) == false, "{}", records[2]);
    assert!(risk(3) <= 3 && *unsure(3) == false, "{}", records[3]);
    assert!(*unsure(4) == true, "{}", records[4]);
    for record in &records {
        let interval = record["risk_interval"].as_array().unwrap();
        let (low, high) = (interval[0].as_u64().unwrap(), interval[1].as_u64().unwrap());
        assert!(low <= high && high <= 10, "{record}");
    }
}

#[test]
fn doubt_is_marked_filtered_and_counted_but_never_in_simple_lines() {
    let file = repository("samples/incident.log");
    let all = ok(&["score", "--format", "json", &file], "").json();
    let unsure = all.iter().filter(|record| record["unsure"] == true).count();
    assert!(unsure > 0 && unsure < all.len() / 2, "{unsure} of {}", all.len());
    assert_eq!(ok(&["score", "--unsure", &file], "").lines().len(), unsure);
    let simple = ok(&["score", &file], "").stdout;
    assert!(simple.lines().all(|line| line.split_once(']').unwrap().0[1..].parse::<u8>().is_ok()));
    let table = ok(&["score", "--format", "table", &file], "").stdout;
    assert_eq!(table.lines().skip(1).filter(|line| line.as_bytes()[4] == b'?').count(), unsure);
    let top = ok(&["score", "--top=5", &file], "");
    assert!(top.stderr.contains("records unsure (?)"), "{}", top.stderr);
}

/// Labelled lines of which the model says too much: a site where nothing is worse than 3.
fn calm_site(folder: &Path) -> String {
    let path = folder.join("calm.csv").display().to_string();
    let generated = folder.join("lines.csv").display().to_string();
    ok(&["generate", "--count", "300", "--seed", "5", "--labels", "--output", &generated], "");
    let mut reader = csv::Reader::from_path(&generated).unwrap();
    let headers = reader.headers().unwrap().clone();
    let column = |wanted: &str| headers.iter().position(|name| name == wanted).unwrap();
    let (text, risk) = (column("text"), column("risk_label"));
    let mut writer = csv::Writer::from_path(&path).unwrap();
    writer.write_record(["text", "risk"]).unwrap();
    for row in reader.records().map(Result::unwrap) {
        let risk = row[risk].parse::<u8>().unwrap().min(3).to_string();
        writer.write_record([&row[text], &risk]).unwrap();
    }
    writer.flush().unwrap();
    path
}

#[test]
fn calibration_moves_risks_to_where_the_lines_are() {
    let folder = tempfile::tempdir().unwrap();
    let (data, output) = (calm_site(folder.path()), folder.path().join("model").display().to_string());
    let outcome = ok(&["calibrate", "--data", &data, "--output", &output], "");
    assert!(outcome.stderr.contains("calibrated on 300 texts"), "{}", outcome.stderr);
    let manifest: Value = serde_json::from_str(&ok(&["model", "show", &output], "").stdout).unwrap();
    assert!(manifest["version"].as_str().unwrap().contains("-calibrated-"), "{}", manifest["version"]);
    assert_eq!(manifest["calibration"]["bias"].as_array().unwrap().len(), 11);
    let figures = &manifest["figures"]["calibration"];
    let shares: Vec<f64> = serde_json::from_value(figures["risk_shares"].clone()).unwrap();
    assert!(shares.len() == 11 && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{shares:?}");
    assert!(figures["after"]["log_loss"].as_f64() < figures["before"]["log_loss"].as_f64(), "{figures}");

    let input = "ERROR disk full on /dev/sda1\nFATAL out of memory, aborting\nERROR connection refused\n";
    let mean = |model: &[&str]| {
        let arguments = [&["score", "--format", "json"], model].concat();
        let records = ok(&arguments, input).json();
        records.iter().map(|record| record["risk_score"].as_f64().unwrap()).sum::<f64>()
            / records.len() as f64
    };
    assert!(mean(&["--model", &output]) < mean(&[]) - 0.3);

    // Again, on its own result: the suffix is not repeated.
    let again = folder.path().join("again").display().to_string();
    ok(&["calibrate", "--model", &output, "--data", &data, "--out", &again], "");
    let manifest: Value = serde_json::from_str(&ok(&["model", "show", &again], "").stdout).unwrap();
    assert_eq!(manifest["version"].as_str().unwrap().matches("-calibrated-").count(), 1);
}

#[test]
fn calibration_refuses_what_it_cannot_use_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (few, output) = (folder.path().join("few.csv"), folder.path().join("model"));
    fs::write(&few, "text,risk\na b,3\nc d,4\n").unwrap();
    let arguments =
        ["calibrate", "--data", &few.display().to_string(), "--output", &output.display().to_string()];
    let outcome = run(&arguments, "");
    assert!(outcome.code == 1 && outcome.stderr.contains("label at least 50"), "{}", outcome.stderr);
    fs::write(&few, "text,risk\na b,eleven\n").unwrap();
    assert!(run(&arguments, "").stderr.contains("line 2"));
    assert!(!output.exists());
    let occupied = ["calibrate", "--data", arguments[2], "--output", &folder.path().display().to_string()];
    assert!(run(&occupied, "").stderr.contains("no model archive"));
}

#[test]
fn a_broken_calibration_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(repository("models/default")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let path = folder.path().join("manifest.json");
    let manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let model = folder.path().display().to_string();
    for (key, value, named) in [
        ("temperature", Value::Null, "temperature"),
        ("bias", serde_json::json!([0.0, 1.0]), "2 biases, not 11"),
        ("unsure_width", Value::from(99), "unsure_width"),
    ] {
        let mut broken = manifest.clone();
        broken["calibration"][key] = value;
        fs::write(&path, broken.to_string()).unwrap();
        let outcome = run(&["score", "--model", &model], "INFO a\n");
        assert!(outcome.code == 1 && outcome.stderr.contains(named), "{key}: {}", outcome.stderr);
    }
    // An archive from before there were calibrations.
    let mut old = manifest.clone();
    old.as_object_mut().unwrap().remove("calibration");
    old["files"].as_object_mut().unwrap().remove("known.tsv");
    fs::write(&path, old.to_string()).unwrap();
    fs::remove_file(folder.path().join("known.tsv")).unwrap();
    ok(&["score", "--model", &model], "INFO a\n");
    assert!(!ok(&["explain", "--model", &model, "ERROR disk full"], "").stdout.contains("Nearest known"));
}
