//! Adds up the partial counts and sums of partitions, in their order.

use super::{Assembled, Gather, NodeExec, Operator, Task, batch, external};
use azora_spec::{Code, Failure};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Fields, Float64Type, Int64Type, Schema};
use datafusion::common::{Result, internal_err};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream};
use futures::{StreamExt, stream};
use std::sync::Arc;

/// Partial numbers, one column and at least one row, to one.
#[derive(Debug)]
pub(crate) struct Total {
    /// Where in the request the sum was asked for.
    pub(crate) pointer: String,
}

impl Total {
    /// The exact sum, or the failure of leaving Int64.
    pub(crate) fn narrow(sum: i128, pointer: &str) -> Result<i64, Failure> {
        i64::try_from(sum).map_err(|_| {
            Failure::new(Code::LambdaOverflow, "the sum of the integers left the range of 64 bits")
                .at(pointer)
                .hint("map to a number that is not an integer first, for example x => x * 1.0, or sum parts of the data")
        })
    }
}

impl Operator for Total {
    fn name(&self) -> &'static str {
        "Total"
    }

    fn describe(&self) -> String {
        "sum of partials".to_owned()
    }

    fn fields(&self, input: &Schema) -> Result<Fields> {
        Ok(input.fields().clone())
    }

    fn needs(&self, input: &Schema, _: &[usize]) -> Result<Vec<usize>> {
        Ok((0..input.fields().len()).collect())
    }

    fn partitions(&self, _: usize) -> usize {
        1
    }

    fn is_incremental(&self) -> bool {
        false
    }

    fn assemble(&self, input: &Arc<dyn ExecutionPlan>) -> Result<Assembled> {
        if input.output_partitioning().partition_count() == 1 {
            return Ok(Assembled::Elide);
        }
        NodeExec::plan(Arc::new(Gather::all()), Arc::clone(input)).map(Assembled::Inner)
    }

    fn open(self: Arc<Self>, task: Task) -> Result<SendableRecordBatchStream> {
        let mut partials = task.stream()?;
        let schema = Arc::clone(&task.schema);
        let rows = stream::once(async move {
            let mut sum = Sum::default();
            while let Some(partial) = partials.next().await {
                sum.add(&partial?)?;
            }
            let total: ArrayRef = match task.schema.fields().first().map(|field| field.data_type()) {
                Some(DataType::Int64) => Arc::new(Int64Array::from(vec![Self::narrow(sum.integer, &self.pointer).map_err(external)?])),
                Some(DataType::Float64) => Arc::new(Float64Array::from(vec![sum.float])),
                _ => return internal_err!("partial sums are numbers"),
            };
            batch(&task.schema, vec![total], 1)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

#[derive(Default)]
struct Sum {
    integer: i128,
    float: f64,
}

impl Sum {
    fn add(&mut self, partial: &RecordBatch) -> Result<()> {
        let Some(column) = partial.columns().first() else { return internal_err!("a partial sum without a column") };
        match column.data_type() {
            DataType::Int64 => self.integer += column.as_primitive::<Int64Type>().iter().flatten().map(i128::from).sum::<i128>(),
            DataType::Float64 => self.float += column.as_primitive::<Float64Type>().iter().flatten().sum::<f64>(),
            _ => return internal_err!("partial sums are numbers"),
        }
        Ok(())
    }
}
