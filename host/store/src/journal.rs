//! The journal: append, make durable, read back. What a record means is not known here.
//!
//! A position ([`Lsn`]) counts the bytes of all records ever written, so it grows without gaps across segments and
//! finds its record without an index. One thread writes; whoever waits for durability shares its `fdatasync`.

mod frame;
mod open;
mod segment;
mod writer;

use crate::error::{Error, Result};
use parking_lot::{Condvar, Mutex, RwLock};
use segment::Segment;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

pub(crate) use frame::RECORD_BYTES_MAX;

/// A position in the journal.
pub type Lsn = u64;

/// Most bytes that wait for the disk; appending waits beyond it.
const PENDING_BYTES_MAX: usize = 8 << 20;
/// Longest time that an appended record stays in memory only, if nobody asks for it sooner.
const LINGER: Duration = Duration::from_millis(50);
/// How often a full disk is tried again.
const FULL_RETRY: Duration = Duration::from_millis(250);

/// Where the journal lies and how it is cut.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) directory: PathBuf,
    /// Size at which a segment is closed, and which is reserved on disk ahead of need.
    pub(crate) segment_bytes: u64,
}

/// How far the disk is, and whether it stopped.
#[derive(Debug, Clone, Copy, Default)]
struct Durable {
    lsn: Lsn,
    fault: Option<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Full,
    Broken,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Full => Self::Full,
            Fault::Broken => Self::Broken,
        }
    }
}

#[derive(Debug, Default)]
struct Pending {
    /// Framed records that the writer has not taken yet.
    buffer: Vec<u8>,
    /// Bytes that the writer took and that are not durable yet.
    taken: usize,
    /// Position of the next record.
    next: Lsn,
    /// Somebody waits for this position.
    wanted: Lsn,
    is_closing: bool,
}

/// State that appenders and the writer share.
#[derive(Debug)]
struct Shared {
    options: Options,
    pending: Mutex<Pending>,
    /// Tells the writer that there is something to do.
    work: Condvar,
    /// Tells appenders that there is room.
    room: Condvar,
    durable: watch::Sender<Durable>,
    segments: RwLock<BTreeMap<Lsn, Arc<Segment>>>,
    /// Whether the reserve for the next segment could not be made: time to refuse new work.
    is_reserve_missing: std::sync::atomic::AtomicBool,
}

/// The journal's only handle. Dropping it writes what is pending.
#[derive(Debug)]
pub(crate) struct Journal {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Journal {
    /// Appends records as one run and returns the position of each. Waits while too much is pending.
    pub(crate) fn append(&self, payloads: &[Vec<u8>]) -> Result<Vec<Lsn>> {
        if let Some(large) = payloads.iter().find(|payload| payload.len() > RECORD_BYTES_MAX) {
            return Err(Error::TooLarge { bytes: large.len(), max: RECORD_BYTES_MAX });
        }
        let mut pending = self.shared.pending.lock();
        while pending.buffer.len() + pending.taken > PENDING_BYTES_MAX {
            if let Some(fault) = self.shared.durable.borrow().fault {
                return Err(fault.into());
            }
            self.shared.work.notify_one();
            self.shared.room.wait_for(&mut pending, FULL_RETRY);
        }
        if self.shared.durable.borrow().fault == Some(Fault::Broken) || pending.is_closing {
            return Err(Error::Broken);
        }
        let was_idle = pending.buffer.is_empty();
        let mut lsns = Vec::with_capacity(payloads.len());
        for payload in payloads {
            let lsn = pending.next;
            pending.next += frame::push(&mut pending.buffer, lsn, payload);
            lsns.push(lsn);
        }
        if was_idle {
            self.shared.work.notify_one();
        }
        Ok(lsns)
    }

    /// Position behind the last record.
    pub(crate) fn end(&self) -> Lsn {
        self.shared.pending.lock().next
    }

    /// Waits until everything before a position is durable.
    pub(crate) async fn flush_to(&self, lsn: Lsn) -> Result<()> {
        let mut durable = self.shared.durable.subscribe();
        self.want(lsn);
        let state = *durable.wait_for(|state| state.lsn >= lsn || state.fault.is_some()).await.map_err(|_| Error::Broken)?;
        Self::outcome(state, lsn)
    }

    /// The same for a thread that may block.
    pub(crate) fn flush_blocking(&self, lsn: Lsn) -> Result<()> {
        self.want(lsn);
        let mut pending = self.shared.pending.lock();
        loop {
            let state = *self.shared.durable.borrow();
            if state.lsn >= lsn || state.fault.is_some() {
                return Self::outcome(state, lsn);
            }
            self.shared.room.wait_for(&mut pending, FULL_RETRY);
        }
    }

    fn want(&self, lsn: Lsn) {
        let mut pending = self.shared.pending.lock();
        if lsn > pending.wanted {
            pending.wanted = lsn;
            self.shared.work.notify_one();
        }
    }

    fn outcome(state: Durable, lsn: Lsn) -> Result<()> {
        match state.fault {
            _ if state.lsn >= lsn => Ok(()),
            Some(fault) => Err(fault.into()),
            None => Err(Error::Broken),
        }
    }

    /// Reads one record. One that is not written yet is written first.
    pub(crate) fn read(&self, lsn: Lsn) -> Result<Vec<u8>> {
        if lsn >= self.shared.durable.borrow().lsn {
            let end = self.end();
            if lsn >= end {
                return Err(Error::Damaged { lsn, what: "nothing was written there" });
            }
            self.flush_blocking(end)?;
        }
        let segment = self.shared.segments.read().range(..=lsn).next_back().map(|(_, segment)| Arc::clone(segment));
        segment.ok_or(Error::Damaged { lsn, what: "its segment is gone" })?.read(lsn)
    }

    /// Whether new work should be refused because the disk is full.
    pub(crate) fn is_full(&self) -> bool {
        self.shared.is_reserve_missing.load(std::sync::atomic::Ordering::Relaxed) || self.shared.durable.borrow().fault == Some(Fault::Full)
    }

    /// Bytes in closed segments, and the closed segments' positions, oldest first.
    pub(crate) fn closed(&self) -> Vec<(Lsn, u64)> {
        let segments = self.shared.segments.read();
        let bases: Vec<Lsn> = segments.keys().copied().collect();
        bases.windows(2).filter_map(|pair| if let [base, next] = pair { Some((*base, next - base)) } else { None }).collect()
    }

    /// Positions at which segments begin, oldest first. Never empty.
    pub(crate) fn bases(&self) -> Vec<Lsn> {
        self.shared.segments.read().keys().copied().collect()
    }

    /// Every readable record of one segment, with its position.
    pub(crate) fn scan(&self, base: Lsn) -> Result<Vec<(Lsn, Vec<u8>)>> {
        let segment = self.shared.segments.read().get(&base).map(Arc::clone);
        Ok(segment.ok_or(Error::Damaged { lsn: base, what: "its segment is gone" })?.records()?.records)
    }

    /// Removes a closed segment whose records are not needed any more.
    pub(crate) fn remove(&self, base: Lsn) -> Result<()> {
        let segment = {
            let mut segments = self.shared.segments.write();
            if segments.len() < 2 || segments.keys().next_back() == Some(&base) {
                return Ok(());
            }
            segments.remove(&base)
        };
        segment.map_or(Ok(()), |segment| {
            crate::files::remove(segment.path())?;
            crate::files::sync_dir(&self.shared.options.directory)
        })
    }

    /// Writes and syncs everything, then ends the writer.
    pub(crate) fn close(&self) {
        {
            let mut pending = self.shared.pending.lock();
            pending.is_closing = true;
            pending.wanted = pending.next;
            self.shared.work.notify_one();
        }
        if let Some(writer) = self.writer.lock().take()
            && writer.join().is_err()
        {
            tracing::error!("the journal's writer panicked");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
