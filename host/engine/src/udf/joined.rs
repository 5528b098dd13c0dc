//! `||` of texts. Arrow's ends the task where what it makes of one batch outgrows 32-bit offsets; this one says so.

use crate::error::too_large;
use crate::node::external;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::kernels::concat_elements::concat_elements_dyn;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use std::sync::{Arc, LazyLock};

/// The optimized plan with a function in place of the operator.
pub(crate) fn checked(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        // Sources know the operator.
        if matches!(node, LogicalPlan::TableScan(_)) {
            return Ok(Transformed::no(node));
        }
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        node.map_expressions(|expr| {
            expr.transform_up(|part| match part {
                Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) if is_of_texts(&left, &right, &schema) => {
                    Ok(Transformed::yes(JOINED.call(vec![*left, *right])))
                }
                part => Ok(Transformed::no(part)),
            })
        })
    })
    .data()
}

/// Texts and bytes with offsets of 32 bits; views have no such end within a batch.
fn is_of_texts(left: &Expr, right: &Expr, schema: &DFSchema) -> bool {
    let is_text = |expr: &Expr| expr.get_type(schema).ok().filter(|data_type| matches!(data_type, DataType::Utf8 | DataType::Binary));
    is_text(left).is_some_and(|left| is_text(right) == Some(left))
}

static JOINED: LazyLock<ScalarUDF> =
    LazyLock::new(|| ScalarUDF::new_from_impl(Joined { signature: Signature::any(2, Volatility::Immutable) }));

#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    signature: Signature,
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &'static str {
        "||"
    }

    /// Columns keep the names that the operator gave them.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [left, right] = args else { return internal_err!("|| takes two texts") };
        let operator = BinaryExpr::new(Box::new(left.clone()), Operator::StringConcat, Box::new(right.clone()));
        Ok(Expr::BinaryExpr(operator).schema_name().to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().cloned().map_or_else(|| internal_err!("|| takes two texts"), Ok)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let [left, right] = args.arg_fields else { return internal_err!("|| takes two texts") };
        Ok(Arc::new(Field::new(self.name(), left.data_type().clone(), left.is_nullable() || right.is_nullable())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [left, right] = arrays.as_slice() else { return internal_err!("|| takes two texts") };
        if bytes(left) + bytes(right) > i32::MAX as usize {
            return Err(external(too_large()));
        }
        let joined = concat_elements_dyn(left, right)?;
        if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            return ScalarValue::try_from_array(&joined, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(joined))
    }
}

fn bytes(values: &ArrayRef) -> usize {
    let between = |offsets: &[i32]| match offsets {
        [first, .., last] => usize::try_from(last - first).unwrap_or_default(),
        _ => 0,
    };
    match values.data_type() {
        DataType::Utf8 => between(values.as_string::<i32>().value_offsets()),
        _ => between(values.as_binary::<i32>().value_offsets()),
    }
}
