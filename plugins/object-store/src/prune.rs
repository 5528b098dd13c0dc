//! What conditions leave out before it is fetched: objects in whose folder no row can match, groups of rows whose extremes say
//! so, and the other columns of groups in which none does. Rows are filtered again by who asked, so nothing is left out that may match.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, RecordBatch, Scalar, StringArray};
use arrow::compute::cast;
use arrow::compute::kernels::cmp;
use arrow::datatypes::{DataType, Date32Type, Field, Int64Type, Schema};
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
        let of = kind(&condition.value);
        // Those that are beyond 64 bits with a sign would not compare.
        if !is_exact(field.data_type(), &of) || *field.data_type() == DataType::UInt64 {
            return None;
        }
        let (compare, value) = (condition.compare, scalar(&condition.value));
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

fn scalar(value: &Constant) -> Scalar<ArrayRef> {
    Scalar::new(match value {
        Constant::Integer(number) => Arc::new(Int64Array::from(vec![*number])) as ArrayRef,
        Constant::Text(text) => Arc::new(StringArray::from(vec![text.as_str()])),
        Constant::Boolean(flag) => Arc::new(BooleanArray::from(vec![*flag])),
        Constant::Day(day) => Arc::new(Date32Array::from(vec![*day])),
    })
}

/// Whether each group may have rows for which a condition is true; nothing where that cannot be said of this column.
fn may(
    groups: &[&RowGroupMetaData],
    metadata: &ParquetMetaData,
    schema: &Schema,
    field: &Field,
    condition: &Condition,
) -> Option<Vec<bool>> {
    let of = kind(&condition.value);
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

/// How extremes are compared with a constant.
const fn kind(value: &Constant) -> DataType {
    match value {
        Constant::Integer(_) => DataType::Int64,
        Constant::Text(_) => DataType::Utf8,
        Constant::Boolean(_) => DataType::Boolean,
        Constant::Day(_) => DataType::Date32,
    }
}

/// Whether values of a type are the same ones as another type's, as far as it has them.
fn is_exact(from: &DataType, to: &DataType) -> bool {
    match from {
        DataType::Dictionary(_, from) => is_exact(from, to),
        DataType::LargeUtf8 | DataType::Utf8View => *to == DataType::Utf8,
        from if from.is_integer() => *to == DataType::Int64,
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
        _ => None,
    }
}

fn order(a: &Constant, b: &Constant) -> Option<Ordering> {
    match (a, b) {
        (Constant::Integer(a), Constant::Integer(b)) => Some(a.cmp(b)),
        (Constant::Text(a), Constant::Text(b)) => Some(a.cmp(b)),
        (Constant::Boolean(a), Constant::Boolean(b)) => Some(a.cmp(b)),
        (Constant::Day(a), Constant::Day(b)) => Some(a.cmp(b)),
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
mod tests {
    use super::{folder, groups};
    use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int32Array, RecordBatch, StringArray, UInt64Array};
    use arrow::datatypes::{DataType, Field};
    use azora_connect::{Compare, Condition, Constant};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::properties::WriterProperties;
    use std::sync::Arc;

    /// Four groups of two rows; the third has nulls alone.
    fn file() -> (RecordBatch, Bytes) {
        let columns: [(&str, ArrayRef); 5] = [
            ("i", Arc::new(Int32Array::from(vec![Some(-5), Some(0), Some(1), None, None, None, Some(7), Some(9)]))),
            ("u", Arc::new(UInt64Array::from(vec![Some(1), Some(2), Some(3), Some(u64::MAX), None, None, Some(5), Some(6)]))),
            ("t", Arc::new(StringArray::from(vec![Some("a"), Some("c"), Some("d"), Some("é"), None, None, Some("x"), Some("y")]))),
            (
                "b",
                Arc::new(BooleanArray::from(vec![Some(false), Some(false), Some(true), Some(false), None, None, Some(true), Some(true)])),
            ),
            ("d", Arc::new(Date32Array::from(vec![Some(1), Some(2), Some(3), Some(4), None, None, Some(-7), Some(-6)]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        (batch, bytes.into())
    }

    #[test]
    fn groups_that_cannot_match_are_left_out() {
        use Compare::{AtLeast, AtMost, Equal, Less, More};
        let (batch, bytes) = file();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        let check = |column: usize, compare, value: Constant, expect: &[usize]| {
            let condition = Condition { column, compare, value };
            let got = groups(reader.metadata(), reader.schema(), &batch.schema(), std::slice::from_ref(&condition), 0..9);
            assert_eq!(got, expect, "{condition:?}");
        };
        check(0, Equal, Constant::Integer(0), &[0]);
        check(0, Equal, Constant::Integer(8), &[3]);
        check(0, Less, Constant::Integer(-5), &[]);
        check(0, AtMost, Constant::Integer(-5), &[0]);
        check(0, More, Constant::Integer(1), &[3]);
        check(0, AtLeast, Constant::Integer(1), &[1, 3]);
        // What is no 64-bit integer with a sign says nothing.
        check(1, More, Constant::Integer(4), &[1, 3]);
        check(2, Equal, Constant::Text("b".to_owned()), &[0]);
        check(2, Equal, Constant::Text("z".to_owned()), &[1]);
        check(3, Equal, Constant::Boolean(true), &[1, 3]);
        check(4, Less, Constant::Day(0), &[3]);
        let both = [
            Condition { column: 0, compare: AtLeast, value: Constant::Integer(0) },
            Condition { column: 3, compare: Equal, value: Constant::Boolean(false) },
        ];
        assert_eq!(groups(reader.metadata(), reader.schema(), &batch.schema(), &both, 0..9), [0, 1]);
        assert_eq!(groups(reader.metadata(), reader.schema(), &batch.schema(), &both, 1..4), [1]);
        assert_eq!(groups(reader.metadata(), reader.schema(), &batch.schema(), &[], 2..9), [2, 3]);
    }

    #[test]
    fn a_folder_has_one_value() {
        let check = |of: DataType, value: Option<&str>, compare, constant: Constant| {
            folder(&Field::new("f", of, true), value, &Condition { column: 0, compare, value: constant })
        };
        assert!(check(DataType::Int64, Some("7"), Compare::AtLeast, Constant::Integer(7)));
        assert!(!check(DataType::Int64, Some("7"), Compare::More, Constant::Integer(7)));
        assert!(check(DataType::Utf8, Some("a"), Compare::Equal, Constant::Text("a".to_owned())));
        assert!(!check(DataType::Utf8, Some("a"), Compare::Equal, Constant::Text("b".to_owned())));
        assert!(!check(DataType::Utf8, None, Compare::Equal, Constant::Text("b".to_owned())));
    }
}
