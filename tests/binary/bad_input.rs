//! Whatever arrives, each record gets an answer or the user a sentence that names the thing and the remedy.
use std::{fs, io::Write as _, process::Stdio};

use crate::common::{command, repository, run, run_bytes};

#[test]
fn nothing_in_nothing_out() {
    let outcome = run(&["score"], "");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""));
}

#[test]
fn every_line_is_answered_without_joining() {
    let input = b"\n\0\0\0\n\xff\xfe\xfa\r\n   \n\x1b[31mred\x1b[0m\nlast without newline";
    let outcome = run_bytes(&["score", "--no-join", "--format", "json"], input);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let logs: Vec<_> = outcome.json().iter().map(|value| value["log"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        logs,
        ["", "\0\0\0", "\u{fffd}\u{fffd}\u{fffd}", "   ", "\x1b[31mred\x1b[0m", "last without newline"]
    );
}

#[test]
fn binary_input_is_scored_and_nothing_breaks() {
    let mut state = 1u64;
    let bytes: Vec<u8> = (0..3_000_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        })
        .collect();
    let outcome = run_bytes(&["score", "--top=3"], &bytes);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}

#[test]
fn a_line_of_100_megabytes_is_one_record() {
    let mut input = b"ERROR begins here ".to_vec();
    input.resize(100 << 20, b'x');
    input.extend_from_slice(b" out of memory\nINFO next\n");
    let outcome = run_bytes(&["score", "--format", "json"], &input);
    let records = outcome.json();
    assert_eq!(records.len(), 2);
    let log = records[0]["log"].as_str().unwrap();
    assert!(log.starts_with("ERROR begins here") && log.ends_with("out of memory") && log.len() < 2 << 20);
}

#[test]
fn utf16_is_named_with_the_remedy() {
    let outcome = run_bytes(&["score"], b"\xff\xfeE\0R\0R\0");
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.contains("UTF-16") && outcome.stderr.contains("iconv"), "{}", outcome.stderr);
}

#[test]
fn a_truncated_gzip_is_scored_as_far_as_it_goes() {
    let text: String = (0..20_000).map(|index| format!("INFO request {index} served\n")).collect();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    let whole = encoder.finish().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.gz");
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let outcome = run(&["score", path.to_str().unwrap()], "");
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.contains("cut.gz"), "{}", outcome.stderr);
    assert!(outcome.lines().len() > 1000);
}

#[test]
fn a_missing_file_is_named_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("there.log");
    fs::write(&path, "INFO there\n").unwrap();
    let outcome = run(&["score", "nowhere.log", path.to_str().unwrap()], "");
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.contains("nowhere.log"), "{}", outcome.stderr);
    assert_eq!(outcome.lines().len(), 1);
    let folder_given = run(&["score", folder.path().to_str().unwrap()], "");
    assert!(folder_given.stderr.contains("it is a folder"), "{}", folder_given.stderr);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let mut child = command(&["score", &repository("samples/incident.log")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn a_full_disk_is_an_error_not_a_loss() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command(&["score", &repository("samples/incident.log")]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("could not write the output"), "{stderr}");
}

#[test]
fn a_missing_or_broken_model_is_named() {
    let missing = run(&["score", "--model", "models/nowhere"], "INFO a\n");
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("models/nowhere"), "{}", missing.stderr);

    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(repository("models/default")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let weights = folder.path().join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&weights, bytes).unwrap();
    let broken = run(&["score", "--model", folder.path().to_str().unwrap()], "INFO a\n");
    assert_eq!(broken.code, 1);
    assert!(broken.stderr.contains("model.safetensors"), "{}", broken.stderr);
}

#[test]
fn wrong_arguments_are_usage_errors() {
    for arguments in [
        &["score", "--threads", "0"][..],
        &["score", "--format", "xml"],
        &["scor"],
        &["score", "--precision", "f8"],
    ] {
        let outcome = run(arguments, "");
        assert_eq!(outcome.code, 2, "{arguments:?}: {}", outcome.stderr);
    }
}
