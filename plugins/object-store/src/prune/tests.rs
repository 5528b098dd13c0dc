//! Which groups and folders conditions leave out.

use super::{folder, groups, is_exact, kind, scalar};
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float32Array, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::compute::kernels::cmp;
use arrow::datatypes::{DataType, Field, TimeUnit};
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
        ("b", Arc::new(BooleanArray::from(vec![Some(false), Some(false), Some(true), Some(false), None, None, Some(true), Some(true)]))),
        ("d", Arc::new(Date32Array::from(vec![Some(1), Some(2), Some(3), Some(4), None, None, Some(-7), Some(-6)]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let bytes = written(&batch);
    (batch, bytes)
}

/// In groups of two rows.
fn written(batch: &RecordBatch) -> Bytes {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes.into()
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

/// Groups of two rows with fractions and moments at which orders differ: whatever is left out holds for no row.
#[test]
fn fractions_and_moments_are_compared_as_rows_are() {
    use Compare::{AtLeast, AtMost, Equal, Less, More};
    let columns: [(&str, ArrayRef); 4] = [
        ("f", Arc::new(Float64Array::from(vec![-0.0, 0.0, 1.5, 2.5, f64::NAN, 3.0, -f64::NAN, -4.0]))),
        ("s", Arc::new(Float32Array::from(vec![0.1, 0.2, 0.3, 0.4, 0.5, f32::NAN, 0.7, 0.8]))),
        ("t", Arc::new(TimestampMicrosecondArray::from(vec![-2, -1, 0, 1, 2, 3, 4, 5]))),
        ("z", Arc::new(TimestampNanosecondArray::from(vec![-2, -1, 0, 1, 2, 3, 4, 5]).with_timezone("Africa/Johannesburg"))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(written(&batch)).unwrap();
    let kept = |column: usize, compare, value: &Constant| {
        let condition = Condition { column, compare, value: value.clone() };
        let left = groups(reader.metadata(), reader.schema(), &batch.schema(), std::slice::from_ref(&condition), 0..9);
        let field = batch.schema().field(column).clone();
        let of = kind(value, field.data_type());
        // What is no type of the column is no condition on it.
        if is_exact(field.data_type(), &of) {
            let (rows, value) = (cast(batch.column(column), &of).unwrap(), scalar(value, &of).unwrap());
            let holds = match compare {
                Equal => cmp::eq(&rows, &value),
                Less => cmp::lt(&rows, &value),
                AtMost => cmp::lt_eq(&rows, &value),
                More => cmp::gt(&rows, &value),
                AtLeast => cmp::gt_eq(&rows, &value),
            }
            .unwrap();
            let lost = (0..8).find(|row| holds.value(*row) && !left.contains(&(row / 2)));
            assert_eq!(lost, None, "{condition:?} leaves a row out");
        }
        left
    };
    for value in [-5.0, -0.0, 0.0, 0.5, 1.5, 2.75, 3.0, 9.0, f64::INFINITY, f64::from(0.1_f32), 0.1] {
        for compare in [Equal, Less, AtMost, More, AtLeast] {
            kept(0, compare, &Constant::Float(value));
            kept(1, compare, &Constant::Float(value));
        }
    }
    assert_eq!(kept(0, Equal, &Constant::Float(2.0)), [1]);
    assert_eq!(kept(0, Equal, &Constant::Float(9.0)), [] as [usize; 0]);
    assert_eq!(kept(0, More, &Constant::Float(9.0)), [0, 1, 2, 3]);
    assert_eq!(kept(1, Equal, &Constant::Float(f64::from(0.7_f32))), [3]);
    let micros = |at| Constant::Moment { at, unit: TimeUnit::Microsecond, is_instant: false };
    let nanos = |at| Constant::Moment { at, unit: TimeUnit::Nanosecond, is_instant: true };
    for at in -3..7 {
        for compare in [Equal, Less, AtMost, More, AtLeast] {
            assert_eq!(kept(2, compare, &micros(at)), kept(3, compare, &nanos(at)));
        }
    }
    assert_eq!(kept(2, More, &micros(1)), [2, 3]);
    assert_eq!(kept(3, Less, &nanos(-1)), [0]);
    // Other units and clocks are other columns'.
    assert_eq!((kept(2, More, &nanos(1)).len(), kept(3, More, &micros(1)).len()), (4, 4));
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
