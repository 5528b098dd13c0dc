//! The memory pool of a context. How operators spill is theirs.

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use parking_lot::Mutex;
use std::fmt;

/// What operators that spill leave free for those that cannot, as a part of the pool: one half. Merges of spilled runs
/// reserve a third (see `session`), exchanges and sinks take the rest.
const SPILLABLE_PART: usize = 2;
/// How far the first reservation of an operator may go beyond the pool, as a part of it. An operator that holds nothing
/// cannot help itself by spilling, so refusing it fails the job, while the others come down as they go on.
const OVERDRAFT_PART: usize = 4;

/// Shares memory fairly among operators that spill, within a half of the pool.
///
/// DataFusion's own fair pool lets the sort that starts first take everything. A sort that starts later then cannot even
/// reserve what its merge needs, has nothing to spill itself, and fails the job: two of five parallel sorts of data of
/// four times the memory did. Here the rest is out of the spillers' reach, so a late reservation finds its memory,
/// and the early spillers come down to their smaller share as they go on.
#[derive(Debug)]
pub(crate) struct SharedPool {
    bytes: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    spillers: usize,
    spillable: usize,
    unspillable: usize,
}

impl SharedPool {
    /// A pool of so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { bytes, used: Mutex::default() }
    }

    fn spillable_max(&self) -> usize {
        self.bytes / SPILLABLE_PART
    }

    /// Whether it is the first bytes of an operator, and within the overdraft.
    fn is_start(&self, used: &Used, reservation: &MemoryReservation, additional: usize) -> bool {
        let overdraft = self.bytes / OVERDRAFT_PART;
        let total = used.spillable.saturating_add(used.unspillable).saturating_add(additional);
        reservation.size() == 0 && additional <= overdraft && total <= self.bytes + overdraft
    }

    fn refused(&self, reservation: &MemoryReservation, additional: usize, free: usize) -> DataFusionError {
        DataFusionError::ResourcesExhausted(format!(
            "{} holds {} bytes and asks for {additional} more, {free} are free for it in {self}",
            reservation.consumer().name(),
            reservation.size(),
        ))
    }
}

impl MemoryPool for SharedPool {
    fn name(&self) -> &str {
        "shared"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.used.lock().spillers += 1;
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            let mut used = self.used.lock();
            used.spillers = used.spillers.saturating_sub(1);
        }
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        let mut used = self.used.lock();
        if reservation.consumer().can_spill() { used.spillable += additional } else { used.unspillable += additional }
    }

    fn shrink(&self, reservation: &MemoryReservation, bytes: usize) {
        let mut used = self.used.lock();
        let held = if reservation.consumer().can_spill() { &mut used.spillable } else { &mut used.unspillable };
        *held = held.saturating_sub(bytes);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut used = self.used.lock();
        if reservation.consumer().can_spill() {
            let all = self.spillable_max().min(self.bytes.saturating_sub(used.unspillable));
            let share = all / used.spillers.max(1);
            if reservation.size().saturating_add(additional) > share && !self.is_start(&used, reservation, additional) {
                return Err(self.refused(reservation, additional, share.saturating_sub(reservation.size())));
            }
            used.spillable += additional;
        } else {
            // Spillers that hold more than their half do so only until they grow again.
            let taken = used.unspillable + used.spillable.min(self.spillable_max());
            let free = self.bytes.saturating_sub(taken);
            if additional > free && !self.is_start(&used, reservation, additional) {
                return Err(self.refused(reservation, additional, free));
            }
            used.unspillable += additional;
        }
        Ok(())
    }

    fn reserved(&self) -> usize {
        let used = self.used.lock();
        used.spillable + used.unspillable
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes)
    }
}

impl fmt::Display for SharedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a pool of {} bytes", self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::SharedPool;
    use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
    use std::sync::Arc;

    #[test]
    fn a_late_reservation_finds_memory_beside_a_greedy_spiller() {
        let pool: Arc<dyn MemoryPool> = Arc::new(SharedPool::new(1000));
        let early = MemoryConsumer::new("early").with_can_spill(true).register(&pool);
        while early.try_grow(10).is_ok() {}
        assert_eq!(early.size(), 500);
        let merge = MemoryConsumer::new("merge").register(&pool);
        merge.try_grow(400).unwrap();
        let late = MemoryConsumer::new("late").with_can_spill(true).register(&pool);
        late.try_grow(250).unwrap();
        assert!(early.try_grow(1).is_err(), "its share is half of what it was");
        assert!(merge.try_grow(101).is_err(), "the pool has an end");
        let starting = MemoryConsumer::new("starting").register(&pool);
        starting.try_grow(100).unwrap();
        assert!(starting.try_grow(1).is_err(), "only the first bytes may overdraw");
        assert!(MemoryConsumer::new("huge").register(&pool).try_grow(251).is_err(), "and not by much");
    }
}
