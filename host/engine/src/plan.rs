//! Operations to plan nodes.

use crate::relation::{Applied, PlanContext, Relation};
use azora_spec::{Failure, Operation};
use datafusion::physical_planner::ExtensionPlanner;
use std::sync::Arc;

/// What the operations make of the input.
pub(crate) async fn apply(ctx: &PlanContext, input: Relation, operations: &[Operation]) -> Result<Applied, Failure> {
    let _ = (ctx, operations);
    Ok(Applied { relation: input, shape: crate::Shape::Rows, on_empty: None })
}

/// The planners of this crate's nodes.
pub(crate) fn extension_planners() -> Vec<Arc<dyn ExtensionPlanner + Send + Sync>> {
    Vec::new()
}
