//! `logrisk score` as a whole: formats, order, joining, compression, following, secrets.
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
    time::{Duration, Instant},
};

use crate::common::{command, repository, run, run_bytes};

const TRACE: &str = "\
2024-01-15 10:30:45,123 [main] ERROR com.shop.Orders - could not save order 17
java.sql.SQLException: connection is closed
\tat com.shop.Orders.save(Orders.java:42)
\tat com.shop.Main.main(Main.java:7)
Caused by: java.net.SocketException: broken pipe
\t... 2 more
2024-01-15 10:30:46,001 [main] INFO com.shop.Orders - order 18 saved
";

#[test]
fn simple_lines_keep_their_order_and_carry_their_risk() {
    let outcome = run(&["score"], "INFO nginx GET /health 200\nERROR connection refused\n");
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let lines = outcome.lines();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with('[') && lines[0].ends_with("] INFO nginx GET /health 200"), "{}", lines[0]);
    assert!(lines[1].ends_with("] ERROR connection refused"), "{}", lines[1]);
}

#[test]
fn json_lines_carry_every_promised_member() {
    let outcome =
        run(&["score", "--format", "json", "--probabilities"], "ERROR \"disk\" full on /dev/sda1\n");
    let value = &outcome.json()[0];
    assert_eq!(value["log"], "ERROR \"disk\" full on /dev/sda1");
    let label = value["risk_label"].as_u64().unwrap();
    let score = value["risk_score"].as_f64().unwrap();
    assert!(label <= 10 && (score - label as f64).abs() <= 0.501, "{value}");
    assert!(value["level"].is_string() && value["model_version"].is_string());
    assert!(["DEBUG", "INFO", "WARN", "ERROR", "EXCEPTION"].contains(&value["tag"].as_str().unwrap()));
    assert_eq!(value["pattern_id"].as_str().unwrap().len(), 16);
    let sum: f64 = value["probabilities"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 0.01, "{sum}");
}

#[test]
fn csv_reads_back() {
    let outcome = run(&["score", "--format", "csv"], "a,b \"quoted\"\nplain\n");
    let mut reader = csv::Reader::from_reader(outcome.stdout.as_bytes());
    let rows: Vec<_> = reader.records().map(|row| row.unwrap()[0].to_owned()).collect();
    assert_eq!(rows, ["a,b \"quoted\"", "plain"]);
}

#[test]
fn a_stack_trace_is_one_record_unless_told_otherwise() {
    let joined = run(&["score", "--format", "json"], TRACE);
    assert_eq!(joined.json().len(), 2, "{}", joined.stdout);
    assert!(joined.json()[0]["log"].as_str().unwrap().ends_with("... 2 more"));
    assert_eq!(joined.json()[0]["tag"], "EXCEPTION");
    let single = run(&["score", "--no-join"], TRACE);
    assert_eq!(single.lines().len(), TRACE.lines().count());
}

#[test]
fn torn_container_lines_are_put_together() {
    let input =
        "2024-01-15T10:30:45.1Z stdout P ERROR connection \n2024-01-15T10:30:45.2Z stdout F refused\n";
    let outcome = run(&["score", "--format", "json"], input);
    let whole = run(&["score", "--format", "json"], "ERROR connection refused\n");
    assert_eq!(outcome.json().len(), 1);
    assert_eq!(outcome.json()[0]["pattern_id"], whole.json()[0]["pattern_id"]);
}

#[test]
fn compressed_input_is_recognised_by_its_content() {
    let text = fs::read(repository("samples/incident.log")).unwrap();
    let plain = run_bytes(&["score"], &text);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&text).unwrap();
    assert_eq!(run_bytes(&["score"], &encoder.finish().unwrap()).stdout, plain.stdout);
    assert_eq!(run_bytes(&["score"], &zstd::encode_all(&text[..], 3).unwrap()).stdout, plain.stdout);
}

#[test]
fn cache_and_threads_change_nothing() {
    let file = repository("samples/incident.log");
    let base = run(&["score", "--format", "json", "--threads", "1", &file], "");
    assert_eq!(base.code, 0, "{}", base.stderr);
    assert!(base.lines().len() > 3000);
    for arguments in [["--threads", "3"], ["--threads", "2"]] {
        let other = run(&["score", "--format", "json", arguments[0], arguments[1], &file], "");
        assert_eq!(other.stdout, base.stdout, "{arguments:?}");
    }
    let uncached = run(&["score", "--format", "json", "--no-cache", &file], "");
    assert_eq!(uncached.stdout, base.stdout);
}

#[test]
fn the_sample_incident_shows_its_failures_on_top() {
    let outcome = run(&["score", "--top=10", &repository("samples/incident.log")], "");
    let lines = outcome.lines();
    assert!(lines[0].starts_with("RISK"));
    // A `?` behind the risk says that the model is unsure.
    let risk = |line: &&str| line.split_whitespace().next().unwrap().trim_end_matches('?').parse().unwrap();
    let risks: Vec<u8> = lines[1..11].iter().map(risk).collect();
    assert!(risks.is_sorted_by(|left, right| left >= right) && risks[0] >= 7, "{}", outcome.stdout);
    assert!(outcome.stderr.contains("patterns"), "{}", outcome.stderr);
}

#[test]
fn min_risk_leaves_the_harmless_out() {
    let outcome = run(&["score", "--min-risk", "6"], "DEBUG cache hit\nFATAL kernel panic - not syncing\n");
    assert_eq!(outcome.lines().len(), 1, "{}", outcome.stdout);
    let refused = run(&["score", "--min-risk", "11"], "");
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("outside 0 to 10"), "{}", refused.stderr);
}

#[test]
fn secrets_do_not_reach_the_output() {
    let line = "login failed for url postgres://shop:hunter2secret@db:5432/shop\n";
    let outcome = run(&["score", "--format", "json"], line);
    assert!(!outcome.stdout.contains("hunter2secret"), "{}", outcome.stdout);
    assert!(run(&["score", "--no-redact"], line).stdout.contains("hunter2secret"));
}

#[test]
fn a_followed_file_is_read_on_through_rotation_and_truncation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    fs::write(&path, "INFO one\n").unwrap();
    let mut child =
        command(&["score", "--follow", path.to_str().unwrap()]).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in stdout.lines() {
            sender.send(line.unwrap()).unwrap();
        }
    });
    let expect = |text: &str| {
        let line = lines.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(line.ends_with(text), "{line}");
    };
    expect("INFO one");
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    // An unfinished line waits for its end.
    file.write_all(b"INFO t").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    file.write_all(b"wo\n").unwrap();
    expect("INFO two");
    fs::rename(&path, folder.path().join("app.log.1")).unwrap();
    fs::write(&path, "INFO three, after the rotation\n").unwrap();
    expect("INFO three, after the rotation");
    fs::write(&path, "INFO four\n").unwrap();
    expect("INFO four");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_live_pipe_is_answered_before_its_next_line() {
    let mut child = command(&["score"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdin.write_all(b"ERROR first\n").unwrap();
    let asked = Instant::now();
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(line.ends_with("ERROR first\n"), "{line}");
    assert!(asked.elapsed() < Duration::from_secs(30));
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_seeds_examples_keep_their_risk() {
    // (line, risk in the seed's documents); one step either way is the scale's own tolerance.
    let cases = [
        ("INFO nginx GET /health 200", 2),
        ("ERROR connection refused", 7),
        ("ERROR connection refused to database", 6),
        ("ERROR kubelet Failed to create pod sandbox", 7),
        ("INFO started", 2),
    ];
    let input: String = cases.iter().map(|(line, _)| format!("{line}\n")).collect();
    let outcome = run(&["score", "--format", "json"], &input);
    for (value, (line, risk)) in outcome.json().iter().zip(cases) {
        let label = value["risk_label"].as_i64().unwrap();
        assert!((label - risk).abs() <= 1, "{line}: {label}, the seed said {risk}");
    }
    // The seed said 10. The model that ships hedges at the end of the scale (see its card), but it must shout.
    let outcome = run(
        &["score", "--min-risk", "7"],
        "CRITICAL kernel panic - not syncing\nERROR kernel panic - not syncing\n",
    );
    assert_eq!(outcome.lines().len(), 2, "{}", outcome.stdout);
}

#[test]
fn the_first_seeds_command_works() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.txt");
    fs::write(&path, "INFO nginx GET /health 200\n\nERROR connection refused\n").unwrap();
    let model = repository("models/default");
    let input = path.to_str().unwrap();
    let outcome =
        run(&["predict", "-m", &model, "-t", &model, "-i", input, "--preprocess", "--format", "simple"], "");
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(outcome.lines().len(), 2);
    assert!(outcome.lines()[1].ends_with("] ERROR connection refused"));
    assert!(outcome.stderr.contains("Total: 2"), "{}", outcome.stderr);

    let json = run(&["predict", "-m", &model, "-t", &model, "-i", "ERROR disk full", "--preprocess"], "");
    let value: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(value[0]["log"], "ERROR disk full");
    assert!(
        value[0]["preprocessed"].is_string() && value[0]["probabilities"].as_array().unwrap().len() == 11
    );
}

#[test]
fn int8_labels_are_those_of_f32() {
    // Every line another pattern, from templates and from the sample: harder than a log, where patterns repeat.
    let generated = run(&["generate", "--count", "3000", "--balanced", "--seed", "9"], "").stdout;
    let input = generated + &fs::read_to_string(repository("samples/incident.log")).unwrap();
    let by_pattern = |precision: &str| {
        let outcome = run(&["score", "--format", "json", "--no-join", "--precision", precision], &input);
        let judged = outcome.json().into_iter().map(|value| {
            let label = value["risk_label"].as_u64().unwrap();
            (value["pattern_id"].as_str().unwrap().to_owned(), label)
        });
        judged.collect::<std::collections::BTreeMap<_, _>>()
    };
    let (reference, fast) = (by_pattern("f32"), by_pattern("int8"));
    let different = reference.iter().filter(|(pattern, label)| fast[*pattern] != **label).count();
    let share = different as f64 / reference.len() as f64;
    assert!(reference.len() > 1000, "{} patterns", reference.len());
    assert!(share < 0.03, "{different} of {} labels differ", reference.len());
    let far = reference.iter().filter(|(pattern, label)| fast[*pattern].abs_diff(**label) > 1).count();
    assert_eq!(far, 0, "labels that differ by more than one");
}
