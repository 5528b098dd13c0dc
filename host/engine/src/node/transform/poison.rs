//! Rows on which a function fails, in jobs that go on without them: the batch is cut until the rows at fault stand alone.
//! Every try has a fresh instance, so only functions without a state between rows come here.

use super::Running;
use crate::failure_of;
use crate::node::external;
use azora_spec::Code;
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
        let mut waiting = vec![chunk.clone()];
        while let Some(rows) = waiting.pop() {
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
            }
            waiting.extend(parts.into_iter().rev().map(|part| rows.slice(part.start, part.len())));
        }
        match made.as_slice() {
            [rows] => Ok(rows.clone()),
            many => Ok(concat_batches(&self.schema, many)?),
        }
    }
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
