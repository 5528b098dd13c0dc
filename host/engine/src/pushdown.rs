//! Which filters of a physical plan may move. DataFusion finds the column that a moved filter means by its name: where a node
//! has two columns of one name, as a join of two tables with a column `status` has, a filter came out below it that compares
//! another column. So nothing moves below such nodes; what can was moved before, while columns still had their tables.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// DataFusion's rules, with a guard around those that move filters.
pub(crate) fn rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let guarded = |rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>| {
        let any: &dyn Any = rule.as_ref();
        if any.is::<FilterPushdown>() { Arc::new(Guarded(rule)) } else { rule }
    };
    PhysicalOptimizer::new().rules.into_iter().map(guarded).collect()
}

#[derive(Debug)]
struct Guarded(Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for Guarded {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let guarded = plan.transform_up(|node| {
            if !has_two_of_one_name(&node) {
                return Ok(Transformed::no(node));
            }
            Ok(Transformed::yes(Arc::new(Barrier { below: node }) as Arc<dyn ExecutionPlan>))
        })?;
        if !guarded.transformed {
            return self.0.optimize(guarded.data, config);
        }
        let moved = self.0.optimize(guarded.data, config)?;
        let bare = moved.transform_up(|node| match node.downcast_ref::<Barrier>() {
            Some(barrier) => Ok(Transformed::yes(Arc::clone(&barrier.below))),
            None => Ok(Transformed::no(node)),
        });
        bare.data()
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn has_two_of_one_name(node: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = node.schema();
    let mut names = HashSet::with_capacity(schema.fields().len());
    !schema.fields().iter().all(|field| names.insert(field.name().as_str()))
}

/// A node that lets no filter through. It is there while filters move, and never runs.
#[derive(Debug)]
struct Barrier {
    below: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for Barrier {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Barrier")
    }
}

impl ExecutionPlan for Barrier {
    fn name(&self) -> &'static str {
        "Barrier"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.below.properties()
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
            Some(below) if children.is_empty() => Ok(Arc::new(Self { below })),
            _ => Err(DataFusionError::Internal("a barrier has one input".to_owned())),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.below.execute(partition, context)
    }
}
