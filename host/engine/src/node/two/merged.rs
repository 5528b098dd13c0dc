//! Partitions that are sorted already become one.

use crate::node::sort::{SortKey, ordering};
use crate::node::{Assembled, Operator, Task, position};
use datafusion::arrow::datatypes::{Fields, Schema};
use datafusion::common::Result;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream};
use std::sync::Arc;

/// Merges by keys. Rows that agree in them must lie in one partition, where they keep their order.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) keys: Vec<SortKey>,
}

impl Operator for Merged {
    fn name(&self) -> &'static str {
        "Merge"
    }

    fn describe(&self) -> String {
        self.keys.iter().map(|key| key.column.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn fields(&self, input: &Schema) -> Result<Fields> {
        Ok(input.fields().clone())
    }

    fn needs(&self, input: &Schema, wanted: &[usize]) -> Result<Vec<usize>> {
        let mut needs = wanted.to_vec();
        for key in &self.keys {
            needs.push(position(input, &key.column)?);
        }
        Ok(needs)
    }

    fn partitions(&self, _: usize) -> usize {
        1
    }

    fn is_inner_alone(&self) -> bool {
        true
    }

    fn assemble(&self, input: &Arc<dyn ExecutionPlan>) -> Result<Assembled> {
        if input.output_partitioning().partition_count() == 1 {
            return Ok(Assembled::Elide);
        }
        let ordering = ordering(&self.keys, &input.schema())?;
        Ok(Assembled::Inner(Arc::new(SortPreservingMergeExec::new(ordering, Arc::clone(input)))))
    }

    fn open(self: Arc<Self>, task: Task) -> Result<SendableRecordBatchStream> {
        task.stream()
    }
}
