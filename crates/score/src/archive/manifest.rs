//! manifest.json: what a model is, where it comes from, and how good it was found to be.

use std::collections::BTreeMap;

use logrisk_base::MaskStyle;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::calibration::Calibration;

/// The format that this code writes and reads.
pub(super) const FORMAT: u32 = 1;

/// manifest.json.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of the archive's layout; 1.
    pub format: u32,
    /// What the writer says about the model.
    #[serde(flatten)]
    pub description: Description,
    /// Size and digest of every other member, by name.
    pub files: BTreeMap<String, FileEntry>,
}

/// What the writer of an archive says about the model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Description {
    /// Names the model in answers, metrics and cache keys; two different models have different versions.
    pub version: String,
    /// When it was made, RFC 3339. Given by the caller: the same training gives the same bytes.
    pub created: String,
    /// How its input must be masked.
    #[serde(default)]
    pub mask: MaskStyle,
    /// How the label follows from the probabilities.
    #[serde(default)]
    pub label_rule: LabelRule,
    /// What its answers are worth; absent for a model that was never calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// The arguments of the training.
    #[serde(default)]
    pub training: Value,
    /// Where the training data comes from.
    #[serde(default)]
    pub data: Value,
    /// How good the model was found to be, and on what.
    #[serde(default)]
    pub figures: Value,
}

/// How one label is chosen from eleven probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelRule {
    /// The risk nearest to the expected one: the best guess where being off by three is worse than being off by one.
    #[default]
    Expected,
    /// The likeliest risk, as the seed chose.
    MostLikely,
}

/// Size and digest of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Bytes.
    pub size: u64,
    /// SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
}
