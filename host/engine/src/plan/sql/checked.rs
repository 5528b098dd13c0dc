//! Integers that do not wrap: DataFusion adds, subtracts and multiplies modulo 2^64, which nobody means who asks for a sum
//! of prices. These operators become functions over Arrow's checked kernels once types are known.
//!
//! A chain such as `a + b * 2 + c …` becomes one function of many arguments: DataFusion asks for the type and the name of
//! a call at every level and in every rule, so a chain of calls would cost more than the square of its length.

use crate::node::external;
use azora_spec::{Code, Failure};
use datafusion::arrow::compute::kernels::numeric::{add, mul, sub};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DataFusionError, ExprSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr_common::datum;
use std::sync::Arc;

/// The rule. Comes after type coercion.
#[derive(Debug)]
pub(super) struct CheckedArithmetic;

impl AnalyzerRule for CheckedArithmetic {
    fn name(&self) -> &str {
        "checked_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|node| {
            let mut schema = merge_schema(&node.inputs());
            if let LogicalPlan::TableScan(scan) = &node {
                schema.merge(scan.projected_schema.as_ref());
            }
            let names = NamePreserver::new(&node);
            let checked = |expr| checked(expr, &schema).map(|(checked, _)| checked);
            node.map_expressions(|expr| match expr {
                // It has no name of its own: columns are known by its parts.
                Expr::GroupingSet(_) => expr.map_children(|part| named(part, &NamePreserver::new_for_projection(), checked)),
                expr => named(expr, &names, checked),
            })
        });
        let rewritten = rewritten?;
        if rewritten.transformed { rewritten.data.recompute_schema() } else { Ok(rewritten.data) }
    }
}

/// An expression by the name that it had, whatever is made of it.
pub(super) fn named(expr: Expr, names: &NamePreserver, make: impl FnOnce(Expr) -> Result<Transformed<Expr>>) -> Result<Transformed<Expr>> {
    let name = names.save(&expr);
    let made = make(expr)?;
    Ok(if made.transformed { made.update_data(|expr| name.restore(expr)) } else { made })
}

/// The expression with functions in place of operators on integers, and its type where that is known without a walk.
fn checked(expr: Expr, schema: &dyn ExprSchema) -> Result<(Transformed<Expr>, Option<DataType>)> {
    // The left side of operators goes as deep as a chain is long: it is walked down and up without recursion.
    let mut steps = Vec::new();
    let mut first = expr;
    while let Expr::BinaryExpr(BinaryExpr { left, op, right }) = first {
        steps.push((op, *right));
        first = *left;
    }
    let first = nulls_as_constants(first, schema).transform_data(|first| {
        // What follows goes into arguments and operands.
        first.map_children(|child| checked(child, schema).map(|(child, _)| child))
    })?;
    if steps.is_empty() {
        return Ok((first, None));
    }
    let mut chain =
        Chain { of: first.data.get_type(schema).ok(), is_transformed: first.transformed, args: vec![first.data], ops: Vec::new() };
    for (op, right) in steps.into_iter().rev() {
        let (right, of) = checked(right, schema)?;
        let of = of.or_else(|| right.data.get_type(schema).ok());
        chain.push(op, right, of);
    }
    let of = chain.of.clone();
    let is_transformed = chain.is_transformed;
    Ok((Transformed::new_transformed(chain.into_expr(), is_transformed), of))
}

/// A call with the constant null in place of columns that hold nothing else: DataFusion makes one list of all of their rows.
fn nulls_as_constants(expr: Expr, schema: &dyn ExprSchema) -> Transformed<Expr> {
    let Expr::ScalarFunction(mut call) = expr else { return Transformed::no(expr) };
    let mut is_transformed = false;
    for arg in &mut call.args {
        if matches!(&*arg, Expr::Column(column) if schema.data_type(column).is_ok_and(DataType::is_null)) {
            *arg = lit(ScalarValue::Null);
            is_transformed = true;
        }
    }
    Transformed::new_transformed(Expr::ScalarFunction(call), is_transformed)
}

/// Operators of one chain, from the left.
struct Chain {
    /// The type so far.
    of: Option<DataType>,
    is_transformed: bool,
    /// What was done so far; more than one where the next operator may join the function that they will be.
    args: Vec<Expr>,
    ops: Vec<Operator>,
}

impl Chain {
    fn push(&mut self, op: Operator, right: Transformed<Expr>, of: Option<DataType>) {
        let is_wrapping = matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply);
        if is_wrapping && self.of == of && of.as_ref().is_some_and(DataType::is_integer) {
            self.is_transformed = true;
            self.args.push(right.data);
            self.ops.push(op);
            return;
        }
        self.is_transformed |= right.transformed;
        let left = self.close();
        self.of = self.of.take().zip(of).and_then(|(a, b)| BinaryTypeCoercer::new(&a, &op, &b).get_result_type().ok());
        self.args.extend(left.map(|left| Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right.data) })));
    }

    /// What was done so far as one expression.
    fn close(&mut self) -> Option<Expr> {
        if self.ops.is_empty() {
            return self.args.pop();
        }
        let (ops, args) = (std::mem::take(&mut self.ops), std::mem::take(&mut self.args));
        Some(Expr::ScalarFunction(ScalarFunction { func: Arc::new(Checked::udf(ops)), args }))
    }

    fn into_expr(mut self) -> Expr {
        self.close().unwrap_or_else(|| lit(ScalarValue::Null))
    }
}

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    /// One for each argument but the first; applied from the left, whatever binds tighter elsewhere.
    ops: Vec<Operator>,
    /// Tells functions of different operators apart: columns are known by such names.
    name: String,
    signature: Signature,
}

impl Checked {
    fn udf(ops: Vec<Operator>) -> ScalarUDF {
        let name = match ops.as_slice() {
            [Operator::Plus] => "checked_add".to_owned(),
            [Operator::Minus] => "checked_sub".to_owned(),
            [Operator::Multiply] => "checked_mul".to_owned(),
            many => format!("checked[{}]", many.iter().map(ToString::to_string).collect::<String>()),
        };
        ScalarUDF::new_from_impl(Self { ops, name, signature: Signature::user_defined(Volatility::Immutable) })
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [first, rest @ ..] if rest.len() == self.ops.len() && rest.iter().all(|other| other == first) => Ok(first.clone()),
            _ => plan_err!("arithmetic takes integers of one type"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut args = args.args.into_iter();
        let Some(first) = args.next() else { return plan_err!("arithmetic takes integers") };
        let made = self.ops.iter().zip(args).try_fold(first, |left, (op, right)| {
            let kernel = match op {
                Operator::Minus => sub,
                Operator::Multiply => mul,
                _ => add,
            };
            datum::apply(&left, &right, kernel)
        });
        made.map_err(overflow)
    }
}

/// An overflow by its own code.
pub(super) fn overflow(error: DataFusionError) -> DataFusionError {
    match error.find_root() {
        DataFusionError::ArrowError(inner, _) if matches!(inner.as_ref(), ArrowError::ArithmeticOverflow(_)) => external(
            Failure::new(Code::ArithmeticOverflow, "an integer left the range of its type")
                .hint("convert to DECIMAL or DOUBLE first: CAST(column AS DECIMAL(38, 0))"),
        ),
        _ => error,
    }
}
