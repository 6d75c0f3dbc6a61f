//! How far each container's log was delivered, on disk: one JSON file, replaced whole.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::SourceError;

/// A place between two lines of a container's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The time of a line, in nanoseconds since 1970.
    pub(super) nanoseconds: i64,
    /// So many lines of that time are before the place.
    pub(super) lines: u64,
}

impl Cursor {
    /// Before all lines of that time.
    pub(super) fn at(time: Timestamp) -> Self {
        Self { nanoseconds: i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX), lines: 0 }
    }

    /// As Docker's parameter `since` has it.
    pub(super) fn since(self) -> String {
        let nanoseconds = self.nanoseconds.max(0);
        format!("{}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000)
    }
}

/// The cursors of all containers.
#[derive(Debug)]
pub(super) struct Cursors {
    file: PathBuf,
    is_new: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    cursors: BTreeMap<String, Cursor>,
    changed: bool,
}

impl Cursors {
    /// Reads them; a missing file is a first start.
    ///
    /// # Errors
    /// A file that is there and cannot be read.
    pub(super) fn open(file: PathBuf) -> Result<Self, SourceError> {
        let name = file.display().to_string();
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)
                .map_err(SourceError::io(format!("could not make the folder of cursors {name}")))?;
        }
        let (cursors, is_new) = match fs::read(&file) {
            Ok(bytes) => {
                let cursors = serde_json::from_slice(&bytes).map_err(|error| {
                    SourceError::Settings(format!(
                        "cursors {name} cannot be read ({error}); move the file away to read all containers anew"
                    ))
                })?;
                (cursors, false)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (BTreeMap::new(), true),
            Err(error) => return Err(SourceError::io(format!("could not read cursors {name}"))(error)),
        };
        Ok(Self { file, is_new, state: Mutex::new(State { cursors, changed: is_new }) })
    }

    /// Whether there was no file.
    pub(super) const fn is_new(&self) -> bool {
        self.is_new
    }

    pub(super) fn get(&self, container: &str) -> Option<Cursor> {
        self.lock().cursors.get(container).copied()
    }

    pub(super) fn set(&self, container: &str, cursor: Cursor) {
        let mut state = self.lock();
        state.cursors.insert(container.to_owned(), cursor);
        state.changed = true;
    }

    /// Forgets the containers that are gone.
    pub(super) fn keep(&self, is_there: impl Fn(&str) -> bool) {
        let mut state = self.lock();
        let before = state.cursors.len();
        state.cursors.retain(|container, _| is_there(container));
        state.changed |= state.cursors.len() != before;
    }

    /// Writes them, whole or not at all, if they changed.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub(super) fn save(&self) -> Result<(), SourceError> {
        let mut state = self.lock();
        if !state.changed {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&state.cursors).unwrap_or_default();
        state.changed = false;
        drop(state);
        let new = self.file.with_extension("new");
        let written = || {
            let mut file = File::create(&new)?;
            file.write_all(&bytes)?;
            file.sync_data()?;
            fs::rename(&new, &self.file)
        };
        written().map_err(SourceError::io(format!("could not write cursors {}", self.file.display())))
    }

    /// Nothing panics while this is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
