//! The journal of systemd, by `journalctl`, which knows every version of its files.
//!
//! ```text
//! journalctl --output=json --follow --after-cursor=… ─► entries ─► Outlet ─► acknowledged ─► cursor on disk
//!      ▲ started anew when it ends, or when a batch failed                                       │
//!      └─────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//! An entry's cursor is its name, so that what is read again has the ids that it had before. One batch is on its way at a time:
//! the journal waits on disk meanwhile, and the cursor is never ahead of what the sinks have.

mod entry;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use garde::Validate;
use logrisk_flow::{Fields, Origin, Outcome, Outlet, delays};
use serde::Deserialize;
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{Source, SourceError, Start};

use entry::Entry;

/// Entries of one batch, and their bytes.
const ENTRIES: usize = 4096;
const BYTES: usize = 4 << 20;
/// After an entry so long for more: one batch then holds many.
const SETTLE: Duration = Duration::from_millis(20);
/// Entries between `journalctl` and the batches.
const WAITING: usize = 256;
/// The longest entry; systemd cuts lines at 48 KiB, programs that write to the journal themselves may write more.
const LARGEST: u64 = 16 << 20;

/// Settings of a `journald` source.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct JournaldSettings {
    /// The program that reads the journal.
    #[garde(skip)]
    #[serde(default = "journalctl")]
    pub command: PathBuf,
    /// Folder of the journal's files, as `/host/var/log/journal`; without it this machine's journal.
    #[garde(skip)]
    pub directory: Option<PathBuf>,
    /// Only these units, as `sshd.service`.
    #[garde(skip)]
    #[serde(default)]
    pub units: Vec<String>,
    /// Where reading begins when logrisk starts for the first time: `beginning` or `end`.
    #[garde(skip)]
    #[serde(default)]
    pub start: Start,
    /// Fields of every record, as `service.environment: production`.
    #[garde(skip)]
    #[serde(default)]
    pub fields: BTreeMap<String, serde_json::Value>,
}

fn journalctl() -> PathBuf {
    "journalctl".into()
}

/// Reads the journal.
#[derive(Debug)]
pub struct Journald {
    name: String,
    settings: JournaldSettings,
    checkpoint: PathBuf,
}

impl Journald {
    /// The source of that name, with its cursor in a file of its own in `folder`.
    #[must_use]
    pub fn new(name: &str, settings: JournaldSettings, folder: &Path) -> Self {
        Self { name: name.to_owned(), settings, checkpoint: folder.join(format!("{name}.cursor")) }
    }

    /// Whether `journalctl` is there and reads the journal.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn check(settings: &JournaldSettings) -> Result<String, SourceError> {
        let command = settings.command.display();
        let output = settings.reading().arg("--lines=1").output();
        let output = output.map_err(SourceError::io(format!("could not run {command}")))?;
        if output.status.success() {
            return Ok(format!("{command} reads the journal"));
        }
        let told = String::from_utf8_lossy(&output.stderr);
        Err(SourceError::Settings(format!("{command} does not read the journal: {}", told.trim())))
    }
}

impl JournaldSettings {
    /// The command without the place where it shall begin.
    fn reading(&self) -> Command {
        let mut command = Command::new(&self.command);
        // Without --all, fields of more than 4 KiB are left out.
        command.args(["--output=json", "--all", "--no-pager"]).stdin(Stdio::null());
        if let Some(directory) = &self.directory {
            command.arg("--directory").arg(directory);
        }
        for unit in &self.units {
            command.arg("--unit").arg(unit);
        }
        command
    }

    /// Follows the journal from after an entry on.
    fn follow(&self, cursor: Option<&str>) -> Command {
        let mut command = self.reading();
        command.arg("--follow");
        match (cursor, self.start) {
            (Some(cursor), _) => command.arg("--no-tail").arg(format!("--after-cursor={cursor}")),
            (None, Start::Beginning) => command.arg("--no-tail"),
            (None, Start::End) => command.arg("--lines=0"),
        };
        command
    }
}

impl Source for Journald {
    async fn run(self, outlet: Outlet, stop: CancellationToken) -> Result<(), SourceError> {
        let Self { name, settings, checkpoint } = self;
        if let Some(folder) = checkpoint.parent() {
            fs::create_dir_all(folder)
                .map_err(SourceError::io(format!("could not make {}", folder.display())))?;
        }
        let mut cursor = match fs::read_to_string(&checkpoint) {
            Ok(cursor) => Some(cursor.trim().to_owned()).filter(|cursor| !cursor.is_empty()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(SourceError::io(format!("could not read {}", checkpoint.display()))(error));
            }
        };
        let fields: Fields = settings.fields.clone().into_iter().collect();
        let origin = Arc::new(Origin::new(&name, fields));
        let mut pauses = delays();
        loop {
            let mut journal = Journal::start(&settings, cursor.as_deref())?;
            while let Some(entries) = journal.next_batch(&origin, &stop).await {
                let last = entries.last().map(|entry| entry.cursor.clone());
                let records = entries.into_iter().map(|entry| entry.record).collect();
                let acknowledged = tokio::select! {
                    sent = outlet.send(records) => sent?,
                    () = stop.cancelled() => break,
                };
                if acknowledged.outcome().await == Outcome::Failed {
                    break;
                }
                if let Some(last) = last {
                    save(&checkpoint, &last)?;
                    cursor = Some(last);
                }
                pauses = delays();
            }
            if stop.is_cancelled() {
                return Ok(());
            }
            tracing::warn!(source = name, "the journal is read again from what every sink has");
            drop(journal);
            tokio::select! {
                () = sleep(pauses.next().unwrap_or(SETTLE)) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }
}

/// Writes the cursor, whole or not at all.
fn save(path: &Path, cursor: &str) -> Result<(), SourceError> {
    let new = path.with_extension("new");
    let written = tokio::task::block_in_place(|| {
        let mut file = fs::File::create(&new)?;
        file.write_all(cursor.as_bytes())?;
        file.sync_data()?;
        fs::rename(&new, path)
    });
    written.map_err(SourceError::io(format!("could not write {}", path.display())))
}

/// A running `journalctl`. Dropping it ends it.
struct Journal {
    child: Child,
    lines: Receiver<Vec<u8>>,
}

impl Journal {
    fn start(settings: &JournaldSettings, cursor: Option<&str>) -> Result<Self, SourceError> {
        let mut child = settings
            .follow(cursor)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(SourceError::io(format!("could not run {}", settings.command.display())))?;
        let (sender, lines) = mpsc::channel(WAITING);
        // Reading cannot be interrupted, so threads do it; they end with the child.
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || read_lines(output, &sender));
        }
        if let Some(errors) = child.stderr.take() {
            thread::spawn(move || {
                for line in BufReader::new(errors).lines().map_while(Result::ok) {
                    tracing::warn!(line, "journalctl says");
                }
            });
        }
        Ok(Self { child, lines })
    }

    /// Waits for entries; `None` if it ended, or shall.
    async fn next_batch(&mut self, origin: &Arc<Origin>, stop: &CancellationToken) -> Option<Vec<Entry>> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        let mut deadline = None;
        while entries.len() < ENTRIES && bytes < BYTES {
            let line = match deadline {
                None => tokio::select! {
                    line = self.lines.recv() => line?,
                    () = stop.cancelled() => return None,
                },
                Some(deadline) => match timeout_at(deadline, self.lines.recv()).await {
                    Ok(Some(line)) => line,
                    _ => break,
                },
            };
            bytes += line.len();
            deadline = Some(deadline.unwrap_or_else(|| Instant::now() + SETTLE));
            match Entry::read(&line, origin) {
                Some(entry) => entries.push(entry),
                None => tracing::warn!(bytes = line.len(), "left out: journalctl wrote what is no entry"),
            }
        }
        Some(entries)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn read_lines(output: ChildStdout, sender: &Sender<Vec<u8>>) {
    let mut reader = BufReader::with_capacity(256 << 10, output);
    loop {
        let mut line = Vec::new();
        match reader.by_ref().take(LARGEST).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line.ends_with(b"\n") => {}
            Ok(_) => {
                // Its rest is no entry, and is left out with it.
                tracing::warn!(largest = LARGEST, "an entry of the journal is too large, or was cut off");
                if reader.skip_until(b'\n').is_err() {
                    return;
                }
                continue;
            }
        }
        if sender.blocking_send(line).is_err() {
            return;
        }
    }
}
