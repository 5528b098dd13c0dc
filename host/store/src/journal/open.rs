//! Opening a journal: find segments, cut a torn tail, report damage.

use super::segment::{self, HEADER_BYTES, Segment};
use super::{Durable, Journal, Lsn, Options, Pending, Shared, writer};
use crate::error::{Error, Result};
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::watch;

/// What opening found.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    /// Records that could be read.
    pub(crate) records: u64,
    /// Damaged stretches: each may have held records that are lost.
    pub(crate) holes: u64,
    /// Whether the last write had been cut short; what it held was never acknowledged.
    pub(crate) is_tail_cut: bool,
}

impl Journal {
    /// Opens or makes a journal and checks every record of it.
    pub(crate) fn open(options: Options) -> Result<(Self, Opened)> {
        crate::files::make_dir(&options.directory)?;
        let mut opened = Opened::default();
        let mut segments = BTreeMap::new();
        let mut end = 0;
        let files = find(&options)?;
        for (at, (base, path)) in files.iter().enumerate() {
            let is_last = at + 1 == files.len();
            let Some(segment) = Segment::open(path, *base)? else {
                set_aside(path, is_last, &mut opened)?;
                continue;
            };
            if !segments.is_empty() && *base != end {
                tracing::error!(expected = end, found = base, "the journal misses records between two segments");
                opened.holes += 1;
            }
            let contents = segment.records()?;
            opened.records += contents.records.len() as u64;
            for (lsn, bytes) in &contents.holes {
                tracing::error!(segment = %path.display(), lsn, bytes, "a damaged stretch of the journal was skipped");
                opened.holes += 1;
            }
            if contents.is_torn && is_last {
                tracing::warn!(segment = %path.display(), lsn = contents.end, "the last write was cut short and is dropped; it was never acknowledged");
                opened.is_tail_cut = true;
            } else if contents.is_torn {
                tracing::error!(segment = %path.display(), lsn = contents.end, "the end of a closed segment is damaged");
                opened.holes += 1;
            }
            end = contents.end;
            segments.insert(*base, Arc::new(segment));
        }
        Ok((Self::begin(options, segments, end)?, opened))
    }

    fn begin(options: Options, mut segments: BTreeMap<Lsn, Arc<Segment>>, end: Lsn) -> Result<Self> {
        let active = match segments.last_key_value() {
            Some((_, segment)) => {
                let segment = Arc::clone(segment);
                let io = |error| Error::io("cut", segment.path(), error);
                // Bytes behind the end must be zeros, or a later, shorter write could let them look like records.
                segment.cut(end).map_err(io)?;
                if let Err(error) = segment.extend(options.segment_bytes) {
                    tracing::warn!(%error, "room for the journal could not be reserved");
                }
                segment
            }
            None => {
                let segment = Arc::new(Segment::create(&options.directory, end, None, options.segment_bytes)?);
                segments.insert(end, Arc::clone(&segment));
                segment
            }
        };
        let shared = Arc::new(Shared {
            options,
            pending: Mutex::new(Pending { next: end, wanted: end, ..Pending::default() }),
            work: Condvar::new(),
            room: Condvar::new(),
            durable: watch::Sender::new(Durable { lsn: end, fault: None }),
            segments: RwLock::new(segments),
            is_reserve_missing: AtomicBool::new(false),
        });
        let writer = writer::spawn(Arc::clone(&shared), active, end)?;
        Ok(Self { shared, writer: Mutex::new(Some(writer)) })
    }
}

/// Segment files in the order of their positions. Unfinished files of a crash are removed.
fn find(options: &Options) -> Result<Vec<(Lsn, PathBuf)>> {
    let io = |error| Error::io("list", &options.directory, error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&options.directory).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(crate::files::UNFINISHED) {
            crate::files::remove(&path)?;
        } else if let Some(base) =
            name.strip_suffix(segment::EXTENSION).and_then(|name| name.strip_suffix('.')).and_then(|name| name.parse().ok())
        {
            files.push((base, path));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// A file whose header is not one is kept for people under another name and not used.
fn set_aside(path: &std::path::Path, is_last: bool, opened: &mut Opened) -> Result<()> {
    let bytes = std::fs::metadata(path).map(|data| data.len()).unwrap_or_default();
    tracing::error!(segment = %path.display(), bytes, is_last, "a segment of the journal has a damaged header; its records are lost");
    if bytes > HEADER_BYTES {
        opened.holes += 1;
    }
    let aside = path.with_extension("damaged");
    std::fs::rename(path, &aside).map_err(|error| Error::io("set aside", path, error))
}
