//! What is written is read: every type into a column and out of it, and what happens to nulls that a type cannot hold.

use super::Read;
use crate::array::Batch;
use crate::binding::{Arguments, Binding, Param};
use crate::bindings::azora::plugin::batch_types as wire;
use crate::schema::{Field, Schema};
use crate::write::{Builder as _, Parts, Write};
use crate::{Date, Decimal, Timestamp};

/// One column of these rows, as the other side would send it.
fn column<T: Write>(rows: Vec<Option<T>>) -> (Field, wire::RecordBatch) {
    let count = rows.len();
    let mut builder = T::builder(count);
    for row in rows {
        row.append(&mut builder);
    }
    let mut parts = Parts::default();
    builder.finish(true, &mut parts);
    (Field { nullable: true, ..T::field("value") }, parts.batch(count))
}

fn read<T: for<'a> Read<'a>>(field: &Field, batch: &wire::RecordBatch) -> Vec<Option<T>> {
    fn rows<'a, T: Read<'a>>(column: &'a <Option<T> as Read<'a>>::Column, rows: usize) -> Vec<Option<T>> {
        let view = <Option<T>>::view(column);
        (0..rows).map(|row| <Option<T>>::get(view, row)).collect()
    }
    assert!(T::accepts(&field.data_type), "{} is not taken", field.data_type);
    let schema = Schema { fields: vec![field.clone()], metadata: vec![] };
    let binding = Binding::new(&schema, &[Param::of::<Option<T>>("value")]).unwrap();
    let batch = Batch::new(batch, &binding.fields).unwrap();
    let array = Arguments::new(&binding, &batch).argument(0).unwrap();
    // The column lives as long as the process: its type says nothing about what its destructor borrows.
    let array = Box::leak(Box::new(array.clone()));
    let column = Box::leak(Box::new(<Option<T>>::column(array).unwrap()));
    rows::<T>(column, batch.rows)
}

fn survives<T: Write + for<'a> Read<'a> + Clone + PartialEq + std::fmt::Debug>(rows: Vec<Option<T>>) {
    for count in [0, 1, rows.len()] {
        let (field, batch) = column(rows[..count].to_vec());
        let (field, batch) = (Box::leak(Box::new(field)), Box::leak(Box::new(batch)));
        assert_eq!(read::<T>(field, batch), rows[..count], "{count} rows of {}", field.data_type);
    }
}

#[test]
fn every_type_survives() {
    survives((0..70).map(|row| (row % 9 != 0).then_some(row % 2 == 0)).collect());
    survives(vec![Some(i8::MIN), None, Some(3)]);
    survives(vec![None, Some(u64::MAX), Some(0)]);
    survives(vec![Some(0.5_f32), None]);
    survives(vec![Some(f64::INFINITY), None, Some(-0.0)]);
    survives(vec![Some("é".to_owned()), None, Some(String::new())]);
    survives(vec![Some(vec![0_u8, 255]), None, Some(vec![])]);
    survives(vec![Some(Timestamp::from_micros(-1)), None]);
    survives(vec![Some(Date::from_days(20_000)), None]);
    survives(vec![Decimal::<38, 10>::from_unscaled(i128::from(i64::MAX) * 1_000_000), None]);
    survives(vec![Some(vec![Some(1_i64), None]), None, Some(vec![])]);
    survives(vec![Some(vec![vec!["a".to_owned()], vec![]]), None]);
    survives(vec![Some((1_i32, Some("x".to_owned()))), None, Some((2, None))]);
}

#[test]
fn nulls_that_a_type_cannot_hold_make_the_value_around_it_null() {
    let (field, batch) = column(vec![Some(vec![Some(1_i64), None]), Some(vec![Some(2)]), None]);
    assert_eq!(read::<Vec<i64>>(Box::leak(Box::new(field)), Box::leak(Box::new(batch))), [None, Some(vec![2]), None]);
    let (field, batch) = column(vec![Some((Some(1_i64), true)), Some((None, true))]);
    assert_eq!(read::<(i64, bool)>(Box::leak(Box::new(field)), Box::leak(Box::new(batch))), [Some((1, true)), None]);
}

#[test]
fn columns_that_may_miss_rows_are_known_before_any_row() {
    let of = |data_type, nullable| Field::new("value", data_type, nullable);
    let list = <Vec<Option<i64>> as Write>::data_type();
    assert!(<Vec<i64> as Read>::may_miss(&of(list.clone(), false)));
    assert!(!<Vec<Option<i64>> as Read>::may_miss(&of(list.clone(), false)));
    assert!(<Vec<Option<i64>> as Read>::may_miss(&of(list.clone(), true)));
    assert!(!<Option<Vec<i64>> as Read>::may_miss(&of(list, true)));
}

/// Texts of a column with these offsets, as a function sees them.
fn texts(offsets: &[u32], bytes: &[u8]) -> crate::Result<Vec<String>> {
    let rows = offsets.len() as u64 - 1;
    let buffers = vec![vec![], offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect(), bytes.to_vec()];
    let batch = wire::RecordBatch { rows, nodes: vec![wire::FieldNode { length: rows, null_count: 0 }], buffers };
    let fields = vec![Field::new("value", crate::DataType::Utf8, false)];
    let column = Batch::new(&batch, &fields)?.columns.remove(0);
    let column = <&str>::column(&column)?;
    Ok((0..rows as usize).map(|row| <&str>::get(<&str>::view(&column), row).to_owned()).collect())
}

#[test]
fn text_that_is_none_is_refused_before_any_row() {
    assert_eq!(texts(&[1, 3, 3, 4], b"abcde").unwrap(), ["bc", "", "d"]);
    let long = format!("{}é{}", "a".repeat(100), "b".repeat(100));
    assert_eq!(texts(&[0, 100, 102, 202], long.as_bytes()).unwrap(), ["a".repeat(100), "é".to_owned(), "b".repeat(100)]);
    let refusal = |offsets: &[u32], bytes: &[u8]| texts(offsets, bytes).unwrap_err().message;
    assert_eq!(refusal(&[0, 101, 202], long.as_bytes()), "column 'value' is not UTF-8");
    assert_eq!(refusal(&[101, 202], long.as_bytes()), "column 'value' is not UTF-8");
    for at in [0, 63, 64, 130] {
        let mut bytes = [b'a'; 131];
        bytes[at] = 0xff;
        assert_eq!(refusal(&[0, 131], &bytes), "column 'value' is not UTF-8", "byte {at}");
        // What no row holds is nobody's.
        assert!(texts(&[0, 0], &bytes).is_ok());
    }
    assert_eq!(refusal(&[0, 2, 1], b"ab"), "the offsets of column 'value' are wrong");
    assert_eq!(refusal(&[0, 3], b"ab"), "the offsets of column 'value' are wrong");
}

#[test]
#[should_panic(expected = "there is no such row")]
fn rows_behind_the_end_are_not_read() {
    let batch = wire::RecordBatch {
        rows: 1,
        nodes: vec![wire::FieldNode { length: 1, null_count: 0 }],
        buffers: vec![vec![], vec![0, 0, 0, 0, 1, 0, 0, 0], vec![b'a']],
    };
    let fields = vec![Field::new("value", crate::DataType::Utf8, false)];
    let column = Batch::new(&batch, &fields).unwrap().columns.remove(0);
    let column = <&str>::column(&column).unwrap();
    <&str>::get(<&str>::view(&column), 1);
}
