//! A running `logrisk run` over settings in a folder of its own.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::common::command;

/// How long a condition may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A folder for settings, data and results. `{dir}` in the settings stands for it.
pub struct Site {
    folder: tempfile::TempDir,
}

/// A data plane at work. Dropping it kills it.
pub struct Plane {
    pub child: Child,
    log: Mutex<Receiver<String>>,
}

impl Site {
    pub fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Self { folder };
        site.set(settings);
        site
    }

    pub fn set(&self, settings: &str) {
        let folder = self.folder.path().display().to_string();
        let text = settings.replace("{dir}", &folder)
            + &format!("\nrun:\n  data_dir: {folder}/data\n  grace_secs: 30\n  dead_letter: {folder}/dead\n");
        fs::write(self.path("logrisk.yaml"), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self) -> Command {
        command(&["run", "-c", self.path("logrisk.yaml").to_str().unwrap()])
    }

    /// Starts it and does not wait.
    pub fn start(&self) -> Plane {
        Plane::start(self.command().env("LOGRISK_MODEL", "mini"))
    }

    /// The documents that a file sink wrote; a torn last line is not one.
    pub fn documents(&self, name: &str) -> Vec<Value> {
        documents(&self.path(name))
    }

    /// Waits until that many records with different ids are in a file sink's file.
    pub fn wait_for(&self, name: &str, records: usize) -> BTreeMap<String, Value> {
        let began = Instant::now();
        loop {
            let found = by_id(self.documents(name));
            if found.len() >= records {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "{} of {records} records in {name}", found.len());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read(path).unwrap_or_default();
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    String::from_utf8_lossy(&text[..whole]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The documents by their ids. Those of one id must be the same record.
pub fn by_id(documents: Vec<Value>) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::<String, Value>::new();
    for document in documents {
        let id = document["record_id"].as_str().unwrap().to_owned();
        if let Some(earlier) = found.insert(id, document.clone()) {
            assert_eq!(earlier["message"], document["message"], "two records of one id");
        }
    }
    found
}

impl Plane {
    /// Starts a command and does not wait.
    pub fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, log) = channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        thread::spawn(move || lines.for_each(|line| _ = sender.send(line)));
        Self { child, log: Mutex::new(log) }
    }

    /// Ends it as a container runtime would, and returns its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.wait()
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    pub fn wait(&mut self) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < PATIENCE, "it does not end: {:?}", self.log_lines());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it wrote to its log since the last call.
    pub fn log_lines(&self) -> Vec<String> {
        self.log.lock().unwrap().try_iter().collect()
    }

    /// Waits until its log has a line with these words.
    pub fn wait_for_log(&self, words: &str) -> String {
        let began = Instant::now();
        let log = self.log.lock().unwrap();
        loop {
            let left = PATIENCE.checked_sub(began.elapsed()).unwrap();
            let line = log.recv_timeout(left).unwrap();
            if line.contains(words) {
                return line;
            }
        }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
