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
