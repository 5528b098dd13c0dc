//! `||` of texts. Arrow's ends the task where what it makes of one batch outgrows 32-bit offsets; this one says so.

use crate::error::too_large;
use crate::node::external;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::kernels::concat_elements::concat_elements_dyn;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue, internal_err};
use datafusion::logical_expr::utils::merge_schema;
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
        let mut is_there = false;
        node.apply_expressions(|expr| {
            is_there |= expr.exists(|part| Ok(is_chain(part)))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        if !is_there {
            return Ok(Transformed::no(node));
        }
        let schema = merge_schema(&node.inputs());
        node.map_expressions(|expr| {
            expr.transform_down(|part| {
                if !is_chain(&part) {
                    return Ok(Transformed::no(part));
                }
                // A chain becomes one call: DataFusion asks for the name and the type of each of them at every level.
                let texts = operands(&part);
                if !are_texts(&texts, &schema) {
                    return Ok(Transformed::no(part));
                }
                let texts = texts.into_iter().cloned().collect();
                Ok(Transformed::yes(JOINED.call(texts)))
            })
        })
    })
    .data()
}

fn is_chain(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryExpr(BinaryExpr { op: Operator::StringConcat, .. }))
}

/// What a chain joins, the first in front. It goes as deep as it is long on its left.
fn operands(chain: &Expr) -> Vec<&Expr> {
    let (mut texts, mut first) = (Vec::new(), chain);
    while let Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) = first {
        texts.push(right.as_ref());
        first = left.as_ref();
    }
    texts.push(first);
    texts.reverse();
    texts
}

/// Texts and bytes with offsets of 32 bits; views have no such end within a batch.
fn are_texts(texts: &[&Expr], schema: &DFSchema) -> bool {
    let mut types = texts.iter().map(|text| text.get_type(schema).ok());
    let Some(Some(first @ (DataType::Utf8 | DataType::Binary))) = types.next() else { return false };
    types.all(|data_type| data_type.as_ref() == Some(&first))
}

static JOINED: LazyLock<ScalarUDF> =
    LazyLock::new(|| ScalarUDF::new_from_impl(Joined { signature: Signature::variadic_any(Volatility::Immutable) }));

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
        let chain = args
            .iter()
            .cloned()
            .reduce(|left, right| Expr::BinaryExpr(BinaryExpr::new(Box::new(left), Operator::StringConcat, Box::new(right))));
        chain.map_or_else(|| internal_err!("|| takes texts"), |chain| Ok(chain.schema_name().to_string()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().cloned().map_or_else(|| internal_err!("|| takes texts"), Ok)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let Some(first) = args.arg_fields.first() else { return internal_err!("|| takes texts") };
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), first.data_type().clone(), is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut texts = ColumnarValue::values_to_arrays(&args.args)?.into_iter();
        let Some(first) = texts.next() else { return internal_err!("|| takes texts") };
        let joined = texts.try_fold(first, |left, right| {
            if bytes(&left) + bytes(&right) > i32::MAX as usize {
                return Err(external(too_large()));
            }
            Ok(concat_elements_dyn(&left, &right)?)
        })?;
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
