//! Where a run can be stopped. A partition looks at its job's end whenever it waits, and DataFusion's operators wait for their
//! inputs only: a join makes any number of rows of two batches, and one whose condition is never true looks at all pairs
//! before it makes any; a window may look at all rows for each of them. Left as they are such jobs hold a computing thread
//! long after their time is over.

use crate::node::{external, is_meeting};
use crate::relation::CurrentRun;
use azora_spec::{Code, Failure};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, PiecewiseMergeJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, stream};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tokio::task::yield_now;

/// Batches between two turns of other tasks. It is counted for each node by itself: of tokio's common budget, which every node
/// above another takes its part of, nothing was left for the lowest of 128.
const TURN: u32 = 32;

/// The plan, where what may take long for few rows gives way now and then, and it and the conditions of joins fail once the run
/// is over. Comes after the optimizer, which knows other nodes.
pub(crate) fn add(plan: Arc<dyn ExecutionPlan>, run: &Arc<CurrentRun>) -> Result<Arc<dyn ExecutionPlan>> {
    let added = plan.transform_up(|node| {
        if !may_take_long(&node) {
            return Ok(Transformed::no(node));
        }
        let node = watched(&node, run)?.unwrap_or(node);
        Ok(Transformed::yes(Arc::new(Stoppable::new(node, run)) as Arc<dyn ExecutionPlan>))
    });
    added.data()
}

fn may_take_long(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.is::<CrossJoinExec>()
        || node.is::<HashJoinExec>()
        || node.is::<NestedLoopJoinExec>()
        || node.is::<PiecewiseMergeJoinExec>()
        || node.is::<SortMergeJoinExec>()
        || node.is::<UnnestExec>()
        || node.is::<WindowAggExec>()
        || node.is::<BoundedWindowAggExec>()
        || is_meeting(node.as_ref())
}

/// The join with a condition that watches the run; none where it has no condition.
fn watched(node: &Arc<dyn ExecutionPlan>, run: &Arc<CurrentRun>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let watching = |filter: &JoinFilter| {
        let condition = Arc::new(Watching { condition: Arc::clone(filter.expression()), run: Arc::clone(run) });
        JoinFilter::new(condition, filter.column_indices().to_vec(), Arc::clone(filter.schema()))
    };
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>()
        && let Some(filter) = join.filter()
    {
        let join = NestedLoopJoinExecBuilder::from(join).with_filter(Some(watching(filter))).build()?;
        return Ok(Some(Arc::new(join)));
    }
    if let Some(join) = node.downcast_ref::<HashJoinExec>()
        && let Some(filter) = join.filter()
    {
        return join.builder().with_filter(Some(watching(filter))).build_exec().map(Some);
    }
    if let Some(join) = node.downcast_ref::<SortMergeJoinExec>()
        && let Some(filter) = join.filter()
    {
        let (left, right) = (Arc::clone(join.left()), Arc::clone(join.right()));
        let (on, options) = (join.on().to_vec(), join.sort_options().to_vec());
        let filter = Some(watching(filter));
        let join = SortMergeJoinExec::try_new(left, right, on, filter, join.join_type(), options, join.null_equality())?;
        return Ok(Some(Arc::new(join)));
    }
    Ok(None)
}

fn check(run: &CurrentRun) -> Result<()> {
    if run.is_over() { Err(external(Failure::new(Code::JobCancelled, "the run is over"))) } else { Ok(()) }
}

/// Whether a node is one that was added here.
pub(crate) fn is_stoppable(node: &dyn ExecutionPlan) -> bool {
    node.is::<Stoppable>()
}

/// Passes batches on, gives way to other tasks, and fails once the run is over.
#[derive(Debug)]
struct Stoppable {
    below: Arc<dyn ExecutionPlan>,
    run: Arc<CurrentRun>,
    properties: Arc<PlanProperties>,
}

impl Stoppable {
    fn new(below: Arc<dyn ExecutionPlan>, run: &Arc<CurrentRun>) -> Self {
        let properties = PlanProperties::clone(below.properties()).with_scheduling_type(SchedulingType::Cooperative);
        Self { below, run: Arc::clone(run), properties: Arc::new(properties) }
    }
}

impl DisplayAs for Stoppable {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stoppable")
    }
}

impl ExecutionPlan for Stoppable {
    fn name(&self) -> &'static str {
        "Stoppable"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.below]
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(below) if children.is_empty() => Ok(Arc::new(Self::new(below, &self.run))),
            _ => internal_err!("one plan is stopped"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (below, run) = (self.below.execute(partition, context)?, Arc::clone(&self.run));
        let batches = stream::unfold((below, 0), move |(mut below, passed)| {
            let run = Arc::clone(&run);
            async move {
                if passed == TURN {
                    yield_now().await;
                }
                let batch = below.next().await?;
                Some((check(&run).and(batch), (below, passed % TURN + 1)))
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.below.schema(), batches)))
    }
}

/// A condition that fails where the run is over. In everything else it is the condition.
#[derive(Debug)]
struct Watching {
    condition: Arc<dyn PhysicalExpr>,
    run: Arc<CurrentRun>,
}

impl PartialEq for Watching {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition) && Arc::ptr_eq(&self.run, &other.run)
    }
}

impl Eq for Watching {}

impl Hash for Watching {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl fmt::Display for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PhysicalExpr for Watching {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.condition.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.condition.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.condition.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        check(&self.run)?;
        self.condition.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(condition) if children.is_empty() => Ok(Arc::new(Self { condition, run: Arc::clone(&self.run) })),
            _ => internal_err!("one condition is watched"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}
