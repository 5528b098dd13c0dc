//! The states of many groups, in one instance of the guest or, where its memory does not hold them all, in several.

use super::Function;
use azora_sandbox::AggregateInstance;
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use datafusion::arrow::compute::{
    CastOptions, cast_with_options, concat_batches, filter_record_batch, prep_null_mask_filter, take_record_batch,
};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{Result, internal_err, resources_err};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use parking_lot::Mutex;
use std::sync::Arc;

/// The part of a guest's memory from which on new groups go to another instance: growing doubles what holds the states,
/// and needs the old and the new place for a while.
const FULL_PART: usize = 4;
/// States or answers that are taken in one call.
const TAKEN_MAX: u32 = 64 << 10;

/// Some of the groups: those behind the ones of the shards before.
#[derive(Debug)]
struct Shard {
    instance: AggregateInstance,
    groups: u32,
    /// Of the instance before it had any group.
    bytes_at_start: usize,
}

impl Shard {
    fn bytes(&self) -> usize {
        self.instance.stats().memory_bytes
    }
}

/// What goes in.
#[derive(Debug, Clone, Copy)]
pub(super) enum HandIn {
    Rows,
    States,
}

/// What comes out.
#[derive(Debug, Clone, Copy)]
pub(super) enum HandOut {
    States,
    Answers,
}

/// The accumulator.
#[derive(Debug)]
pub(super) struct Groups {
    pub(super) function: Arc<Function>,
    shards: Vec<Shard>,
    /// Groups of the rows at hand, as the guest wants them.
    narrow: Vec<u32>,
    /// An instance without groups, for batches each of whose rows becomes a state: to start one a batch costs as much as
    /// the batch does.
    converter: Mutex<Option<Shard>>,
}

impl Groups {
    pub(super) fn new(function: Arc<Function>) -> Self {
        Self { function, shards: Vec::new(), narrow: Vec::new(), converter: Mutex::default() }
    }

    /// Adds rows or states to their groups.
    pub(super) fn hand_in(&mut self, kind: HandIn, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        let schema = match kind {
            HandIn::Rows => Arc::clone(&self.function.input),
            HandIn::States => Arc::clone(&self.function.aggregate.plan().state),
        };
        let rows = rows_of(&schema, values, groups.len())?;
        self.hand_in_rows(kind, &rows, groups, total)
    }

    fn hand_in_rows(&mut self, kind: HandIn, rows: &RecordBatch, groups: &[usize], total: usize) -> Result<()> {
        let Ok(total) = u32::try_from(total) else { return resources_err!("more than 2^32 groups") };
        self.grow(total)?;
        // Below the total, which fits.
        self.narrow.clear();
        self.narrow.extend(groups.iter().map(|&group| group as u32));
        let function = Arc::clone(&self.function);
        let call = |shard: &mut Shard, rows: &RecordBatch, groups: &[u32]| {
            let called = match kind {
                HandIn::Rows => shard.instance.update(rows, groups, shard.groups),
                HandIn::States => shard.instance.merge(rows, groups, shard.groups),
            };
            called.map_err(|error| function.failed(error))
        };
        if let [shard] = self.shards.as_mut_slice() {
            return call(shard, rows, &self.narrow);
        }
        let (last, parts) = (self.shards.len().saturating_sub(1), self.parted());
        for (at, (shard, (picked, local))) in self.shards.iter_mut().zip(parts).enumerate() {
            // The last one has to hear of its new groups in any case.
            if !picked.is_empty() || at == last {
                call(shard, &take_record_batch(rows, &UInt32Array::from(picked))?, &local)?;
            }
        }
        Ok(())
    }

    /// For each shard the rows at hand that are in its groups, and their groups as it numbers them.
    fn parted(&self) -> Vec<(Vec<u32>, Vec<u32>)> {
        let ends = self.shards.iter().scan(0, |end, shard| {
            *end += shard.groups;
            Some(*end)
        });
        let ends: Vec<u32> = ends.collect();
        let mut parts = vec![(Vec::new(), Vec::new()); ends.len()];
        for (row, &group) in (0..).zip(&self.narrow) {
            let at = ends.partition_point(|&end| end <= group);
            let start = at.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
            if let Some((picked, local)) = parts.get_mut(at) {
                picked.push(row);
                local.push(group - start);
            }
        }
        parts
    }

    /// What an instance may hold before new groups go to another one.
    fn full_bytes(&self) -> usize {
        self.function.limits.memory_bytes_max / FULL_PART
    }

    /// Makes room for groups.
    fn grow(&mut self, total: u32) -> Result<()> {
        let covered: u32 = self.shards.iter().map(|shard| shard.groups).sum();
        let full = self.full_bytes();
        let is_full = self.shards.last().is_none_or(|shard| shard.groups > 0 && total > covered && shard.bytes() > full);
        if is_full {
            let instance = self.function.start(self.function.run.flag())?;
            let bytes_at_start = instance.stats().memory_bytes;
            self.shards.push(Shard { instance, groups: 0, bytes_at_start });
        }
        match self.shards.last_mut() {
            Some(shard) => shard.groups += total.saturating_sub(covered),
            None => return internal_err!("an aggregate without an instance"),
        }
        Ok(())
    }

    /// Takes states or answers of the first groups; the others move down.
    pub(super) fn hand_out(&mut self, kind: HandOut, emit: EmitTo) -> Result<RecordBatch> {
        let taken = self.take(kind, emit)?;
        // A guest's memory never shrinks: only letting go of it gives it back.
        self.shards.retain(|shard| shard.groups > 0);
        Ok(taken)
    }

    /// As [`Self::hand_out`], and emptied instances stay.
    fn take(&mut self, kind: HandOut, emit: EmitTo) -> Result<RecordBatch> {
        let schema = match kind {
            HandOut::States => Arc::clone(&self.function.aggregate.plan().state),
            HandOut::Answers => Arc::clone(&self.function.aggregate.plan().result),
        };
        let mut left = match emit {
            EmitTo::All => usize::MAX,
            EmitTo::First(groups) => groups,
        };
        let mut parts = Vec::new();
        for shard in &mut self.shards {
            while left > 0 && shard.groups > 0 {
                let count = shard.groups.min(TAKEN_MAX).min(u32::try_from(left).unwrap_or(u32::MAX));
                let part = match kind {
                    HandOut::States => shard.instance.state(Some(count)),
                    HandOut::Answers => shard.instance.evaluate(Some(count)),
                };
                parts.push(part.map_err(|error| self.function.failed(error))?);
                shard.groups -= count;
                left -= count as usize;
            }
            if shard.groups > 0 {
                break;
            }
        }
        match parts.as_slice() {
            [part] => Ok(part.clone()),
            parts => Ok(concat_batches(&schema, parts)?),
        }
    }
}

/// Columns under a schema that they fit or cast to; a value that does not is an error, never null.
fn rows_of(schema: &SchemaRef, values: &[ArrayRef], rows: usize) -> Result<RecordBatch> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let mut columns = Vec::with_capacity(values.len());
    for (value, field) in values.iter().zip(schema.fields()) {
        columns.push(if value.data_type() == field.data_type() {
            Arc::clone(value)
        } else {
            cast_with_options(value, field.data_type(), &options)?
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// The rows that a filter lets through, with their groups.
fn filtered(rows: &RecordBatch, groups: &[usize], filter: &BooleanArray) -> Result<(RecordBatch, Vec<usize>)> {
    let mask = if filter.null_count() > 0 { prep_null_mask_filter(filter) } else { filter.clone() };
    let kept = groups.iter().zip(mask.values()).filter(|(_, is_kept)| *is_kept).map(|(group, _)| *group).collect();
    Ok((filter_record_batch(rows, &mask)?, kept))
}

impl GroupsAccumulator for Groups {
    fn update_batch(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, total: usize) -> Result<()> {
        match filter {
            None => self.hand_in(HandIn::Rows, values, groups, total),
            Some(filter) => {
                let rows = rows_of(&self.function.input, values, groups.len())?;
                let (rows, groups) = filtered(&rows, groups, filter)?;
                self.hand_in_rows(HandIn::Rows, &rows, &groups, total)
            }
        }
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let rows = self.hand_out(HandOut::Answers, emit)?;
        Ok(self.function.result(rows))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(self.hand_out(HandOut::States, emit)?.columns().to_vec())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.hand_in(HandIn::States, values, groups, total)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |column| column.len());
        let each: Vec<usize> = (0..rows).collect();
        let mut fresh = Self::new(Arc::clone(&self.function));
        fresh.shards.extend(self.converter.lock().take());
        fresh.update_batch(values, &each, filter, rows)?;
        let states = fresh.take(HandOut::States, EmitTo::All)?;
        *self.converter.lock() = fresh.shards.pop().filter(|shard| shard.bytes() <= fresh.full_bytes());
        Ok(states.columns().to_vec())
    }

    fn size(&self) -> usize {
        let states = |shard: &Shard| shard.bytes().saturating_sub(shard.bytes_at_start);
        let kept = self.converter.lock().as_ref().map_or(0, states);
        self.shards.iter().map(states).sum::<usize>() + kept + self.narrow.capacity() * size_of::<u32>()
    }
}
