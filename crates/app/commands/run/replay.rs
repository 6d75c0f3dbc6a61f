//! Dead letters as a source: each file is deleted when all its records are delivered, or kept again.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use logrisk_collect::{Source, SourceError};
use logrisk_flow::{Outcome, Outlet};
use logrisk_sink::DeadLetters;
use tokio_util::sync::CancellationToken;

/// What waits for one sink.
#[derive(Debug, Default)]
pub struct Waiting {
    pub files: Vec<PathBuf>,
    /// How many records were refused for each reason.
    pub reasons: BTreeMap<String, u64>,
}

/// What waits in a folder, by sink.
///
/// # Errors
/// A file that cannot be read, or is no dead letter.
pub fn waiting(folder: &Path) -> anyhow::Result<BTreeMap<String, Waiting>> {
    let mut waiting = BTreeMap::<String, Waiting>::new();
    let files = DeadLetters::files(folder).with_context(|| format!("could not read {}", folder.display()))?;
    for file in files {
        let letters =
            DeadLetters::read(&file).with_context(|| format!("could not read {}", file.display()))?;
        let Some(sink) = letters.first().map(|letter| letter.sink.clone()) else { continue };
        let own = waiting.entry(sink).or_default();
        own.files.push(file);
        for letter in letters {
            *own.reasons.entry(letter.reason).or_default() += 1;
        }
    }
    Ok(waiting)
}

/// Sends the records of some files.
#[derive(Debug)]
pub struct Replay {
    files: Vec<PathBuf>,
}

impl Replay {
    /// Of these files, in order.
    pub const fn new(files: Vec<PathBuf>) -> Self {
        Self { files }
    }
}

impl Source for Replay {
    async fn run(self, outlet: Outlet, stop: CancellationToken) -> Result<(), SourceError> {
        for file in self.files {
            if stop.is_cancelled() {
                break;
            }
            let failed =
                |cause| SourceError::Io { what: format!("could not replay {}", file.display()), cause };
            let letters = DeadLetters::read(&file).map_err(failed)?;
            let count = letters.len();
            let records: Vec<_> = letters.into_iter().filter_map(|letter| letter.into_record()).collect();
            if records.len() < count {
                return Err(SourceError::Settings(format!(
                    "{} holds a letter without an id",
                    file.display()
                )));
            }
            if outlet.send(records).await?.outcome().await == Outcome::Delivered {
                fs::remove_file(&file).map_err(failed)?;
            }
        }
        Ok(())
    }
}
