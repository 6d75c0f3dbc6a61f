//! What can be wrong with labelled lines: each mistake is named with its line, and nothing is left half-written.

use std::{fs, path::Path};

use crate::common::{Outcome, run};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.at(name), content).unwrap();
        self.at(name)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Trains as little as possible.
    fn train(&self, data: &str, more: &[&str]) -> Outcome {
        let output = self.at("model");
        let mut arguments = vec!["train", "--data", data, "--output", &output, "--shape", "1x64"];
        arguments.extend(["--vocabulary", "300", "--threads", "1", "--max-steps", "2"]);
        arguments.extend(more);
        run(&arguments, "")
    }
}

#[track_caller]
fn check(outcome: &Outcome, code: i32, expected: &[&str]) {
    assert_eq!(outcome.code, code, "{}", outcome.stderr);
    for part in expected {
        assert!(outcome.stderr.contains(part), "no {part:?} in {}", outcome.stderr);
    }
}

/// Every risk, and words enough for a vocabulary.
fn lines(count: usize) -> String {
    let words = ["disk", "queue", "login", "replica", "cache", "socket", "worker"];
    let mut csv = "text,label\n".to_owned();
    for number in 0..count {
        csv +=
            &format!("{} {} of shop failed,{}\n", words[number % 7], "very ".repeat(number / 7), number % 11);
    }
    csv
}

#[test]
fn every_mistake_is_named_and_nothing_is_written() {
    let place = Place::new();
    let million = "x".repeat(1_000_000);
    let cases: &[(&str, &[&str])] = &[
        ("text,label\nok,3\n\"two\nlines\",4\nbad,11\n", &["line 5, column label", "\"11\" is no risk"]),
        ("text,label\na,-1\n", &["line 2, column label", "from 0 to 10"]),
        ("text,label\n\"a \"\"quoted\"\" word\",1\nb,c,d\n", &["line 3", "3 fields, the header 2"]),
        ("text,label\na,1\n,2\n", &["line 3, column text: is empty"]),
        ("line,label\na,1\n", &["no column text", "its header names line, label"]),
        ("text,severity\na,1\n", &["no column label"]),
        ("text,label\n", &["holds no rows"]),
        ("text,label\na,1\na,1\na b,1\n", &["all 2 rows have risk 1", "--force"]),
        ("{\"text\":\"a\",\"label\":1}\n{\"text\":\n", &["line 2: is no JSON object"]),
    ];
    for (content, expected) in cases {
        let data = place.write("data.csv", content);
        let mut named = vec!["data.csv"];
        named.extend(*expected);
        // What is wrong with all lines together has no file.
        check(&place.train(&data, &[]), 1, if content.contains("a b") { expected } else { &named });
        assert_eq!(place.names(), ["data.csv"]);
    }
    let data = place.write("data.csv", format!("text,label\nshort,1\nwrong,{million}\n"));
    let outcome = place.train(&data, &[]);
    check(&outcome, 1, &["line 3, column label"]);
    assert!(outcome.stderr.len() < 400, "{}", outcome.stderr);
}

#[test]
fn a_mark_quotes_newlines_and_a_million_characters_are_data() {
    let place = Place::new();
    let content = format!("\u{feff}{}\"a, \"\"b\"\"\nc\",9\n{},2\n", lines(40), "long ".repeat(200_000));
    let data = place.write("data.csv", content);
    check(&place.train(&data, &[]), 0, &["wrote"]);
    check(&run(&["model", "verify", &place.at("model")], ""), 0, &[]);
}

#[test]
fn empty_classes_and_one_class_are_said() {
    let place = Place::new();
    let some = place.write("some.csv", "text,label\ndisk full on shop,8\nall is well in shop,2\n");
    check(&place.train(&some, &[]), 0, &["warning: no line has risk 0, 1, 3, 4, 5, 6, 7, 9, 10"]);
    let one = place.write("one.csv", "text,label\ndisk full on shop,8\nall is well in shop,8\n");
    check(&place.train(&one, &["--force"]), 0, &["warning: all 2 rows have risk 8"]);
}

#[test]
fn a_text_with_two_labels_is_counted_or_refused() {
    let place = Place::new();
    let data = place.write("data.csv", lines(30) + "the same line,2\nthe same line,7\nthe same line,7\n");
    check(&place.train(&data, &[]), 0, &["texts with two different labels: 1"]);
    fs::remove_dir_all(place.at("model")).unwrap();
    check(&place.train(&data, &["--conflicts", "error"]), 1, &["lines 32 and 33", "the risks 2 and 7"]);
    check(&place.train(&data, &["--conflicts", "coin"]), 2, &["use majority or error"]);
    assert!(!Path::new(&place.at("model")).exists());
}

#[test]
fn lines_to_judge_by_must_not_be_known_by_heart() {
    let place = Place::new();
    let data = place.write("train.csv", lines(40) + "took 17 ms for 10.0.0.7,2\n");
    let test = place.write("test.csv", "text,label\nnever seen before,3\ntook 99 ms for 10.1.2.3,2\n");
    for flag in ["--test", "--validation"] {
        let expected =
            ["test.csv cannot judge: 1 of its 2 lines", "in line 3", "took 99 ms", "logrisk split"];
        check(&place.train(&data, &[flag, &test]), 1, &expected);
        assert_eq!(place.names(), ["test.csv", "train.csv"]);
    }
    check(&place.train(&data, &["--test", &test, "--force"]), 0, &["warning: ", "test.csv cannot judge"]);
}

#[test]
fn a_split_checks_labels_and_leaks_no_pattern() {
    let place = Place::new();
    let bad = place.write("bad.csv", "text,label\na,3\nb,x\n");
    let parts = place.at("parts");
    check(&run(&["split", "-i", &bad, "-o", &parts], ""), 1, &["line 3, column label", "no risk"]);
    assert!(!Path::new(&parts).exists());
    let mut rows = "text,label,pattern_id\n".to_owned();
    for number in 0..120 {
        rows += &format!(
            "{} took {number} ms,2,{number:x}\n",
            ["one", "two", "three", "four", "five"][number % 5]
        );
    }
    let data = place.write("data.csv", rows);
    check(&run(&["split", "-i", &data, "-o", &parts], ""), 0, &[]);
    let train = format!("{parts}/train.csv");
    for part in ["val.csv", "test.csv"] {
        let text = fs::read_to_string(format!("{parts}/{part}")).unwrap();
        for row in text.lines().skip(1) {
            let word = row.split(' ').next().unwrap();
            assert!(!fs::read_to_string(&train).unwrap().contains(&format!("\n{word} took")), "{row}");
        }
    }
}

#[test]
fn an_output_that_fails_leaves_the_old_one() {
    let place = Place::new();
    let (kept, missing) = (place.write("labels.csv", "of last week"), place.at("nowhere.log"));
    check(&run(&["label", "-i", &missing, "-o", &kept], ""), 1, &["nowhere.log"]);
    assert_eq!(fs::read_to_string(&kept).unwrap(), "of last week");
    assert_eq!(place.names(), ["labels.csv"]);
    check(&run(&["generate", "--count", "20", "-o", &kept], ""), 0, &[]);
    assert_eq!(place.names(), ["labels.csv"]);
    check(&run(&["generate", "--count", "20", "-o", "/dev/null"], ""), 0, &[]);
}
