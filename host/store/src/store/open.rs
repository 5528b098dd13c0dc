//! Opening a data directory: lock, format, journal, index, then away with what a crash left over.

use super::{Inner, Options, Store};
use crate::blob::Blobs;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::files;
use crate::index::{Disk, Loaded};
use crate::journal::{self, Journal};
use crate::lock::Lock;
use crate::record::Pointer;
use parking_lot::{Mutex, RwLock};
use std::path::Path;
use std::sync::Arc;

/// Layout of the data directory as a whole.
const FORMAT: u32 = 1;
/// Uploaded bytes, one file per digest.
pub(super) const PLUGINS: &str = "plugins";

pub(super) fn open(options: &Options) -> Result<Store> {
    let data_dir = &options.data_dir;
    files::make_dir(data_dir)?;
    let lock = Lock::take(data_dir)?;
    check_format(&data_dir.join("FORMAT"))?;
    files::make_dir(&data_dir.join(PLUGINS))?;
    let blobs = Blobs::open(data_dir.join("jobs"))?;
    let segment_bytes = options.segment_bytes.max(4 << 10);
    let (journal, opened) = Journal::open(journal::Options { directory: data_dir.join("journal"), segment_bytes })?;
    if opened.holes > 0 {
        tracing::error!(holes = opened.holes, "the journal is damaged; what these stretches held is lost, everything else is used");
    }
    let first = journal.bases().first().copied().unwrap_or_default();
    let Loaded { mut disk, mut tables, lsn } = Disk::load(&data_dir.join("index"), first, journal.end())?;
    let mut replayed = 0u64;
    for base in journal.bases() {
        for (at, payload) in journal.scan(base)? {
            if at < lsn {
                continue;
            }
            match Event::decode(&payload, at) {
                Ok(event) => disk.write(tables.apply(&event, Pointer(at, payload.len() as u64)), journal.end()),
                Err(error @ Error::Newer { .. }) => return Err(error),
                Err(error) => tracing::error!(lsn = at, %error, "a record was skipped"),
            }
            replayed += 1;
        }
    }
    tracing::info!(records = opened.records, replayed, jobs = tables.jobs.len(), is_tail_cut = opened.is_tail_cut, "the store is open");
    blobs.sweep(|job| tables.jobs.contains_key(&job))?;
    sweep_plugins(&data_dir.join(PLUGINS), &tables)?;
    let inner = Inner {
        data_dir: data_dir.clone(),
        journal,
        tables: RwLock::new(tables),
        order: Mutex::new(disk),
        blobs,
        segment_bytes,
        _lock: lock,
    };
    Ok(Store { inner: Arc::new(inner) })
}

/// Refuses a directory of a newer version; notes ours in a fresh one.
fn check_format(path: &Path) -> Result<()> {
    let Ok(text) = std::fs::read_to_string(path) else {
        return files::write_durably(path, format!("{FORMAT}\n").as_bytes());
    };
    match text.trim().parse::<u32>() {
        Ok(found) if found > FORMAT => Err(Error::Newer { path: path.to_owned(), found, supported: FORMAT }),
        Ok(_) => Ok(()),
        Err(_) => {
            tracing::error!(file = %path.display(), "the format file is damaged and is written again");
            files::write_durably(path, format!("{FORMAT}\n").as_bytes())
        }
    }
}

/// Removes bytes that no event names: an upload that a crash cut short.
fn sweep_plugins(directory: &Path, tables: &crate::index::Tables) -> Result<()> {
    let io = |error| Error::io("list", directory, error);
    for entry in std::fs::read_dir(directory).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let digest = name.strip_suffix(".wasm").and_then(azora_spec::Digest::parse);
        if !digest.is_some_and(|digest| tables.plugins.contains_key(&digest)) {
            files::remove(&path)?;
        }
    }
    Ok(())
}
