//! Aggregates over distinct values that add in a way of their own: DataFusion gathers the values, and would add them in the
//! order of its hash table, and integers with wrapping. What is computed of them is with each aggregate.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::Accumulator;
use std::fmt;

/// One group.
pub(crate) struct Distinct<F> {
    inner: Box<dyn Accumulator>,
    answer: F,
}

impl<F: Fn(&ArrayRef) -> Result<ScalarValue> + Send + Sync> Distinct<F> {
    /// `inner` keeps the values, as one list in its state; `answer` says what they come to, nulls and none among them.
    pub(crate) fn new(inner: Box<dyn Accumulator>, answer: F) -> Self {
        Self { inner, answer }
    }
}

impl<F> fmt::Debug for Distinct<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Distinct").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<F: Fn(&ArrayRef) -> Result<ScalarValue> + Send + Sync + 'static> Accumulator for Distinct<F> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let state = self.inner.state()?;
        let [ScalarValue::List(list)] = state.as_slice() else { return internal_err!("distinct values are no list") };
        let is_there = !list.is_empty() && list.is_valid(0);
        let values = if is_there { list.value(0) } else { list.values().slice(0, 0) };
        (self.answer)(&values)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }
}
