//! What can be wrong with labelled data and recipes: every message names file, line, column and remedy.

use std::{io, path::PathBuf};

/// Data that cannot be trained or measured on.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file cannot be opened or read.
    #[error("could not read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// One value is wrong.
    #[error("{} line {line}, column {column}: {problem}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Line of the file, from 1; of a CSV row, the line where it begins.
        line: u64,
        /// The column or key.
        column: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A row cannot be taken apart.
    #[error("{} line {line}: {problem}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Line of the file, from 1.
        line: u64,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A needed column is not in the header.
    #[error(
        "{} has no column {wanted}; its header names {found}: rename a column, or put the header in line 1",
        path.display()
    )]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// Names that would do.
        wanted: &'static str,
        /// Names that are there.
        found: String,
    },
    /// A file without a row.
    #[error("{} holds no rows; label some lines first, for example with `logrisk label`", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Every row has the same label, so there is nothing to learn.
    #[error(
        "all {rows} rows have risk {risk}; a model needs at least two different risks to learn from (--force trains all \
         the same)"
    )]
    OneClass {
        /// How many rows.
        rows: usize,
        /// Their label.
        risk: u8,
    },
    /// The same text has two labels, and the caller asked to be told.
    #[error(
        "{} lines {first} and {second} give the same text the risks {one} and {other}; correct one of them, or use \
         --conflicts majority",
        path.display()
    )]
    Conflict {
        /// The file.
        path: PathBuf,
        /// Line of the first.
        first: u64,
        /// Line of the second.
        second: u64,
        /// Risk of the first.
        one: u8,
        /// Risk of the second.
        other: u8,
    },
    /// Lines to judge by have patterns that the model learns from.
    #[error(
        "{} cannot judge: {lines} of its {of} lines have a pattern that the training data has too, the first in line {line} \
         ({text:?}); a model knows such lines by heart. Split with `logrisk split`, or --force trains all the same",
        path.display()
    )]
    Leakage {
        /// The file to judge by.
        path: PathBuf,
        /// How many lines leak.
        lines: usize,
        /// Of how many.
        of: usize,
        /// The first of them.
        line: u64,
        /// Its beginning.
        text: String,
    },
    /// A recipe cannot be used.
    #[error("recipe {}: {problem}", path.display())]
    Recipe {
        /// The recipe's file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
}

/// The input or output error inside a CSV error: the conversion in the csv crate hides its kind, by which callers know
/// a closed pipe or a full disk.
#[must_use]
pub fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
