//! Rows on which a function fails, in jobs that go on without them: the batch is cut until the rows at fault stand alone.
//! Every try has a fresh instance, so only functions without a state between rows come here.

use super::Running;
use crate::failure_of;
use crate::letters::{Letter, cut};
use crate::node::external;
use crate::plan::HIDDEN;
use azora_connect::json::Elements;
use azora_spec::{Code, Failure, OnError};
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::common::Result;
use std::ops::Range;
use std::sync::Arc;

/// Whether a row can be at fault for it.
const fn is_poison(code: Code) -> bool {
    matches!(
        code,
        Code::LambdaThrew
            | Code::LambdaOverflow
            | Code::LambdaLimit
            | Code::PluginTrap
            | Code::PluginTimeout
            | Code::PluginMemory
            | Code::PluginStack
            | Code::PluginHostCalls
            | Code::PluginOutputLimit
            | Code::PluginOutput
            | Code::PluginFailed
    )
}

/// The parts of so many rows that are tried next: those around the row that the guest named, else halves. Nothing where
/// there is one row only.
fn parts(rows: usize, named: Option<u64>) -> Vec<Range<usize>> {
    if rows <= 1 {
        return Vec::new();
    }
    let named = named.and_then(|row| usize::try_from(row).ok()).filter(|row| *row < rows);
    let bounds = match named {
        Some(row) => vec![0, row, row + 1, rows],
        None => vec![0, rows / 2, rows],
    };
    bounds.windows(2).map(|pair| pair[0]..pair[1]).filter(|part| !part.is_empty()).collect()
}

impl Running {
    /// What a chunk makes, without the rows on which the function fails. They are counted.
    pub(super) fn tolerant(&mut self, chunk: &RecordBatch) -> Result<RecordBatch> {
        let mut made = Vec::new();
        let mut waiting = vec![(self.row, chunk.clone())];
        self.row += chunk.num_rows() as u64;
        while let Some((first, rows)) = waiting.pop() {
            let needed: Vec<ArrayRef> = self.chunks.needed.iter().map(|&at| Arc::clone(rows.column(at))).collect();
            let failure = match self.guest()?.process(&needed, rows.num_rows()) {
                Ok(processed) => {
                    made.push(self.assemble(&rows, processed)?);
                    continue;
                }
                Err(error) => failure_of(error),
            };
            if !is_poison(failure.code) {
                return Err(external(failure));
            }
            // The instance is dead: the next try has another one.
            let named = self.guest.take().and_then(|guest| guest.failed_row());
            self.metrics.trapped();
            let parts = parts(rows.num_rows(), named);
            if parts.is_empty() {
                self.metrics.skipped(rows.num_rows());
                tracing::debug!(%failure, "a row was left out");
                self.note(first, &rows, failure)?;
            }
            waiting.extend(parts.into_iter().rev().map(|part| (first + part.start as u64, rows.slice(part.start, part.len()))));
        }
        match made.as_slice() {
            [rows] => Ok(rows.clone()),
            many => Ok(concat_batches(&self.schema, many)?),
        }
    }
}

impl Running {
    /// Notes a row on which the function fails.
    fn note(&self, row: u64, rows: &RecordBatch, failure: Failure) -> Result<()> {
        let (Some(slot), policy) = (&self.slot, self.operator.on_error) else { return Ok(()) };
        let letter = || Letter {
            position: None,
            row: Some(row),
            code: failure.code,
            message: failure.message,
            record: if policy == OnError::DeadLetter { text(rows) } else { String::new() },
        };
        slot.refuse(policy, letter).map_err(external)
    }
}

/// The first of some rows as JSON, without the columns that operations have added for themselves.
fn text(rows: &RecordBatch) -> String {
    let schema = rows.schema();
    let own: Vec<usize> = (0..schema.fields().len()).filter(|at| !schema.field(*at).name().starts_with(HIDDEN)).collect();
    let Ok(rows) = rows.project(&own) else { return String::new() };
    let mut out = Vec::new();
    Elements::of(&rows, &rows.schema()).row(&mut out, 0);
    cut(&out)
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn rows_are_cut_around_the_one_at_fault() {
        assert!(parts(1, Some(0)).is_empty());
        assert_eq!(parts(5, None), [0..2, 2..5]);
        assert_eq!(parts(5, Some(2)), [0..2, 2..3, 3..5]);
        assert_eq!(parts(5, Some(0)), [0..1, 1..5]);
        assert_eq!(parts(2, Some(1)), [0..1, 1..2]);
        assert_eq!(parts(2, Some(9)), [0..1, 1..2]);
    }
}
