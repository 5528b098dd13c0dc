//! Values that a pivot makes columns of where the request names none: they are looked for while the job is planned, and
//! pinned, so that a restart makes the same columns.

use crate::lambda::{Found, run};
use crate::plan::sql::scalar;
use crate::relation::PlanContext;
use crate::{Error, failure_of};
use azora_spec::{Code, Failure, PIVOT_VALUES_MAX};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::{self, SortOptions, concat, sort};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, ident, lit};
use serde_json::{Number, Value};
use std::sync::Arc;

/// Longest value that names a column, in bytes.
const NAME_BYTES_MAX: usize = 1024;

/// Values that planning cannot go on without.
#[derive(Debug)]
pub(crate) struct ValuesWanted {
    /// What they will be known by.
    pub(crate) key: String,
    /// The rows.
    pub(crate) plan: LogicalPlan,
    /// Their column.
    pub(crate) column: String,
    /// The operation in the request.
    pub(crate) pointer: String,
}

/// Looks for them: a pass over all rows, which takes at most as long as the job may.
pub(crate) async fn find(ctx: &PlanContext, wanted: ValuesWanted) -> Result<Found, Failure> {
    let ValuesWanted { plan, column, pointer, .. } = wanted;
    let plan = LogicalPlanBuilder::from(plan)
        .project([ident(&column)])
        .and_then(|plan| plan.distinct())
        .and_then(|plan| plan.limit(0, Some(PIVOT_VALUES_MAX + 1)))
        .and_then(LogicalPlanBuilder::build)
        .map_err(failure_of)?;
    let looked = tokio::time::timeout(ctx.options.time_max, run(ctx, plan)).await;
    let batches = looked
        .map_err(|_| Failure::new(Code::JobTimeout, "looking for the values of a pivot took longer than the job may").at(&pointer))?
        .map_err(failure_of)?;
    let columns: Vec<ArrayRef> = batches.iter().filter_map(|batch| batch.columns().first().map(Arc::clone)).collect();
    let parts: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
    if parts.is_empty() {
        return Ok(Found::Values(Vec::new()));
    }
    let all = concat(&parts).map_err(|error| failure_of(error.into()))?;
    let refused = |message: String| {
        Failure::new(Code::OperationInvalid, message).at(&pointer).hint("name the values that become columns, or filter the rows first")
    };
    if all.len() > PIVOT_VALUES_MAX {
        let column = column.escape_debug();
        return Err(refused(format!("'{column}' has more than {PIVOT_VALUES_MAX} values, which are too many columns")));
    }
    let ascending = SortOptions { descending: false, nulls_first: true };
    let all = sort(&all, Some(ascending)).map_err(|error| failure_of(error.into()))?;
    let values: Vec<Value> = (0..all.len()).map(|row| value(&all, row)).collect::<Result<_, Failure>>()?;
    match values.iter().filter_map(Value::as_str).find(|text| text.len() > NAME_BYTES_MAX) {
        Some(long) => Err(refused(format!("a value of {} bytes cannot name a column", long.len()))),
        None => Ok(Found::Values(values)),
    }
}

/// Whether values of a type can be columns.
pub(super) fn is_plain(of: &DataType) -> bool {
    use DataType::{Boolean, Date32, LargeUtf8, Null, Timestamp, Utf8, Utf8View};
    of.is_numeric() || matches!(of, Boolean | Utf8 | LargeUtf8 | Utf8View | Date32 | Timestamp(..) | Null)
}

fn value(all: &ArrayRef, row: usize) -> Result<Value, Failure> {
    if all.is_null(row) || all.data_type() == &DataType::Null {
        return Ok(Value::Null);
    }
    let one = all.slice(row, 1);
    let converted = |to: &DataType| compute::cast(&one, to).map_err(|error| failure_of(error.into()));
    Ok(match all.data_type() {
        DataType::Boolean => Value::Bool(all.as_boolean().value(row)),
        of if of.is_integer() && of != &DataType::UInt64 => Value::from(converted(&DataType::Int64)?.as_primitive::<Int64Type>().value(0)),
        of if of.is_floating() => {
            let number = converted(&DataType::Float64)?.as_primitive::<Float64Type>().value(0);
            // What JSON cannot hold comes as its name, which casts back.
            Number::from_f64(number).map_or_else(|| Value::from(number.to_string()), Value::Number)
        }
        _ => {
            let text = converted(&DataType::Utf8)?;
            let text = text.as_string_opt::<i32>().ok_or(Error::Broken("a value as text"))?;
            Value::from(text.value(0))
        }
    })
}

/// A value as the condition of its column; `of` is the type of the values.
pub(super) fn is_value(column: &str, value: &Value, of: &DataType) -> Expr {
    match value {
        Value::Null => ident(column).is_null(),
        value => ident(column).eq(cast(lit(scalar(value)), of.clone())),
    }
}
