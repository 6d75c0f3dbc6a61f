//! How far each file was delivered, on disk: one JSON file, replaced whole.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    content::{Key, Print, key_of},
    find,
};
use crate::{SourceError, stored::replace};

/// A file that has been gone for so long is forgotten: whatever compresses it has done so.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// So long after it was there last, a file is looked for under other names.
const SEARCHED: Duration = Duration::from_secs(600);

/// What is remembered of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The name that its records' ids are made of, as hexadecimal digits.
    pub(super) stream: String,
    /// Where it was seen last.
    pub(super) path: PathBuf,
    pub(super) key: Key,
    /// All bytes before this one are delivered (of a compressed file: once decompressed).
    pub(super) offset: u64,
    /// How long the file is: a file that was read to its end and has another length is read again.
    pub(super) size: u64,
    /// The file's first bytes.
    pub(super) first: Print,
    /// The bytes before `offset`.
    pub(super) before: Print,
    /// Read to its end, and nothing more will come.
    pub(super) done: bool,
    /// When it was there last. While nobody looked, nobody saw it: at a start that is now, whatever the clock says.
    #[serde(skip, default = "Instant::now")]
    pub(super) seen: Instant,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    version: u32,
    files: Vec<Checkpoint>,
}

/// All that a source remembers.
#[derive(Debug)]
pub(super) struct Checkpoints {
    file: PathBuf,
    files: Vec<Checkpoint>,
    is_new: bool,
    changed: bool,
    saved: Option<Instant>,
    /// The last attempt to write them failed.
    failing: bool,
    complaints: HashSet<PathBuf>,
}

impl Checkpoints {
    /// Reads them; a missing file is a first start.
    pub(super) fn open(file: PathBuf) -> Result<Self, SourceError> {
        let name = file.display().to_string();
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)
                .map_err(SourceError::io(format!("could not make the folder of checkpoints {name}")))?;
        }
        let stored: Stored = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                SourceError::Settings(format!(
                    "checkpoints {name} cannot be read ({error}); move the file away to read all files anew"
                ))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stored::default(),
            Err(error) => return Err(SourceError::io(format!("could not read checkpoints {name}"))(error)),
        };
        if stored.version > 1 {
            return Err(SourceError::Settings(format!(
                "checkpoints {name} are those of a later logrisk (version {}); update this one",
                stored.version
            )));
        }
        let files = stored.files;
        Ok(Self {
            is_new: files.is_empty(),
            file,
            files,
            changed: false,
            saved: None,
            failing: false,
            complaints: HashSet::new(),
        })
    }

    pub(super) const fn is_new(&self) -> bool {
        self.is_new
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Checkpoint> {
        self.files.iter()
    }

    /// Remembers a file, in place of what was remembered of it.
    pub(super) fn put(&mut self, checkpoint: Checkpoint) {
        match self.files.iter_mut().find(|own| own.stream == checkpoint.stream) {
            Some(own) => *own = checkpoint,
            None => self.files.push(checkpoint),
        }
        self.changed = true;
    }

    /// Something is to be written.
    pub(super) const fn touch(&mut self) {
        self.changed = true;
    }

    /// Whether there is something to write, and the last time is so long ago.
    pub(super) fn is_due(&self, pause: Duration) -> bool {
        self.changed && self.saved.is_none_or(|saved| saved.elapsed() >= pause)
    }

    /// Writes them: whole and on the disk, or not at all.
    pub(super) fn save(&mut self) -> Result<(), SourceError> {
        self.files.retain(|file| file.seen.elapsed() < REMEMBERED);
        let stored = Stored { version: 1, files: std::mem::take(&mut self.files) };
        let written = replace(&self.file, &stored);
        self.files = stored.files;
        self.changed = written.is_err();
        self.saved = Some(Instant::now());
        written.map_err(SourceError::io(format!("could not write checkpoints {}", self.file.display())))
    }

    /// Writes them, and says once if that fails: a disk that is full has room again some time. Whether they are written.
    pub(super) fn try_save(&mut self) -> bool {
        match self.save() {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(file = %self.file.display(), "checkpoints are written again");
                }
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "trying again; after a kill, what was delivered meanwhile would be read again");
                }
                false
            }
        }
    }

    /// Whether this is the first complaint about a file.
    pub(super) fn complain(&mut self, path: &Path) -> bool {
        self.complaints.insert(path.to_owned())
    }

    /// Where files may be found that are neither followed nor present under a known inode, and not read to their end.
    pub(super) fn missing(&self, following: &dyn Fn(&str) -> bool, present: &HashSet<Key>) -> Vec<PathBuf> {
        let lately = |file: &&Checkpoint| file.seen.elapsed() < SEARCHED;
        let lost = self.files.iter().filter(|file| !file.done && !following(&file.stream)).filter(lately);
        lost.flat_map(|file| find::siblings(&file.path))
            .filter(|path| key_of(path).is_ok_and(|key| !present.contains(&key)))
            .collect()
    }
}
