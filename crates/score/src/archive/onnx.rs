//! ONNX files as models: their weights here, their tokeniser and what else is known of them from around them.

use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use logrisk_base::MaskStyle;

use super::{
    Archive, ArchiveError, Description, LabelRule,
    read::{check_vocabulary, hexadecimal, read_optional},
    write::place_file,
};
use crate::{
    onnx::{self, Export, Imported},
    tokenize::Tokenizer,
};

/// Of the file, and of each beside it: protobuf's own.
const LIMIT: u64 = 2 << 30;

/// What of the manifest goes along, as metadata.
const VERSION: &str = "logrisk.version";
const MASK: &str = "logrisk.mask";
const LABEL_RULE: &str = "logrisk.label_rule";

pub(super) fn open(path: &Path, tokenizer: Tokenizer) -> Result<Archive, ArchiveError> {
    let name = path.display().to_string();
    let bytes = read_optional(path, LIMIT, &name)?.ok_or_else(|| ArchiveError::NotFound(path.to_owned()))?;
    let mut beside = |file: &str| std::fs::read(path.with_file_name(file));
    let Imported { mut weights, metadata } = onnx::read(&bytes, &mut beside)
        .map_err(|cause| ArchiveError::Onnx { archive: name.clone(), cause })?;
    weights.keep_tokens(tokenizer.len());
    check_vocabulary(&tokenizer, &weights, &name)?;
    let known = |key: &str| metadata.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
    let digest = hexadecimal(&Sha256::digest(&bytes));
    let description = Description {
        version: match known(VERSION) {
            Some(version) => version.to_owned(),
            None => format!("onnx-{}", digest.get(..12).unwrap_or_default()),
        },
        mask: known(MASK).and_then(parse).unwrap_or(MaskStyle::Seed),
        label_rule: known(LABEL_RULE).and_then(parse).unwrap_or(LabelRule::MostLikely),
        ..Description::default()
    };
    Ok(Archive { weights, tokenizer, description, known: None })
}

pub(super) fn write(archive: &Archive, path: &Path, argmax_is_label: bool) -> Result<(), ArchiveError> {
    let Description { version, mask, label_rule, .. } = &archive.description;
    let name = |value: serde_json::Result<Value>| match value {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    };
    let metadata = vec![
        (VERSION.to_owned(), version.clone()),
        (MASK.to_owned(), name(serde_json::to_value(mask))),
        (LABEL_RULE.to_owned(), name(serde_json::to_value(label_rule))),
    ];
    // The likeliest risk is the highest logit as it is.
    let argmax_is_label = argmax_is_label && *label_rule == LabelRule::Expected;
    let bytes = onnx::write(&archive.calibrated_weights(), &Export { metadata, argmax_is_label })
        .map_err(|cause| ArchiveError::Onnx { archive: version.clone(), cause })?;
    place_file(path, &bytes)
}

/// The value whose name in a manifest this is.
fn parse<T: serde::de::DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(Value::from(name)).ok()
}
