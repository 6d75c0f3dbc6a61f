//! `logrisk run`: settings, standard input to standard output, routes, the end.

use std::{fs, io::Write as _, process::Stdio};

use serde_json::Value;

use crate::{
    common::{repository, run},
    run_plane::{Site, by_id},
};

/// Runs settings with that standard input and returns the exit code, the documents and the log.
fn pipe(settings: &str, stdin: &str) -> (Option<i32>, Vec<Value>, String) {
    let site = Site::new(settings);
    let mut child =
        site.command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let documents = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code(), documents, String::from_utf8(output.stderr).unwrap())
}

const STDIN: &str = "sources: {in: stdin}\nsinks: {out: stdout}\n";

#[test]
fn standard_input_leaves_as_scored_documents_in_order() {
    let (code, documents, log) = pipe(
        STDIN,
        "2026-01-15T10:30:45.123Z INFO server started on port 8080\n\
         2026-01-15T10:30:46Z ERROR out of disk space on /dev/sda1, password=hunter2hunter2\n\
         \tat a.B.c(D.java:1)\n",
    );
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(documents.len(), 2);
    let first = &documents[0];
    assert_eq!(first["@timestamp"], "2026-01-15T10:30:45.123Z");
    assert_eq!(first["log.level"], "info");
    assert_eq!(first["event.dataset"], "in");
    assert!(first["risk_label"].as_u64().unwrap() < 4 && first["pattern_id"].as_str().unwrap().len() == 16);
    let second = &documents[1];
    assert!(second["risk_label"].as_u64().unwrap() >= 6, "{second}");
    let message = second["message"].as_str().unwrap();
    assert!(message.ends_with("\tat a.B.c(D.java:1)") && !message.contains("hunter2"), "{message}");
    assert_eq!(by_id(documents).len(), 2);
}

#[test]
fn many_lines_keep_their_order_through_all_threads() {
    let lines: String =
        (0..20_000).map(|number| format!("INFO job {number} done in {} ms\n", number % 90)).collect();
    let (code, documents, log) = pipe(STDIN, &lines);
    assert_eq!(code, Some(0), "{log}");
    let found: Vec<_> = documents.iter().map(|document| document["message"].as_str().unwrap()).collect();
    assert_eq!(found, lines.lines().collect::<Vec<_>>());
    assert_eq!(by_id(documents).len(), 20_000);
}

#[test]
fn routes_choose_by_risk_and_sample_with_a_rate() {
    let site = Site::new(
        "sources: {in: stdin}\n\
         sinks:\n  all: {file: {path: '{dir}/all'}}\n  risky: {file: {path: '{dir}/risky'}}\n  some: {file: {path: '{dir}/some'}}\n\
         routes:\n  - {to: [risky], min_risk: 7}\n  - {to: [some], min_risk: 7}\n  - {to: [some], max_risk: 6, sample_rate: 10}\n",
    );
    let mut lines: String = (0..2000).map(|number| format!("INFO job {number} done\n")).collect();
    lines.push_str("FATAL file system corrupted, data directory unrecoverable\n");
    fs::write(site.path("in"), lines).unwrap();
    let input = fs::File::open(site.path("in")).unwrap();
    assert!(site.command().stdin(input).status().unwrap().success());
    assert_eq!(site.documents("all").len(), 2001);
    assert_eq!(site.documents("risky").len(), 1);
    let some = site.documents("some");
    assert!((100..300).contains(&some.len()), "{}", some.len());
    assert!(some.iter().all(|one| one.get("sample_rate").is_some() == (one["log.level"] == "info")));
}

#[test]
fn what_is_wrong_in_the_settings_is_pointed_at() {
    for (settings, place, words) in [
        ("sources: {in: stdin}\n", ":", "sinks"),
        ("sources: {in: stdout}\nsinks: {out: stdout}\n", ":1:15", "tail"),
        ("sources: {in: stdin}\nsinks:\n  out: {file: {}}\n", ":3:15", "path"),
        ("sources: {in: {tail: {paths: ['a[']}}}\nsinks: {out: stdout}\n", ":1:15", "glob"),
        ("sources: {in: stdin}\nsinks: {out: stdout}\nroutes:\n  - to: [owt]\n", ":4:10", "owt"),
        (
            "sources: {in: stdin}\nsinks: {out: stdout}\nroutes:\n  - {to: [out], min_risk: 11}\n",
            ":4:27",
            "11",
        ),
        ("sources: {in: stdin}\nsinks:\n  out: {elastic: {hosts: [es]}}\n", ":3:", "https://"),
    ] {
        let site = Site::new(settings);
        let path = site.path("logrisk.yaml");
        let outcome = run(&["run", "-c", path.to_str().unwrap()], "");
        assert_eq!(outcome.code, 1);
        let expected = format!("{}{place}", path.display());
        assert!(outcome.stderr.contains(&expected), "{expected}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(words), "{words}: {}", outcome.stderr);
        let checked = run(&["check", path.to_str().unwrap()], "");
        assert_eq!((checked.code, checked.stderr.contains(place)), (1, true), "{}", checked.stderr);
    }
}

#[test]
fn every_example_is_valid() {
    let examples = fs::read_dir(repository("config/examples")).unwrap().map(|entry| entry.unwrap().path());
    // Beside ours lie those of shippers.
    let examples: Vec<_> =
        examples.filter(|path| path.extension().is_some_and(|own| own == "yaml")).collect();
    assert!(!examples.is_empty());
    for path in examples {
        let checked = run(&["check", "--offline", path.to_str().unwrap()], "");
        assert_eq!(checked.code, 0, "{}: {}{}", path.display(), checked.stdout, checked.stderr);
    }
}
