//! Our nodes with two inputs in DataFusion's plans: one logical and one physical node around a [`Two`], as `node` has them
//! for one input. What each of them does lives below `two/`; which one a job gets is decided in `plan::combine`.

mod cross;
mod meet;
mod merged;
mod union;
mod zip;

pub(crate) use cross::Cross;
pub(crate) use meet::{Meet, Outcome};
pub(crate) use merged::Merged;
pub(crate) use union::Union;
pub(crate) use zip::Zip;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Fields, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DFSchemaRef, Result, internal_err};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, SendableRecordBatchStream,
};
use std::any::Any;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The column of a key that both sides have in common.
pub(crate) const KEY: &str = "__azora_both_key";
/// A value of the left side.
pub(crate) const LEFT: &str = "__azora_left";
/// A value of the right side.
pub(crate) const RIGHT: &str = "__azora_right";

/// Both inputs of a node.
type Sides<T> = [T; 2];
type Plan = Arc<dyn ExecutionPlan>;

/// One kind of work on the rows of two inputs.
pub(crate) trait Two: Any + fmt::Debug + Send + Sync {
    /// As shown by `EXPLAIN`.
    fn name(&self) -> &'static str;

    /// The columns after it.
    fn fields(&self, left: &Schema, right: &Schema) -> Result<Fields>;

    /// Indices of the columns of both sides without which the wanted output columns cannot be made.
    fn needs(&self, left: &Schema, right: &Schema, wanted: &[usize]) -> Sides<Vec<usize>> {
        let _ = wanted;
        [(0..left.fields().len()).collect(), (0..right.fields().len()).collect()]
    }

    /// Partitions after it.
    fn partitions(&self, left: usize, right: usize) -> usize;

    /// What runs below it, out of the optimizer's reach; nothing where that is the inputs themselves.
    fn assemble(&self, left: &Plan, right: &Plan) -> Result<Option<Sides<Plan>>>;

    /// Whether rows come before the inputs have ended.
    fn is_incremental(&self) -> bool {
        true
    }

    /// Starts one partition.
    fn open(self: Arc<Self>, task: TwoTask) -> Result<SendableRecordBatchStream>;
}

/// One partition of an operator, about to run.
#[derive(Debug)]
pub(crate) struct TwoTask {
    pub(crate) sides: Sides<Plan>,
    pub(crate) partition: usize,
    pub(crate) context: Arc<TaskContext>,
    /// The columns to answer.
    pub(crate) schema: SchemaRef,
    pub(crate) metrics: ExecutionPlanMetricsSet,
    pub(crate) kept: Arc<Kept>,
}

/// What all partitions of one run share: the rows of the right side, where each of them needs all of them.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    rows: OnceCell<cross::Whole>,
}

/// The logical node.
#[derive(Debug, Clone)]
pub(crate) struct TwoNode {
    operator: Arc<dyn Two>,
    left: LogicalPlan,
    right: LogicalPlan,
    schema: DFSchemaRef,
}

impl TwoNode {
    /// A plan with the operator on top.
    pub(crate) fn plan(operator: Arc<dyn Two>, left: LogicalPlan, right: LogicalPlan) -> Result<LogicalPlan> {
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(Self::new(operator, left, right)?) }))
    }

    fn new(operator: Arc<dyn Two>, left: LogicalPlan, right: LogicalPlan) -> Result<Self> {
        let fields = operator.fields(left.schema().as_arrow(), right.schema().as_arrow())?;
        let schema = Arc::new(DFSchema::from_unqualified_fields(fields, HashMap::new())?);
        Ok(Self { operator, left, right, schema })
    }

    pub(super) fn physical(&self, left: &Plan, right: &Plan) -> Result<Plan> {
        TwoExec::plan(Arc::clone(&self.operator), left, right)
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.operator).cast::<()>().addr()
    }
}

// Operators are compared by identity, as `node` does it.
impl PartialEq for TwoNode {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address() && self.left == other.left && self.right == other.right
    }
}

impl Eq for TwoNode {}

impl Hash for TwoNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
        self.left.hash(state);
        self.right.hash(state);
    }
}

impl PartialOrd for TwoNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.address().cmp(&other.address()) {
            Ordering::Equal => self.left.partial_cmp(&other.left),
            unequal => Some(unequal),
        }
    }
}

impl UserDefinedLogicalNodeCore for TwoNode {
    fn name(&self) -> &str {
        self.operator.name()
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.left, &self.right]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operator.name())
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match <[LogicalPlan; 2]>::try_from(inputs) {
            Ok([left, right]) => Self::new(Arc::clone(&self.operator), left, right),
            Err(_) => internal_err!("{} takes two inputs", self.operator.name()),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let sides = self.operator.needs(self.left.schema().as_arrow(), self.right.schema().as_arrow(), output_columns);
        let sorted = |mut needs: Vec<usize>| {
            needs.sort_unstable();
            needs.dedup();
            needs
        };
        Some(sides.into_iter().map(sorted).collect())
    }
}

/// The physical node.
#[derive(Debug)]
pub(crate) struct TwoExec {
    operator: Arc<dyn Two>,
    sides: Sides<Plan>,
    inner: Option<Sides<Plan>>,
    /// Whether the inner plans are the sides.
    is_settled: bool,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    kept: Arc<Kept>,
}

impl TwoExec {
    fn plan(operator: Arc<dyn Two>, left: &Plan, right: &Plan) -> Result<Plan> {
        let inner = operator.assemble(left, right)?;
        let schema = Arc::new(Schema::new(operator.fields(&left.schema(), &right.schema())?));
        let count = |plan: &Plan| plan.output_partitioning().partition_count();
        let is_bounded = [left, right].iter().all(|side| side.boundedness() == Boundedness::Bounded);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(operator.partitions(count(left), count(right))),
            if operator.is_incremental() { EmissionType::Incremental } else { EmissionType::Final },
            if is_bounded { Boundedness::Bounded } else { Boundedness::Unbounded { requires_infinite_memory: true } },
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(Arc::new(Self {
            operator,
            sides: [Arc::clone(left), Arc::clone(right)],
            inner,
            is_settled: false,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
            kept: Arc::default(),
        }))
    }

    /// The same over plans that need no assembling.
    fn over(&self, sides: Sides<Plan>) -> Self {
        Self {
            operator: Arc::clone(&self.operator),
            sides,
            inner: None,
            is_settled: true,
            properties: Arc::clone(&self.properties),
            metrics: ExecutionPlanMetricsSet::new(),
            kept: Arc::default(),
        }
    }

    /// The node with what it kept from the optimizer lifted into the plan, after `settle` went over that; see
    /// [`super::settle`].
    pub(super) fn settled(&self, settle: fn(Plan) -> Result<Plan>) -> Result<Option<Plan>> {
        if self.is_settled {
            return Ok(None);
        }
        let [left, right] = self.inner.as_ref().unwrap_or(&self.sides);
        Ok(Some(Arc::new(self.over([settle(Arc::clone(left))?, settle(Arc::clone(right))?]))))
    }
}

impl DisplayAs for TwoExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TwoExec: {}", self.operator.name())
    }
}

impl ExecutionPlan for TwoExec {
    fn name(&self) -> &str {
        self.operator.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        // As with nodes of one input: the optimizer sees none.
        if self.is_settled { self.sides.iter().collect() } else { Vec::new() }
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

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match <Sides<Plan>>::try_from(children) {
            Ok(sides) if self.is_settled => Ok(Arc::new(self.over(sides))),
            Err(none) if none.is_empty() && !self.is_settled => Ok(self),
            _ => internal_err!("{} takes two inputs", self.operator.name()),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Arc::clone(&self.operator).open(TwoTask {
            sides: self.inner.clone().unwrap_or_else(|| self.sides.clone()),
            partition,
            context,
            schema: self.schema(),
            metrics: self.metrics.clone(),
            kept: Arc::clone(&self.kept),
        })
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Bytes that a batch takes, for reservations.
fn bytes(rows: &RecordBatch) -> usize {
    rows.get_array_memory_size()
}
