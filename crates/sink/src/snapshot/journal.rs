//! Rows on our disk until they are uploaded: JSON lines, rolled by size and age.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use logrisk_flow::RecordId;

use crate::lines::open_lines;

/// What a rolled journal is called in the end.
const ROLLED: &str = "rows";

/// The journal of one sink.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    bytes: u64,
    age: Duration,
    open: Mutex<Option<File>>,
}

impl Journal {
    pub(super) fn open(folder: &Path, bytes: u64, age: Duration) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), bytes, age, open: Mutex::new(None) })
    }

    fn path(&self) -> PathBuf {
        self.folder.join("journal.jsonl")
    }

    /// Appends rows; when this returns they are on the disk.
    pub(super) fn append(&self, rows: &[u8]) -> io::Result<()> {
        let mut open = lock(&self.open);
        // After an error the file is opened anew, which cuts off a torn row.
        let mut file = match open.take() {
            Some(file) => file,
            None => open_lines(&self.path())?,
        };
        file.write_all(rows)?;
        file.sync_data()?;
        if file.metadata()?.len() >= self.bytes {
            drop(file);
            return self.rename();
        }
        *open = Some(file);
        Ok(())
    }

    /// Rolls if the first row is old enough.
    pub(super) fn roll_if_due(&self) -> io::Result<()> {
        let mut open = lock(&self.open);
        let begun = match fs::metadata(self.path()) {
            Ok(metadata) if metadata.len() > 0 => metadata.created().or_else(|_| metadata.modified())?,
            _ => return Ok(()),
        };
        let age = SystemTime::now().duration_since(begun).unwrap_or_default();
        if age >= self.age {
            *open = None;
            self.rename()?;
        }
        Ok(())
    }

    /// Rolls whatever there is.
    pub(super) fn roll(&self) -> io::Result<()> {
        let mut open = lock(&self.open);
        *open = None;
        match fs::metadata(self.path()) {
            Ok(metadata) if metadata.len() > 0 => self.rename(),
            _ => Ok(()),
        }
    }

    /// Names the journal for ever: by time, and by a number that no other replica draws.
    fn rename(&self) -> io::Result<()> {
        // A row that a kill tore was not acknowledged.
        open_lines(&self.path())?;
        let now = Timestamp::now();
        let host = fs::read_to_string("/etc/hostname").unwrap_or_default();
        let identity = format!("{host} {} {} {now}", self.folder.display(), std::process::id());
        let number = RecordId::of(identity.as_bytes()).to_string();
        let stamp = now.strftime("%Y%m%dT%H%M%S");
        let name = format!("{stamp}-{}.{ROLLED}", number.get(..12).unwrap_or_default());
        fs::rename(self.path(), self.folder.join(name))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Rolled journals, the oldest first.
    pub(super) fn rolled(&self) -> Vec<PathBuf> {
        let Ok(entries) = self.folder.read_dir() else { return Vec::new() };
        let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
        let mut rolled: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|own| own == ROLLED)).collect();
        rolled.sort();
        rolled
    }
}

/// Nothing panics while this lock is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
