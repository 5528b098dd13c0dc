//! One process per data directory.

use crate::error::{Error, Result};
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

/// Holds the directory until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing is not enough: a child that was forked and has not yet called exec holds the same open file.
    fn drop(&mut self) {
        if let Err(error) = flock(&self.file, FlockOperation::Unlock) {
            tracing::warn!(%error, "the data directory could not be unlocked");
        }
    }
}

impl Lock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join("LOCK");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|error| Error::io("open", &path, error))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut owner = String::new();
            // The owner is only a help for people: an unreadable one is no second error.
            let is_known = std::io::Read::by_ref(&mut file).take(32).read_to_string(&mut owner).is_ok() && !owner.trim().is_empty();
            let owner = if is_known { owner.trim().to_owned() } else { "not noted".to_owned() };
            return Err(Error::Locked { path: data_dir.to_owned(), owner });
        }
        let write = |file: &mut File| {
            file.rewind()?;
            file.set_len(0)?;
            writeln!(file, "{}", std::process::id())
        };
        // A full disk has no room for the note, which is only a help for people.
        if let Err(error) = write(&mut file) {
            tracing::warn!(%error, "the owner of the data directory could not be noted");
        }
        Ok(Self { file })
    }
}
