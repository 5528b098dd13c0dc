//! States of one group and of many, as DataFusion asks for them.

use super::wide::Words;
use crate::udf::distinct::Distinct;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use datafusion::arrow::datatypes::Float64Type;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use std::sync::Arc;

/// What a state answers.
type Answer<W> = fn(&W) -> Option<f64>;

/// Sums that are added side by side where no row waits for the one before.
const LANES: usize = 8;

fn fractions(columns: &[ArrayRef]) -> Result<&Float64Array> {
    match columns.first().and_then(|column| column.as_primitive_opt::<Float64Type>()) {
        Some(values) => Ok(values),
        None => internal_err!("an aggregate of fractions got something else"),
    }
}

/// The states in columns, with their rows.
fn each_state<W: Words>(columns: &[ArrayRef], mut merge: impl FnMut(usize, W)) -> Result<()> {
    let words = columns.iter().map(|column| fractions(std::slice::from_ref(column))).collect::<Result<Vec<_>>>()?;
    let Some(first) = words.first().filter(|_| words.len() == W::NAMES.len()) else {
        return internal_err!("an aggregate of fractions has {} columns of states, and got {}", W::NAMES.len(), words.len());
    };
    for row in (0..first.len()).filter(|row| first.is_valid(*row)) {
        merge(row, W::of(|at| words[at].value(row)));
    }
    Ok(())
}

fn add_all<W: Words>(state: &mut W, values: &[f64]) {
    let mut lanes = [W::NONE; LANES];
    let (rows, rest) = values.as_chunks::<LANES>();
    for row in rows {
        for (lane, value) in lanes.iter_mut().zip(row) {
            lane.add(*value);
        }
    }
    rest.iter().for_each(|value| state.add(*value));
    lanes.iter().filter(|lane| !lane.is_none()).for_each(|lane| state.merge(lane));
}

/// One group.
#[derive(Debug)]
pub(crate) struct One<W: Words> {
    state: W,
    answer: Answer<W>,
}

impl<W: Words> One<W> {
    pub(crate) fn new(answer: Answer<W>) -> Self {
        Self { state: W::NONE, answer }
    }
}

impl<W: Words> Accumulator for One<W> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = fractions(values)?;
        match values.null_count() {
            0 => add_all(&mut self.state, values.values()),
            _ => values.iter().flatten().for_each(|value| self.state.add(value)),
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        fractions(values)?.iter().flatten().for_each(|value| self.state.remove(value));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64((self.answer)(&self.state)))
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let is_none = self.state.is_none();
        Ok(self.state.words().iter().map(|word| ScalarValue::Float64((!is_none).then_some(*word))).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        each_state::<W>(states, |_, other| self.state.merge(&other))
    }
}

/// Many groups.
#[derive(Debug)]
pub(crate) struct Groups<W: Words> {
    states: Vec<W>,
    answer: Answer<W>,
}

impl<W: Words> Groups<W> {
    pub(crate) const fn new(answer: Answer<W>) -> Self {
        Self { states: Vec::new(), answer }
    }

    fn grow(&mut self, groups: usize) {
        self.states.resize(groups.max(self.states.len()), W::NONE);
    }
}

impl<W: Words> GroupsAccumulator for Groups<W> {
    fn update_batch(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, total: usize) -> Result<()> {
        self.grow(total);
        let values = fractions(values)?;
        let states = &mut self.states;
        if values.null_count() == 0 && filter.is_none() {
            for (group, value) in groups.iter().zip(values.values()) {
                states[*group].add(*value);
            }
            return Ok(());
        }
        let counts = |row: usize| values.is_valid(row) && filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        for (row, group) in groups.iter().enumerate().filter(|(row, _)| counts(*row)) {
            states[*group].add(values.value(row));
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let states = emit_to.take_needed(&mut self.states);
        Ok(Arc::new(states.iter().map(self.answer).collect::<Float64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let states = emit_to.take_needed(&mut self.states);
        let column = |at: usize| {
            let word = |state: &W| if state.is_none() { None } else { state.words().get(at).copied() };
            Arc::new(states.iter().map(word).collect::<Float64Array>()) as ArrayRef
        };
        Ok((0..W::NAMES.len()).map(column).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.grow(total);
        let into = &mut self.states;
        each_state::<W>(states, |row, other| into[groups[row]].merge(&other))
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |values| values.len());
        let each: Vec<usize> = (0..rows).collect();
        let mut alone = Self::new(self.answer);
        alone.update_batch(values, &each, filter, rows)?;
        alone.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.states.capacity() * size_of::<W>()
    }
}

/// One group of distinct values, which `inner` gathers.
pub(crate) fn distinct<W: Words>(inner: Box<dyn Accumulator>, answer: Answer<W>) -> impl Accumulator {
    Distinct::new(inner, move |values| {
        let mut all = W::NONE;
        fractions(std::slice::from_ref(values))?.iter().flatten().for_each(|value| all.add(value));
        Ok(ScalarValue::Float64(answer(&all)))
    })
}
