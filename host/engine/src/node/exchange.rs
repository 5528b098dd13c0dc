//! Spreads rows over partitions by the hash of columns, then puts each partition in order. What a partition holds, and
//! in which order, depends on the rows alone and not on which input was quicker: a restarted job finds the same.

use super::sort::{SortKey, ordering};
use super::{Assembled, Operator, Task, position};
use datafusion::arrow::datatypes::{Fields, Schema};
use datafusion::common::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{Partitioning, PhysicalExpr};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream};
use std::sync::Arc;

/// `repartition`, and the shuffle below operations by key.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// Partitions after it.
    pub(crate) partitions: usize,
    /// Rows that agree in these meet.
    pub(crate) hash: Vec<String>,
    /// The order in each partition.
    pub(crate) order: Vec<SortKey>,
}

impl Exchange {
    /// The plan that does it.
    pub(crate) fn over(&self, input: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = input.schema();
        let mut hash: Vec<Arc<dyn PhysicalExpr>> = Vec::with_capacity(self.hash.len());
        for name in &self.hash {
            hash.push(Arc::new(Column::new(name, position(&schema, name)?)));
        }
        let inputs = input.output_partitioning().partition_count();
        let spread: Arc<dyn ExecutionPlan> = if inputs == 1 && self.partitions == 1 {
            Arc::clone(input)
        } else {
            Arc::new(RepartitionExec::try_new(Arc::clone(input), Partitioning::Hash(hash, self.partitions))?)
        };
        Ok(Arc::new(SortExec::new(ordering(&self.order, &schema)?, spread).with_preserve_partitioning(true)))
    }

    /// The same without a spread that an input of one partition does not gain from.
    pub(crate) fn fitting(&self, inputs: usize) -> Self {
        Self { partitions: if inputs == 1 { 1 } else { self.partitions }, ..self.clone() }
    }
}

impl Operator for Exchange {
    fn name(&self) -> &'static str {
        "Exchange"
    }

    fn describe(&self) -> String {
        format!("partitions={}, hash=[{}]", self.partitions, self.hash.join(", "))
    }

    fn fields(&self, input: &Schema) -> Result<Fields> {
        Ok(input.fields().clone())
    }

    fn needs(&self, input: &Schema, wanted: &[usize]) -> Result<Vec<usize>> {
        let mut needs = wanted.to_vec();
        for name in self.hash.iter().chain(self.order.iter().map(|key| &key.column)) {
            needs.push(position(input, name)?);
        }
        Ok(needs)
    }

    fn partitions(&self, _: usize) -> usize {
        self.partitions
    }

    fn is_inner_alone(&self) -> bool {
        true
    }

    fn is_incremental(&self) -> bool {
        false
    }

    fn assemble(&self, input: &Arc<dyn ExecutionPlan>) -> Result<Assembled> {
        self.over(input).map(Assembled::Inner)
    }

    fn open(self: Arc<Self>, task: Task) -> Result<SendableRecordBatchStream> {
        task.stream()
    }
}
