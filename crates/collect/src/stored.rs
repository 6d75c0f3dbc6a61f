//! State on disk: one JSON file, replaced whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use serde::Serialize;

/// Writes the file anew. A rename is all or nothing; the folder is synced, too, or the rename itself could be lost with
/// the power.
pub(crate) fn replace(path: &Path, stored: &impl Serialize) -> io::Result<()> {
    let temporary = path.with_extension("json.new");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(stored)?)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
