//! Where a command writes: standard output, or a file that appears whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
};

use anyhow::Context as _;

/// A file under a temporary name beside its place, until [`Self::finish`] gives it its own. Dropped before that, it goes
/// and whatever was there stays. Devices and pipes are written to as they are, and `-` is standard output.
pub struct Output {
    path: PathBuf,
    unfinished: Option<PathBuf>,
    to: Box<dyn Write>,
}

impl Output {
    /// Begins to write.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let failed = || format!("could not write {}", path.display());
        if path == Path::new("-") {
            return Ok(Self { path: path.to_owned(), unfinished: None, to: Box::new(io::stdout().lock()) });
        }
        let special = fs::metadata(path).is_ok_and(|about| !about.is_file());
        if special {
            let to = Box::new(fs::OpenOptions::new().write(true).open(path).with_context(failed)?);
            return Ok(Self { path: path.to_owned(), unfinished: None, to });
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = path.with_file_name(format!(".{name}.unfinished-{}", process::id()));
        let to = Box::new(File::create(&unfinished).with_context(failed)?);
        Ok(Self { path: path.to_owned(), unfinished: Some(unfinished), to })
    }

    /// Gives the file its name. Whoever wrapped the output in a buffer has flushed it.
    pub fn finish(mut self) -> anyhow::Result<()> {
        let failed = || format!("could not write {}", self.path.display());
        self.to.flush().with_context(failed)?;
        if let Some(unfinished) = &self.unfinished {
            fs::rename(unfinished, &self.path).with_context(failed)?;
            self.unfinished = None;
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(unfinished) = &self.unfinished {
            // The error that matters is the one that kept it from being finished.
            _ = fs::remove_file(unfinished);
        }
    }
}
