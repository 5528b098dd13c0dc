//! Texts of Parquet files that a plan reads as views for a while: a view is made without copying the text, so one that is
//! only compared, or left out, or one of few in a group, is never copied at all. Above the nodes that take views there are
//! plain texts again: guests, and everything else here, know no others. Decided on the optimized logical plan, which holds
//! the same columns, names and types afterwards.

use super::ParquetTable;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, ScalarValue, TableReference};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::expr::{Alias, Cast, FieldMetadata, InList, Like};
use datafusion::logical_expr::logical_plan::{Aggregate, Filter, Projection, SubqueryAlias, TableScan, TableScanBuilder};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The plan with texts read as views where that saves copies.
pub(crate) fn late_texts(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_down_with_subqueries(|node| {
        if !leaves_out(&node) {
            return Ok(Transformed::no(node));
        }
        Ok(match viewed(&node)? {
            // What is below was looked at with it.
            Some(viewed) => Transformed::new(viewed.restored(&node)?, true, TreeNodeRecursion::Jump),
            None => Transformed::no(node),
        })
    });
    rewritten.map(|rewritten| rewritten.data)
}

/// Whether fewer texts leave a node than are read for it, so that those which are left cost less to copy than all of them.
fn leaves_out(node: &LogicalPlan) -> bool {
    match node {
        LogicalPlan::Filter(_) | LogicalPlan::Aggregate(_) => true,
        LogicalPlan::Projection(projection) => leaves_out(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => leaves_out(&alias.input),
        _ => false,
    }
}

/// A node over views.
struct Viewed {
    plan: LogicalPlan,
    /// Columns that are views.
    views: BTreeSet<Column>,
}

impl Viewed {
    /// With plain texts, as `original` has them.
    fn restored(self, original: &LogicalPlan) -> Result<LogicalPlan> {
        if self.views.is_empty() {
            return Ok(self.plan);
        }
        let plain = |(qualifier, field): (Option<&TableReference>, &FieldRef)| {
            let column = Column::from((qualifier, field));
            if !self.views.contains(&column) {
                return Expr::Column(column);
            }
            let metadata =
                Some(field.metadata()).filter(|metadata| !metadata.is_empty()).map(|metadata| FieldMetadata::from(metadata.clone()));
            let (relation, name) = (column.relation.clone(), column.name.clone());
            let text = Expr::Cast(Cast::new(Box::new(Expr::Column(column)), field.data_type().clone()));
            Expr::Alias(Alias::new(text, relation, name).with_metadata(metadata))
        };
        let columns = original.schema().iter().map(plain).collect();
        Projection::try_new(columns, Arc::new(self.plan)).map(LogicalPlan::Projection)
    }
}

/// The same node over views; none where it cannot be. What is above reads its columns by the names that they have.
fn viewed(node: &LogicalPlan) -> Result<Option<Viewed>> {
    match node {
        LogicalPlan::TableScan(scan) => of_scan(scan, &texts(scan)),
        LogicalPlan::Filter(filter) => of_filter(filter),
        LogicalPlan::Projection(projection) => of_projection(projection),
        LogicalPlan::Aggregate(aggregate) => of_aggregate(aggregate),
        LogicalPlan::SubqueryAlias(alias) => of_alias(alias),
        _ => Ok(None),
    }
}

/// The columns of a Parquet file that hold texts.
fn texts(scan: &TableScan) -> BTreeSet<Column> {
    let fields = scan.projected_schema.iter();
    fields.filter(|(_, field)| field.data_type() == &DataType::Utf8).map(Column::from).collect()
}

fn of_scan(scan: &TableScan, wanted: &BTreeSet<Column>) -> Result<Option<Viewed>> {
    let provider = source_as_provider(&scan.source)?;
    let Some(table) = provider.downcast_ref::<ParquetTable>() else { return Ok(None) };
    let names: BTreeSet<&str> = wanted.iter().map(|column| column.name.as_str()).collect();
    let Some((table, names)) = table.with_views(&names) else { return Ok(None) };
    let views: BTreeSet<Column> = wanted.iter().filter(|column| names.contains(column.name.as_str())).cloned().collect();
    let filters = scan.filters.iter().map(|filter| over_views(filter.clone(), &views)).collect::<Result<_>>()?;
    let scan = TableScanBuilder::new(scan.table_name.clone(), provider_as_source(Arc::new(table)))
        .with_projection(scan.projection.clone())
        .with_filters(filters)
        .with_fetch(scan.fetch)
        .build()?;
    Ok(Some(Viewed { plan: LogicalPlan::TableScan(scan), views }))
}

fn of_filter(filter: &Filter) -> Result<Option<Viewed>> {
    // Above others the optimizer leaves only what cannot go further down.
    let LogicalPlan::TableScan(scan) = filter.input.as_ref() else { return Ok(None) };
    let mut wanted = texts(scan);
    retain_comparable(&filter.predicate, &mut wanted)?;
    scan.filters.iter().try_for_each(|filter| retain_comparable(filter, &mut wanted))?;
    let Some(below) = of_scan(scan, &wanted)? else { return Ok(None) };
    let predicate = over_views(filter.predicate.clone(), &below.views)?;
    let plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(below.plan))?);
    Ok(Some(Viewed { plan, views: below.views }))
}

fn of_alias(alias: &SubqueryAlias) -> Result<Option<Viewed>> {
    let Some(below) = viewed(&alias.input)? else { return Ok(None) };
    let of_views: Vec<bool> = below.plan.schema().iter().map(|column| below.views.contains(&Column::from(column))).collect();
    let plan = SubqueryAlias::try_new(Arc::new(below.plan), alias.alias.clone())?;
    let columns = plan.schema.iter().map(Column::from).zip(of_views);
    let views = columns.filter(|(_, is_view)| *is_view).map(|(column, _)| column).collect();
    Ok(Some(Viewed { plan: LogicalPlan::SubqueryAlias(plan), views }))
}

fn of_projection(projection: &Projection) -> Result<Option<Viewed>> {
    let Some(below) = viewed(&projection.input)? else { return Ok(None) };
    let is_plain = |expr: &Expr| matches!(expr.clone().unalias(), Expr::Column(_)) || !reads(expr, &below.views);
    if !projection.expr.iter().all(is_plain) {
        return Ok(None);
    }
    let plan = Projection::try_new(projection.expr.clone(), Arc::new(below.plan))?;
    let columns = plan.schema.iter().map(Column::from);
    let of_views = columns.zip(&projection.expr).filter(|(_, expr)| reads(expr, &below.views));
    let views: BTreeSet<Column> = of_views.map(|(column, _)| column).collect();
    Ok(Some(Viewed { plan: LogicalPlan::Projection(plan), views }))
}

fn of_aggregate(aggregate: &Aggregate) -> Result<Option<Viewed>> {
    let Some(below) = viewed(&aggregate.input)? else { return Ok(None) };
    let is_plain = |expr: &Expr| matches!(expr, Expr::Column(_)) || !reads(expr, &below.views);
    if !aggregate.group_expr.iter().all(is_plain) || aggregate.aggr_expr.iter().any(|expr| reads(expr, &below.views)) {
        return Ok(None);
    }
    let plan = Aggregate::try_new(Arc::new(below.plan), aggregate.group_expr.clone(), aggregate.aggr_expr.clone())?;
    let columns = plan.schema.iter().map(Column::from).filter(|column| below.views.contains(column));
    let views: BTreeSet<Column> = columns.collect();
    Ok(Some(Viewed { plan: LogicalPlan::Aggregate(plan), views }))
}

fn reads(expr: &Expr, views: &BTreeSet<Column>) -> bool {
    expr.column_refs().into_iter().any(|column| views.contains(column))
}

/// Leaves the columns that the predicate only compares with constants.
fn retain_comparable(predicate: &Expr, wanted: &mut BTreeSet<Column>) -> Result<()> {
    predicate
        .apply(|expr| {
            if compared(expr, wanted).is_some() {
                return Ok(TreeNodeRecursion::Jump);
            }
            if let Expr::Column(column) = expr {
                wanted.remove(column);
            }
            // Columns inside of a subquery's text are not found as the others are.
            if let Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_) = expr {
                wanted.clear();
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .map(|_| ())
}

/// The predicate with constants of the type that its columns are read as.
fn over_views(predicate: Expr, views: &BTreeSet<Column>) -> Result<Expr> {
    let rewritten = predicate.transform_down(|expr| match compared(&expr, views) {
        Some(compared) => Ok(Transformed::new(compared, true, TreeNodeRecursion::Jump)),
        None => Ok(Transformed::no(expr)),
    });
    rewritten.map(|rewritten| rewritten.data)
}

/// A comparison of such a column with constants, over views.
fn compared(expr: &Expr, views: &BTreeSet<Column>) -> Option<Expr> {
    let is_view = |expr: &Expr| matches!(expr, Expr::Column(column) if views.contains(column));
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(*op) => {
            let (left, right) = match (is_view(left), is_view(right)) {
                (true, false) => (left.as_ref().clone(), constant(right)?),
                (false, true) => (constant(left)?, right.as_ref().clone()),
                _ => return None,
            };
            Some(Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op: *op, right: Box::new(right) }))
        }
        Expr::InList(InList { expr, list, negated }) if is_view(expr) => {
            let list = list.iter().map(constant).collect::<Option<_>>()?;
            Some(Expr::InList(InList { expr: expr.clone(), list, negated: *negated }))
        }
        Expr::Like(like) if is_view(&like.expr) => {
            let pattern = Box::new(constant(&like.pattern)?);
            Some(Expr::Like(Like { pattern, ..like.clone() }))
        }
        Expr::IsNull(of) | Expr::IsNotNull(of) if is_view(of) => Some(expr.clone()),
        _ => None,
    }
}

const fn is_comparison(op: Operator) -> bool {
    matches!(op, Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq)
}

fn constant(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(text), metadata) => Some(Expr::Literal(ScalarValue::Utf8View(text.clone()), metadata.clone())),
        _ => None,
    }
}
