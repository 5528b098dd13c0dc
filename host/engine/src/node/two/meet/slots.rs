//! The batches that rows of a meeting are picked from.

use super::Sides;
use super::side::Side;
use datafusion::arrow::array::{Array, ArrayRef, new_null_array};
use datafusion::arrow::compute::interleave;
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};

/// Batches that may come before those that nothing points to are let go of.
const SLOTS_MORE: usize = 64;

/// A slot and a row in it.
pub(super) type Place = (usize, usize);

/// The place of no row: its values are null.
pub(super) const NONE: Place = (0, 0);

#[derive(Debug)]
struct Slot {
    key: ArrayRef,
    /// One of them has values, the other one a null.
    values: Sides<ArrayRef>,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct Slots {
    /// The first one holds the nulls.
    slots: Vec<Slot>,
    slots_max: usize,
    reservation: MemoryReservation,
}

impl Slots {
    pub(super) fn new(sides: &Sides<Side>, context: &TaskContext) -> Result<Self> {
        let [left, right] = sides;
        let nulls = Slot {
            key: new_null_array(left.key_type(), 1),
            values: [new_null_array(&left.value_type(), 1), new_null_array(&right.value_type(), 1)],
            bytes: 0,
        };
        let reservation = MemoryConsumer::new("meeting by key").register(context.memory_pool());
        Ok(Self { slots: vec![nulls], slots_max: SLOTS_MORE, reservation })
    }

    /// Takes a batch of a side; `more` are the bytes that come with it.
    pub(super) fn add(&mut self, side: usize, key: ArrayRef, value: Option<ArrayRef>, more: usize) -> Result<usize> {
        let mut bytes = more + key.to_data().get_slice_memory_size()?;
        let Some(nulls) = self.slots.first() else { return datafusion::common::internal_err!("the nulls are missing") };
        let mut values = nulls.values.clone();
        if let Some(value) = value {
            bytes += value.to_data().get_slice_memory_size()?;
            values[side] = value;
        }
        self.reservation.try_grow(bytes)?;
        self.slots.push(Slot { key, values, bytes });
        Ok(self.slots.len() - 1)
    }

    /// Whether it is time to let go of some.
    pub(super) fn is_crowded(&self) -> bool {
        self.slots.len() >= self.slots_max
    }

    pub(super) fn keys(&self, places: &[Place]) -> Result<ArrayRef> {
        let keys: Vec<&dyn Array> = self.slots.iter().map(|slot| slot.key.as_ref()).collect();
        Ok(interleave(&keys, places)?)
    }

    pub(super) fn values(&self, side: usize, places: &[Place]) -> Result<ArrayRef> {
        let values: Vec<&dyn Array> = self.slots.iter().map(|slot| slot.values[side].as_ref()).collect();
        Ok(interleave(&values, places)?)
    }

    /// Keeps the slots that are pointed to, and points to where they are then.
    pub(super) fn collect<'a>(&mut self, used: impl Iterator<Item = &'a mut usize>) -> Result<()> {
        let mut moved: Vec<Option<usize>> = vec![None; self.slots.len()];
        let mut kept: Vec<usize> = vec![0];
        for slot in used {
            let Some(to) = moved.get_mut(*slot) else { continue };
            *slot = *to.get_or_insert_with(|| {
                kept.push(*slot);
                kept.len() - 1
            });
        }
        let mut slots: Vec<Option<Slot>> = std::mem::take(&mut self.slots).into_iter().map(Some).collect();
        self.slots = kept.into_iter().filter_map(|at| slots.get_mut(at).and_then(Option::take)).collect();
        self.slots_max = self.slots.len() + SLOTS_MORE;
        self.reservation.try_resize(self.slots.iter().map(|slot| slot.bytes).sum())?;
        Ok(())
    }
}
