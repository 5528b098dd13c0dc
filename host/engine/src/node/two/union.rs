//! The rows of the left side, then those of the right side: its partitions come behind the left ones.

use super::{Plan, Sides, Two, TwoTask};
use datafusion::arrow::datatypes::{Fields, Schema};
use datafusion::common::{Result, internal_err};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlanProperties, SendableRecordBatchStream};
use futures::StreamExt;
use std::sync::Arc;

/// `union`. Both sides have the same columns.
#[derive(Debug)]
pub(crate) struct Union;

impl Two for Union {
    fn name(&self) -> &'static str {
        "union"
    }

    fn fields(&self, left: &Schema, right: &Schema) -> Result<Fields> {
        let mut fields = Vec::with_capacity(left.fields().len());
        for (left, right) in left.fields().iter().zip(right.fields()) {
            if left.name() != right.name() || left.data_type() != right.data_type() {
                return internal_err!("a union of columns that differ: {left} and {right}");
            }
            fields.push(left.as_ref().clone().with_nullable(left.is_nullable() || right.is_nullable()));
        }
        Ok(fields.into())
    }

    fn needs(&self, _: &Schema, _: &Schema, wanted: &[usize]) -> Sides<Vec<usize>> {
        [wanted.to_vec(), wanted.to_vec()]
    }

    fn partitions(&self, left: usize, right: usize) -> usize {
        left + right
    }

    fn assemble(&self, _: &Plan, _: &Plan) -> Result<Option<Sides<Plan>>> {
        Ok(None)
    }

    fn open(self: Arc<Self>, task: TwoTask) -> Result<SendableRecordBatchStream> {
        let [left, right] = &task.sides;
        let lefts = left.output_partitioning().partition_count();
        let rows = match task.partition.checked_sub(lefts) {
            None => left.execute(task.partition, task.context)?,
            Some(partition) => right.execute(partition, task.context)?,
        };
        let schema = Arc::clone(&task.schema);
        let rows = rows.map(move |rows| rows.and_then(|rows| crate::node::batch(&schema, rows.columns().to_vec(), rows.num_rows())));
        Ok(Box::pin(RecordBatchStreamAdapter::new(task.schema, rows)))
    }
}
