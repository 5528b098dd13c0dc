//! Rows that must not come: operations over an empty input, whose elements have no type yet that a lambda could be
//! compiled for.

use super::{Operator, Task, external};
use azora_spec::Failure;
use datafusion::arrow::datatypes::{Fields, Schema};
use datafusion::common::Result;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use std::sync::Arc;

/// Lets no row pass: the first one fails the job.
#[derive(Debug)]
pub(crate) struct Nothing {
    /// Why a row cannot be handled.
    pub(crate) failure: Failure,
}

impl Operator for Nothing {
    fn name(&self) -> &'static str {
        "Nothing"
    }

    fn describe(&self) -> String {
        format!("else {}", self.failure.code)
    }

    fn fields(&self, input: &Schema) -> Result<Fields> {
        Ok(input.fields().clone())
    }

    fn needs(&self, _: &Schema, wanted: &[usize]) -> Result<Vec<usize>> {
        Ok(wanted.to_vec())
    }

    fn open(self: Arc<Self>, task: Task) -> Result<SendableRecordBatchStream> {
        let rows = task.stream()?.map(move |rows| match rows {
            Ok(rows) if rows.num_rows() > 0 => Err(external(self.failure.clone())),
            other => other,
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(task.schema, rows)))
    }
}
