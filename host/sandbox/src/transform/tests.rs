//! Passed and made columns become one batch again, in the plan's order and with the rows that stayed.

use super::{Column, Kept, Plan, Processed};
use crate::abi;
use crate::schema;
use arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use std::collections::HashMap;
use std::sync::Arc;

fn input() -> RecordBatch {
    let words: ArrayRef = Arc::new(["a", "b", "a", "c"].into_iter().collect::<DictionaryArray<Int32Type>>());
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
    RecordBatch::try_from_iter([("word", words), ("number", numbers)]).unwrap()
}

fn answer(made: &[&str], columns: Vec<abi::Column>, needs: Vec<u32>) -> abi::Plan {
    let fields: Vec<Field> = made.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect();
    let made = Schema::new_with_metadata(fields, HashMap::from([("azora:element".to_owned(), "object".to_owned())]));
    abi::Plan { made: schema::lower(&made).unwrap(), columns, needs, batch_rows: 0 }
}

fn passed(input: u32, name: &str) -> abi::Column {
    abi::Column::Passed(abi::PassedColumn { input, name: name.to_owned() })
}

fn plan(made: &[&str], columns: Vec<abi::Column>) -> Plan {
    Plan::check(&answer(made, columns, vec![1]), &input().schema()).unwrap()
}

fn made(schema: &SchemaRef, values: Option<Vec<i64>>, rows: usize) -> RecordBatch {
    let columns = values.map(|values| Arc::new(Int64Array::from(values)) as ArrayRef).into_iter().collect();
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &RecordBatchOptions::new().with_row_count(Some(rows))).unwrap()
}

fn words(batch: &RecordBatch, column: usize) -> StringArray {
    let plain = arrow::compute::cast(batch.column(column), &DataType::Utf8).unwrap();
    plain.as_any().downcast_ref::<StringArray>().unwrap().clone()
}

#[test]
fn all_rows_keep_their_columns_and_types() {
    let plan = plan(&["double"], vec![passed(1, "n"), abi::Column::Made(0), passed(0, "word")]);
    assert!(plan.is_passing());
    assert_eq!(plan.columns[0], Column::Passed { input: 1, name: "n".to_owned() });
    assert_eq!(plan.output.metadata()["azora:element"], "object");
    let processed = Processed { made: made(&plan.made, Some(vec![2, 4, 6, 8]), 4), kept: Kept::All };
    let whole = plan.assemble(&input(), processed).unwrap();
    assert_eq!(whole.column(2).data_type(), input().column(0).data_type());
    assert_eq!(whole.column(1).as_ref(), &Int64Array::from(vec![2, 4, 6, 8]));
}

#[test]
fn a_bitmap_filters_and_indices_repeat() {
    let filter = plan(&[], vec![passed(0, "word"), passed(1, "number")]);
    let kept = Kept::Bitmap(BooleanBuffer::from(vec![false, true, false, true]));
    let some = filter.assemble(&input(), Processed { made: made(&filter.made, None, 2), kept }).unwrap();
    assert_eq!(words(&some, 0), StringArray::from(vec!["b", "c"]));
    let flat = plan(&["x"], vec![abi::Column::Made(0), passed(0, "word")]);
    let kept = Kept::Indices(UInt32Array::from(vec![3, 3, 0]));
    let many = flat.assemble(&input(), Processed { made: made(&flat.made, Some(vec![7, 8, 9]), 3), kept }).unwrap();
    assert_eq!(words(&many, 1), StringArray::from(vec!["c", "c", "a"]));
    let kept = Kept::Indices(UInt32Array::from(Vec::<u32>::new()));
    assert_eq!(flat.assemble(&input(), Processed { made: made(&flat.made, Some(vec![]), 0), kept }).unwrap().num_rows(), 0);
}

#[test]
fn rows_of_another_batch_are_refused() {
    let filter = plan(&[], vec![passed(0, "word")]);
    let kept = Kept::Bitmap(BooleanBuffer::from(vec![true]));
    assert!(filter.assemble(&input(), Processed { made: made(&filter.made, None, 1), kept }).is_err());
}

#[test]
fn plans_that_cannot_be_are_refused() {
    let refused = |answer: &abi::Plan| Plan::check(answer, &input().schema()).unwrap_err().to_string();
    assert!(refused(&answer(&[], vec![], vec![2])).contains("needs column 2"));
    assert!(refused(&answer(&[], vec![], vec![0, 1, 0])).contains("too many"));
    assert!(refused(&answer(&["x"], vec![abi::Column::Made(1)], vec![])).contains("not there"));
    assert!(refused(&answer(&[], vec![passed(2, "x")], vec![])).contains("not there"));
    assert!(refused(&answer(&[], vec![passed(0, "")], vec![])).contains("no name"));
    assert!(refused(&answer(&["x"], vec![abi::Column::Made(0), passed(0, "x")], vec![])).contains("two columns 'x'"));
}
