//! Many partitions become one, in their order. `CoalescePartitionsExec` of DataFusion gives no order.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
    ReplaceChildrenOptions, SendableRecordBatchStream,
};
use futures::StreamExt;
use futures::stream;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// Partitions that compute ahead of the one whose turn it is.
const AHEAD_PARTITIONS: usize = 4;
/// Batches that each of them may hold ready.
const AHEAD_BATCHES: usize = 2;

/// Joins the partitions of its input, in order. Later partitions compute ahead, within bounds.
#[derive(Debug)]
pub(crate) struct ConcatExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ConcatExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            input.boundedness(),
        );
        Self { input, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for ConcatExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConcatExec")
    }
}

impl ExecutionPlan for ConcatExec {
    fn name(&self) -> &'static str {
        "ConcatExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Arc::new(Self::new(input))),
            _ => Err(DataFusionError::Internal("ConcatExec has one input".to_owned())),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = MetricBuilder::new(&self.metrics).output_rows(partition);
        let schema = self.schema();
        let turns = Turns { input: Arc::clone(&self.input), context, next: 0, open: VecDeque::new() };
        let batches = stream::try_unfold(turns, move |mut turns| {
            let rows = rows.clone();
            async move {
                loop {
                    turns.fill()?;
                    let Some(front) = turns.open.front_mut() else { return Ok(None) };
                    match front.next().await {
                        Some(batch) => {
                            let batch = batch?;
                            rows.add(batch.num_rows());
                            return Ok(Some((batch, turns)));
                        }
                        None => turns.open.pop_front(),
                    };
                }
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

struct Turns {
    input: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    next: usize,
    open: VecDeque<SendableRecordBatchStream>,
}

impl Turns {
    fn fill(&mut self) -> Result<()> {
        let partitions = self.input.output_partitioning().partition_count();
        while self.open.len() < AHEAD_PARTITIONS && self.next < partitions {
            let mut input = self.input.execute(self.next, Arc::clone(&self.context))?;
            let mut ahead = RecordBatchReceiverStream::builder(self.input.schema(), AHEAD_BATCHES);
            let sender = ahead.tx();
            ahead.spawn(async move {
                while let Some(batch) = input.next().await {
                    let is_last = batch.is_err();
                    if sender.send(batch).await.is_err() || is_last {
                        break;
                    }
                }
                Ok(())
            });
            self.open.push_back(ahead.build());
            self.next += 1;
        }
        Ok(())
    }
}
