//! Conditions of subqueries such as `lower(i.city) = lower(o.city)`: DataFusion joins by equality with outer columns only where
//! the inner side is a column, so it becomes one. What else DataFusion cannot take apart stays as it is.

use super::checked::named;
use crate::plan::HIDDEN;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Subquery};
use std::sync::Arc;

/// The plan with such conditions, in scalar subqueries and lateral joins, over columns.
pub(super) fn by_columns(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        if let LogicalPlan::Subquery(lateral) = node {
            return Ok(keyed(lateral)?.update_data(LogicalPlan::Subquery));
        }
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            if !expr.exists(|part| Ok(matches!(part, Expr::ScalarSubquery(_))))? {
                return Ok(Transformed::no(expr));
            }
            named(expr, &names, |expr| {
                expr.transform_up(|part| match part {
                    Expr::ScalarSubquery(query) => Ok(keyed(query)?.update_data(Expr::ScalarSubquery)),
                    part => Ok(Transformed::no(part)),
                })
            })
        })
    });
    rewritten.data()
}

fn keyed(query: Subquery) -> Result<Transformed<Subquery>> {
    if query.outer_ref_columns.is_empty() {
        return Ok(Transformed::no(query));
    }
    let rewritten = query.subquery.as_ref().clone().transform_up(|node| match node {
        LogicalPlan::Filter(filter) => with_keys(filter),
        node => Ok(Transformed::no(node)),
    })?;
    Ok(rewritten.update_data(|plan| Subquery { subquery: Arc::new(plan), ..query }))
}

/// The filter over its input and what its conditions compute, without the latter on top.
fn with_keys(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let mut keys = Vec::new();
    let parts = split_conjunction(&filter.predicate).into_iter().map(|part| {
        let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = part else { return part.clone() };
        let (inner, outer) = if left.contains_outer() { (right, left) } else { (left, right) };
        let is_computed = !matches!(inner.as_ref(), Expr::Column(_)) && !inner.contains_outer() && !inner.column_refs().is_empty();
        if !is_computed || !outer.contains_outer() || !outer.column_refs().is_empty() {
            return part.clone();
        }
        let name = format!("{HIDDEN}key{}", keys.len());
        keys.push(inner.as_ref().clone().alias(&name));
        Expr::Column(Column::from_name(name)).eq(outer.as_ref().clone())
    });
    let parts: Vec<Expr> = parts.collect();
    let Some(predicate) = conjunction(parts).filter(|_| !keys.is_empty()) else {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    };
    let columns: Vec<Expr> = filter.input.schema().columns().into_iter().map(Expr::Column).collect();
    let input = LogicalPlanBuilder::from(filter.input.as_ref().clone()).project(columns.iter().cloned().chain(keys))?;
    input.filter(predicate)?.project(columns)?.build().map(Transformed::yes)
}
