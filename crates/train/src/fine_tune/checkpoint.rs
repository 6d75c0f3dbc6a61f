//! A training's whole state in one safetensors file, so that it goes on bit for bit where it stopped.
//!
//! Tensors are named `weights/NAME`, `first_moment/NAME`, `second_moment/NAME`, `average/NAME`, `best/NAME`; everything
//! else is JSON under the metadata key `state`. The file is written beside the old one, flushed to the disk, and renamed
//! over it: after a crash or on a full disk the old one is still whole.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use logrisk_score::weights::Weights;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{error::TrainError, history::History, loss::LossSum};

/// Where a training stands, besides its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The options that must not change on resume, as JSON.
    pub(super) options: Value,
    pub(super) epoch: usize,
    /// Batches of the epoch that are done.
    pub(super) batch: usize,
    pub(super) step: u64,
    /// Batches of the first epoch, from which the length of the training is reckoned.
    pub(super) first_batches: usize,
    pub(super) seconds: f64,
    /// Since the last evaluation.
    pub(super) window: Window,
    pub(super) history: History,
    /// Evaluations since the best one.
    pub(super) worse: usize,
    /// The mean absolute error of the best evaluation.
    pub(super) best: Option<f64>,
}

/// Sums since the last evaluation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    pub(super) loss: LossSum,
    pub(super) norms: f64,
    pub(super) steps: u64,
    pub(super) lines: u64,
    pub(super) seconds: f64,
}

/// A group's name and its tensors.
pub(super) type Group<'a> = (&'static str, &'a Weights);

/// The file of a folder.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("checkpoint.safetensors")
}

/// Writes the checkpoint of `folder`.
pub(super) fn write(folder: &Path, position: &Position, groups: &[Group<'_>]) -> Result<(), TrainError> {
    let path = path(folder);
    let partial = folder.join("checkpoint.safetensors.partial");
    let result = write_file(&partial, position, groups).and_then(|()| fs::rename(&partial, &path));
    if result.is_err() {
        // It may fill the disk; that it cannot be removed matters less than why it could not be written.
        let _ = fs::remove_file(&partial);
    }
    result.map_err(TrainError::io("write checkpoint", &path))
}

fn write_file(path: &Path, position: &Position, groups: &[Group<'_>]) -> io::Result<()> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({ "state": serde_json::to_string(position)? }));
    let mut offset = 0;
    for (group, weights) in groups {
        for tensor in weights.tensors() {
            let end = offset + 4 * tensor.values.len();
            header.insert(
                format!("{group}/{}", tensor.name),
                json!({ "dtype": "F32", "shape": tensor.dimensions, "data_offsets": [offset, end] }),
            );
            offset = end;
        }
    }
    let mut header = serde_json::to_vec(&header)?;
    // Aligned for readers that map the file.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for (_, weights) in groups {
        for tensor in weights.tensors() {
            for values in tensor.values.chunks(4096) {
                let mut bytes = [0; 4 * 4096];
                for (bytes, value) in bytes.chunks_exact_mut(4).zip(values) {
                    bytes.copy_from_slice(&value.to_le_bytes());
                }
                file.write_all(&bytes[..4 * values.len()])?;
            }
        }
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// A checkpoint as read; groups are taken out by name.
#[derive(Debug)]
pub(super) struct Checkpoint {
    path: PathBuf,
    bytes: Vec<u8>,
    pub(super) position: Position,
}

impl Checkpoint {
    /// Reads the checkpoint of `folder`; none if there is no such file.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, TrainError> {
        let path = path(folder);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(TrainError::io("read checkpoint", path)(error)),
        };
        let position =
            read_position(&bytes).map_err(|reason| TrainError::Checkpoint { path: path.clone(), reason })?;
        Ok(Some(Self { path, bytes, position }))
    }

    /// Fills `weights` from the group of that name.
    pub(super) fn load(&self, group: &str, weights: &mut Weights) -> Result<(), TrainError> {
        self.try_load(group, weights).map_err(|reason| self.error(reason))
    }

    /// Whether there is a group of that name.
    pub(super) fn has(&self, group: &str) -> bool {
        let prefix = format!("{group}/");
        SafeTensors::deserialize(&self.bytes)
            .is_ok_and(|file| file.names().iter().any(|name| name.starts_with(&prefix)))
    }

    /// An error that names this file.
    pub(super) fn error(&self, reason: impl Into<String>) -> TrainError {
        TrainError::Checkpoint { path: self.path.clone(), reason: reason.into() }
    }

    fn try_load(&self, group: &str, weights: &mut Weights) -> Result<(), String> {
        let file = SafeTensors::deserialize(&self.bytes).map_err(|error| error.to_string())?;
        for tensor in weights.tensors_mut() {
            let name = format!("{group}/{}", tensor.name);
            let stored = file.tensor(&name).map_err(|_| format!("it has no tensor {name}"))?;
            if stored.dtype() != Dtype::F32 || stored.shape() != tensor.dimensions {
                return Err(format!(
                    "tensor {name} is {:?} {:?}, the model needs F32 {:?}",
                    stored.dtype(),
                    stored.shape(),
                    tensor.dimensions
                ));
            }
            for (value, bytes) in tensor.values.iter_mut().zip(stored.data().as_chunks::<4>().0) {
                *value = f32::from_le_bytes(*bytes);
            }
        }
        Ok(())
    }
}

fn read_position(bytes: &[u8]) -> Result<Position, String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let state: Option<&HashMap<String, String>> = metadata.metadata().as_ref();
    let state = state.and_then(|map| map.get("state")).ok_or("it is not a training's checkpoint")?;
    serde_json::from_str(state).map_err(|error| error.to_string())
}
