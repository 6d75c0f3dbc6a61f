//! Opens archives and checkpoints.

use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, Read},
    path::Path,
    thread,
};

use sha2::{Digest, Sha256};

use super::{
    Archive, ArchiveError, Manifest,
    manifest::FORMAT,
    member::{CONFIG, KNOWN, LIMITS, MANIFEST, TOKENIZER, WEIGHTS},
};
use crate::{known::KnownPatterns, tokenize::Tokenizer, weights::Weights};

/// Weights compress by a tenth and JSON to a fifth; beyond this nothing but a bomb is left.
const LARGEST_RATIO: u64 = 100;

/// What the archive is called in errors when it lies inside the binary.
const IN_MEMORY: &str = "in the binary";

const REMEDY: &str = "did the training finish?";

pub(super) fn open(path: &Path) -> Result<(Archive, Manifest), ArchiveError> {
    let name = path.display().to_string();
    let about = fs::metadata(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ArchiveError::NotFound(path.to_owned()),
        _ => ArchiveError::Io { action: "open", path: path.to_owned(), source },
    })?;
    if about.is_dir() {
        let members = Members::read_folder(path, &name)?;
        if members.manifest.is_none() && members.weights.is_some() {
            let remedy = "name it as a plain checkpoint if it is one";
            return Err(ArchiveError::MissingFile { archive: name, file: MANIFEST, remedy });
        }
        return members.build(&name);
    }
    let file = File::open(path).map_err(|source| ArchiveError::Io {
        action: "open",
        path: path.to_owned(),
        source,
    })?;
    Members::read_tar(file, about.len(), &name)?.build(&name)
}

pub(super) fn open_bytes(bytes: &[u8]) -> Result<(Archive, Manifest), ArchiveError> {
    Members::read_tar(bytes, bytes.len() as u64, IN_MEMORY)?.build(IN_MEMORY)
}

pub(super) fn open_members(files: &[(&str, &'static [u8])]) -> Result<(Archive, Manifest), ArchiveError> {
    let mut members = Members::default();
    for (member, bytes) in files {
        if let Some(place) = members.place(member) {
            *place = Some(Cow::Borrowed(*bytes));
        }
    }
    members.build(IN_MEMORY)
}

/// A file: read into memory, or a part of the binary.
type Member = Cow<'static, [u8]>;

/// The files of an archive, not yet looked into.
#[derive(Default)]
pub(super) struct Members {
    pub(super) weights: Option<Member>,
    pub(super) config: Option<Member>,
    pub(super) tokenizer: Option<Member>,
    manifest: Option<Member>,
    known: Option<Member>,
}

impl Members {
    fn place(&mut self, member: &str) -> Option<&mut Option<Member>> {
        match member {
            WEIGHTS => Some(&mut self.weights),
            CONFIG => Some(&mut self.config),
            TOKENIZER => Some(&mut self.tokenizer),
            MANIFEST => Some(&mut self.manifest),
            KNOWN => Some(&mut self.known),
            _ => None,
        }
    }

    pub(super) fn read_folder(folder: &Path, name: &str) -> Result<Self, ArchiveError> {
        let mut members = Self::default();
        for (member, limit) in LIMITS {
            let bytes = read_optional(&folder.join(member), limit, name)?;
            if let Some(place) = members.place(member) {
                *place = bytes.map(Cow::Owned);
            }
        }
        Ok(members)
    }

    fn read_tar(file: impl Read, size: u64, name: &str) -> Result<Self, ArchiveError> {
        let archive = || name.to_owned();
        // The room for small files' block sizes; a tar of nothing is 10 KiB of zeros.
        let limit = size.saturating_mul(LARGEST_RATIO).saturating_add(1 << 20);
        let decoder =
            zstd::Decoder::new(file).map_err(|source| ArchiveError::Broken { archive: archive(), source })?;
        let mut tar = tar::Archive::new(decoder.take(limit));
        let result = Self::read_entries(&mut tar, limit, name);
        let mut rest = tar.into_inner();
        // To the end, where the checksum stands; and to tell a bomb from a torn file.
        let drained = match &result {
            Ok(_) => io::copy(&mut rest, &mut io::sink()),
            Err(_) => Ok(0),
        };
        if rest.limit() == 0 {
            return Err(ArchiveError::Bomb { archive: archive(), limit, ratio: LARGEST_RATIO });
        }
        let members = result?;
        drained.map_err(|source| ArchiveError::Broken { archive: archive(), source })?;
        Ok(members)
    }

    fn read_entries(tar: &mut tar::Archive<impl Read>, limit: u64, name: &str) -> Result<Self, ArchiveError> {
        let broken = |source| ArchiveError::Broken { archive: name.to_owned(), source };
        let mut members = Self::default();
        for entry in tar.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let refuse =
                |why| Err(ArchiveError::Member { archive: name.to_owned(), member: path.clone(), why });
            if !entry.header().entry_type().is_file() {
                return refuse("which is a link, a folder or a device");
            }
            let member = path.strip_prefix("./").unwrap_or(&path);
            let (Some(place), Some((_, largest))) =
                (members.place(member), LIMITS.iter().find(|(known, _)| *known == member))
            else {
                return refuse("which is not a part of a model archive");
            };
            if place.is_some() {
                return refuse("which is there already");
            }
            if entry.size() > *largest {
                let file = member.to_owned();
                return Err(ArchiveError::TooLarge { archive: name.to_owned(), file, limit: *largest });
            }
            let mut bytes = Vec::with_capacity(entry.size().min(limit) as usize);
            entry.read_to_end(&mut bytes).map_err(broken)?;
            *place = Some(Cow::Owned(bytes));
        }
        Ok(members)
    }

    /// Checks everything against everything.
    fn build(self, name: &str) -> Result<(Archive, Manifest), ArchiveError> {
        let missing =
            |file| move || ArchiveError::MissingFile { archive: name.to_owned(), file, remedy: REMEDY };
        let manifest = self.manifest.ok_or_else(missing(MANIFEST))?;
        let manifest: Manifest = serde_json::from_slice(&manifest)
            .map_err(|source| ArchiveError::Manifest { archive: name.to_owned(), source })?;
        if manifest.format != FORMAT {
            let (found, supported) = (manifest.format, FORMAT);
            return Err(ArchiveError::Format { archive: name.to_owned(), found, supported });
        }
        let weights = self.weights.ok_or_else(missing(WEIGHTS))?;
        let config = self.config.ok_or_else(missing(CONFIG))?;
        let tokenizer = self.tokenizer.ok_or_else(missing(TOKENIZER))?;
        check_digest(&manifest, CONFIG, &config, name)?;
        check_digest(&manifest, TOKENIZER, &tokenizer, name)?;
        let tokenizer = Tokenizer::from_json(text(&tokenizer, TOKENIZER, name)?)
            .map_err(|source| ArchiveError::Tokenizer { archive: name.to_owned(), source })?;
        let config = text(&config, CONFIG, name)?;
        // The one large digest is computed beside the reading: it would be a third of the time to open a model.
        let check_weights = || check_digest(&manifest, WEIGHTS, &weights, name);
        let (digest, read) = thread::scope(|scope| {
            let digest = thread::Builder::new().spawn_scoped(scope, check_weights);
            let read = Weights::read(config, &weights);
            (digest.ok().and_then(|thread| thread.join().ok()).unwrap_or_else(check_weights), read)
        });
        digest?;
        let weights = read.map_err(|source| ArchiveError::Weights { archive: name.to_owned(), source })?;
        check_vocabulary(&tokenizer, &weights, name)?;
        if self.known.is_none() && manifest.files.contains_key(KNOWN) {
            return Err(missing(KNOWN)());
        }
        let known = self.known.map(|bytes| read_known(&manifest, bytes, name)).transpose()?;
        let description = manifest.description.clone();
        Ok((Archive { weights, tokenizer, description, known }, manifest))
    }
}

fn read_known(manifest: &Manifest, bytes: Member, name: &str) -> Result<KnownPatterns, ArchiveError> {
    check_digest(manifest, KNOWN, &bytes, name)?;
    KnownPatterns::read(bytes).map_err(|problem| ArchiveError::Known { archive: name.to_owned(), problem })
}

fn check_digest(
    manifest: &Manifest,
    file: &'static str,
    bytes: &Member,
    name: &str,
) -> Result<(), ArchiveError> {
    let archive = || name.to_owned();
    let entry =
        manifest.files.get(file).ok_or_else(|| ArchiveError::Unlisted { archive: archive(), file })?;
    let found = bytes.len() as u64;
    if found != entry.size {
        return Err(ArchiveError::Size { archive: archive(), file, found, expected: entry.size });
    }
    // The binary is loaded whole or not at all, and 27 MB take a tenth of a start.
    if matches!(bytes, Cow::Owned(bytes) if hexadecimal(&Sha256::digest(bytes)) != entry.sha256) {
        return Err(ArchiveError::Digest { archive: archive(), file });
    }
    Ok(())
}

pub(super) fn check_vocabulary(
    tokenizer: &Tokenizer,
    weights: &Weights,
    name: &str,
) -> Result<(), ArchiveError> {
    let (tokens, rows) = (tokenizer.len(), weights.shape.vocabulary);
    if tokens != rows {
        return Err(ArchiveError::Vocabulary { archive: name.to_owned(), tokens, rows });
    }
    Ok(())
}

pub(super) fn read_optional(path: &Path, limit: u64, name: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
    let failed = |source| ArchiveError::Io { action: "read", path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let size = file.metadata().map_err(failed)?.len();
    let mut bytes = Vec::with_capacity(size.min(limit) as usize);
    // One more than the limit, so that a file which grows while it is read is noticed.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Err(ArchiveError::TooLarge { archive: name.to_owned(), file, limit });
    }
    Ok(Some(bytes))
}

pub(super) fn text<'a>(bytes: &'a [u8], file: &'static str, name: &str) -> Result<&'a str, ArchiveError> {
    str::from_utf8(bytes).map_err(|_| ArchiveError::NotText { archive: name.to_owned(), file })
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
