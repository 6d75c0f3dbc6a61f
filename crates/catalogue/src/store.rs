//! The file behind the catalogue: redb, one transaction a flush, on disk when it returns.

use std::{fs, io::Write as _, path::Path, sync::Arc};

use jiff::Timestamp;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{CatalogueError, Correction, Pattern};

const PATTERNS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("patterns");
const CORRECTIONS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("corrections");
const ACTIVATIONS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("activations");

/// Pages kept in memory. Everything is read once at the start and then only written, so a large cache buys nothing
/// (redb's default is a gigabyte).
const PAGE_CACHE_BYTES: usize = 4 << 20;

/// A model that was put in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Activation {
    /// Its version.
    pub version: String,
    /// When.
    pub at: Timestamp,
    /// The name of the key that asked for it.
    pub by: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Store {
    database: Database,
}

/// What was in the store.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) corrections: Vec<Arc<Correction>>,
    pub(crate) activations: Vec<Activation>,
}

impl Store {
    /// Opens the folder, making it if needed. The file's lock keeps every other process out; the note beside it says who
    /// holds it.
    pub(crate) fn open(folder: &Path) -> Result<Self, CatalogueError> {
        let refused = |cause| CatalogueError::Folder { folder: folder.to_owned(), cause };
        fs::create_dir_all(folder).map_err(refused)?;
        let note = folder.join("logrisk.pid");
        let opened = Database::builder().set_cache_size(PAGE_CACHE_BYTES).create(folder.join("logrisk.redb"));
        let database = match opened {
            Ok(database) => database,
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => {
                let holder = fs::read_to_string(&note)
                    .map_or_else(|_| "another process".to_owned(), |id| format!("process {}", id.trim()));
                return Err(CatalogueError::InUse { folder: folder.to_owned(), holder });
            }
            Err(redb::DatabaseError::Storage(redb::StorageError::Io(cause))) => return Err(refused(cause)),
            Err(error) => return Err(error.into()),
        };
        fs::File::create(&note)
            .and_then(|mut file| writeln!(file, "{}", std::process::id()))
            .map_err(refused)?;
        let transaction = database.begin_write()?;
        transaction.open_table(PATTERNS)?;
        transaction.open_table(CORRECTIONS)?;
        transaction.open_table(ACTIVATIONS)?;
        transaction.commit()?;
        Ok(Self { database })
    }

    /// Reads everything.
    pub(crate) fn read(&self) -> Result<Contents, CatalogueError> {
        fn all<T: DeserializeOwned>(
            transaction: &redb::ReadTransaction,
            table: TableDefinition<'_, u64, &[u8]>,
        ) -> Result<Vec<T>, CatalogueError> {
            let table = transaction.open_table(table)?;
            table.iter()?.map(|entry| Ok(serde_json::from_slice(entry?.1.value())?)).collect()
        }
        let transaction = self.database.begin_read()?;
        Ok(Contents {
            patterns: all(&transaction, PATTERNS)?,
            corrections: all::<Correction>(&transaction, CORRECTIONS)?.into_iter().map(Arc::new).collect(),
            activations: all(&transaction, ACTIVATIONS)?,
        })
    }

    /// Writes patterns that changed and forgets those that were thrown out.
    pub(crate) fn write_patterns(
        &self,
        changed: &[(u64, Vec<u8>)],
        forgotten: &[u64],
    ) -> Result<(), CatalogueError> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(PATTERNS)?;
            for (id, bytes) in changed {
                table.insert(id, bytes.as_slice())?;
            }
            for id in forgotten {
                table.remove(id)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Writes corrections, new or changed, all or none.
    pub(crate) fn write_corrections(&self, corrections: &[Correction]) -> Result<(), CatalogueError> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(CORRECTIONS)?;
            for correction in corrections {
                table.insert(correction.id, serde_json::to_vec(correction)?.as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Appends an activation.
    pub(crate) fn write_activation(
        &self,
        number: u64,
        activation: &Activation,
    ) -> Result<(), CatalogueError> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(ACTIVATIONS)?;
            table.insert(number, serde_json::to_vec(activation)?.as_slice())?;
        }
        transaction.commit()?;
        Ok(())
    }
}
