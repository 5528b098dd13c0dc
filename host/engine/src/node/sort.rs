//! A total order over all partitions, or the first rows of one. Spills where memory is short; nulls come last.

use super::{Assembled, Gather, NodeExec, Operator, Task, position};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{Fields, Schema};
use datafusion::common::{Result, internal_err};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream};
use std::sync::Arc;

/// A column to sort by.
#[derive(Debug, Clone)]
pub(crate) struct SortKey {
    pub(crate) column: String,
    pub(crate) is_descending: bool,
}

/// `sortBy`, `sortByKey`, `takeOrdered`, `top`.
#[derive(Debug)]
pub(crate) struct Sort {
    pub(crate) keys: Vec<SortKey>,
    /// Rows after which it stops.
    pub(crate) fetch: Option<usize>,
    /// Most partitions that are sorted at the same time. Each holds memory of its own until its last run is merged, so
    /// where memory is small fewer and longer sorts finish where many starve one another.
    pub(crate) sorters_max: usize,
}

/// The order of keys over a schema.
pub(crate) fn ordering(keys: &[SortKey], schema: &Schema) -> Result<LexOrdering> {
    let mut sorts = Vec::with_capacity(keys.len());
    for key in keys {
        let column = Column::new(&key.column, position(schema, &key.column)?);
        sorts.push(PhysicalSortExpr::new(Arc::new(column), SortOptions { descending: key.is_descending, nulls_first: false }));
    }
    match LexOrdering::new(sorts) {
        Some(ordering) => Ok(ordering),
        None => internal_err!("a sort needs a column"),
    }
}

impl Operator for Sort {
    fn name(&self) -> &'static str {
        "Sort"
    }

    fn describe(&self) -> String {
        let word = |key: &SortKey| format!("{}{}", key.column, if key.is_descending { " desc" } else { "" });
        let fetch = self.fetch.map(|rows| format!(", fetch={rows}")).unwrap_or_default();
        format!("by=[{}]{fetch}", self.keys.iter().map(word).collect::<Vec<_>>().join(", "))
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

    fn is_incremental(&self) -> bool {
        false
    }

    fn assemble(&self, input: &Arc<dyn ExecutionPlan>) -> Result<Assembled> {
        let ordering = ordering(&self.keys, &input.schema())?;
        let input = &NodeExec::plan(Arc::new(Gather::coalesce(self.sorters_max.max(1))), Arc::clone(input))?;
        let is_split = input.output_partitioning().partition_count() > 1;
        let sorted = SortExec::new(ordering.clone(), Arc::clone(input)).with_preserve_partitioning(is_split).with_fetch(self.fetch);
        let sorted: Arc<dyn ExecutionPlan> = Arc::new(sorted);
        Ok(Assembled::Inner(if is_split {
            Arc::new(SortPreservingMergeExec::new(ordering, sorted).with_fetch(self.fetch))
        } else {
            sorted
        }))
    }

    fn open(self: Arc<Self>, task: Task) -> Result<SendableRecordBatchStream> {
        task.stream()
    }
}
