//! The `snapshot` sink: to a folder, and to a real S3.

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    common::repository,
    run_plane::{PATIENCE, Plane, Site},
};

/// All files below a folder, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers
        .map(|number| format!("2026-01-15T10:30:45Z INFO request {number} served in {} ms\n", number % 97))
        .collect()
}

/// The rows of a CSV with its manifest, which must tell its digest.
fn table(csv: &Path) -> Vec<csv::StringRecord> {
    let bytes = fs::read(csv).unwrap();
    let manifest: Value = serde_json::from_slice(&fs::read(csv.with_extension("json")).unwrap()).unwrap();
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(manifest["sha256"], digest.as_str());
    assert_eq!(manifest["file"], csv.file_name().unwrap().to_str().unwrap());
    let rows: Vec<_> = csv::Reader::from_reader(&*bytes).records().map(Result::unwrap).collect();
    assert_eq!(manifest["rows"], rows.len());
    rows
}

fn settings(extra: &str) -> String {
    format!(
        "sources: {{logs: {{tail: {{paths: ['{{dir}}/app.log']}}}}}}\n\
         sinks: {{labelled: {{snapshot: {{{extra}}}}}}}\n"
    )
}

#[test]
fn a_pattern_is_one_row_with_its_count_and_training_reads_the_file() {
    let site = Site::new(&settings("url: 'file://{dir}/lake', roll_secs: 3600"));
    let text =
        lines(1..5001) + "2026-01-15T10:30:46Z ERROR password=hunter2hunter2 refused\n\tat a.B.c(D.java:1)\n";
    fs::write(site.path("app.log"), text).unwrap();
    let mut plane = site.start();
    // Safe means in the journal, long before the roll.
    let journal = site.path("data/spool/labelled/journal.jsonl");
    let began = Instant::now();
    while fs::read_to_string(&journal).unwrap_or_default().is_empty() {
        assert!(began.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_secs(2));
    assert!(files(&site.path("lake")).is_empty(), "before the roll nothing is to be seen");
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
    let found = files(&site.path("lake"));
    let [csv, _] = &*found else { panic!("{found:?}") };
    assert!(csv.display().to_string().contains("/labelled/date=2026-01-15/labelled-"), "{found:?}");
    let rows = table(csv);
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(rows.iter().map(|row| row[9].parse::<u64>().unwrap()).sum::<u64>(), 5001);
    assert!(rows.iter().any(|row| row[1].contains("<secret>") && row[1].contains("\tat a.B.c")), "{rows:?}");
    assert!(files(&site.path("data/spool")).is_empty(), "what was uploaded is deleted");
    // The names that training reads.
    let header = fs::read_to_string(csv).unwrap();
    assert!(header.starts_with("timestamp,message,pattern,tag,risk,"), "{header}");
}

#[test]
fn what_a_kill_left_in_the_journal_is_uploaded_by_the_next_start() {
    let site = Site::new(&settings("url: 'file://{dir}/lake', every_line: true, roll_secs: 1"));
    fs::write(site.path("app.log"), lines(0..2000)).unwrap();
    let mut sent = 2000;
    for round in 0..8 {
        let plane = site.start();
        thread::sleep(Duration::from_millis(150 + round * 120));
        drop(plane);
        let mut log = fs::OpenOptions::new().append(true).open(site.path("app.log")).unwrap();
        log.write_all(lines(sent..sent + 100).as_bytes()).unwrap();
        sent += 100;
    }
    let plane = site.start();
    let began = Instant::now();
    loop {
        let found = files(&site.path("lake"));
        let csv = found.iter().filter(|path| {
            path.extension().is_some_and(|own| own == "csv") && path.with_extension("json").exists()
        });
        let messages: std::collections::BTreeSet<_> =
            csv.flat_map(|csv| table(csv)).map(|row| row[1].to_owned()).collect();
        if messages.len() == sent {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{} of {sent}", messages.len());
        thread::sleep(Duration::from_millis(100));
    }
    drop(plane);
}

/// A real S3 with signatures.
struct S3 {
    data: tempfile::TempDir,
    port: u16,
}

impl S3 {
    /// Chooses ports, and does not start yet.
    fn new() -> Self {
        // Four ports from there on, and those ten thousand higher: all below those that the system gives to connections.
        let mut port = 20_000 + (std::process::id() % 250) as u16 * 10;
        while (0..4).any(|offset| TcpListener::bind(("127.0.0.1", port + offset)).is_err()) {
            port += 10;
        }
        Self { data: tempfile::tempdir().unwrap(), port }
    }

    fn start(&self) {
        let cache = PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/logrisk-servers");
        let data = self.data.path().to_str().unwrap();
        self.script(&["start", cache.to_str().unwrap(), data, &self.port.to_string()]);
    }

    fn script(&self, arguments: &[&str]) {
        let status = Command::new(repository("tests/servers/s3.sh")).args(arguments).status();
        assert!(status.unwrap().success(), "tests/servers/s3.sh failed; it needs Python 3 with pip");
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let data = self.data.path().display().to_string();
        _ = Command::new(repository("tests/servers/s3.sh")).args(["stop", &data]).status();
    }
}

#[test]
fn a_real_s3_that_was_away_gets_the_table() {
    let s3 = S3::new();
    let options = format!(
        "options: {{aws_endpoint: 'http://127.0.0.1:{}', aws_region: us-east-1, aws_allow_http: 'true'}}",
        s3.port
    );
    let site = Site::new(&settings(&format!("url: 's3://logs/team', roll_secs: 5, {options}")));
    // Zero is a class of its own, hence another pattern.
    fs::write(site.path("app.log"), lines(1..3001)).unwrap();
    let mut command = site.command();
    command
        .env("AWS_ACCESS_KEY_ID", "ITACCESSKEY")
        .env("AWS_SECRET_ACCESS_KEY", "itsecretkey0123456789")
        .env("LOGRISK_MODEL", "mini");
    let mut plane = Plane::start(&mut command);
    let began = Instant::now();
    while !files(&site.path("data/spool"))
        .iter()
        .any(|path| path.extension().is_some_and(|own| own == "rows"))
    {
        assert!(began.elapsed() < PATIENCE, "nothing was rolled: {:?}", plane.log_lines());
        thread::sleep(Duration::from_millis(100));
    }
    s3.start();
    // It answers 409 if the upload came first, since this server makes buckets for those who may.
    let made = Command::new("curl")
        .args([
            "-s",
            "-X",
            "PUT",
            "--aws-sigv4",
            "aws:amz:us-east-1:s3",
            "-u",
            "ITACCESSKEY:itsecretkey0123456789",
        ])
        .arg(format!("http://127.0.0.1:{}/logs", s3.port))
        .status();
    assert!(made.unwrap().success());
    let line = plane.wait_for_log("uploaded");
    assert!(line.contains("team/labelled/date=2026-01-15/labelled-"), "{line}");
    assert_eq!(plane.terminate(), Some(0));
    // curl signs the path as it is given.
    let object = line.split("object=").nth(1).unwrap().split_whitespace().next().unwrap().replace('=', "%3D");
    let fetched = Command::new("curl")
        .args(["-sf", "--aws-sigv4", "aws:amz:us-east-1:s3", "-u", "ITACCESSKEY:itsecretkey0123456789"])
        .arg(format!("http://127.0.0.1:{}/logs/{object}", s3.port))
        .output()
        .unwrap();
    let text = String::from_utf8(fetched.stdout).unwrap();
    assert!(text.starts_with("timestamp,message,pattern,tag,risk,") && text.contains(",3000,"), "{text}");
}
