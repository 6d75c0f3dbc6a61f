//! Hugging Face's folders: opened as others leave them, and written so that others open them.

use std::{collections::BTreeSet, fs, path::Path};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    Archive, ArchiveError, Description,
    member::{CONFIG, LIMITS, TOKENIZER, WEIGHTS},
    read::{Members, check_vocabulary, hexadecimal, read_optional, text},
    write::{place_file, place_folder},
};
use crate::{
    tokenize::Tokenizer,
    weights::{Storage, Weights},
};

/// Where a checkpoint in several files says which tensor lies where.
const INDEX: &str = "model.safetensors.index.json";

pub(super) fn open(folder: &Path) -> Result<Archive, ArchiveError> {
    let name = folder.display().to_string();
    if !folder.is_dir() {
        return Err(ArchiveError::NotFound(folder.to_owned()));
    }
    let members = Members::read_folder(folder, &name)?;
    let shards = match members.weights {
        Some(weights) => vec![weights.into_owned()],
        None => read_shards(folder, &name)?,
    };
    let missing = |file, remedy| ArchiveError::MissingFile { archive: name.clone(), file, remedy };
    if shards.is_empty() {
        return Err(match folder.join("pytorch_model.bin").is_file() {
            true => ArchiveError::PyTorch { folder: name },
            false => missing(WEIGHTS, "is it a Hugging Face checkpoint?"),
        });
    }
    let config = members.config.ok_or_else(|| missing(CONFIG, "is it a Hugging Face checkpoint?"))?;
    let mut digest = Sha256::new();
    for shard in &shards {
        digest.update(Sha256::digest(shard));
    }
    digest.update(Sha256::digest(&config));
    let tokenizer = match &members.tokenizer {
        Some(json) => {
            digest.update(Sha256::digest(json));
            Tokenizer::from_json(text(json, TOKENIZER, &name)?)
        }
        None => {
            let Some(vocabulary) = read_optional(&folder.join("vocab.txt"), 64 << 20, &name)? else {
                return Err(missing(
                    TOKENIZER,
                    "and no vocab.txt either: copy the tokenizer's files there too",
                ));
            };
            digest.update(Sha256::digest(&vocabulary));
            let settings = read_optional(&folder.join("tokenizer_config.json"), 1 << 20, &name)?;
            digest.update(Sha256::digest(settings.as_deref().unwrap_or_default()));
            let settings =
                settings.as_deref().map(|bytes| text(bytes, "tokenizer_config.json", &name)).transpose()?;
            Tokenizer::from_vocabulary_file(text(&vocabulary, "vocab.txt", &name)?, settings)
        }
    }
    .map_err(|source| ArchiveError::Tokenizer { archive: name.clone(), source })?;
    let shards: Vec<&[u8]> = shards.iter().map(Vec::as_slice).collect();
    let mut weights = Weights::read_shards(text(&config, CONFIG, &name)?, &shards)
        .map_err(|source| ArchiveError::Weights { archive: name.clone(), source })?;
    weights.keep_tokens(tokenizer.len());
    check_vocabulary(&tokenizer, &weights, &name)?;
    let hexadecimal = hexadecimal(&digest.finalize());
    let version = format!("checkpoint-{}", hexadecimal.get(..12).unwrap_or_default());
    Ok(Archive {
        weights,
        tokenizer,
        description: Description { version, ..Description::default() },
        known: None,
    })
}

#[derive(Deserialize)]
struct Index {
    /// File by tensor.
    weight_map: std::collections::BTreeMap<String, String>,
}

/// The files of a checkpoint that lies in several, in the order of their names; none without an index.
fn read_shards(folder: &Path, name: &str) -> Result<Vec<Vec<u8>>, ArchiveError> {
    let Some(index) = read_optional(&folder.join(INDEX), 16 << 20, name)? else { return Ok(Vec::new()) };
    let refuse = |why: String| ArchiveError::Index { archive: name.to_owned(), why };
    let index: Index =
        serde_json::from_slice(&index).map_err(|error| refuse(format!("cannot be read ({error})")))?;
    let files: BTreeSet<String> = index.weight_map.into_values().collect();
    let limit = LIMITS.iter().find(|(member, _)| *member == WEIGHTS).map_or(0, |(_, limit)| *limit);
    let mut shards = Vec::new();
    for file in files {
        if file.contains(['/', '\\']) {
            return Err(refuse(format!("names {file:?}, which is not in the folder itself")));
        }
        let shard = read_optional(&folder.join(&file), limit, name)?;
        shards.push(shard.ok_or_else(|| refuse(format!("names {file:?}, which is not there")))?);
    }
    Ok(shards)
}

pub(super) fn write(archive: &Archive, folder: &Path) -> Result<(), ArchiveError> {
    let name = || folder.display().to_string();
    let occupied = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return Err(ArchiveError::Occupied(folder.to_owned()));
    }
    check_vocabulary(&archive.tokenizer, &archive.weights, &name())?;
    let (config, weights) = archive
        .calibrated_weights()
        .write(Storage::F32)
        .map_err(|source| ArchiveError::Weights { archive: name(), source })?;
    let mut files = vec![(CONFIG, config.into_bytes()), (WEIGHTS, weights)];
    let tokenizer = archive.tokenizer.to_files(archive.weights.shape.positions);
    files.extend(tokenizer.into_iter().map(|(file, content)| (file, content.into_bytes())));
    // An empty folder that is there already is in the way of the rename on some systems.
    let _ = fs::remove_dir(folder);
    place_folder(folder, &files, false)
}

pub(super) fn write_tokenizer(archive: &Archive, folder: &Path) -> Result<(), ArchiveError> {
    let failed = |source| ArchiveError::Io { action: "write", path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    for (file, content) in archive.tokenizer.to_files(archive.weights.shape.positions) {
        place_file(&folder.join(file), content.as_bytes())?;
    }
    Ok(())
}
