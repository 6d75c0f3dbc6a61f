//! Real programs of OpenTelemetry: its Collector, its generator of logs, its SDK for Python.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{common::repository, run_plane::PATIENCE};

/// A file of what `tests/servers/shippers.sh` installs, once it is there.
fn installed(what: &str, file: &str) -> PathBuf {
    let cache = PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/logrisk-servers");
    let status = Command::new(repository("tests/servers/shippers.sh")).arg(what).arg(&cache).status();
    assert!(
        status.unwrap().success(),
        "tests/servers/shippers.sh {what} failed; it needs Go, and Python with venv"
    );
    cache.join("shippers").join(file)
}

/// OpenTelemetry's generator of logs.
pub fn telemetrygen() -> Command {
    let mut command = Command::new(installed("telemetrygen", "bin/telemetrygen"));
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// `tests/servers/otlp.py`, which runs OpenTelemetry's SDK.
pub fn python() -> Command {
    let mut command = Command::new(installed("python", "venv/bin/python"));
    command.arg(repository("tests/servers/otlp.py"));
    command
}

/// A port that nobody has now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A Collector at work. Dropping it kills it.
pub struct Collector {
    child: Child,
    folder: tempfile::TempDir,
}

impl Collector {
    /// Starts one with this configuration, and waits until it is ready.
    pub fn start(configuration: &str) -> Self {
        let program = installed("otelcol", "otelcol");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("otelcol.yaml");
        fs::write(&path, configuration).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program)
            .arg("--config")
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let collector = Self { child, folder };
        collector.wait_for("Everything is ready", 1);
        collector
    }

    /// What it wrote so far: also what its `debug` exporter received.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits until its log has these words so many times.
    pub fn wait_for(&self, words: &str, times: usize) -> String {
        let began = Instant::now();
        loop {
            let log = self.log();
            if log.matches(words).count() >= times {
                return log;
            }
            assert!(began.elapsed() < PATIENCE, "{words:?} does not come: {log}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Whether the Collector finds nothing wrong with a configuration; its words otherwise.
pub fn validate(configuration: &str) -> Result<(), String> {
    let output = Command::new(installed("otelcol", "otelcol"))
        .args(["validate", "--config", configuration])
        .env("LOGRISK_TOKEN", "x")
        .output()
        .unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}
