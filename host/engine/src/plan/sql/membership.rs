//! `IN (SELECT …)` with SQL's three answers. DataFusion knows two of them where the test is not a condition by itself: a null
//! on either side counts as no member, so `NOT (x IN (SELECT …))` keeps rows below an `OR`, and a constant that is no member
//! of rows with nulls is kept, too. Such tests become tests of whether rows exist, which have two answers.
//!
//! With `hit` for "a row is equal", `hole` for "a row is null" and `any` for "there is a row": `x IN` is true where `hit`, false
//! where none of `hit`, `hole` and (`x` is null and `any`) is true, and null otherwise.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ExprSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, lit, when};
use std::sync::Arc;

/// The plan with such tests where DataFusion's answer may be another. Types are known.
pub(super) fn exact(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Filter(filter) if has_test(&filter.predicate)? => {
            let schema = Arc::clone(filter.input.schema());
            let conditions = split_conjunction_owned(filter.predicate).into_iter().map(|condition| condition_of(condition, &schema, true));
            let predicate = conjunction(conditions.collect::<Result<Vec<_>>>()?).unwrap_or_else(|| lit(true));
            Filter::try_new(predicate, filter.input).map(|filter| Transformed::yes(LogicalPlan::Filter(filter)))
        }
        node => Ok(Transformed::no(node)),
    })
    .data()
}

fn has_test(expr: &Expr) -> Result<bool> {
    expr.exists(|part| Ok(matches!(part, Expr::InSubquery(_))))
}

/// A part of a condition of which only matters whether it is true. `is_whole`: rows are kept by it alone.
fn condition_of(expr: Expr, schema: &impl ExprSchema, is_whole: bool) -> Result<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let (left, right) = (condition_of(*left, schema, false)?, condition_of(*right, schema, false)?);
            Ok(Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) }))
        }
        Expr::Not(inner) => match *inner {
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                condition_of(Expr::InSubquery(InSubquery { expr, subquery, negated: !negated }), schema, is_whole)
            }
            inner => in_value(Expr::Not(Box::new(inner)), schema),
        },
        // Whatever is null is no member, as far as a condition is concerned.
        Expr::InSubquery(InSubquery { negated: false, .. }) => Ok(expr),
        Expr::InSubquery(test) if is_whole && is_joined(&test) => Ok(Expr::InSubquery(test)),
        Expr::InSubquery(test) => Ok(match Rows::of(&test, schema)? {
            Some(rows) => rows.is_no_member(&test.expr, schema)?,
            None => Expr::InSubquery(test),
        }),
        other => in_value(other, schema),
    }
}

/// Whether DataFusion makes it a join that watches for nulls.
fn is_joined(test: &InSubquery) -> bool {
    test.subquery.outer_ref_columns.is_empty() && !test.expr.column_refs().is_empty()
}

/// An expression of which all three answers may matter.
fn in_value(expr: Expr, schema: &impl ExprSchema) -> Result<Expr> {
    expr.transform_up(|part| {
        let Expr::InSubquery(test) = part else { return Ok(Transformed::no(part)) };
        let Some(rows) = Rows::of(&test, schema)? else { return Ok(Transformed::no(Expr::InSubquery(test))) };
        let no_member = rows.is_no_member(&test.expr, schema)?;
        let value = when(rows.hit, lit(!test.negated)).when(no_member, lit(test.negated)).otherwise(lit(ScalarValue::Boolean(None)))?;
        Ok(Transformed::yes(value))
    })
    .data()
}

/// What is asked of the rows of a subquery.
struct Rows {
    hit: Expr,
    /// None where no row can be null.
    hole: Option<Expr>,
    any: Expr,
}

impl Rows {
    /// None where the tested value belongs to a query two levels above, which a condition in the subquery cannot name.
    fn of(test: &InSubquery, schema: &impl ExprSchema) -> Result<Option<Self>> {
        if test.expr.contains_outer() {
            return Ok(None);
        }
        let rows = test.subquery.subquery.schema();
        let member = Expr::Column(Column::from(rows.qualified_field(0)));
        let outer = test.expr.as_ref().clone().transform_up(|part| match part {
            Expr::Column(column) => {
                let field = Arc::clone(schema.field_from_column(&column)?);
                Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
            }
            part => Ok(Transformed::no(part)),
        });
        let hole = member.nullable(rows)?.then(|| exists(&test.subquery, Some(member.clone().is_null()))).transpose()?;
        Ok(Some(Self { hit: exists(&test.subquery, Some(member.eq(outer.data()?)))?, hole, any: exists(&test.subquery, None)? }))
    }

    /// True where the value is certainly none of the rows, false otherwise.
    fn is_no_member(&self, value: &Expr, schema: &impl ExprSchema) -> Result<Expr> {
        let mut parts = vec![!self.hit.clone()];
        parts.extend(self.hole.clone().map(|hole| !hole));
        if value.nullable(schema)? {
            parts.push(value.clone().is_not_null().or(!self.any.clone()));
        }
        Ok(conjunction(parts).unwrap_or_else(|| lit(true)))
    }
}

/// Whether the subquery has rows of which the condition is true.
fn exists(subquery: &Subquery, condition: Option<Expr>) -> Result<Expr> {
    let mut outer = subquery.outer_ref_columns.clone();
    let mut rows = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone());
    if let Some(condition) = condition {
        condition.apply(|part| {
            if matches!(part, Expr::OuterReferenceColumn(..)) && !outer.contains(part) {
                outer.push(part.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        rows = rows.filter(condition)?;
    }
    let subquery = Subquery { subquery: Arc::new(rows.build()?), outer_ref_columns: outer, spans: subquery.spans.clone() };
    Ok(Expr::Exists(Exists { subquery, negated: false }))
}
