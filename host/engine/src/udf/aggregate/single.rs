//! The state of all rows as one group: aggregates without keys, and window functions.

use super::groups::{Groups, HandIn, HandOut};
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, new_empty_array};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

/// The accumulator. Guests give states away, and DataFusion may ask for one again: what was asked for is kept.
#[derive(Debug)]
pub(super) struct Single {
    groups: Groups,
    /// The whole state while the guest has none.
    kept: Option<RecordBatch>,
}

impl Single {
    pub(super) fn new(groups: Groups) -> Self {
        Self { groups, kept: None }
    }

    fn hand_in(&mut self, kind: HandIn, values: &[ArrayRef]) -> Result<()> {
        if let Some(state) = self.kept.take() {
            self.groups.hand_in(HandIn::States, state.columns(), &[0], 1)?;
        }
        let rows = values.first().map_or(0, |column| column.len());
        self.groups.hand_in(kind, values, &vec![0; rows], 1)
    }

    fn take(&mut self) -> Result<RecordBatch> {
        if let Some(state) = &self.kept {
            return Ok(state.clone());
        }
        // Without any row there is one group all the same.
        let nothing: Vec<ArrayRef> = self.groups.function.input.fields().iter().map(|field| new_empty_array(field.data_type())).collect();
        self.groups.hand_in(HandIn::Rows, &nothing, &[], 1)?;
        let state = self.groups.hand_out(HandOut::States, EmitTo::All)?;
        self.kept = Some(state.clone());
        Ok(state)
    }
}

impl Accumulator for Single {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.hand_in(HandIn::Rows, values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let state = self.take()?;
        self.groups.hand_in(HandIn::States, state.columns(), &[0], 1)?;
        let answer = self.groups.hand_out(HandOut::Answers, EmitTo::All)?;
        ScalarValue::try_from_array(&self.groups.function.result(answer), 0)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.groups.size() + self.kept.as_ref().map_or(0, RecordBatch::get_array_memory_size)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.take()?.columns().iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.hand_in(HandIn::States, states)
    }
}
