//! Our nodes in DataFusion's plans: one logical node and one physical node around an [`Operator`], and the planner that
//! turns the one into the other. What each operator does lives below `node/`; which operators a job gets is decided in
//! `plan`.
//!
//! DataFusion treats rows as unordered unless a sort says otherwise, and its optimizer moves or drops repartitions and
//! sorts by that rule. RDD operations promise order, so sorts and exchanges of ours stay inside an operator (see
//! [`Assembled`]), out of the optimizer's reach. For the same reason a node shows the optimizer no children: what is below
//! it is optimized by itself, and no sort moves past a node or is dropped because of what is above it.

mod exchange;
mod fit;
mod gather;
mod glom;
mod histogram;
mod index;
mod keep;
mod kernel;
mod message;
mod nothing;
mod pass;
mod project;
mod runs;
mod sort;
mod total;
mod transform;
pub(crate) mod two;

pub(crate) use exchange::Exchange;
pub(crate) use fit::Fit;
pub(crate) use gather::Gather;
pub(crate) use glom::Glom;
pub(crate) use histogram::Histogram;
pub(crate) use index::{Index, IndexMode};
pub(crate) use keep::Keep;
pub(crate) use kernel::{Kernel, KernelSource};
pub use message::{Components, decode_node, encode_node};
pub(crate) use nothing::Nothing;
pub(crate) use project::{Project, Source};
pub(crate) use runs::{Fold, Runs};
pub(crate) use sort::{Sort, SortKey, ordering};
pub(crate) use total::Total;
pub(crate) use transform::{Meeting, Mode, TransformOperator};

use async_trait::async_trait;
use azora_spec::Failure;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Fields, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DFSchemaRef, DataFusionError, Result, internal_err};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, SendableRecordBatchStream,
};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use pass::FirstPass;
use std::any::Any;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A batch of a schema; the row count is said, since a batch may have no column.
pub(crate) fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// One kind of work on the rows of one input.
pub(crate) trait Operator: Any + fmt::Debug + Send + Sync {
    /// As shown by `EXPLAIN`.
    fn name(&self) -> &'static str;

    /// The parameters, as shown by `EXPLAIN`.
    fn describe(&self) -> String;

    /// The columns after it. Called again with fewer input columns after the optimizer dropped those that
    /// [`Self::needs`] did not name; columns that only pass through are then left out.
    fn fields(&self, input: &Schema) -> Result<Fields>;

    /// Indices of the input columns without which the wanted output columns (indices, too) cannot be made.
    fn needs(&self, input: &Schema, wanted: &[usize]) -> Result<Vec<usize>>;

    /// Partitions after it.
    fn partitions(&self, input: usize) -> usize {
        input
    }

    /// What runs below it.
    fn assemble(&self, input: &Arc<dyn ExecutionPlan>) -> Result<Assembled> {
        let _ = input;
        Ok(Assembled::Plain)
    }

    /// Whether all that it does is what [`Assembled::Inner`] does.
    fn is_inner_alone(&self) -> bool {
        false
    }

    /// Whether rows come before the input has ended.
    fn is_incremental(&self) -> bool {
        true
    }

    /// Starts one partition.
    fn open(self: Arc<Self>, task: Task) -> Result<SendableRecordBatchStream>;
}

/// What an operator runs on.
pub(crate) enum Assembled {
    /// The input itself.
    Plain,
    /// A plan over the input that the optimizer does not see.
    Inner(Arc<dyn ExecutionPlan>),
    /// Nothing to do: the input is the answer already.
    Elide,
}

/// One partition of an operator, about to run.
#[derive(Debug)]
pub(crate) struct Task {
    /// The input, or the inner plan over it.
    pub(crate) input: Arc<dyn ExecutionPlan>,
    pub(crate) partition: usize,
    pub(crate) context: Arc<TaskContext>,
    /// The columns to answer.
    pub(crate) schema: SchemaRef,
    pub(crate) metrics: ExecutionPlanMetricsSet,
    pub(crate) first_pass: Arc<FirstPass>,
}

impl Task {
    /// The input's stream of the same partition.
    pub(crate) fn stream(&self) -> Result<SendableRecordBatchStream> {
        self.input.execute(self.partition, Arc::clone(&self.context))
    }
}

/// A failure on its way through DataFusion.
pub(crate) fn external(failure: impl Into<Failure>) -> DataFusionError {
    DataFusionError::External(Box::new(failure.into()))
}

/// The position of a column that the plan put there itself.
pub(crate) fn position(schema: &Schema, name: &str) -> Result<usize> {
    match schema.column_with_name(name) {
        Some((at, _)) => Ok(at),
        None => internal_err!("column '{name}' is missing from the plan"),
    }
}

/// The logical node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    operator: Arc<dyn Operator>,
    input: LogicalPlan,
    schema: DFSchemaRef,
}

impl Node {
    /// A plan with the operator on top.
    pub(crate) fn plan(operator: Arc<dyn Operator>, input: LogicalPlan) -> Result<LogicalPlan> {
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(Self::new(operator, input)?) }))
    }

    fn new(operator: Arc<dyn Operator>, input: LogicalPlan) -> Result<Self> {
        let fields = operator.fields(input.schema().as_arrow())?;
        let schema = Arc::new(DFSchema::from_unqualified_fields(fields, HashMap::new())?);
        Ok(Self { operator, input, schema })
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.operator).cast::<()>().addr()
    }
}

// Operators are compared by identity: a plan that was only rewritten keeps the same ones.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address() && self.input == other.input
    }
}

impl Eq for Node {}

impl Hash for Node {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
        self.input.hash(state);
    }
}

impl PartialOrd for Node {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.address().cmp(&other.address()) {
            Ordering::Equal => self.input.partial_cmp(&other.input),
            unequal => Some(unequal),
        }
    }
}

impl UserDefinedLogicalNodeCore for Node {
    fn name(&self) -> &str {
        self.operator.name()
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operator.name(), self.operator.describe())
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match inputs.pop() {
            Some(input) if inputs.is_empty() => Self::new(Arc::clone(&self.operator), input),
            _ => internal_err!("{} takes one input", self.operator.name()),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let mut needs = self.operator.needs(self.input.schema().as_arrow(), output_columns).ok()?;
        needs.sort_unstable();
        needs.dedup();
        Some(vec![needs])
    }
}

/// The physical node.
#[derive(Debug)]
pub(crate) struct NodeExec {
    operator: Arc<dyn Operator>,
    input: Arc<dyn ExecutionPlan>,
    inner: Option<Arc<dyn ExecutionPlan>>,
    /// Whether the inner plan is the input, see [`settle`].
    is_settled: bool,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    first_pass: Arc<FirstPass>,
}

impl NodeExec {
    /// A plan with the operator on top.
    pub(crate) fn plan(operator: Arc<dyn Operator>, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = match operator.assemble(&input)? {
            Assembled::Elide => return Ok(input),
            Assembled::Plain => None,
            Assembled::Inner(inner) => Some(inner),
        };
        let schema = Arc::new(Schema::new(operator.fields(&input.schema())?));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(operator.partitions(input.output_partitioning().partition_count())),
            if operator.is_incremental() { EmissionType::Incremental } else { EmissionType::Final },
            input.boundedness(),
        )
        // As a leaf it would be given a node above it that yields; what is below it does.
        .with_scheduling_type(SchedulingType::Cooperative);
        let first_pass = Arc::new(FirstPass::new(Arc::clone(&input)));
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Arc::new(Self { operator, input, inner, is_settled: false, properties: Arc::new(properties), metrics, first_pass }))
    }

    /// What it does.
    fn operator(&self) -> &dyn Operator {
        self.operator.as_ref()
    }

    /// The same over a plan that needs no assembling.
    fn settled(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self {
            operator: Arc::clone(&self.operator),
            inner: None,
            is_settled: true,
            properties: Arc::clone(&self.properties),
            metrics: ExecutionPlanMetricsSet::new(),
            first_pass: Arc::new(FirstPass::new(Arc::clone(&input))),
            input,
        }
    }
}

/// Lifts what operators kept from the optimizer into the plan, where the runner, `EXPLAIN` and metrics see it. Comes after
/// the optimizer.
pub(crate) fn settle(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let settled = plan.transform_up(|plan| {
        if let Some(two) = plan.downcast_ref::<two::TwoExec>() {
            let settled = two.settled(settle)?;
            return Ok(settled.map_or_else(|| Transformed::no(Arc::clone(&plan)), Transformed::yes));
        }
        let Some(node) = plan.downcast_ref::<NodeExec>() else { return Ok(Transformed::no(plan)) };
        if node.is_settled {
            return Ok(Transformed::no(plan));
        }
        // What is below was hidden from this walk, too.
        let below = settle(Arc::clone(node.inner.as_ref().unwrap_or(&node.input)))?;
        let is_alone = node.inner.is_some() && node.operator.is_inner_alone();
        Ok(Transformed::yes(if is_alone { below } else { Arc::new(node.settled(below)) }))
    });
    settled.data()
}

/// Whether rows of several partitions meet in this node.
pub(crate) fn is_gather(plan: &dyn ExecutionPlan) -> bool {
    plan.downcast_ref::<NodeExec>().is_some_and(|node| node.operator.name() == Gather::NAME)
}

/// Whether rows of two inputs meet in it.
pub(crate) fn is_meeting(plan: &dyn ExecutionPlan) -> bool {
    plan.is::<two::TwoExec>()
}

impl DisplayAs for NodeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Exec: {}", self.operator.name(), self.operator.describe())
    }
}

impl ExecutionPlan for NodeExec {
    fn name(&self) -> &str {
        self.operator.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        if self.is_settled { vec![&self.input] } else { Vec::new() }
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true; self.children().len()]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.children().len()]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(child) if children.is_empty() && self.is_settled => Ok(Arc::new(self.settled(child))),
            None if !self.is_settled => Ok(self),
            _ => internal_err!("{} takes one input", self.operator.name()),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Arc::clone(&self.operator).open(Task {
            input: Arc::clone(self.inner.as_ref().unwrap_or(&self.input)),
            partition,
            context,
            schema: self.schema(),
            metrics: self.metrics.clone(),
            first_pass: Arc::clone(&self.first_pass),
        })
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Plans our nodes; everything else is DataFusion's own planner's.
#[derive(Debug, Default)]
pub(crate) struct NodePlanner;

#[async_trait]
impl ExtensionPlanner for NodePlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let any = node.as_any();
        match (any.downcast_ref::<Node>(), any.downcast_ref::<two::TwoNode>(), inputs) {
            (Some(node), _, [input]) => NodeExec::plan(Arc::clone(&node.operator), optimized(input, session)?).map(Some),
            (_, Some(node), [left, right]) => node.physical(&optimized(left, session)?, &optimized(right, session)?).map(Some),
            _ => Ok(None),
        }
    }
}

/// What is below a node, optimized as if it were all.
fn optimized(input: &Arc<dyn ExecutionPlan>, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
    if input.is::<NodeExec>() || input.is::<two::TwoExec>() {
        return Ok(Arc::clone(input));
    }
    DefaultPhysicalPlanner::default().optimize_physical_plan(Arc::clone(input), session, |_, _| {})
}
