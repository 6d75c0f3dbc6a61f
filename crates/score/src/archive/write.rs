//! Writes archives: beside their place first, then renamed, so that there is always a whole one.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest, Sha256};

use super::{
    Archive, ArchiveError, FileEntry, Manifest,
    manifest::FORMAT,
    member::{CONFIG, KNOWN, MANIFEST, TOKENIZER, WEIGHTS},
    read::hexadecimal,
};
use crate::weights::Storage;

/// Half-precision numbers give up a tenth of their size to any level; higher ones only take longer.
const COMPRESSION_LEVEL: i32 = 3;

/// Small things first, so that `tar --list` and a reader of a stream learn early what it is.
struct Contents {
    manifest: Manifest,
    files: Vec<(&'static str, Vec<u8>)>,
}

impl Contents {
    fn new(archive: &Archive, storage: Storage, name: &Path) -> Result<Self, ArchiveError> {
        let name = || name.display().to_string();
        let (tokens, rows) = (archive.tokenizer.len(), archive.weights.shape.vocabulary);
        if tokens != rows {
            return Err(ArchiveError::Vocabulary { archive: name(), tokens, rows });
        }
        let (config, weights) = archive
            .weights
            .write(storage)
            .map_err(|source| ArchiveError::Weights { archive: name(), source })?;
        let (config, tokenizer) = (config.into_bytes(), archive.tokenizer.to_json().into_bytes());
        let mut files = vec![(CONFIG, config), (TOKENIZER, tokenizer)];
        if let Some(known) = &archive.known {
            files.push((KNOWN, known.as_bytes().to_vec()));
        }
        files.push((WEIGHTS, weights));
        let entries = files
            .iter()
            .map(|(member, bytes)| {
                let entry =
                    FileEntry { size: bytes.len() as u64, sha256: hexadecimal(&Sha256::digest(bytes)) };
                ((*member).to_owned(), entry)
            })
            .collect();
        let manifest = Manifest { format: FORMAT, description: archive.description.clone(), files: entries };
        let mut written = serde_json::to_vec_pretty(&manifest)
            .map_err(|source| ArchiveError::Manifest { archive: name(), source })?;
        written.push(b'\n');
        files.insert(0, (MANIFEST, written));
        Ok(Self { manifest, files })
    }
}

pub(super) fn tar_zst(archive: &Archive, path: &Path, storage: Storage) -> Result<Manifest, ArchiveError> {
    let contents = Contents::new(archive, storage, path)?;
    let temporary = Temporary(beside(path, "new"));
    let failed = |source| ArchiveError::Io { action: "write", path: path.to_owned(), source };
    write_tar(&contents, &temporary.0).map_err(failed)?;
    fs::rename(&temporary.0, path).map_err(failed)?;
    sync_parent(path).map_err(failed)?;
    Ok(contents.manifest)
}

fn write_tar(contents: &Contents, path: &Path) -> io::Result<()> {
    let mut encoder = zstd::Encoder::new(BufWriter::new(File::create(path)?), COMPRESSION_LEVEL)?;
    encoder.include_checksum(true)?;
    let mut tar = tar::Builder::new(encoder);
    for (member, bytes) in &contents.files {
        // No times, owners or umask: the same model gives the same bytes on every machine.
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, member, bytes.as_slice())?;
    }
    let file = tar.into_inner()?.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()
}

pub(super) fn folder(archive: &Archive, folder: &Path, storage: Storage) -> Result<Manifest, ArchiveError> {
    let occupied = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if occupied && !folder.join(MANIFEST).is_file() {
        return Err(ArchiveError::Occupied(folder.to_owned()));
    }
    let contents = Contents::new(archive, storage, folder)?;
    place_folder(folder, &contents.files, occupied)?;
    Ok(contents.manifest)
}

/// Writes a folder of these files; one that is there already, `occupied`, is replaced as a whole.
pub(super) fn place_folder(
    folder: &Path,
    files: &[(&str, Vec<u8>)],
    occupied: bool,
) -> Result<(), ArchiveError> {
    let failed = |source| ArchiveError::Io { action: "write", path: folder.to_owned(), source };
    let temporary = Temporary(beside(folder, "new"));
    fs::create_dir(&temporary.0).map_err(failed)?;
    for (member, bytes) in files {
        write_synced(&temporary.0.join(member), bytes).map_err(failed)?;
    }
    sync_folder(&temporary.0).map_err(failed)?;
    // A folder with files in it cannot be renamed over: it steps aside, and goes once the new one is in its place.
    let aside = beside(folder, "old");
    if occupied {
        fs::rename(folder, &aside).map_err(failed)?;
    }
    if let Err(error) = fs::rename(&temporary.0, folder) {
        if occupied {
            fs::rename(&aside, folder).map_err(failed)?;
        }
        return Err(failed(error));
    }
    if occupied {
        fs::remove_dir_all(&aside).map_err(failed)?;
    }
    sync_parent(folder).map_err(failed)
}

/// Writes one file, replacing one that is there already.
pub(super) fn place_file(path: &Path, bytes: &[u8]) -> Result<(), ArchiveError> {
    let failed = |source| ArchiveError::Io { action: "write", path: path.to_owned(), source };
    let temporary = Temporary(beside(path, "new"));
    write_synced(&temporary.0, bytes).map_err(failed)?;
    fs::rename(&temporary.0, path).map_err(failed)?;
    sync_parent(path).map_err(failed)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A name in the same folder, hence on the same disk, that no other writer uses.
fn beside(path: &Path, what: &str) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{what}-{}-{count}", process::id()))
}

/// Where the new one is written; whatever is still there when this is dropped goes.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a success there is nothing; after a failure there is nothing better to do.
        let _ = fs::remove_file(&self.0).or_else(|_| fs::remove_dir_all(&self.0));
    }
}

/// A rename is safe from a power cut only once the folder that holds the name is.
fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
