//! The model archive: a folder or a `.tar.zst` with weights, config, tokenizer and manifest.
//!
//! ```text
//! model.safetensors   weights, f16 unless asked otherwise     ┐
//! config.json         the encoder's shape                     ├ what Hugging Face's libraries open
//! tokenizer.json      the tokeniser                           ┘
//! manifest.json       version, where it comes from, how it was measured, calibration, size and SHA-256 of the others
//! known.tsv           optional: texts whose risk a person gave
//! ```
//!
//! An archive is opened whole or not at all: every digest is checked, every tensor and id must fit, and whatever is wrong is named.
//! Nothing is unpacked to disk, so no member can write anywhere. It is written beside its place and then renamed, so
//! that a crash or a full disk leaves the old one as it was; equal contents give equal bytes.

mod checkpoint;
mod error;
mod manifest;
mod onnx;
mod read;
mod write;

use std::{borrow::Cow, path::Path};

use sha2::{Digest as _, Sha256};

pub use error::ArchiveError;
pub use manifest::{Description, FileEntry, LabelRule, Manifest};

use crate::{
    known::KnownPatterns,
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
    /// Texts whose risk a person gave, to show beside an answer. They are of these weights: others need them anew.
    pub known: Option<KnownPatterns>,
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

    /// As [`Self::open`], and what the manifest says.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with_manifest(path: &Path) -> Result<(Self, Manifest), ArchiveError> {
        read::open(path)
    }

    /// Opens an archive whose files lie inside the binary, by name. Their digests are not computed anew: they are as whole as
    /// the code beside them.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_members(files: &[(&str, &'static [u8])]) -> Result<(Self, Manifest), ArchiveError> {
        read::open_members(files)
    }

    /// Opens a folder as Hugging Face's libraries leave it: without a manifest, and with vocab.txt if there is no
    /// tokenizer.json. Its version is made of the files' digests.
    ///
    /// # Errors
    /// As [`Self::open`]; a folder with pytorch_model.bin alone is refused with the way to convert it.
    pub fn open_checkpoint(folder: &Path) -> Result<Self, ArchiveError> {
        checkpoint::open(folder)
    }

    /// Opens an ONNX file, whose tokeniser lies elsewhere. One that logrisk did not write is taken for the first seed's: masked
    /// as the seed masks, with the likeliest risk as the label.
    ///
    /// # Errors
    /// [`ArchiveError`], naming the node that is not understood.
    pub fn open_onnx(path: &Path, tokenizer: Tokenizer) -> Result<Self, ArchiveError> {
        onnx::open(path, tokenizer)
    }

    /// 16 digits that tell what a model answers from what any other does: of weights, tokeniser and all of the description
    /// but where it comes from and how good it is. The same for a folder and a packed file.
    #[must_use]
    pub fn digest(&self) -> String {
        let (training, data, figures) = Default::default();
        let description =
            Description { created: String::new(), training, data, figures, ..self.description.clone() };
        let mut digest = Sha256::new();
        digest.update(serde_json::to_vec(&description).unwrap_or_default());
        digest.update(self.tokenizer.to_json());
        digest.update(format!("{:?}", self.weights.shape));
        let mut bytes = Vec::new();
        for tensor in self.weights.tensors() {
            bytes.clear();
            bytes.extend(tensor.values.iter().flat_map(|value| value.to_le_bytes()));
            digest.update(&bytes);
        }
        digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
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

    /// Writes the model as ONNX, replacing a file that is there already; see [`crate::onnx::Export::argmax_is_label`].
    ///
    /// # Errors
    /// [`ArchiveError`]; whatever was there before is then still there.
    pub fn write_onnx(&self, path: &Path, argmax_is_label: bool) -> Result<(), ArchiveError> {
        onnx::write(self, path, argmax_is_label)
    }

    /// The weights for readers that know of no calibration: their logits are the calibrated ones.
    fn calibrated_weights(&self) -> Cow<'_, Weights> {
        let mut weights = Cow::Borrowed(&self.weights);
        if let Some(calibration) = &self.description.calibration
            && let Some(head) = &mut weights.to_mut().head
        {
            calibration.fold_into(&mut head.risk);
        }
        weights
    }

    /// Writes the tokeniser into a folder, in all the files that Hugging Face's libraries of any age look for. Other files
    /// there are left alone.
    ///
    /// # Errors
    /// [`ArchiveError::Io`].
    pub fn write_tokenizer(&self, folder: &Path) -> Result<(), ArchiveError> {
        checkpoint::write_tokenizer(self, folder)
    }

    /// Writes what `transformers` opens with `BertModel.from_pretrained`: f32 weights, configuration and tokeniser. Our heads are
    /// there as `classifier.*`.
    ///
    /// # Errors
    /// [`ArchiveError`]; a folder with files in it is left alone and refused.
    pub fn write_checkpoint(&self, folder: &Path) -> Result<(), ArchiveError> {
        checkpoint::write(self, folder)
    }
}

/// The members of an archive.
mod member {
    pub(super) const WEIGHTS: &str = "model.safetensors";
    pub(super) const CONFIG: &str = "config.json";
    pub(super) const TOKENIZER: &str = "tokenizer.json";
    pub(super) const MANIFEST: &str = "manifest.json";
    pub(super) const KNOWN: &str = "known.tsv";

    /// The most bytes that a member may have: far above any real one, far below what would hurt.
    pub(super) const LIMITS: [(&str, u64); 5] = [
        (WEIGHTS, 2 << 30),
        (CONFIG, 1 << 20),
        (TOKENIZER, 64 << 20),
        (MANIFEST, 4 << 20),
        (KNOWN, 256 << 20),
    ];
}

#[cfg(test)]
mod tests;
