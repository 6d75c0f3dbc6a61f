//! How far documents were read, on disk.

use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{SourceError, stored::replace};

/// How often it is written: a kill repeats at most so much.
const SAVE: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    version: u32,
    /// All documents that were visible and not later than this are delivered.
    reached: Timestamp,
}

/// The time up to which everything visible is delivered.
#[derive(Debug)]
pub(super) struct Cursor {
    file: PathBuf,
    /// In milliseconds since 1970, which is what servers sort by.
    reached: Option<i64>,
    saved: Option<i64>,
    when: Option<Instant>,
}

impl Cursor {
    /// Reads it; a missing file is a first start.
    pub(super) fn open(file: PathBuf) -> Result<Self, SourceError> {
        let name = file.display().to_string();
        if let Some(folder) = file.parent() {
            let made = fs::create_dir_all(folder);
            made.map_err(SourceError::io(format!("could not make the folder of the cursor {name}")))?;
        }
        let reached = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(SourceError::io(format!("could not read the cursor {name}"))(error)),
            Ok(bytes) => {
                let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| {
                    SourceError::Settings(format!(
                        "the cursor {name} cannot be read ({error}); move the file away to begin anew"
                    ))
                })?;
                Some(stored.reached.as_millisecond())
            }
        };
        Ok(Self { file, reached, saved: reached, when: None })
    }

    pub(super) const fn reached(&self) -> Option<i64> {
        self.reached
    }

    /// Everything up to then is delivered; it never goes back.
    pub(super) fn reach(&mut self, time: i64) {
        if time > self.reached.unwrap_or(i64::MIN) {
            self.reached = Some(time);
        }
    }

    /// Writes it, if it changed and the last time is a while ago, or now.
    pub(super) fn save(&mut self, now: bool) -> Result<(), SourceError> {
        let is_due = now || self.when.is_none_or(|when| when.elapsed() >= SAVE);
        let Some(reached) = self.reached.filter(|reached| is_due && self.saved != Some(*reached)) else {
            return Ok(());
        };
        let Ok(time) = Timestamp::from_millisecond(reached) else { return Ok(()) };
        replace(&self.file, &Stored { version: 1, reached: time })
            .map_err(SourceError::io(format!("could not write the cursor {}", self.file.display())))?;
        self.saved = self.reached;
        self.when = Some(Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_after_a_kill_and_never_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("checkpoints/search.json");
        let mut cursor = Cursor::open(file.clone()).unwrap();
        assert_eq!(cursor.reached(), None);
        cursor.reach(2_000);
        cursor.reach(1_000);
        cursor.save(true).unwrap();
        assert_eq!(Cursor::open(file.clone()).unwrap().reached(), Some(2_000));
        fs::write(&file, "{}").unwrap();
        assert!(Cursor::open(file).unwrap_err().to_string().contains("move the file away"));
    }
}
