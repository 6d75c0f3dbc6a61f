//! What a file holds, by place: as it is, or below gzip or zstd.

use std::{
    fs::{self, File, Metadata},
    io::{self, BufReader, Read},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::checkpoint::Checkpoint;

/// Bytes that tell one file from another.
pub(super) const PRINT: u64 = 1024;
/// Bytes of one read of a compressed file.
const BLOCK: usize = 256 << 10;

/// Which file it is, as long as it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Key {
    device: u64,
    inode: u64,
}

/// The key of the file that a path leads to; symbolic links are followed.
pub(super) fn key_of(path: &Path) -> io::Result<Key> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    Ok(key(&metadata))
}

pub(super) fn key(metadata: &Metadata) -> Key {
    Key { device: metadata.dev(), inode: metadata.ino() }
}

/// A few bytes of a file at a known place, as a hash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Print {
    /// How many bytes.
    pub(super) length: u64,
    hash: u64,
}

impl Print {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { length: bytes.len() as u64, hash: xxh3_64(bytes) }
    }
}

/// Whether the file of a checkpoint is where it was.
pub(super) fn still_there(checkpoint: &Checkpoint) -> bool {
    let there = || {
        let file = File::open(&checkpoint.path)?;
        let same = key(&file.metadata()?) == checkpoint.key;
        io::Result::Ok(same && print(&file, 0, checkpoint.first.length)? == checkpoint.first)
    };
    there().unwrap_or(false)
}

pub(super) fn print(file: &File, from: u64, length: u64) -> io::Result<Print> {
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, from)?;
    Ok(Print::of(&bytes))
}

/// The bytes before a place.
pub(super) fn before(file: &File, offset: u64) -> io::Result<Print> {
    let length = offset.min(PRINT);
    print(file, offset - length, length)
}

/// The same of a compressed file.
pub(super) fn unpacked_before(path: &Path, offset: u64) -> io::Result<Print> {
    let length = offset.min(PRINT);
    let mut bytes = vec![0; length as usize];
    unpack(path, offset - length)?.read_exact(&mut bytes)?;
    Ok(Print::of(&bytes))
}

pub(super) fn is_packed(file: &File) -> io::Result<bool> {
    let mut magic = [0; 4];
    let length = file.read_at(&mut magic, 0)?;
    Ok(matches!(magic.get(..length), Some([0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd])))
}

/// Undoes gzip or zstd from an offset of the text on.
pub(super) fn unpack(path: &Path, offset: u64) -> io::Result<Box<dyn Read + Send>> {
    let file = File::open(path)?;
    let mut magic = [0; 1];
    file.read_at(&mut magic, 0)?;
    let source = BufReader::with_capacity(BLOCK, file);
    let mut reader: Box<dyn Read + Send> = if magic == [0x1f] {
        Box::new(flate2::bufread::MultiGzDecoder::new(source))
    } else {
        Box::new(zstd::Decoder::with_buffer(source)?)
    };
    let skipped = io::copy(&mut reader.by_ref().take(offset), &mut io::sink())?;
    if skipped < offset {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it is shorter than what was read of it before",
        ));
    }
    Ok(reader)
}

/// Fills the buffer as far as there is something.
pub(super) fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(free) = buffer.get_mut(length..).filter(|free| !free.is_empty()) {
        match reader.read(free)? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}
