//! Every type crosses and comes back equal: whole, sliced at odd places, empty, and with nulls.

use super::Lowered;
use crate::abi::BatchOut;
use crate::checked;
use crate::schema::plain_schema;
use crate::schema::tests::every_type;
use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, FixedSizeListArray, Int32Array, Int64Array, LargeListArray, ListArray,
    MapArray, NullArray, RecordBatch, RecordBatchOptions, StringArray, StringViewArray, StructArray, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use azora_spec::limits::GuestLimits;
use std::sync::Arc;

/// What a guest that hands everything back would answer.
pub(crate) fn echo(batch: &RecordBatch) -> BatchOut {
    let schema = plain_schema(batch.schema_ref()).unwrap();
    let lowered = Lowered::of(batch, &schema).unwrap();
    let buffers = lowered.slices().into_iter().map(<[u8]>::to_vec).collect();
    BatchOut { rows: batch.num_rows() as u64, nodes: lowered.nodes.clone(), buffers }
}

fn assert_round_trip(batch: &RecordBatch) {
    let schema = plain_schema(batch.schema_ref()).unwrap();
    let back = checked::batch(&schema, echo(batch), &GuestLimits::default()).unwrap();
    let plain: Vec<ArrayRef> =
        batch.columns().iter().zip(schema.fields()).map(|(column, field)| cast(column, field.data_type()).unwrap()).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    assert_eq!(back, RecordBatch::try_new_with_options(schema, plain, &options).unwrap());
}

fn one(column: ArrayRef) -> RecordBatch {
    let field = Field::new("c", column.data_type().clone(), true);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap()
}

/// Values of a type, some of them null.
pub(crate) fn values(data_type: &DataType, rows: usize) -> ArrayRef {
    let nulls = || Some(NullBuffer::from((0..rows).map(|row| row % 5 != 3).collect::<Vec<bool>>()));
    let lengths = || (0..rows).map(|row| row % 4);
    let numbers = Int64Array::from_iter((0..rows).map(|row| (row % 5 != 3).then_some(row as i64 % 100)));
    match data_type {
        DataType::Null => Arc::new(NullArray::new(rows)),
        DataType::Struct(fields) => {
            let children = fields.iter().map(|field| values(field.data_type(), rows)).collect();
            Arc::new(StructArray::try_new_with_length(fields.clone(), children, nulls(), rows).unwrap())
        }
        DataType::List(item) => {
            let offsets = OffsetBuffer::<i32>::from_lengths(lengths());
            let items = values(item.data_type(), lengths().sum());
            Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, nulls()).unwrap())
        }
        DataType::LargeList(item) => {
            let offsets = OffsetBuffer::<i64>::from_lengths(lengths());
            let items = values(item.data_type(), lengths().sum());
            Arc::new(LargeListArray::try_new(Arc::clone(item), offsets, items, nulls()).unwrap())
        }
        DataType::FixedSizeList(item, size) => {
            let items = values(item.data_type(), rows * usize::try_from(*size).unwrap());
            Arc::new(FixedSizeListArray::try_new(Arc::clone(item), *size, items, nulls()).unwrap())
        }
        DataType::Map(entries, is_sorted) => {
            let total: usize = lengths().sum();
            let DataType::Struct(fields) = entries.data_type() else { panic!("entries are a struct") };
            let keys = Arc::new(StringArray::from_iter_values((0..total).map(|at| format!("k{at}"))));
            let items = values(fields[1].data_type(), total);
            let items = StructArray::try_new(fields.clone(), vec![keys, items], None).unwrap();
            let offsets = OffsetBuffer::<i32>::from_lengths(lengths());
            Arc::new(MapArray::try_new(Arc::clone(entries), offsets, items, nulls(), *is_sorted).unwrap())
        }
        DataType::Decimal128(precision, scale) => {
            let array = Decimal128Array::from_iter((0..rows).map(|row| (row % 5 != 3).then_some(row as i128 % 100 - 50)));
            Arc::new(array.with_precision_and_scale(*precision, *scale).unwrap())
        }
        DataType::FixedSizeBinary(size) => {
            let size = usize::try_from(*size).unwrap();
            let rows = (0..rows).map(|row| (row % 5 != 3).then(|| vec![row as u8; size]));
            Arc::new(arrow::array::FixedSizeBinaryArray::try_from_sparse_iter_with_size(rows, i32::try_from(size).unwrap()).unwrap())
        }
        DataType::Boolean => Arc::new(BooleanArray::from_iter((0..rows).map(|row| (row % 5 != 3).then_some(row % 3 == 0)))),
        DataType::Interval(_) => {
            let some = new_null_array(data_type, rows / 2);
            let zeros = arrow::array::make_array(
                arrow::array::ArrayData::new_null(data_type, rows - rows / 2).into_builder().nulls(None).build().unwrap(),
            );
            concat(&[&some, &zeros]).unwrap()
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => {
            let texts = StringArray::from_iter((0..rows).map(|row| (row % 5 != 3).then(|| "äé-".repeat(row % 7))));
            cast(&texts, data_type).unwrap()
        }
        DataType::Timestamp(unit, Some(_)) => {
            let plain = cast(&numbers, &DataType::Timestamp(*unit, None)).unwrap();
            let data = plain.to_data().into_builder().data_type(data_type.clone()).build().unwrap();
            arrow::array::make_array(data)
        }
        DataType::Date32 | DataType::Time32(_) => cast(&cast(&numbers, &DataType::Int32).unwrap(), data_type).unwrap(),
        other => cast(&numbers, other).unwrap(),
    }
}

#[test]
fn every_type_crosses_and_comes_back() {
    for data_type in every_type() {
        let whole = one(values(&data_type, 100));
        assert_round_trip(&whole);
        for (start, rows) in [(0, 100), (0, 0), (3, 50), (8, 64), (13, 87), (99, 1), (100, 0)] {
            assert_round_trip(&whole.slice(start, rows));
        }
    }
}

#[test]
fn a_column_without_nulls_has_no_bitmap() {
    let batch = one(Arc::new(Int64Array::from(vec![1, 2, 3])));
    assert!(echo(&batch).buffers[0].is_empty());
    let sliced = one(Arc::new(Int64Array::from(vec![None, Some(2), Some(3)]))).slice(1, 2);
    assert!(echo(&sliced).buffers[0].is_empty());
}

#[test]
fn whole_buffers_are_borrowed_and_not_copied() {
    let column = Int64Array::from_iter_values(0..1000);
    let address = column.values().inner().as_ptr();
    let batch = one(Arc::new(column));
    let lowered = Lowered::of(&batch, batch.schema_ref()).unwrap();
    assert_eq!(lowered.slices()[1].as_ptr(), address);
}

#[test]
fn views_and_dictionaries_cross_in_plain_form() {
    assert_round_trip(&one(Arc::new(StringViewArray::from(vec![Some("short"), None, Some("a text that is longer than a view holds")]))));
    let keys = Int32Array::from(vec![Some(1), None, Some(0), Some(1)]);
    let words = Arc::new(StringArray::from(vec!["no", "yes"]));
    assert_round_trip(&one(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, words).unwrap())));
}

#[test]
fn a_column_of_another_type_is_refused() {
    let bound = Schema::new(vec![Field::new("c", DataType::Utf8, true)]);
    let error = Lowered::of(&one(Arc::new(Int64Array::from(vec![1]))), &bound).unwrap_err();
    assert!(error.to_string().contains("does not fit its plan"), "{error}");
    assert!(Lowered::of(&one(Arc::new(Int64Array::from(vec![1]))), &Schema::empty()).is_err());
}
