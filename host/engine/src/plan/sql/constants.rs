//! `2 = a` becomes `a = 2` in conditions. DataFusion infers conditions for one side of a join from those of the other, and takes
//! two equalities of one column that are not written alike for a contradiction: with `LEFT JOIN … ON l.k = r.k AND 2 = l.k` no
//! row met another.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::expr::Between;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

/// The plan with constants behind what they are compared with.
pub(super) fn behind(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Filter(_) | LogicalPlan::Join(_) => node.map_expressions(|condition| condition.transform_up(turned)),
        node => Ok(Transformed::no(node)),
    })
    .data()
}

fn turned(expr: Expr) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_before(&left, &right) => Ok(match swapped(op) {
            Some(op) => Transformed::yes(Expr::BinaryExpr(BinaryExpr { left: right, op, right: left })),
            None => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
        }),
        // It would become two comparisons with the constant in front.
        Expr::Between(Between { expr, negated, low, high }) if is_before(&expr, &low) || is_before(&expr, &high) => {
            Ok(Transformed::yes(match negated {
                false => (*low).lt_eq((*expr).clone()).and((*high).gt_eq(*expr)),
                true => (*low).gt((*expr).clone()).or((*high).lt(*expr)),
            }))
        }
        expr => Ok(Transformed::no(expr)),
    }
}

/// The comparison with its sides exchanged; none of another operator.
const fn swapped(op: Operator) -> Option<Operator> {
    match op {
        Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => Some(op),
        Operator::Lt => Some(Operator::Gt),
        Operator::LtEq => Some(Operator::GtEq),
        Operator::Gt => Some(Operator::Lt),
        Operator::GtEq => Some(Operator::LtEq),
        _ => None,
    }
}

/// Whether the first is a constant and the second is none.
fn is_before(first: &Expr, second: &Expr) -> bool {
    first.column_refs().is_empty() && !first.is_volatile() && !first.contains_outer() && !second.column_refs().is_empty()
}
