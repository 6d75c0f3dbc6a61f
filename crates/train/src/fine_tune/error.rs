//! Why a training could not start or go on.

use std::{io, path::PathBuf};

/// Why a training could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Nothing to learn from.
    #[error("epoch {epoch} has no examples with text and weight; is the data file empty?")]
    NoExamples {
        /// Counted from 0.
        epoch: usize,
    },
    /// A setting that cannot work.
    #[error("{0}")]
    Setting(String),
    /// The loss or the gradient is no longer a number.
    #[error(
        "training diverged at step {step}: loss {loss}, gradient norm {norm}; \
         lower the learning rate (now {rate:e}) or resume from the last checkpoint"
    )]
    Diverged {
        /// Steps begun.
        step: u64,
        /// The mean loss of the step's batch.
        loss: f64,
        /// The gradient's global norm.
        norm: f32,
        /// The learning rate of the step.
        rate: f32,
    },
    /// Another process trains there.
    #[error(
        "folder {folder} is in use by another training (process {process}); wait for it or choose another --output"
    )]
    Locked {
        /// Of the checkpoints.
        folder: PathBuf,
        /// Its number, as it wrote it itself.
        process: String,
    },
    /// A checkpoint that this training cannot go on from.
    #[error("cannot resume from {path}: {reason}; train without --resume to begin anew")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Reading or writing failed. A checkpoint that was there before is still whole.
    #[error("could not {action} {path}: {source}")]
    Io {
        /// For example "write checkpoint".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl TrainError {
    /// For `map_err`.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
