//! The one thread that writes the journal: it takes what is pending, writes it, syncs once for all who wait.

use super::segment::{self, Segment};
use super::{Durable, FULL_RETRY, Fault, LINGER, Lsn, Shared, frame};
use crate::error::{Error, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

/// Starts the thread.
pub(super) fn spawn(shared: Arc<Shared>, active: Arc<Segment>, end: Lsn) -> Result<JoinHandle<()>> {
    let writer = Writer { shared, active, reserve: None, carry: Vec::new(), durable: end, written: end };
    std::thread::Builder::new()
        .name("azora-journal".to_owned())
        .spawn(move || writer.run())
        .map_err(|error| Error::io("start", "the journal's thread", error))
}

struct Writer {
    shared: Arc<Shared>,
    active: Arc<Segment>,
    /// A file with room for the next segment.
    reserve: Option<PathBuf>,
    /// Bytes from `durable` on. Kept until they are durable: after a failed sync they must be written again.
    carry: Vec<u8>,
    durable: Lsn,
    written: Lsn,
}

impl Writer {
    fn run(mut self) {
        loop {
            self.prepare_reserve();
            let is_closing = self.take();
            match self.write_out().and_then(|()| self.sync()) {
                Ok(()) => self.publish(None),
                Err(Error::Full) => {
                    self.written = self.durable;
                    self.publish(Some(Fault::Full));
                    if is_closing {
                        tracing::error!("the disk is full: the last records could not be written");
                        return;
                    }
                    std::thread::park_timeout(FULL_RETRY);
                }
                Err(error) => {
                    tracing::error!(%error, "the journal cannot be written any more");
                    self.publish(Some(Fault::Broken));
                    return;
                }
            }
            if is_closing && self.carry.is_empty() && self.shared.pending.lock().buffer.is_empty() {
                return;
            }
        }
    }

    /// Waits until somebody wants something durable, or something is old enough, and takes all that is pending. Answers
    /// whether the journal closes.
    fn take(&mut self) -> bool {
        let mut pending = self.shared.pending.lock();
        let mut is_old = !self.carry.is_empty();
        loop {
            let has_bytes = !pending.buffer.is_empty() || !self.carry.is_empty();
            if pending.is_closing || (pending.wanted > self.durable && has_bytes) || (has_bytes && is_old) {
                break;
            }
            if has_bytes {
                is_old = self.shared.work.wait_for(&mut pending, LINGER).timed_out();
            } else if self.reserve.is_none() {
                // Without a reserve the disk is full: look again from time to time, so that new work is taken again.
                if self.shared.work.wait_for(&mut pending, FULL_RETRY).timed_out() {
                    break;
                }
            } else {
                self.shared.work.wait(&mut pending);
            }
        }
        self.carry.append(&mut pending.buffer);
        pending.taken = self.carry.len();
        pending.is_closing
    }

    /// Writes what is not written yet, in as many segments as it takes.
    fn write_out(&mut self) -> Result<()> {
        while let Some(rest) = self.carry.get(self.unsynced()..).filter(|rest| !rest.is_empty()) {
            let used = self.written - self.active.base();
            let room = self.shared.options.segment_bytes.saturating_sub(used);
            let fits = whole_records(rest, room);
            let fits = if fits == 0 && used == 0 { whole_records(rest, u64::MAX) } else { fits };
            if fits == 0 {
                self.rotate()?;
                continue;
            }
            let bytes = rest.get(..fits).unwrap_or_default();
            self.active.write(self.written, bytes).map_err(|error| Error::io("write", self.active.path(), error))?;
            self.written += fits as u64;
        }
        Ok(())
    }

    /// Closes the active segment and begins the next one.
    fn rotate(&mut self) -> Result<()> {
        let io = |error| Error::io("close", self.active.path(), error);
        self.active.cut(self.written).map_err(io)?;
        let options = &self.shared.options;
        let next = Arc::new(Segment::create(&options.directory, self.written, self.reserve.take(), options.segment_bytes)?);
        self.shared.segments.write().insert(self.written, Arc::clone(&next));
        self.active = next;
        // The cut has synced everything before the new segment.
        self.advance();
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        if self.written > self.durable {
            self.active.sync().map_err(|error| Error::io("sync", self.active.path(), error))?;
            self.advance();
        }
        Ok(())
    }

    fn advance(&mut self) {
        let done = self.unsynced().min(self.carry.len());
        self.carry.drain(..done);
        self.durable = self.written;
    }

    /// Bytes at the head of `carry` that are written and not synced.
    fn unsynced(&self) -> usize {
        usize::try_from(self.written - self.durable).unwrap_or(usize::MAX)
    }

    fn publish(&self, fault: Option<Fault>) {
        // Under the lock, so that a thread that just looked and is about to wait does not miss it.
        let mut pending = self.shared.pending.lock();
        pending.taken = self.carry.len();
        let lsn = self.durable;
        self.shared.durable.send_if_modified(|state| {
            let is_news = state.lsn != lsn || state.fault != fault;
            *state = Durable { lsn, fault };
            is_news
        });
        self.shared.room.notify_all();
        drop(pending);
    }

    /// Reserves the next segment ahead of need, and says so where that fails.
    fn prepare_reserve(&mut self) {
        if self.reserve.is_some() {
            return;
        }
        let options = &self.shared.options;
        let was_missing = self.shared.is_reserve_missing.load(Ordering::Relaxed);
        match segment::reserve(&options.directory, options.segment_bytes) {
            Ok(path) => self.reserve = Some(path),
            Err(error) if !was_missing => tracing::error!(%error, "no room for the next segment of the journal: new jobs are refused"),
            Err(_) => {}
        }
        if was_missing && self.reserve.is_some() {
            tracing::info!("there is room for the journal again");
        }
        self.shared.is_reserve_missing.store(self.reserve.is_none(), Ordering::Relaxed);
    }
}

/// Bytes of the records at the head of `bytes` that fit whole into `room`.
fn whole_records(bytes: &[u8], room: u64) -> usize {
    let mut end = 0;
    while let Some(length) = bytes.get(end..).filter(|rest| !rest.is_empty()).and_then(frame::disk_length) {
        // One record per call is enough where even one does not fit a segment.
        if (end + length) as u64 > room || (room == u64::MAX && end > 0) {
            break;
        }
        end += length;
    }
    end
}
