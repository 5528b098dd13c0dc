//! Constants that stand beside rows. Where they go into values, each row gets a copy, which DataFusion makes a batch at a
//! time without asking anybody: a text of a megabyte beside 8,192 rows takes the machine's memory, or ends its task.

use crate::node::external;
use azora_spec::limits::{BATCH_ROWS, LIST_BYTES_MAX, VALUES_BYTES_MAX};
use azora_spec::{Code, Failure};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue, internal_err};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, WindowFunctionDefinition,
};
use std::sync::{Arc, LazyLock};

/// Texts up to this size may stand beside the rows of any batch.
const TEXT_BYTES_MAX: usize = VALUES_BYTES_MAX / BATCH_ROWS;

/// Refuses large constant lists that stand beside many rows, each of which would get a copy.
pub(crate) fn check_lists(plan: &LogicalPlan) -> std::result::Result<(), Failure> {
    let mut found = None;
    let walked = plan.apply_with_subqueries(|node| {
        let is_of_many = node.inputs().iter().any(|input| input.max_rows().is_none_or(|rows| rows > 1));
        if is_of_many {
            each_constant(node, |value| {
                if is_list(value) && value.size() > LIST_BYTES_MAX {
                    found = Some(value.size());
                }
            })?;
        }
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.map_err(crate::failure_of)?;
    match found {
        None => Ok(()),
        Some(bytes) => Err(Failure::new(
            Code::DataInvalid,
            format!("a constant list of {bytes} bytes stands beside many rows, and at most {LIST_BYTES_MAX} may"),
        )
        .hint("make rows of it, FROM generate_series(1, n) or unnest(list), and join with them")),
    }
}

fn is_list(value: &ScalarValue) -> bool {
    matches!(value, ScalarValue::List(_) | ScalarValue::LargeList(_) | ScalarValue::FixedSizeList(_))
}

fn each_constant(node: &LogicalPlan, mut each: impl FnMut(&ScalarValue)) -> Result<TreeNodeRecursion> {
    node.apply_expressions(|expr| {
        expr.apply(|part| {
            if let Expr::Literal(value, _) = part {
                each(value);
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })
}

/// The optimized plan, where large texts that go into values count the rows that they stand beside. What is only looked at,
/// as a pattern or a document is, may be of any size.
pub(crate) fn counted(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut is_there = false;
    plan.apply_with_subqueries(|node| {
        each_constant(node, |value| is_there |= is_large(value))?;
        Ok(if is_there { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if !is_there {
        return Ok(plan);
    }
    let counting = plan.transform_up_with_subqueries(|node| {
        // Sources see conditions, which make no values, and the rows of VALUES are made one by one.
        if matches!(node, LogicalPlan::TableScan(_) | LogicalPlan::Values(_)) {
            return Ok(Transformed::no(node));
        }
        let schema = merge_schema(&node.inputs());
        node.map_expressions(|expr| {
            let expr = expr.transform_up(|part| {
                if makes_values(&part, &schema) { part.map_children(|child| Ok(of(child))) } else { Ok(Transformed::no(part)) }
            })?;
            expr.transform_data(|expr| Ok(of(expr)))
        })
    });
    counting.data()
}

fn is_large(value: &ScalarValue) -> bool {
    length(value).is_some_and(|bytes| bytes > TEXT_BYTES_MAX)
}

/// Bytes of a text.
fn length(value: &ScalarValue) -> Option<usize> {
    match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => Some(text.len()),
        ScalarValue::Binary(Some(bytes)) | ScalarValue::LargeBinary(Some(bytes)) | ScalarValue::BinaryView(Some(bytes)) => {
            Some(bytes.len())
        }
        _ => None,
    }
}

/// Whether a constant below it may become part of each row's value.
fn makes_values(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::BinaryExpr(binary) => binary.op == Operator::StringConcat,
        Expr::ScalarFunction(_) | Expr::Cast(_) | Expr::TryCast(_) => {
            expr.get_type(schema).is_ok_and(|data_type| !data_type.is_primitive() && data_type != DataType::Boolean)
        }
        // Of functions that are windows only, some arguments have to be constants.
        Expr::WindowFunction(window) => matches!(window.fun, WindowFunctionDefinition::AggregateUDF(_)),
        Expr::Alias(_) | Expr::Case(_) | Expr::AggregateFunction(_) => true,
        _ => false,
    }
}

fn of(expr: Expr) -> Transformed<Expr> {
    match &expr {
        Expr::Literal(value, _) if is_large(value) => Transformed::yes(COUNTED.call(vec![expr])),
        _ => Transformed::no(expr),
    }
}

static COUNTED: LazyLock<ScalarUDF> =
    LazyLock::new(|| ScalarUDF::new_from_impl(Counted { signature: Signature::any(1, Volatility::Volatile) }));

/// The constant that is its argument. It is never computed ahead, so that it sees the rows of each batch.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Counted {
    signature: Signature,
}

impl ScalarUDFImpl for Counted {
    fn name(&self) -> &'static str {
        "constant"
    }

    /// Columns above it keep their names.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(|arg| arg.schema_name().to_string()).collect())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("a constant has a field")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields {
            [field] => Ok(Arc::clone(field)),
            _ => internal_err!("one constant is counted"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(value)] = args.args.as_slice() else { return internal_err!("one constant is counted") };
        let bytes = length(value).unwrap_or_default();
        if bytes.saturating_mul(args.number_rows) > VALUES_BYTES_MAX {
            let message = format!("a constant of {bytes} bytes stands beside {} rows, each of which would get a copy", args.number_rows);
            let hint =
                format!("beside many rows a text that becomes part of their values may have {TEXT_BYTES_MAX} bytes: join with it later");
            return Err(external(Failure::new(Code::DataInvalid, message).hint(hint)));
        }
        Ok(ColumnarValue::Scalar(value.clone()))
    }
}
