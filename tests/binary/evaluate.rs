//! `logrisk evaluate`: groups, baselines that learn, thresholds, the page, and data that cannot be measured on.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use crate::common::{Outcome, run};

/// Lines whose risk nobody doubts, of two programs, with a pair and a trap.
const LINES: &str = "text,risk,risky,pair,software
level=info msg=\"request served\",2,,,web
level=error msg=\"out of disk space: writes fail\",8,,disk,web
level=info msg=\"disk space is fine\",2,,disk,web
kernel panic - not syncing: unable to mount root fs,10,,,kernel
DEBUG cache hit for key 7,1,,,kernel
INFO started,2,,,kernel
file system corruption detected on sda1,9,,,kernel
0 errors found,,false,,
";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name).display().to_string()
    }
}

fn evaluate(data: &str, arguments: &[&str]) -> Outcome {
    run(&[&["evaluate", "--bootstrap", "20", "--data", data], arguments].concat(), "")
}

fn reports(outcome: &Outcome) -> serde_json::Value {
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn groups_and_learned_baselines_stand_beside_the_model() {
    let folder = Folder::new();
    let data = folder.write("lines.csv", LINES.as_bytes());
    let from: String = (0..30).map(|n| format!("started {n},2\ndisk {n} corruption,9\n")).collect();
    let from = folder.write("from.csv", format!("text,risk\n{from}").as_bytes());
    let arguments =
        ["--format", "json", "--by", "software,level", "--smallest-group", "3", "--baselines-from", &from];
    let reports = reports(&evaluate(&data, &arguments));
    let names: Vec<&str> =
        reports.as_array().unwrap().iter().map(|report| report["name"].as_str().unwrap()).collect();
    assert_eq!(names[1..], ["TF-IDF + logistic", "TF-IDF + ridge", "our rules", "seed rules", "always 3"]);
    let groups: Vec<String> = reports[0]["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| format!("{} {} {}", group["by"], group["name"], group["lines"]).replace('"', ""))
        .collect();
    assert_eq!(
        groups,
        ["software kernel 4", "software web 3", "software other 1", "level present 5", "level absent 3"]
    );
    let figure = |report: usize, name: &str| {
        let figures = reports[report]["figures"].as_array().unwrap().clone();
        figures.into_iter().find(|figure| figure["name"] == name).unwrap()
    };
    assert!(figure(0, "pairs_right")["lead"].is_null());
    assert!(figure(5, "pairs_right")["lead"]["low"].is_number());
    assert_eq!(figure(5, "pairs_right")["value"], 0.0, "a constant tells no twins apart");
    assert_eq!(reports[0]["traps"], 1);
}

#[test]
fn required_figures_decide_the_exit_code() {
    let folder = Folder::new();
    let data = folder.write("lines.csv", LINES.as_bytes());
    let reached = evaluate(&data, &["--require", "mae<=10", "--require", "within_2.low>=0"]);
    assert_eq!(reached.code, 0, "{}", reached.stderr);
    let missed =
        evaluate(&data, &["--require", "mae>=9", "--require", "mae<=10", "--require", "severity_auroc>=0.1"]);
    assert_eq!(missed.code, 1);
    assert!(missed.stderr.contains("required mae>=9, found"), "{}", missed.stderr);
    assert!(missed.stderr.contains("severity_auroc>=0.1, but the data has no lines"), "{}", missed.stderr);
    assert!(!missed.stderr.contains("mae<=10") && missed.stdout.contains("within 1"));
    let unknown = evaluate(&data, &["--require", "auroc>=0.9"]);
    assert_eq!(unknown.code, 2);
    assert!(
        unknown.stderr.contains("auroc_5") && unknown.stderr.contains("pairs_right"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn the_page_is_written_whole_and_escapes_lines() {
    let folder = Folder::new();
    let data = folder.write("lines.csv", b"text,risk\n<script>alert(1)</script> started,10\nstopped,0\n");
    let page = folder.path("report.html");
    let to = page.display().to_string();
    let outcome = evaluate(&data, &["--format", "html", "--output", &to, "--baselines"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "{}", outcome.stderr);
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.starts_with("<!doctype html>") && text.ends_with("</html>\n"));
    assert!(text.contains("&lt;script&gt;") && !text.contains("<script"));
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 2, "nothing is left beside the page");
    let nowhere = evaluate(&data, &["--output", "/no/such/folder/report.txt"]);
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.stderr.contains("could not write /no/such/folder/report.txt"), "{}", nowhere.stderr);
}

#[test]
fn data_that_cannot_be_measured_on_is_named_by_line() {
    let folder = Folder::new();
    let long = format!("text,risk\n{},2\nb,{}\n", "x".repeat(1_000_000), "9".repeat(1_000_000));
    let cases: [(&[u8], &[&str]); 8] = [
        (b"", &["holds no rows"]),
        (b"text,severity\na,3\n", &["has no column label"]),
        (b"text,risk\nok,3\nbad,11\n", &["line 3, column risk", "from 0 to 10"]),
        (b"\xef\xbb\xbftext,risk\n\"two\nlines, and \"\"quotes\"\"\",3\nbad,x\n", &["line 4, column risk"]),
        (b"text,risk\na, b,3\n", &["line 2", "3 fields", "double quotes"]),
        (b"text,risk,pair\na,3,one\n", &["line 2, column pair", "a pair has two"]),
        (b"{\"text\":\"a\",\"risk\":3}\nnot json\n", &["line 2", "no JSON object"]),
        (long.as_bytes(), &["line 3, column risk"]),
    ];
    for (content, expected) in cases {
        let path = folder.write("bad.csv", content);
        let outcome = evaluate(&path, &[]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{}", outcome.stderr);
        for part in expected {
            assert!(outcome.stderr.contains(part), "no {part:?} in {}", outcome.stderr);
        }
        assert!(outcome.stderr.len() < 500, "{}", outcome.stderr.len());
    }
    let missing = evaluate("nowhere.csv", &[]);
    assert_eq!(missing.code, 2);
    assert!(missing.stderr.contains("nowhere.csv"), "{}", missing.stderr);
}
