//! Files that are there whole and durable, or not at all.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

/// Ending of files that were not finished. Whoever opens the directory removes them.
pub(crate) const UNFINISHED: &str = ".partial";

/// Makes a directory's entries durable.
pub(crate) fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(|error| Error::io("sync", path, error))
}

/// Makes a directory if it is missing, durably.
pub(crate) fn make_dir(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(|error| Error::io("create", path, error))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Writes a file beside its place, syncs it, and renames it into its place, so that a crash leaves it whole or absent.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let unfinished = Path::new(&unfinished);
    let write = || {
        let mut file = File::create(unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(unfinished, path)
    };
    if let Err(error) = write() {
        remove(unfinished)?;
        return Err(Error::io("write", path, error));
    }
    path.parent().map_or(Ok(()), sync_dir)
}

/// Removes a file; an absent one is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("remove", path, error)),
    }
}
