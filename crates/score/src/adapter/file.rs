//! The adapter's file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use logrisk_base::Risk;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::archive::Archive;

/// The format that this code writes and reads.
const FORMAT: u32 = 1;
/// A thousand corrections are a tenth of this.
const LARGEST: u64 = 8 << 20;

/// What one site's corrections change; made by `logrisk adapt`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adapter {
    /// Of the file's layout; 1.
    format: u32,
    /// The version of the model that it belongs to, for people.
    pub model: String,
    /// [`Archive::digest`] of that model: with another one the weights mean nothing.
    pub digest: String,
    /// How fast nearness fades.
    pub length: f32,
    /// By how much all weights were scaled down to spare the base set, 0 to 1; 0 corrects nothing but the patterns
    /// themselves.
    pub scale: f32,
    /// The corrected patterns.
    pub corrections: Vec<Correction>,
    /// How good it was found to be.
    pub figures: Value,
}

/// A pattern that somebody corrected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// Its masked text.
    pub pattern: String,
    /// Its risk.
    pub risk: Risk,
    /// How strongly it pulls on the scores around it.
    pub weight: f32,
}

/// Why a file is no adapter for a model.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// It cannot be read.
    #[error("could not read adapter {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// It is no adapter.
    #[error("{} is no adapter: {problem}; make one with `logrisk adapt`", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// It was made for another model.
    #[error(
        "the adapter belongs to model {wanted} ({wanted_digest}), not to {found} ({found_digest}); run `logrisk adapt` \
         with the model that you use"
    )]
    OtherModel {
        /// The version that it was made for.
        wanted: String,
        /// The digest of that.
        wanted_digest: String,
        /// The version at hand.
        found: String,
        /// The digest of that.
        found_digest: String,
    },
}

impl Adapter {
    /// An adapter for that model.
    #[must_use]
    pub fn new(model: String, digest: String, length: f32, scale: f32, corrections: Vec<Correction>) -> Self {
        Self { format: FORMAT, model, digest, length, scale, corrections, figures: Value::Null }
    }

    /// Reads an adapter.
    ///
    /// # Errors
    /// [`AdapterError`], naming the file.
    pub fn open(path: &Path) -> Result<Self, AdapterError> {
        let failed = |error| AdapterError::Read(path.to_owned(), error);
        let invalid = |problem| AdapterError::Invalid { path: path.to_owned(), problem };
        if fs::metadata(path).map_err(failed)?.len() > LARGEST {
            return Err(invalid(format!("it is larger than {} MiB", LARGEST >> 20)));
        }
        let bytes = fs::read(path).map_err(failed)?;
        let adapter: Self = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        if adapter.format != FORMAT {
            return Err(invalid(format!("its format is {}, and this binary reads {FORMAT}", adapter.format)));
        }
        if !(adapter.length > 0.0 && (0.0..=1.0).contains(&adapter.scale)) {
            return Err(invalid(format!("its length is {} and its scale {}", adapter.length, adapter.scale)));
        }
        if adapter.corrections.is_empty() {
            return Err(invalid("it holds no corrections".to_owned()));
        }
        Ok(adapter)
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// None that a number or a text could cause.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Refuses another model than its own.
    ///
    /// # Errors
    /// [`AdapterError::OtherModel`].
    pub fn check(&self, archive: &Archive) -> Result<(), AdapterError> {
        let found_digest = archive.digest();
        if found_digest == self.digest {
            return Ok(());
        }
        Err(AdapterError::OtherModel {
            wanted: self.model.clone(),
            wanted_digest: self.digest.clone(),
            found: archive.description.version.clone(),
            found_digest,
        })
    }

    /// Eight digits that tell it from every other: they follow the model's version in answers and cache keys.
    #[must_use]
    pub fn name(&self) -> String {
        // What it does, without how good it was found to be.
        let deeds = (&self.digest, self.length.to_bits(), self.scale.to_bits(), &self.corrections);
        let bytes = serde_json::to_vec(&deeds).unwrap_or_default();
        Sha256::digest(&bytes).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter() -> Adapter {
        let corrections =
            vec![Correction { pattern: "disk <num> gone".into(), risk: Risk::MAX, weight: 1.25 }];
        Adapter::new("m".into(), "0123".into(), 0.7, 0.5, corrections)
    }

    fn open(content: &[u8]) -> Result<Adapter, AdapterError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        Adapter::open(file.path())
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        assert_eq!(open(&adapter().to_json().unwrap()).unwrap(), adapter());
        let mut other = adapter();
        other.figures = serde_json::json!({"mae": 1});
        assert_eq!(other.name(), adapter().name());
        other.corrections[0].risk = Risk::MIN;
        assert_ne!(other.name(), adapter().name());
    }

    #[test]
    fn whatever_is_no_adapter_is_refused_by_name() {
        let text = String::from_utf8(adapter().to_json().unwrap()).unwrap();
        for (content, problem) in [
            (String::new(), "EOF"),
            (text.replace("0.7", "-1"), "its length is -1"),
            (text.replace("\"format\": 1", "\"format\": 9"), "its format is 9"),
            (text.replace("\"risk\": 10", "\"risk\": 11"), "outside 0 to 10"),
            (text.replace("\"scale\"", "\"sacle\""), "sacle"),
        ] {
            let error = open(content.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("logrisk adapt"), "{error}");
        }
        let missing = Adapter::open(Path::new("nowhere.adapter")).unwrap_err().to_string();
        assert!(missing.contains("nowhere.adapter"), "{missing}");
    }
}
