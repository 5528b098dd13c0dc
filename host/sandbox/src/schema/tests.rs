//! Schemas go there and back, and a guest's lies are refused.

use super::{DEPTH_MAX, FIELDS_MAX, NAME_BYTES_MAX, lift, lower, plain, plain_schema};
use crate::abi;
use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, Schema, TimeUnit};
use std::collections::HashMap;
use std::sync::Arc;

fn field(name: &str, data_type: abi::DataType, children: u32) -> abi::Field {
    abi::Field { name: name.to_owned(), data_type, nullable: true, children, metadata: Vec::new() }
}

fn flaw(fields: Vec<abi::Field>) -> String {
    lift(&abi::Schema { fields, metadata: Vec::new() }).unwrap_err()
}

/// Every type that may cross, once.
pub(crate) fn every_type() -> Vec<DataType> {
    let item = |data_type: DataType| Arc::new(Field::new("item", data_type, true));
    let entries = Fields::from(vec![Field::new("k", DataType::Utf8, false), Field::new("v", DataType::Int64, true)]);
    let nested = Fields::from(vec![
        Field::new("a", DataType::Int64, true).with_metadata(HashMap::from([("azora:tuple".to_owned(), "true".to_owned())])),
        Field::new("b", DataType::List(item(DataType::Utf8)), true),
    ]);
    let mut types = vec![
        DataType::Null,
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float16,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(38, 10),
        DataType::Decimal128(3, -2),
        DataType::Date32,
        DataType::Date64,
        DataType::Time32(TimeUnit::Second),
        DataType::Time32(TimeUnit::Millisecond),
        DataType::Time64(TimeUnit::Microsecond),
        DataType::Time64(TimeUnit::Nanosecond),
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Binary,
        DataType::LargeBinary,
        DataType::FixedSizeBinary(5),
        DataType::List(item(DataType::Utf8)),
        DataType::LargeList(item(DataType::Decimal128(10, 2))),
        DataType::FixedSizeList(item(DataType::Float64), 3),
        DataType::Struct(nested.clone()),
        DataType::Struct(Fields::empty()),
        DataType::List(item(DataType::Struct(nested))),
        DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false),
    ];
    for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
        types.extend([DataType::Timestamp(unit, None), DataType::Timestamp(unit, Some("+02:00".into())), DataType::Duration(unit)]);
    }
    types.extend([IntervalUnit::YearMonth, IntervalUnit::DayTime, IntervalUnit::MonthDayNano].map(DataType::Interval));
    types
}

#[test]
fn every_type_goes_there_and_back() {
    let fields: Vec<Field> =
        every_type().into_iter().enumerate().map(|(at, data_type)| Field::new(format!("c{at}"), data_type, at % 2 == 0)).collect();
    let schema = Schema::new_with_metadata(fields, HashMap::from([("azora:element".to_owned(), "object".to_owned())]));
    assert_eq!(*lift(&lower(&schema).unwrap()).unwrap(), schema);
}

#[test]
fn views_dictionaries_and_runs_become_plain() {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8View));
    assert_eq!(plain(&dictionary), Some(DataType::Utf8));
    let list = DataType::List(Arc::new(Field::new("item", DataType::Utf8View, true)));
    assert_eq!(plain(&list), Some(DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))));
    let error = plain_schema(&Schema::new(vec![Field::new("big", DataType::Decimal256(76, 0), true)])).unwrap_err();
    assert!(error.to_string().contains("'big'"), "{error}");
}

#[test]
fn bounds_hold() {
    assert!(flaw((0..=FIELDS_MAX).map(|at| field(&at.to_string(), abi::DataType::Int8, 0)).collect()).contains("1001 fields"));
    assert!(flaw(vec![field(&"n".repeat(NAME_BYTES_MAX + 1), abi::DataType::Int8, 0)]).contains("column name"));
    assert!(flaw(vec![field("", abi::DataType::Int8, 0)]).contains("column name"));
    let mut deep: Vec<_> = (0..DEPTH_MAX).map(|_| field("d", abi::DataType::List, 1)).collect();
    deep.push(field("d", abi::DataType::Int8, 0));
    assert!(flaw(deep).contains("deeper"));
    assert!(flaw(vec![field("a", abi::DataType::Int8, 0), field("a", abi::DataType::Int8, 0)]).contains("two columns 'a'"));
    let metadata = vec![abi::MetadataEntry { key: "k".to_owned(), value: "v".repeat(5000) }];
    assert!(lift(&abi::Schema { fields: Vec::new(), metadata }).unwrap_err().contains("metadata"));
}

#[test]
fn children_must_be_there_and_fit() {
    assert!(flaw(vec![field("s", abi::DataType::Struct, u32::MAX)]).contains("without its children"));
    assert!(flaw(vec![field("l", abi::DataType::List, 0)]).contains("0 children"));
    assert!(flaw(vec![field("i", abi::DataType::Int8, 1), field("x", abi::DataType::Int8, 0)]).contains("1 children"));
    assert!(flaw(vec![field("m", abi::DataType::Map(false), 1), field("x", abi::DataType::Int8, 0)]).contains("invalid type"));
}

#[test]
fn impossible_types_are_refused() {
    let zone = |zone: &str| abi::DataType::Timestamp(abi::TimestampType { unit: abi::TimeUnit::Second, zone: Some(zone.to_owned()) });
    for data_type in [
        abi::DataType::Decimal128(abi::DecimalType { precision: 0, scale: 0 }),
        abi::DataType::Decimal128(abi::DecimalType { precision: 39, scale: 0 }),
        abi::DataType::Decimal128(abi::DecimalType { precision: 5, scale: -128 }),
        abi::DataType::Time32(abi::TimeUnit::Nanosecond),
        abi::DataType::Time64(abi::TimeUnit::Second),
        abi::DataType::FixedSizeBinary(0),
        abi::DataType::FixedSizeBinary(u32::MAX),
        zone(""),
        zone("a\nb"),
        zone(&"x".repeat(65)),
    ] {
        assert!(flaw(vec![field("c", data_type.clone(), 0)]).contains("invalid type"), "{data_type:?}");
    }
}
