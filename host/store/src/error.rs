//! What can go wrong with the disk and what it holds.

use azora_spec::{Code, Failure};
use std::path::PathBuf;

/// Answers of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the store refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process owns the data directory.
    #[error("use the data directory {path}: another process has it open (its id was {owner})")]
    Locked {
        /// The directory.
        path: PathBuf,
        /// What the lock file says about the owner.
        owner: String,
    },
    /// The directory was written by a newer version of this software.
    #[error("read {path}: it is of format {found}, this version reads up to {supported}; start the newer version, or restore a backup")]
    Newer {
        /// What was read.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that is understood.
        supported: u32,
    },
    /// The disk is full. Everything that was accepted is safe; new work is refused until there is room.
    #[error("write to the disk: it is full")]
    Full,
    /// The disk failed while writing; only a restart can tell what is on it.
    #[error("write the journal: the disk failed, and the server must be restarted")]
    Broken,
    /// Some other call of the file system failed.
    #[error("{action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// The index failed. A restart builds it again.
    #[error("use the index")]
    Index(#[source] sled::Error),
    /// A record does not hold what it should.
    #[error("read a record at {lsn}: {what}")]
    Damaged {
        /// Where in the journal.
        lsn: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A record is larger than the journal takes.
    #[error("record {bytes} bytes: a record is at most {max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A value could not be turned into JSON.
    #[error("encode a record")]
    Encode(#[source] serde_json::Error),
}

impl Error {
    /// An I/O error with its place; a full disk becomes [`Error::Full`].
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        if is_full(&source) { Self::Full } else { Self::Io { action, path: path.into(), source } }
    }
}

/// Whether an error says that there is no room.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded | std::io::ErrorKind::FileTooLarge)
}

impl From<sled::Error> for Error {
    fn from(source: sled::Error) -> Self {
        match source {
            sled::Error::Io(error) if is_full(&error) => Self::Full,
            source => Self::Index(source),
        }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        match error {
            Error::Full => Self::new(Code::StorageFull, "the server's disk is full")
                .hint("free space on the disk of the data directory; the server goes on by itself"),
            Error::TooLarge { .. } => Self::new(Code::RequestTooLarge, error.to_string()),
            Error::Locked { .. } | Error::Newer { .. } => Self::new(Code::Internal, error.to_string()),
            Error::Broken | Error::Io { .. } | Error::Index(_) | Error::Damaged { .. } | Error::Encode(_) => {
                tracing::error!(error = %Chain(error), "the store failed");
                Self::new(Code::Internal, "the server could not use its own storage")
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

/// An error with its sources, for the log.
struct Chain<'a>(&'a Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = std::error::Error::source(self.0);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
