//! The store: journal, rows, blobs and plugin bytes behind one door.

mod open;
mod read;

use crate::blob::{Blob, Blobs};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::index::{Disk, Tables};
use crate::journal::{Journal, Lsn};
use crate::lock::Lock;
use crate::record::Pointer;
use azora_spec::{Digest, JobId};
use parking_lot::{Mutex, RwLock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How a store is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory. One process at a time may use it.
    pub data_dir: PathBuf,
    /// Size of one segment of the journal, at least 4 KiB. Twice as much is reserved on disk.
    pub segment_bytes: u64,
}

impl Options {
    /// The usual settings for a data directory.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), segment_bytes: 16 << 20 }
    }
}

/// What is kept of jobs that ended, and of idempotency keys.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Ended jobs; the oldest beyond it are dropped.
    pub ended_jobs_max: usize,
    /// Age at which an ended job is dropped.
    pub ended_age_max: Duration,
    /// Bytes of all results; the jobs with the oldest ones beyond it are dropped.
    pub result_bytes_max: u64,
    /// Age at which a key is dropped.
    pub key_age_max: Duration,
    /// Keys; the oldest beyond it are dropped.
    pub keys_max: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            ended_jobs_max: 10_000,
            ended_age_max: Duration::from_secs(30 * 24 * 3600),
            result_bytes_max: 10 << 30,
            key_age_max: azora_spec::limits::IDEMPOTENCY_KEEP,
            keys_max: 100_000,
        }
    }
}

/// The durable state of a server. Clones share it; the last one to go closes it.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) data_dir: PathBuf,
    pub(crate) journal: Journal,
    pub(crate) tables: RwLock<Tables>,
    /// Held while an event goes into the journal, the rows and their copy, so that all three have one order.
    pub(crate) order: Mutex<Disk>,
    pub(crate) blobs: Blobs,
    pub(crate) segment_bytes: u64,
    _lock: Lock,
}

impl Store {
    /// Opens the store, making what is missing. Repairs what a crash left; says in the log what was damaged.
    ///
    /// # Errors
    /// [`Error::Locked`] where another process has it, [`Error::Newer`] where a newer version wrote it, and errors of the
    /// file system.
    pub fn open(options: &Options) -> Result<Self> {
        open::open(options)
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.inner.data_dir
    }

    /// Appends events as one run, in order, and makes them visible to readers of this store. They are durable once
    /// [`Self::flush`] of the answer returned; a crash before that may keep the first few of them.
    ///
    /// May block for as long as a disk write takes when very much is pending.
    ///
    /// # Errors
    /// [`Error::Full`] refuses events that begin something new; [`Error::Broken`] refuses all.
    pub fn append(&self, events: &[Event]) -> Result<Lsn> {
        let is_new_work = |event: &Event| matches!(event, Event::Accepted(_) | Event::PluginAdded(_));
        if events.iter().any(is_new_work) && self.is_full() {
            return Err(Error::Full);
        }
        let payloads: Vec<Vec<u8>> = events.iter().map(Event::encode).collect::<Result<_>>()?;
        let mut disk = self.inner.order.lock();
        let lsns = self.inner.journal.append(&payloads)?;
        let end = self.inner.journal.end();
        let mut changes = Vec::new();
        {
            let mut tables = self.inner.tables.write();
            for ((event, lsn), payload) in events.iter().zip(&lsns).zip(&payloads) {
                changes.extend(tables.apply(event, Pointer(*lsn, payload.len() as u64)));
            }
        }
        disk.write(changes, end);
        Ok(end)
    }

    /// Waits until everything before a position is durable.
    ///
    /// # Errors
    /// [`Error::Full`] while the disk is full: the events stay and are written when there is room, so this may be called
    /// again. [`Error::Broken`] for good.
    pub async fn flush(&self, lsn: Lsn) -> Result<()> {
        self.inner.journal.flush_to(lsn).await
    }

    /// [`Self::append`], then [`Self::flush`].
    ///
    /// # Errors
    /// Those of both.
    pub async fn commit(&self, events: &[Event]) -> Result<()> {
        let lsn = self.append(events)?;
        self.flush(lsn).await
    }

    /// Whether new work is refused because the disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.inner.journal.is_full()
    }

    /// Keeps a text of a job for an event that names it. Blocks while a long one is written.
    ///
    /// # Errors
    /// [`Error::Full`] and other errors of the file system.
    pub fn keep_blob(&self, job: JobId, kind: &str, text: String) -> Result<Blob> {
        self.inner.blobs.keep(job, kind, text)
    }

    /// Whether [`Self::keep_blob`] of that many bytes writes a file.
    #[must_use]
    pub const fn is_blob_filed(bytes: usize) -> bool {
        bytes > crate::blob::INLINE_BYTES_MAX
    }

    /// Forgets an ended job durably, with the files beside the journal.
    ///
    /// # Errors
    /// Those of [`Self::commit`] and of the file system.
    pub async fn delete_job(&self, job: JobId) -> Result<()> {
        self.commit(&[Event::Deleted { job }]).await?;
        self.inner.blobs.forget(job)
    }

    /// Makes the bytes of a plugin durable, for the event that adds it. Blocks.
    ///
    /// # Errors
    /// [`Error::Full`] and other errors of the file system.
    pub fn write_plugin(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        crate::files::write_durably(&self.plugin_path(digest), bytes)
    }

    /// The bytes of a plugin, if they are there and are the ones that were uploaded. Blocks.
    #[must_use]
    pub fn read_plugin(&self, digest: &Digest) -> Option<Vec<u8>> {
        let bytes = std::fs::read(self.plugin_path(digest)).ok()?;
        if Digest::of(&bytes) == *digest {
            return Some(bytes);
        }
        tracing::error!(%digest, "the stored bytes of a plugin are not those that were uploaded");
        None
    }

    /// Removes the bytes of a plugin after the event that removed it. Blocks.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove_plugin_bytes(&self, digest: &Digest) -> Result<()> {
        crate::files::remove(&self.plugin_path(digest))
    }

    fn plugin_path(&self, digest: &Digest) -> PathBuf {
        self.inner.data_dir.join(open::PLUGINS).join(format!("{}.wasm", digest.to_hex()))
    }

    /// Makes everything durable and gives the index to the disk. Appending is refused afterwards. Blocks.
    pub fn close(&self) {
        self.inner.journal.close();
        self.inner.order.lock().close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.journal.close();
        self.order.get_mut().close();
    }
}

#[cfg(test)]
mod tests;
