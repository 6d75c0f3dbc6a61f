//! Which files the globs mean.

use std::path::{Path, PathBuf};

/// Files that a glob finds and none excludes.
pub(super) fn paths(globs: &[String], exclude: &[String]) -> Vec<PathBuf> {
    let exclude: Vec<_> = exclude.iter().filter_map(|glob| glob::Pattern::new(glob).ok()).collect();
    globs
        .iter()
        .filter_map(|glob| glob::glob(glob).ok())
        .flat_map(|found| found.filter_map(Result::ok))
        .filter(|path| !exclude.iter().any(|glob| glob.matches_path(path)))
        .collect()
}

/// The folders that new files may appear in: those of the globs that name one.
pub(super) fn folders(globs: &[String]) -> impl Iterator<Item = PathBuf> {
    globs
        .iter()
        .filter_map(|glob| Path::new(glob).parent())
        .filter_map(|folder| glob::glob(folder.to_str()?).ok())
        .flat_map(|found| found.filter_map(Result::ok))
}

/// Files beside one whose names begin with its name: what rotation leaves.
pub(super) fn siblings(path: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    // `app.log` becomes `app.log.1`, `app.log-20240115.gz`, and with dateext before the extension `app-20240115.log`.
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(|own| own.starts_with(stem)))
        .map(|entry| entry.path())
        .collect()
}
