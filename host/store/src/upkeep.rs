//! Keeping the store small: drop old jobs and keys, and move what is alive out of the oldest segments so that these can go.
//!
//! Segments go oldest first. So an event that ends something (`deleted`, `removed`) never goes before the events that it
//! ends, and replaying what is left cannot bring anything back.

use crate::error::{Error, Result};
use crate::event::Event;
use crate::record::{EndedRow, Pointer};
use crate::store::{Retention, Store};
use azora_spec::JobId;

/// Segments that are kept whatever they hold; below it the disk space is not worth the work.
const SEGMENTS_MIN: u64 = 8;
/// Most segments that one call moves.
const SEGMENTS_PER_CALL: usize = 4;
/// Events moved in one append, so that other appends come in between.
const EVENTS_PER_APPEND: usize = 64;

/// What one call did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Jobs that were dropped; whoever keeps files for them removes these.
    pub dropped_jobs: Vec<JobId>,
    /// Idempotency keys that were dropped.
    pub dropped_keys: usize,
    /// Segments that were removed.
    pub removed_segments: usize,
}

impl Store {
    /// Applies retention and compaction. Blocks; meant for a thread of its own, from time to time.
    ///
    /// # Errors
    /// Those of [`Store::append`] and of the file system. What was done stays done.
    pub fn upkeep(&self, retention: &Retention, now_ms: u64) -> Result<Upkeep> {
        let dropped_jobs = self.drop_jobs(retention, now_ms)?;
        let dropped_keys = self.drop_keys(retention, now_ms)?;
        let mut removed_segments = 0;
        while removed_segments < SEGMENTS_PER_CALL && self.compact_oldest()? {
            removed_segments += 1;
        }
        Ok(Upkeep { dropped_jobs, dropped_keys, removed_segments })
    }

    fn drop_jobs(&self, retention: &Retention, now_ms: u64) -> Result<Vec<JobId>> {
        let oldest_ms = now_ms.saturating_sub(millis(retention.ended_age_max));
        let dropped: Vec<JobId> = {
            let tables = self.inner.tables.read();
            let ended = tables.jobs.iter().rev().filter_map(|(id, job)| job.row.ended.as_ref().map(|ended| (*id, ended)));
            let mut result_bytes = 0_u64;
            let mut is_dropped = |at: usize, ended: &EndedRow| {
                result_bytes = result_bytes.saturating_add(if ended.has_result { ended.bytes } else { 0 });
                at >= retention.ended_jobs_max || ended.at_ms < oldest_ms || result_bytes > retention.result_bytes_max
            };
            ended.enumerate().filter(|(at, (_, ended))| is_dropped(*at, ended)).map(|(_, (id, _))| id).collect()
        };
        self.append_and_wait(dropped.iter().map(|job| Event::Deleted { job: *job }))?;
        for job in &dropped {
            self.inner.blobs.forget(*job)?;
        }
        Ok(dropped)
    }

    fn drop_keys(&self, retention: &Retention, now_ms: u64) -> Result<usize> {
        let oldest_ms = now_ms.saturating_sub(millis(retention.key_age_max));
        let dropped: Vec<String> = {
            let tables = self.inner.tables.read();
            let mut by_age: Vec<(u64, &String)> = tables.keys.iter().map(|(key, row)| (row.at_ms, key)).collect();
            by_age.sort_unstable();
            let surplus = by_age.len().saturating_sub(retention.keys_max);
            by_age
                .into_iter()
                .enumerate()
                .filter(|(at, (at_ms, _))| *at < surplus || *at_ms < oldest_ms)
                .map(|(_, (_, key))| key.clone())
                .collect()
        };
        let n = dropped.len();
        self.append_and_wait(dropped.into_iter().map(|key| Event::KeyDropped { key }))?;
        Ok(n)
    }

    /// Moves the live events of the oldest closed segment to the end of the journal and removes it, where more than half
    /// of the journal is garbage. Answers whether it did.
    fn compact_oldest(&self) -> Result<bool> {
        let closed = self.inner.journal.closed();
        let closed_bytes: u64 = closed.iter().map(|(_, bytes)| bytes).sum();
        let live_bytes = self.inner.tables.read().live_bytes;
        let Some((base, _)) = closed.first().filter(|_| closed_bytes > 2 * live_bytes + SEGMENTS_MIN * self.inner.segment_bytes) else {
            return Ok(false);
        };
        let mut moved = 0u64;
        let records = self.inner.journal.scan(*base)?;
        for chunk in records.chunks(EVENTS_PER_APPEND) {
            moved += self.move_live(chunk)?;
        }
        self.inner.journal.flush_blocking(self.inner.journal.end())?;
        self.inner.journal.remove(*base)?;
        tracing::debug!(base, moved, "a segment of the journal was compacted");
        Ok(true)
    }

    /// Appends those of some records that rows still point to, and lets the rows point to the copies.
    fn move_live(&self, records: &[(u64, Vec<u8>)]) -> Result<u64> {
        let mut disk = self.inner.order.lock();
        let mut tables = self.inner.tables.write();
        let mut live = Vec::new();
        for (lsn, payload) in records {
            match Event::decode(payload, *lsn) {
                Ok(event) if tables.is_live(&event, Pointer(*lsn, payload.len() as u64)) => live.push((event, payload.clone())),
                Ok(_) => {}
                Err(error @ Error::Newer { .. }) => return Err(error),
                Err(error) => tracing::error!(lsn, %error, "a record was skipped while its segment was compacted"),
            }
        }
        let (events, payloads): (Vec<Event>, Vec<Vec<u8>>) = live.into_iter().unzip();
        if events.is_empty() {
            return Ok(0);
        }
        let lsns = self.inner.journal.append(&payloads)?;
        let mut changes = Vec::new();
        for ((event, lsn), payload) in events.iter().zip(lsns).zip(&payloads) {
            changes.extend(tables.apply(event, Pointer(lsn, payload.len() as u64)));
        }
        disk.write(changes, self.inner.journal.end());
        Ok(events.len() as u64)
    }

    fn append_and_wait(&self, events: impl Iterator<Item = Event>) -> Result<()> {
        let events: Vec<Event> = events.collect();
        let mut end = None;
        for chunk in events.chunks(EVENTS_PER_APPEND) {
            end = Some(self.append(chunk)?);
        }
        end.map_or(Ok(()), |end| self.inner.journal.flush_blocking(end))
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
