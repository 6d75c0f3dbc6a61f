//! One training a folder.

use std::{
    fs::{self, File, TryLockError},
    io::Write,
    path::Path,
};

use super::error::TrainError;

/// Holds a folder until dropped. The operating system's own lock: that of a killed process is gone with it, so there is
/// no stale lock to clean up, whatever the file says.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Creates the folder if needed and takes it.
    pub(super) fn take(folder: &Path) -> Result<Self, TrainError> {
        fs::create_dir_all(folder).map_err(TrainError::io("create folder", folder))?;
        let path = folder.join("training.lock");
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(TrainError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let process = fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
                return Err(TrainError::Locked { folder: folder.to_owned(), process });
            }
            Err(TryLockError::Error(error)) => return Err(TrainError::io("lock", &path)(error)),
        }
        file.set_len(0).map_err(TrainError::io("write", &path))?;
        writeln!(file, "{}", std::process::id()).map_err(TrainError::io("write", &path))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_training_is_refused_by_name_and_a_stale_file_is_not_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("training.lock"), "4194304999\n").unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        let error = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        drop(lock);
        Lock::take(folder.path()).unwrap();
    }
}
