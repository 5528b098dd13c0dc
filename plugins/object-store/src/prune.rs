//! What conditions leave out before it is fetched: objects in whose folder no row can match, groups of rows whose extremes say
//! so, and the other columns of groups in which none does. Rows are filtered again by who asked, so nothing is left out that may match.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, Scalar, StringArray, make_array,
};
use arrow::compute::cast;
use arrow::compute::kernels::cmp;
use arrow::datatypes::{DataType, Date32Type, Field, Float64Type, Int64Type, Schema};
use azora_connect::{Compare, Condition, Constant};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{ArrowPredicate, ArrowPredicateFn, RowFilter};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

/// Those of some groups that may have rows for which every condition is true. `schema` is the object's own, `columns` the one
/// that conditions count in.
pub(crate) fn groups(
    metadata: &ParquetMetaData,
    schema: &Schema,
    columns: &Schema,
    conditions: &[Condition],
    groups: Range<usize>,
) -> Vec<usize> {
    let mut kept: Vec<usize> = (groups.start..groups.end.min(metadata.num_row_groups())).collect();
    for condition in conditions {
        let Some(field) = columns.fields().get(condition.column) else { continue };
        let known: Vec<&RowGroupMetaData> = kept.iter().map(|at| metadata.row_group(*at)).collect();
        let Some(may) = may(&known, metadata, schema, field, condition) else { continue };
        kept = kept.into_iter().zip(may).filter(|(_, may)| *may).map(|(at, _)| at).collect();
    }
    kept
}

/// Conditions as a filter that is evaluated before the other wanted columns are fetched; nothing where there are no others, or
/// none of the conditions is one of this object's columns.
pub(crate) fn filter(
    metadata: &ParquetMetaData,
    schema: &Schema,
    columns: &Schema,
    conditions: &[Condition],
    wanted: &Schema,
) -> Option<RowFilter> {
    let is_asked = |name: &str| conditions.iter().any(|of| columns.fields().get(of.column).is_some_and(|field| field.name() == name));
    if wanted.fields().iter().all(|field| is_asked(field.name())) {
        return None;
    }
    let predicate = |condition: &Condition| -> Option<Box<dyn ArrowPredicate>> {
        let (at, field) = schema.column_with_name(columns.fields().get(condition.column)?.name())?;
        let of = kind(&condition.value, field.data_type());
        // Those that are beyond 64 bits with a sign would not compare.
        if !is_exact(field.data_type(), &of) || *field.data_type() == DataType::UInt64 {
            return None;
        }
        let (compare, value) = (condition.compare, scalar(&condition.value, &of)?);
        let holds = move |batch: RecordBatch| {
            let column = cast(batch.column(0), &of)?;
            match compare {
                Compare::Equal => cmp::eq(&column, &value),
                Compare::Less => cmp::lt(&column, &value),
                Compare::AtMost => cmp::lt_eq(&column, &value),
                Compare::More => cmp::gt(&column, &value),
                Compare::AtLeast => cmp::gt_eq(&column, &value),
            }
        };
        let mask = ProjectionMask::roots(metadata.file_metadata().schema_descr(), [at]);
        Some(Box::new(ArrowPredicateFn::new(mask, holds)))
    };
    let predicates: Vec<_> = conditions.iter().filter_map(predicate).collect();
    (!predicates.is_empty()).then(|| RowFilter::new(predicates))
}

/// A constant as a column of the type that it is compared in.
fn scalar(value: &Constant, of: &DataType) -> Option<Scalar<ArrayRef>> {
    Some(Scalar::new(match value {
        Constant::Integer(number) => Arc::new(Int64Array::from(vec![*number])) as ArrayRef,
        Constant::Text(text) => Arc::new(StringArray::from(vec![text.as_str()])),
        Constant::Boolean(flag) => Arc::new(BooleanArray::from(vec![*flag])),
        Constant::Day(day) => Arc::new(Date32Array::from(vec![*day])),
        Constant::Float(number) => Arc::new(Float64Array::from(vec![*number])),
        // The same bits, so that no zone moves them.
        Constant::Moment { at, .. } => {
            make_array(Int64Array::from(vec![*at]).into_data().into_builder().data_type(of.clone()).build().ok()?)
        }
    }))
}

/// Whether each group may have rows for which a condition is true; nothing where that cannot be said of this column.
fn may(
    groups: &[&RowGroupMetaData],
    metadata: &ParquetMetaData,
    schema: &Schema,
    field: &Field,
    condition: &Condition,
) -> Option<Vec<bool>> {
    // Extremes of fractions leave out NaN, which is less or more than everything, but equals no constant.
    if matches!(condition.value, Constant::Float(_)) && condition.compare != Compare::Equal {
        return None;
    }
    let own = schema.column_with_name(field.name())?.1.data_type();
    let of = kind(&condition.value, own);
    let parquet = metadata.file_metadata().schema_descr();
    let converter = StatisticsConverter::try_new(field.name(), schema, parquet).ok()?;
    let column = converter.parquet_column_index()?;
    // Extremes of texts by old writers are ordered by bytes with signs.
    let is_odd = |group: &RowGroupMetaData| {
        of == DataType::Utf8 && group.column(column).statistics().is_some_and(parquet::file::statistics::Statistics::is_min_max_deprecated)
    };
    let iter = || groups.iter().copied();
    let exact = |extremes: ArrayRef| if is_exact(extremes.data_type(), &of) { cast(&extremes, &of).ok() } else { None };
    let least = exact(converter.row_group_mins(iter()).ok()?)?;
    let most = exact(converter.row_group_maxes(iter()).ok()?)?;
    let nulls = converter.row_group_null_counts(iter()).ok()?;
    let verdict = |(at, group): (usize, &&RowGroupMetaData)| {
        let is_all_null = nulls.is_valid(at) && i64::try_from(nulls.value(at)) == Ok(group.num_rows());
        let order =
            |extreme: &ArrayRef| constant(extreme, at).filter(|_| !is_odd(group)).and_then(|extreme| order(&extreme, &condition.value));
        !is_all_null && can(condition.compare, order(&least), order(&most))
    };
    Some(groups.iter().enumerate().map(verdict).collect())
}

/// Whether rows of a folder may match: its column has one value.
pub(crate) fn folder(field: &Field, value: Option<&str>, condition: &Condition) -> bool {
    let value = match (value, field.data_type()) {
        // Nothing compares with null.
        (None, _) => return false,
        (Some(text), DataType::Int64) => text.parse().ok().map(Constant::Integer),
        (Some(text), _) => Some(Constant::Text(text.to_owned())),
    };
    let order = value.and_then(|value| order(&value, &condition.value));
    can(condition.compare, order, order)
}

/// How values of a column are compared with a constant.
fn kind(value: &Constant, own: &DataType) -> DataType {
    match value {
        Constant::Integer(_) => DataType::Int64,
        Constant::Text(_) => DataType::Utf8,
        Constant::Boolean(_) => DataType::Boolean,
        Constant::Day(_) => DataType::Date32,
        Constant::Float(_) => DataType::Float64,
        // Instants are the same whatever zone they are shown in; other units are another column's.
        Constant::Moment { unit, is_instant, .. } => match own {
            DataType::Timestamp(of, zone) if of == unit && zone.is_some() == *is_instant => own.clone(),
            _ => DataType::Timestamp(*unit, None),
        },
    }
}

/// Whether values of a type are the same ones as another type's, as far as it has them.
fn is_exact(from: &DataType, to: &DataType) -> bool {
    match from {
        DataType::Dictionary(_, from) => is_exact(from, to),
        DataType::LargeUtf8 | DataType::Utf8View => *to == DataType::Utf8,
        from if from.is_integer() => *to == DataType::Int64,
        DataType::Float32 => *to == DataType::Float64,
        from => from == to,
    }
}

fn constant(values: &ArrayRef, at: usize) -> Option<Constant> {
    if values.is_null(at) {
        return None;
    }
    match values.data_type() {
        DataType::Int64 => Some(Constant::Integer(values.as_primitive::<Int64Type>().value(at))),
        DataType::Utf8 => Some(Constant::Text(values.as_string::<i32>().value(at).to_owned())),
        DataType::Boolean => Some(Constant::Boolean(values.as_boolean().value(at))),
        DataType::Date32 => Some(Constant::Day(values.as_primitive::<Date32Type>().value(at))),
        DataType::Float64 => Some(Constant::Float(values.as_primitive::<Float64Type>().value(at))),
        DataType::Timestamp(unit, zone) => {
            let data = values.to_data().into_builder().data_type(DataType::Int64).build().ok()?;
            let at = Int64Array::from(data).value(at);
            Some(Constant::Moment { at, unit: *unit, is_instant: zone.is_some() })
        }
        _ => None,
    }
}

fn order(a: &Constant, b: &Constant) -> Option<Ordering> {
    match (a, b) {
        (Constant::Integer(a), Constant::Integer(b)) => Some(a.cmp(b)),
        (Constant::Text(a), Constant::Text(b)) => Some(a.cmp(b)),
        (Constant::Boolean(a), Constant::Boolean(b)) => Some(a.cmp(b)),
        (Constant::Day(a), Constant::Day(b)) => Some(a.cmp(b)),
        (Constant::Float(a), Constant::Float(b)) => a.partial_cmp(b),
        (Constant::Moment { at: a, unit: of, .. }, Constant::Moment { at: b, unit, .. }) if of == unit => Some(a.cmp(b)),
        _ => None,
    }
}

/// Whether some value between two extremes may compare so; `least` and `most` say how they compare with the constant.
fn can(compare: Compare, least: Option<Ordering>, most: Option<Ordering>) -> bool {
    match compare {
        Compare::Equal => least != Some(Ordering::Greater) && most != Some(Ordering::Less),
        Compare::Less => least.is_none_or(Ordering::is_lt),
        Compare::AtMost => least.is_none_or(Ordering::is_le),
        Compare::More => most.is_none_or(Ordering::is_gt),
        Compare::AtLeast => most.is_none_or(Ordering::is_ge),
    }
}

#[cfg(test)]
mod tests;
