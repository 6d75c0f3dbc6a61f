//! Runs the built binary as a user would.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// What a run left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// The lines of standard output.
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }

    /// Standard output as JSON lines.
    pub fn json(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The binary, with nothing in the environment that changes what it does.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logrisk"));
    command.args(arguments).env("NO_COLOR", "1");
    let settings = ["LOGRISK_MODEL", "LOGRISK_RULES", "LOGRISK_ADAPTER", "LOGRISK_TOKENIZER"];
    let alerts = ["ALERT_WEBHOOK_URL", "ALERT_CHANNEL", "ALERT_MIN_RISK_LEVEL", "PAGERDUTY_ROUTING_KEY"];
    let traces = ["OTEL_EXPORTER_OTLP_ENDPOINT"];
    for variable in settings.into_iter().chain(alerts).chain(traces) {
        command.env_remove(variable);
    }
    command
}

/// Runs with that standard input; fails where the output is not UTF-8.
pub fn run_bytes(arguments: &[&str], stdin: &[u8]) -> Outcome {
    let mut child = command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let input = stdin.to_vec();
    let writer = std::thread::spawn(move || {
        // A command that does not read its input closes the pipe.
        _ = pipe.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs with that text as standard input.
pub fn run(arguments: &[&str], stdin: &str) -> Outcome {
    run_bytes(arguments, stdin.as_bytes())
}

/// A file of the repository.
pub fn repository(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}
