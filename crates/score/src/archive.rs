//! The model archive: a folder or a `.tar.zst` with weights, config, tokenizer and manifest.
//!
//! ```text
//! model.safetensors   weights, f16 unless asked otherwise     ┐
//! config.json         the encoder's shape                     ├ what Hugging Face's libraries open
//! tokenizer.json      the tokeniser                           ┘
//! manifest.json       version, where it comes from, how it was measured, size and SHA-256 of the three
//! ```
//!
//! An archive is opened whole or not at all: every digest is checked, every tensor and id must fit, and whatever is wrong is named.
//! Nothing is unpacked to disk, so no member can write anywhere. It is written beside its place and then renamed, so
//! that a crash or a full disk leaves the old one as it was; equal contents give equal bytes.

mod error;
mod manifest;
mod read;
mod write;

use std::path::Path;

pub use error::ArchiveError;
pub use manifest::{Description, FileEntry, LabelRule, Manifest, MaskKind};

use crate::{
    tokenize::Tokenizer,
    weights::{Storage, Weights},
};

/// A model at rest: what [`crate::model::Model`] is loaded from, and what training produces.
#[derive(Debug, Clone)]
pub struct Archive {
    /// All parameters.
    pub weights: Weights,
    /// The tokeniser that they were trained with.
    pub tokenizer: Tokenizer,
    /// What else is known about the model.
    pub description: Description,
}

impl Archive {
    /// Opens a folder or a `.tar.zst` that has a manifest.
    ///
    /// # Errors
    /// [`ArchiveError`], naming the file or the tensor. A retry helps with [`ArchiveError::Io`] alone.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        Ok(read::open(path)?.0)
    }

    /// Opens a `.tar.zst` that lies in memory.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_bytes(bytes: &[u8]) -> Result<Self, ArchiveError> {
        Ok(read::open_bytes(bytes)?.0)
    }

    /// Opens an archive whose files lie in memory, by name, such as the model inside the binary.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_members(files: &[(&str, &[u8])]) -> Result<Self, ArchiveError> {
        Ok(read::open_members(files)?.0)
    }

    /// Opens a folder as Hugging Face's libraries leave it: without a manifest, and with vocab.txt if there is no
    /// tokenizer.json. Its version is made of the files' digests.
    ///
    /// # Errors
    /// As [`Self::open`]; a folder with pytorch_model.bin alone is refused with the way to convert it.
    pub fn open_checkpoint(folder: &Path) -> Result<Self, ArchiveError> {
        read::open_checkpoint(folder)
    }

    /// Checks everything that [`Self::open`] checks, and says what the manifest says.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn verify(path: &Path) -> Result<Manifest, ArchiveError> {
        Ok(read::open(path)?.1)
    }

    /// Writes the archive as a folder. An archive that is there already is replaced; any other folder with files in it
    /// is left alone and refused.
    ///
    /// # Errors
    /// [`ArchiveError`]; whatever was there before is then still there.
    pub fn write_folder(&self, folder: &Path, storage: Storage) -> Result<Manifest, ArchiveError> {
        write::folder(self, folder, storage)
    }

    /// Writes the archive as one `.tar.zst`, replacing a file that is there already.
    ///
    /// # Errors
    /// [`ArchiveError`]; whatever was there before is then still there.
    pub fn write_tar_zst(&self, path: &Path, storage: Storage) -> Result<Manifest, ArchiveError> {
        write::tar_zst(self, path, storage)
    }
}

/// The members of an archive.
mod member {
    pub(super) const WEIGHTS: &str = "model.safetensors";
    pub(super) const CONFIG: &str = "config.json";
    pub(super) const TOKENIZER: &str = "tokenizer.json";
    pub(super) const MANIFEST: &str = "manifest.json";

    /// The most bytes that a member may have: far above any real one, far below what would hurt.
    pub(super) const LIMITS: [(&str, u64); 4] =
        [(WEIGHTS, 2 << 30), (CONFIG, 1 << 20), (TOKENIZER, 64 << 20), (MANIFEST, 4 << 20)];
}

#[cfg(test)]
mod tests;
