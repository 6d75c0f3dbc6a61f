//! What can be wrong with an archive.

use std::{io, path::PathBuf};

use crate::{onnx::OnnxError, tokenize::TokenizerError, weights::WeightsError};

/// Why an archive was refused, or could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file system said no.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing at that place.
    #[error("model {} does not exist; name a folder or a .tar.zst", .0.display())]
    NotFound(PathBuf),
    /// A member is not there.
    #[error("model {archive} has no {file}; {remedy}")]
    MissingFile {
        /// Which archive.
        archive: String,
        /// Which member.
        file: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The tar or its compression is broken.
    #[error("model {archive} is broken or truncated ({source}); copy or download it again")]
    Broken {
        /// Which archive.
        archive: String,
        /// What the decoder said.
        source: io::Error,
    },
    /// Something in the tar that no model archive has: links, folders, other names, a name twice.
    #[error("model {archive} holds {member:?}, {why}; write archives with logrisk")]
    Member {
        /// Which archive.
        archive: String,
        /// The member's name.
        member: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A member above its limit.
    #[error("model {archive}: {file} is larger than {limit} bytes, more than any model needs")]
    TooLarge {
        /// Which archive.
        archive: String,
        /// Which member.
        file: String,
        /// The limit.
        limit: u64,
    },
    /// Far more comes out than went in.
    #[error("model {archive} unpacks to more than {limit} bytes, over {ratio} times its size; no model does")]
    Bomb {
        /// Which archive.
        archive: String,
        /// Where reading stopped.
        limit: u64,
        /// The largest ratio that is accepted.
        ratio: u64,
    },
    /// Not JSON, or a field is missing.
    #[error("model {archive}: manifest.json cannot be read ({source}); it was not written by logrisk")]
    Manifest {
        /// Which archive.
        archive: String,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// Written by a newer release.
    #[error(
        "model {archive} has the format {found}, but this logrisk reads format {supported}; use a newer logrisk"
    )]
    Format {
        /// Which archive.
        archive: String,
        /// The archive's format.
        found: u32,
        /// Ours.
        supported: u32,
    },
    /// The manifest does not speak of a file.
    #[error("model {archive}: manifest.json does not list {file}; it was not written by logrisk")]
    Unlisted {
        /// Which archive.
        archive: String,
        /// Which member.
        file: &'static str,
    },
    /// The length is not the manifest's.
    #[error(
        "model {archive}: {file} has {found} bytes, but the manifest says {expected}; copy or download it again"
    )]
    Size {
        /// Which archive.
        archive: String,
        /// Which member.
        file: &'static str,
        /// Its length.
        found: u64,
        /// The manifest's.
        expected: u64,
    },
    /// The contents are not the manifest's.
    #[error("model {archive}: {file} was changed after the manifest was written; copy or download it again")]
    Digest {
        /// Which archive.
        archive: String,
        /// Which member.
        file: &'static str,
    },
    /// A member that must be text is not.
    #[error("model {archive}: {file} is not UTF-8 text; copy or download it again")]
    NotText {
        /// Which archive.
        archive: String,
        /// Which member.
        file: &'static str,
    },
    /// Configuration or weights.
    #[error("model {archive}: {source}")]
    Weights {
        /// Which archive.
        archive: String,
        /// What is wrong.
        source: WeightsError,
    },
    /// A model in ONNX.
    #[error("model {archive}: {cause}")]
    Onnx {
        /// Which file.
        archive: String,
        /// What is wrong.
        cause: OnnxError,
    },
    /// A checkpoint that is a Python pickle.
    #[error(
        "model {folder} has only pytorch_model.bin, which can run code when opened; if you trust it, convert it: \
         python3 -c \"from transformers import AutoModel; AutoModel.from_pretrained('{folder}').save_pretrained('{folder}')\""
    )]
    PyTorch {
        /// Which checkpoint.
        folder: String,
    },
    /// The list of the files that a checkpoint's tensors lie in.
    #[error("model {archive}: model.safetensors.index.json {why}; download the checkpoint again")]
    Index {
        /// Which checkpoint.
        archive: String,
        /// What is wrong with the list.
        why: String,
    },
    /// The tokeniser.
    #[error("model {archive}: {source}")]
    Tokenizer {
        /// Which archive.
        archive: String,
        /// What is wrong.
        source: TokenizerError,
    },
    /// The known patterns.
    #[error("model {archive}: known.tsv {problem}; make it again with `logrisk calibrate`")]
    Known {
        /// Which archive.
        archive: String,
        /// What is wrong.
        problem: String,
    },
    /// Tokeniser and embedding have different sizes.
    #[error(
        "model {archive}: the tokenizer has {tokens} tokens, but the weights have {rows} word embeddings; \
         they are of two different models"
    )]
    Vocabulary {
        /// Which archive.
        archive: String,
        /// Tokens of the tokeniser.
        tokens: usize,
        /// Rows of the word embedding.
        rows: usize,
    },
    /// Another folder is in the way.
    #[error("folder {} exists and is no model archive; name another one or remove it", .0.display())]
    Occupied(PathBuf),
}
