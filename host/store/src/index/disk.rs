//! The copy of the rows in sled, and the position up to which it is true.
//!
//! sled 0.34 may not open after a torn write, may answer `Err` for ever while scanned, and calls no `fsync` on flush. So
//! the copy is checked whole when it is loaded, thrown away at the first doubt, and never trusted beyond the journal.

use super::{Change, Tables, kind};
use crate::error::{Error, Result};
use crate::journal::Lsn;
use crate::record::{DatasetRow, KeyRow, PluginRow};
use azora_spec::{Digest, JobId};
use serde::de::DeserializeOwned;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Layout of the copy. A copy of any other version is built again.
const SCHEMA_VERSION: u32 = 1;
const CACHE_BYTES: u64 = 64 << 20;
/// Size from which the copy is built again at start: sled never gives space back.
const DISK_BYTES_MAX: u64 = 256 << 20;
const KEY_LSN: &[u8] = &[kind::META, b'l'];
const KEY_SCHEMA: &[u8] = &[kind::META, b's'];

/// The copy, while it can be written.
#[derive(Debug)]
pub(crate) struct Disk {
    db: Option<sled::Db>,
}

/// What the disk gave.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) disk: Disk,
    pub(crate) tables: Tables,
    /// Events before it are in the tables already.
    pub(crate) lsn: Lsn,
}

impl Disk {
    /// Loads the copy if it is whole and lies between the ends of the journal; makes an empty one otherwise.
    pub(crate) fn load(path: &Path, first: Lsn, end: Lsn) -> Result<Loaded> {
        if path.exists() {
            // sled answers damage with errors; a panic in it must not keep the server from starting either.
            match catch_unwind(AssertUnwindSafe(|| read(path, first, end))) {
                Ok(Ok(loaded)) => return Ok(loaded),
                Ok(Err(reason)) => tracing::warn!(%reason, "the index is built again from the journal"),
                Err(_) => tracing::error!("the index could not be read at all; it is built again from the journal"),
            }
            set_aside(path)?;
        }
        let fresh = open(path).and_then(|db| db.insert(KEY_SCHEMA, &SCHEMA_VERSION.to_be_bytes()).map(|_| db));
        let db = match fresh {
            Ok(db) => Some(db),
            Err(error) => {
                // The journal alone is enough, and a full disk must not keep the server from ending its jobs.
                tracing::error!(%error, "the index on disk cannot be made; this run goes on without it");
                None
            }
        };
        Ok(Loaded { disk: Self { db }, tables: Tables::default(), lsn: 0 })
    }

    /// Writes changes and the position behind them as one step. After a failure the copy stays as it is until a restart
    /// brings it up to date.
    pub(crate) fn write(&mut self, changes: Vec<Change>, lsn: Lsn) {
        let Some(db) = &self.db else { return };
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        batch.insert(KEY_LSN, &lsn.to_be_bytes());
        if let Err(error) = db.apply_batch(batch) {
            tracing::warn!(%error, "the index on disk cannot be written; it is left alone until the next start");
            self.db = None;
        }
    }

    /// Gives everything to the operating system.
    pub(crate) fn close(&mut self) {
        if let Some(Err(error)) = self.db.take().map(|db| db.flush()) {
            tracing::warn!(%error, "the index on disk could not be flushed; the next start brings it up to date");
        }
    }
}

fn open(path: &Path) -> std::result::Result<sled::Db, sled::Error> {
    sled::Config::default().path(path).cache_capacity(CACHE_BYTES).mode(sled::Mode::HighThroughput).open()
}

/// Why a copy is not used.
#[derive(Debug, thiserror::Error)]
enum Doubt {
    #[error("sled: {0}")]
    Sled(#[from] sled::Error),
    #[error("a row is not one")]
    Row,
    #[error("it has version {0}")]
    Version(u32),
    #[error("it is at {0}, the journal is not")]
    Position(Lsn),
    #[error("it takes {0} bytes")]
    Size(u64),
}

fn read(path: &Path, first: Lsn, end: Lsn) -> std::result::Result<Loaded, Doubt> {
    let db = open(path)?;
    let version = db.get(KEY_SCHEMA)?.and_then(|value| value.first_chunk().copied()).map(u32::from_be_bytes).ok_or(Doubt::Row)?;
    if version != SCHEMA_VERSION {
        return Err(Doubt::Version(version));
    }
    let lsn = db.get(KEY_LSN)?.and_then(|value| value.first_chunk().copied()).map_or(0, u64::from_be_bytes);
    // Behind the first record, events that would bring it up to date may be gone. Beyond the last one, it knows of events
    // that a crash took back.
    if lsn < first || lsn > end {
        return Err(Doubt::Position(lsn));
    }
    let size = db.size_on_disk()?;
    if size > DISK_BYTES_MAX {
        return Err(Doubt::Size(size));
    }
    let mut tables = Tables::default();
    for entry in db.iter() {
        // An iterator of a damaged tree may repeat its error for ever: the first one ends it.
        let (key, value) = entry?;
        insert(&mut tables, &key, &value).ok_or(Doubt::Row)?;
    }
    tables.recount();
    Ok(Loaded { disk: Disk { db: Some(db) }, tables, lsn })
}

fn insert(tables: &mut Tables, key: &[u8], value: &[u8]) -> Option<()> {
    let (kind, name) = key.split_first()?;
    match *kind {
        kind::JOB => {
            let id = JobId::from_bytes(name.try_into().ok()?);
            tables.jobs.entry(id).or_default().row = decode(value)?;
        }
        kind::TOKEN => {
            let (id, partition) = name.split_at_checked(16)?;
            let id = JobId::from_bytes(id.try_into().ok()?);
            let partition = u32::from_be_bytes(partition.try_into().ok()?);
            tables.jobs.entry(id).or_default().tokens.insert(partition, decode(value)?);
        }
        kind::PLUGIN => {
            let row: PluginRow = decode(value)?;
            tables.plugins.insert(Digest::parse(&row.digest.to_hex())?, row);
        }
        kind::DATASET => {
            let row: DatasetRow = decode(value)?;
            tables.datasets.insert(row.name.clone(), row);
        }
        kind::KEY => {
            let row: KeyRow = decode(value)?;
            tables.keys.insert(String::from_utf8(name.to_vec()).ok()?, row);
        }
        kind::META => {}
        _ => return None,
    }
    Some(())
}

fn decode<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    serde_json::from_slice(value).ok()
}

/// Keeps the newest doubtful copy for people; it is not needed for anything.
fn set_aside(path: &Path) -> Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    let aside = PathBuf::from(aside);
    if aside.exists() {
        std::fs::remove_dir_all(&aside).map_err(|error| Error::io("remove", &aside, error))?;
    }
    std::fs::rename(path, &aside).map_err(|error| Error::io("set aside", path, error))
}
