//! What can go wrong between memory and disk.

use std::path::PathBuf;

/// Why a catalogue cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// Another process has the folder.
    #[error("data folder {} is in use by {holder}; stop that process, or give another --data-dir", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The other process, as far as it is known.
        holder: String,
    },
    /// The folder cannot be made or read.
    #[error("could not use data folder {}: {cause}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The store failed.
    #[error("the store failed: {0}; is the disk full?")]
    Store(#[from] redb::Error),
    /// An entry cannot be read or written.
    #[error("an entry of the store cannot be read: {0}; was it written by a newer logrisk?")]
    Entry(#[from] serde_json::Error),
}

/// redb has an error type for each step; all of them end as its general one.
macro_rules! from_redb {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for CatalogueError {
            fn from(error: redb::$error) -> Self {
                Self::Store(error.into())
            }
        })*
    };
}
from_redb!(CommitError, DatabaseError, StorageError, TableError, TransactionError);
