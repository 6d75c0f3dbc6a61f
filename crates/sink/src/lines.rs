//! Documents as lines of JSON, to standard output or to the end of a file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use garde::Validate;
use logrisk_flow::Event;
use serde::Deserialize;

use crate::{Gather, Sink, SinkError, Written, push_document};

/// Settings of a `file` sink.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    /// The file that lines are appended to. It is opened anew when something moved it away, so that logrotate can.
    #[garde(skip)]
    pub path: PathBuf,
    /// Whether lines are on the disk before they are acknowledged: `false` is faster, and safe from kills but not from
    /// power failures.
    #[garde(skip)]
    #[serde(default = "yes")]
    pub sync: bool,
}

const fn yes() -> bool {
    true
}

/// Writes lines of JSON.
#[derive(Debug)]
pub struct Lines(Mutex<Target>);

#[derive(Debug)]
enum Target {
    Stdout,
    File { settings: FileSettings, file: Option<File> },
}

impl Lines {
    /// To standard output.
    #[must_use]
    pub const fn stdout() -> Self {
        Self(Mutex::new(Target::Stdout))
    }

    /// To a file.
    ///
    /// # Errors
    /// A file that cannot be opened for writing.
    pub fn file(settings: FileSettings) -> io::Result<Self> {
        let file = Some(open_lines(&settings.path)?);
        Ok(Self(Mutex::new(Target::File { settings, file })))
    }
}

impl Sink for Lines {
    fn gather(&self) -> Gather {
        // One write at a time keeps the order. 4 MiB make the cost of a sync small.
        Gather { bytes: 4 << 20, events: usize::MAX, linger: Duration::ZERO, writes: 1 }
    }

    async fn write(&self, events: &[Event<'_>]) -> Result<Written, SinkError> {
        let write = || {
            let mut lines = Vec::with_capacity(events.len() * 512);
            for event in events {
                push_document(*event, &mut lines);
                lines.push(b'\n');
            }
            self.0.lock().unwrap_or_else(PoisonError::into_inner).append(&lines)
        };
        let written = tokio::task::block_in_place(write);
        written.map(|()| Written::default())
    }
}

impl Target {
    fn append(&mut self, lines: &[u8]) -> Result<(), SinkError> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                let written = stdout.write_all(lines).and_then(|()| stdout.flush());
                written.map_err(|error| match error.kind() {
                    io::ErrorKind::BrokenPipe => {
                        SinkError::Gone("nobody reads standard output any more".to_owned())
                    }
                    _ => SinkError::Unavailable(format!("could not write to standard output: {error}")),
                })
            }
            Self::File { settings, file } => {
                let written = append(settings, file, lines);
                if written.is_err() {
                    // The next attempt opens the file anew, and cuts off a line that was torn.
                    *file = None;
                }
                written.map_err(|error| {
                    let path = settings.path.display();
                    SinkError::Unavailable(format!("could not write to {path}: {error}"))
                })
            }
        }
    }
}

fn append(settings: &FileSettings, file: &mut Option<File>, lines: &[u8]) -> io::Result<()> {
    let mut open_file = match file.take().filter(|file| is_at(file, &settings.path)) {
        Some(file) => file,
        None => open_lines(&settings.path)?,
    };
    open_file.write_all(lines)?;
    if settings.sync {
        open_file.sync_data()?;
    }
    *file = Some(open_file);
    Ok(())
}

/// Whether the path still leads to the file.
fn is_at(file: &File, path: &Path) -> bool {
    let same = || {
        let (own, there) = (file.metadata()?, fs::metadata(path)?);
        io::Result::Ok((own.dev(), own.ino()) == (there.dev(), there.ino()))
    };
    same().unwrap_or(false)
}

/// Opens for appending. A last line without an end was torn by a kill and never acknowledged: it is cut off, since what
/// was in it is coming again.
pub(crate) fn open_lines(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    let length = file.metadata()?.len();
    let mut end = length;
    let mut block = [0; 4096];
    while end > 0 {
        let begin = end.saturating_sub(block.len() as u64);
        file.seek(SeekFrom::Start(begin))?;
        let part = block.get_mut(..(end - begin) as usize).unwrap_or_default();
        file.read_exact(part)?;
        if let Some(newline) = part.iter().rposition(|byte| *byte == b'\n') {
            end = begin + newline as u64 + 1;
            break;
        }
        end = begin;
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_a_kill_tore_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.json");
        let long = "x".repeat(9000);
        for (before, after) in [
            ("", ""),
            ("{}\n", "{}\n"),
            ("{}\n{\"a", "{}\n"),
            ("{\"a", ""),
            (&*format!("{{}}\n{long}"), "{}\n"),
        ] {
            fs::write(&path, before).unwrap();
            open_lines(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.json");
        let settings = FileSettings { path: path.clone(), sync: true };
        let mut file = Some(open_lines(&path).unwrap());
        append(&settings, &mut file, b"one\n").unwrap();
        fs::rename(&path, folder.path().join("out.json.1")).unwrap();
        append(&settings, &mut file, b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    }
}
