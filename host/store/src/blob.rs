//! Texts that belong to a job: in its event where they are small, in a file of their own where they are not.

use crate::error::{Error, Result};
use crate::files;
use azora_spec::{Digest, JobId};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Largest text kept inside an event.
pub(crate) const INLINE_BYTES_MAX: usize = 64 << 10;

/// A text, or where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blob {
    /// The text itself.
    Inline(String),
    /// A file in the store's directory of blobs, durable before the event that names it.
    File {
        /// Its name.
        name: String,
        /// Its size.
        bytes: u64,
        /// SHA-256 of its content, in hexadecimal digits.
        sha256: String,
    },
}

/// The directory of blobs.
#[derive(Debug, Clone)]
pub(crate) struct Blobs {
    directory: PathBuf,
}

impl Blobs {
    pub(crate) fn open(directory: PathBuf) -> Result<Self> {
        files::make_dir(&directory)?;
        Ok(Self { directory })
    }

    /// Keeps a text. A long one is durable in a file when this returns; that may take as long as the disk takes.
    pub(crate) fn keep(&self, job: JobId, kind: &str, text: String) -> Result<Blob> {
        if text.len() <= INLINE_BYTES_MAX {
            return Ok(Blob::Inline(text));
        }
        let name = format!("{job}.{kind}");
        files::write_durably(&self.directory.join(&name), text.as_bytes())?;
        Ok(Blob::File { name, bytes: text.len() as u64, sha256: Digest::of(text.as_bytes()).to_hex() })
    }

    /// Reads a text back and checks that it is the one that was kept.
    pub(crate) fn read(&self, blob: &Blob) -> Result<String> {
        match blob {
            Blob::Inline(text) => Ok(text.clone()),
            Blob::File { name, sha256, .. } => {
                let path = self.directory.join(name);
                let text = std::fs::read_to_string(&path).map_err(|error| Error::io("read", &path, error))?;
                if Digest::of(text.as_bytes()).to_hex() == *sha256 {
                    Ok(text)
                } else {
                    tracing::error!(file = %path.display(), "a blob is not what was written");
                    Err(Error::Damaged { lsn: 0, what: "a file beside the journal was changed" })
                }
            }
        }
    }

    /// Removes the files of a job.
    pub(crate) fn forget(&self, job: JobId) -> Result<()> {
        for path in self.files()? {
            if owner(&path) == Some(job) {
                files::remove(&path)?;
            }
        }
        Ok(())
    }

    /// Removes files of jobs that are not known and those that a crash left unfinished.
    pub(crate) fn sweep(&self, is_known: impl Fn(JobId) -> bool) -> Result<()> {
        for path in self.files()? {
            let is_unfinished = path.to_str().is_none_or(|path| path.ends_with(files::UNFINISHED));
            if is_unfinished || !owner(&path).is_some_and(&is_known) {
                files::remove(&path)?;
            }
        }
        Ok(())
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let io = |error| Error::io("list", &self.directory, error);
        std::fs::read_dir(&self.directory).map_err(io)?.map(|entry| entry.map(|entry| entry.path()).map_err(io)).collect()
    }
}

fn owner(path: &Path) -> Option<JobId> {
    path.file_name()?.to_str()?.split('.').next()?.parse().ok()
}
