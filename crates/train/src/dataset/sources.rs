//! The files that a recipe reads: messages with the level their developer chose, messages with a risk that a person
//! read, and risks alone that belong to the former. Messages keep `#` or `<*>` where the source code inserts a value.

use std::path::{Path, PathBuf};

use foldhash::HashMap;
use logrisk_base::{Level, Risk};
use serde::{Deserialize, de::DeserializeOwned};
use xxhash_rust::xxh3::xxh3_64;

use super::{error::DatasetError, levels};

/// A message and the level that its developer chose: plenty, and weak.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct WeakPair {
    /// The message, marks for its values.
    pub(super) text: String,
    /// 0 debug, 1 info, 2 warn, 3 error, 4 fatal.
    pub(super) y: u8,
    /// The project that prints it.
    pub(super) source: String,
}

/// A message that a person read and gave a risk.
#[derive(Debug, Clone)]
pub(super) struct ReadLabel {
    /// The message, marks for its values.
    pub(super) text: String,
    /// The level that its developer chose.
    pub(super) level: Option<Level>,
    /// The risk that the reader gave, the level hidden.
    pub(super) risk: Risk,
    /// The other plausible value.
    pub(super) or: Option<Risk>,
    /// The project that prints it.
    pub(super) software: String,
}

#[derive(Deserialize)]
struct ReadRow {
    text: String,
    level: Option<String>,
    risk: Risk,
    or: Option<Risk>,
    software: String,
}

/// The weak pairs of some files.
///
/// # Errors
/// [`DatasetError`] with file and line.
pub(super) fn weak_pairs(paths: &[PathBuf]) -> Result<Vec<WeakPair>, DatasetError> {
    let mut pairs = Vec::new();
    for path in paths {
        for (line, pair) in read_json_lines::<WeakPair>(&bytes(path)?, path)? {
            if pair.y > 4 {
                let problem =
                    format!("{} is no level; use 0 debug, 1 info, 2 warn, 3 error or 4 fatal", pair.y);
                return Err(DatasetError::Value { path: path.clone(), line, column: "y".into(), problem });
            }
            pairs.push(pair);
        }
    }
    Ok(pairs)
}

/// The read labels of some files.
///
/// # Errors
/// [`DatasetError`] with file and line.
pub(super) fn read_labels(paths: &[PathBuf]) -> Result<Vec<ReadLabel>, DatasetError> {
    let mut labels = Vec::new();
    for path in paths {
        for (_, row) in read_json_lines::<ReadRow>(&bytes(path)?, path)? {
            let ReadRow { text, level, risk, or, software } = row;
            labels.push(ReadLabel {
                text,
                level: level.as_deref().and_then(levels::of_word),
                risk,
                or,
                software,
            });
        }
    }
    Ok(labels)
}

/// One row of a file of readings: a risk without the message it was read from, so that the file can go where the
/// message cannot.
#[derive(Debug, Deserialize)]
struct Reading {
    /// Of the message, as [`fingerprint`] writes it.
    fingerprint: String,
    risk: Risk,
    or: Option<Risk>,
}

/// What stands for a message in a file of readings: 16 hexadecimal digits of its XXH3 hash.
#[must_use]
pub fn fingerprint(message: &str) -> String {
    format!("{:016x}", xxh3_64(message.as_bytes()))
}

/// Takes the weak pairs that somebody gave a risk out of their list, as read labels.
///
/// # Errors
/// [`DatasetError`] with file and line; also for readings none of which belongs to a pair.
pub(super) fn take_read(
    pairs: &mut Vec<WeakPair>,
    readings: &[PathBuf],
) -> Result<Vec<ReadLabel>, DatasetError> {
    let mut by_fingerprint: HashMap<String, (Risk, Option<Risk>)> = HashMap::default();
    for path in readings {
        for (row, reading) in csv::Reader::from_reader(bytes(path)?.as_slice()).into_deserialize().enumerate()
        {
            let Reading { fingerprint, risk, or } = reading.map_err(|error| DatasetError::Row {
                path: path.clone(),
                line: error.position().map_or(row as u64 + 2, csv::Position::line),
                problem: format!("is not `fingerprint,risk,or`: {error}"),
            })?;
            by_fingerprint.insert(fingerprint, (risk, or));
        }
    }
    let read: Vec<ReadLabel> = pairs
        .extract_if(.., |pair| by_fingerprint.contains_key(&fingerprint(&pair.text)))
        .filter_map(|WeakPair { text, y, source }| {
            let (risk, or) = *by_fingerprint.get(&fingerprint(&text))?;
            Some(ReadLabel {
                text,
                level: Some(levels::of_class(usize::from(y))),
                risk,
                or,
                software: source,
            })
        })
        .collect();
    match readings.first() {
        Some(path) if read.is_empty() => {
            let problem =
                "belongs to no message of the recipe's weak_pairs; name the file that it was read from";
            Err(DatasetError::Row { path: path.clone(), line: 2, problem: problem.into() })
        }
        _ => Ok(read),
    }
}

/// The rows of JSON lines with their line numbers; blank lines are skipped.
pub(super) fn read_json_lines<T: DeserializeOwned>(
    bytes: &[u8],
    path: &Path,
) -> Result<Vec<(u64, T)>, DatasetError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut rows = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let number = index as u64 + 1;
        let row = serde_json::from_slice(line).map_err(|error| DatasetError::Row {
            path: path.to_owned(),
            line: number,
            problem: format!("is not the JSON object that is expected here: {error}"),
        })?;
        rows.push((number, row));
    }
    if rows.is_empty() {
        return Err(DatasetError::Empty { path: path.to_owned() });
    }
    Ok(rows)
}

fn bytes(path: &Path) -> Result<Vec<u8>, DatasetError> {
    std::fs::read(path).map_err(|source| DatasetError::Read { path: path.to_owned(), source })
}
