//! Filters of a plan as conditions for a source. Rows are filtered again above it, so a condition may be dropped, and what
//! is no plain comparison of a column with a constant of its own kind is none.

use azora_connect::{Compare, Condition, Constant};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// The condition that a filter is.
pub(super) fn condition(filter: &Expr, schema: &Schema) -> Option<Condition> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return None };
    let compare = match op {
        Operator::Eq => Compare::Equal,
        Operator::Lt => Compare::Less,
        Operator::LtEq => Compare::AtMost,
        Operator::Gt => Compare::More,
        Operator::GtEq => Compare::AtLeast,
        _ => return None,
    };
    let (column, compare, value) = match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), Expr::Literal(value, _)) => (column, compare, value),
        (Expr::Literal(value, _), Expr::Column(column)) => (column, compare.turned(), value),
        _ => return None,
    };
    let (at, field) = schema.column_with_name(&column.name)?;
    let value = constant(value, field.data_type())?;
    let is_fine = compare == Compare::Equal || !matches!(value, Constant::Text(_) | Constant::Boolean(_));
    is_fine.then_some(Condition { column: at, compare, value })
}

fn constant(value: &ScalarValue, of: &DataType) -> Option<Constant> {
    match (value, of) {
        (ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)), DataType::Utf8) => {
            Some(Constant::Text(text.clone()))
        }
        (ScalarValue::Boolean(Some(flag)), DataType::Boolean) => Some(Constant::Boolean(*flag)),
        (ScalarValue::Date32(Some(day)), DataType::Date32) => Some(Constant::Day(*day)),
        (ScalarValue::Float64(Some(number)), DataType::Float64) if !number.is_nan() => Some(Constant::Float(*number)),
        (ScalarValue::Float32(Some(number)), DataType::Float32) if !number.is_nan() => Some(Constant::Float(f64::from(*number))),
        (value, DataType::Timestamp(unit, zone)) if value.data_type() == *of => {
            moment(value).map(|at| Constant::Moment { at, unit: *unit, is_instant: zone.is_some() })
        }
        (value, of) if of.is_integer() && value.data_type().is_integer() => match value.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(Some(number))) => Some(Constant::Integer(number)),
            _ => None,
        },
        _ => None,
    }
}

const fn moment(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::TimestampSecond(at, _)
        | ScalarValue::TimestampMillisecond(at, _)
        | ScalarValue::TimestampMicrosecond(at, _)
        | ScalarValue::TimestampNanosecond(at, _) => *at,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Condition, Constant, condition};
    use azora_connect::Compare;
    use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
    use datafusion::common::ScalarValue;
    use datafusion::logical_expr::{Expr, ident, lit};

    #[test]
    fn only_plain_comparisons_are_conditions() {
        let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        let of = [("n", DataType::Int32), ("Text", DataType::Utf8), ("f", DataType::Float64), ("s", DataType::Float32)];
        let of = of.into_iter().chain([("t", micros(None)), ("z", micros(Some("UTC")))]);
        let schema = Schema::new(of.map(|(name, of)| Field::new(name, of, true)).collect::<Vec<_>>());
        let check = |filter: Expr, expect: Option<Condition>| assert_eq!(condition(&filter, &schema), expect, "{filter}");
        let some = |column, compare, value| Some(Condition { column, compare, value });
        check(ident("n").gt(lit(5_i32)), some(0, Compare::More, Constant::Integer(5)));
        check(lit(5_i64).lt_eq(ident("n")), some(0, Compare::AtLeast, Constant::Integer(5)));
        check(ident("Text").eq(lit("a")), some(1, Compare::Equal, Constant::Text("a".to_owned())));
        check(ident("Text").lt(lit("a")), None);
        check(ident("n").eq(lit(0.5)), None);
        check(ident("f").lt(lit(0.5)), some(2, Compare::Less, Constant::Float(0.5)));
        check(ident("f").lt(lit(f64::NAN)), None);
        check(ident("s").eq(lit(0.1_f32)), some(3, Compare::Equal, Constant::Float(f64::from(0.1_f32))));
        // The column would be widened first.
        check(ident("s").eq(lit(0.1)), None);
        let at = |zone: Option<&str>| lit(ScalarValue::TimestampMicrosecond(Some(7), zone.map(Into::into)));
        let moment = |is_instant| Constant::Moment { at: 7, unit: TimeUnit::Microsecond, is_instant };
        check(ident("t").gt_eq(at(None)), some(4, Compare::AtLeast, moment(false)));
        check(ident("z").gt_eq(at(Some("UTC"))), some(5, Compare::AtLeast, moment(true)));
        check(ident("z").gt_eq(at(None)), None);
        check(ident("t").gt_eq(lit(ScalarValue::TimestampNanosecond(Some(7), None))), None);
        check(ident("n").eq(lit(u64::MAX)), None);
        check(ident("n").not_eq(lit(5_i32)), None);
        check(ident("n").eq(ident("n")), None);
        check(ident("other").eq(lit(5_i32)), None);
    }
}
