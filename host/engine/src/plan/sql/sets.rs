//! `INTERSECT ALL` and `EXCEPT ALL`: DataFusion does not count how often a row occurs. Equal rows are numbered on both
//! sides, so that each meets one of the other side at most, and the numbers are left out again.
//!
//! The columns of a side are known only once it is planned: the text gets a mark in place of the numbers, and the plan gets
//! the numbers in place of the mark.

use azora_spec::{Code, Failure};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, Result, internal_err};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, Projection, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::{Query, SetExpr, SetOperator, SetQuantifier, TableFactor};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use std::sync::{Arc, LazyLock};

/// The function that marks where numbers are wanted, and the name of their column.
pub(super) const NUMBER: &str = "__azora_number";
/// Most of these operations in a text: each adds several levels to a plan.
const COUNTED_MAX: usize = 16;

/// Rewrites the operations at the top of a query. Those inside of the sides are queries of their own afterwards.
pub(super) fn counted(body: &mut SetExpr, count: &mut usize) -> std::result::Result<(), Failure> {
    let SetExpr::SetOperation { op, set_quantifier, left, right } = body else { return Ok(()) };
    let is_counted = *op != SetOperator::Union && matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
    if !is_counted {
        counted(left, count)?;
        return counted(right, count);
    }
    *count += 1;
    let word = if *op == SetOperator::Intersect { "INTERSECT" } else { "EXCEPT" };
    if *set_quantifier == SetQuantifier::AllByName {
        return Err(Failure::new(Code::SqlUnsupported, format!("{word} ALL BY NAME is not available"))
            .hint(format!("select the columns in one order on both sides, and use {word} ALL")));
    }
    if *count > COUNTED_MAX {
        return Err(Failure::new(Code::SqlTooDeep, format!("more than {COUNTED_MAX} INTERSECT ALL or EXCEPT ALL in one statement"))
            .hint("make datasets of parts of it"));
    }
    *body = numbered_sides(word, std::mem::replace(left, placeholder()), std::mem::replace(right, placeholder()))
        .ok_or(crate::Error::Broken("the text of a set operation"))?;
    Ok(())
}

fn placeholder() -> Box<SetExpr> {
    Box::new(SetExpr::Values(datafusion::sql::sqlparser::ast::Values { explicit_row: false, value_keyword: false, rows: Vec::new() }))
}

fn numbered_sides(word: &str, left: Box<SetExpr>, right: Box<SetExpr>) -> Option<SetExpr> {
    let side = |name: &str| format!(r#"SELECT *, {NUMBER}() AS {NUMBER} FROM (SELECT 1) AS __azora_{name}"#);
    let text = format!("SELECT * EXCLUDE ({NUMBER}) FROM ({} {word} {}) AS __azora_set", side("left"), side("right"));
    let mut query = Parser::new(&GenericDialect {}).try_with_sql(&text).ok()?.parse_query().ok()?;
    let SetExpr::SetOperation { left: first, right: second, .. } = derived(&mut query.body)?.body.as_mut() else { return None };
    derived(first)?.body = left;
    derived(second)?.body = right;
    Some(*query.body)
}

/// The query of an ANY or ALL under a name of its own. DataFusion compares its column with columns of the query around it by
/// their names, and takes those of one table for the same.
pub(super) fn apart(query: &mut Query, count: &mut usize) -> std::result::Result<(), Failure> {
    *count += 1;
    let text = format!("SELECT * FROM (SELECT 1) AS __azora_compared{count}");
    let wrapped = Parser::new(&GenericDialect {}).try_with_sql(&text).and_then(|mut parser| parser.parse_query()).ok();
    let mut wrapped = *wrapped.ok_or(crate::Error::Broken("the text of a comparison"))?;
    let inner = derived(&mut wrapped.body).ok_or(crate::Error::Broken("the query of a comparison"))?;
    std::mem::swap(inner, query);
    std::mem::swap(query, &mut wrapped);
    Ok(())
}

/// The query that a SELECT reads from.
fn derived(body: &mut SetExpr) -> Option<&mut Query> {
    let SetExpr::Select(select) = body else { return None };
    match &mut select.from.first_mut()?.relation {
        TableFactor::Derived { subquery, .. } => Some(subquery),
        _ => None,
    }
}

/// The function that stands for the numbers until the plan is there.
pub(super) fn mark() -> Arc<ScalarUDF> {
    Arc::clone(&MARK)
}

static MARK: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Mark { signature: Signature::nullary(Volatility::Volatile) })));

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mark {
    signature: Signature,
}

impl ScalarUDFImpl for Mark {
    fn name(&self) -> &str {
        NUMBER
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt64)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("a mark was not replaced")
    }
}

fn is_mark(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_mark(&alias.expr),
        Expr::ScalarFunction(call) => call.func.name() == NUMBER,
        _ => false,
    }
}

/// The plan with numbers in place of marks.
pub(super) fn numbered(plan: LogicalPlan) -> Result<LogicalPlan> {
    let replaced = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Projection(projection) if projection.expr.iter().any(is_mark) => Ok(Transformed::yes(with_numbers(projection)?)),
        // What was built upon the mark learns that numbers are never null.
        other => Ok(Transformed::no(other)),
    });
    replaced.data()
}

fn with_numbers(projection: Projection) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = projection.expr.iter().filter(|expr| !is_mark(expr)).cloned().collect();
    let number = row_number().partition_by(columns.clone()).build()?;
    let made = Expr::Column(Column::from_name(number.schema_name().to_string())).alias(NUMBER);
    LogicalPlanBuilder::from(Arc::unwrap_or_clone(projection.input)).window([number])?.project(columns.into_iter().chain([made]))?.build()
}
