//! Integers that do not wrap: DataFusion adds, subtracts and multiplies modulo 2^64, which nobody means who asks for a sum
//! of prices. These operators become functions over Arrow's checked kernels once types are known.

use crate::node::external;
use azora_spec::{Code, Failure};
use datafusion::arrow::compute::kernels::numeric::{add, mul, sub};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DataFusionError, ExprSchema, Result, plan_err};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use datafusion::logical_expr::utils::merge_schema;
use datafusion::optimizer::AnalyzerRule;
use std::sync::LazyLock;

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
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let rewritten = expr.transform_up(|expr| Ok(checked(expr, &schema)))?;
                Ok(if rewritten.transformed { rewritten.update_data(|expr| name.restore(expr)) } else { rewritten })
            })
        });
        let rewritten = rewritten?;
        if rewritten.transformed { rewritten.data.recompute_schema() } else { Ok(rewritten.data) }
    }
}

fn checked(expr: Expr, schema: &dyn ExprSchema) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return Transformed::no(expr) };
    let udf = match op {
        Operator::Plus => &ADD,
        Operator::Minus => &SUB,
        Operator::Multiply => &MUL,
        _ => return Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
    };
    match (left.get_type(schema), right.get_type(schema)) {
        (Ok(a), Ok(b)) if a == b && a.is_integer() => Transformed::yes(udf.call(vec![*left, *right])),
        _ => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
    }
}

static ADD: LazyLock<ScalarUDF> = LazyLock::new(|| Checked::udf(Operator::Plus, "checked_add"));
static SUB: LazyLock<ScalarUDF> = LazyLock::new(|| Checked::udf(Operator::Minus, "checked_sub"));
static MUL: LazyLock<ScalarUDF> = LazyLock::new(|| Checked::udf(Operator::Multiply, "checked_mul"));

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    op: Operator,
    name: &'static str,
    signature: Signature,
}

impl Checked {
    fn udf(op: Operator, name: &'static str) -> ScalarUDF {
        ScalarUDF::new_from_impl(Self { op, name, signature: Signature::user_defined(Volatility::Immutable) })
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [a, b] if a == b => Ok(a.clone()),
            _ => plan_err!("'{}' takes two integers of one type", self.op),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else { return plan_err!("'{}' takes two integers", self.op) };
        let kernel = match self.op {
            Operator::Minus => sub,
            Operator::Multiply => mul,
            _ => add,
        };
        match datafusion::physical_expr_common::datum::apply(left, right, kernel) {
            Ok(value) => Ok(value),
            Err(error) => Err(overflow(error)),
        }
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
