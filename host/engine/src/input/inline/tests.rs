//! Inline JSON rows and the columns they become.

use super::{batch, split, wants_pairs};
use azora_connect::element::{Element, holds_json, is_json, is_tuple};
use azora_spec::{Operation, SortOrder};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::DataType;
use serde_json::{Value, json};

fn rows(value: Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn check(data: Value, element: Element, types: &[(&str, &str)]) {
    let (schema, batch) = batch(&rows(data.clone()), false).unwrap();
    assert_eq!(Element::of(&schema), element, "{data}");
    let got: Vec<(String, String)> = schema.fields().iter().map(|field| (field.name().clone(), field.data_type().to_string())).collect();
    let expect: Vec<(String, String)> = types.iter().map(|(name, of)| ((*name).to_owned(), (*of).to_owned())).collect();
    assert_eq!(got, expect, "{data}");
    assert_eq!(batch.num_rows(), rows(data).len());
}

#[test]
fn scalars() {
    check(json!([1, 2, 3]), Element::Scalar, &[("value", "Int64")]);
    check(json!([1, null]), Element::Scalar, &[("value", "Int64")]);
    check(json!([1, 2.5]), Element::Scalar, &[("value", "Float64")]);
    check(json!([9_223_372_036_854_775_808_u64, 1]), Element::Scalar, &[("value", "Float64")]);
    check(json!(["a"]), Element::Scalar, &[("value", "Utf8")]);
    check(json!([true, false]), Element::Scalar, &[("value", "Boolean")]);
    check(json!([null, null]), Element::Scalar, &[("value", "Null")]);
    check(json!([]), Element::Scalar, &[("value", "Null")]);
}

#[test]
fn objects_keep_the_order_of_first_sight_and_fill_gaps_with_null() {
    check(json!([{"b": 1}, {"a": "x", "b": 2.5}]), Element::Object, &[("b", "Float64"), ("a", "Utf8")]);
    let (_, batch) = batch(&rows(json!([{"b": 1}, {"a": "x", "b": 2.5}])), false).unwrap();
    assert!(batch.column(1).is_null(0));
    check(json!([{}, {}]), Element::Object, &[]);
}

#[test]
fn arrays_are_lists_or_tuples() {
    check(json!([["a", 1], ["b", 2]]), Element::Tuple, &[("_1", "Utf8"), ("_2", "Int64")]);
    let (schema, _) = batch(&rows(json!([[1, 2], [3, 4, 5], []])), false).unwrap();
    assert!(matches!(schema.field(0).data_type(), DataType::List(item) if item.data_type() == &DataType::Int64));
    let (schema, _) = batch(&rows(json!([[1, 2], [3, 4]])), true).unwrap();
    assert_eq!(Element::of(&schema), Element::Tuple);
    let (schema, _) = batch(&rows(json!([{"p": ["a", 1]}, {"p": [null, 2]}])), false).unwrap();
    assert!(is_tuple(schema.field(0)));
}

#[test]
fn values_of_several_types_are_json() {
    let texts = |data: Value| {
        let (schema, batch) = batch(&rows(data), false).unwrap();
        assert!(is_json(schema.field(0)), "{schema:?}");
        batch.column(0).as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
    };
    let some = |texts: &[&str]| texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>();
    assert_eq!(texts(json!([1, 2.0, "x"])), some(&["1", "2", "\"x\""]));
    assert_eq!(texts(json!([["a", 1], ["b", 2, 3]])), some(&["[\"a\",1]", "[\"b\",2,3]"]));
    assert_eq!(texts(json!([null, 1, {"b": -0.0}]))[0], None);
    let (schema, _) = batch(&rows(json!([{"a": {"b": 1}}, {"a": {"b": [1]}}])), false).unwrap();
    assert!(holds_json(schema.field(0)) && !is_json(schema.field(0)), "{schema:?}");
}

#[test]
fn partitions_cover_all_rows_in_order() {
    let data: Vec<Value> = (0..20_000).map(Value::from).collect();
    let (_, whole) = batch(&data, false).unwrap();
    for partitions in [1, 2, 7, 64] {
        let parts = split(&whole, partitions);
        assert_eq!(parts.len(), partitions);
        let flat: Vec<_> = parts.into_iter().flatten().collect();
        assert!(flat.iter().all(|part| part.num_rows() <= 8192));
        let joined = concat_batches(&whole.schema(), &flat).unwrap();
        assert_eq!(joined, whole);
    }
    let (_, few) = batch(&rows(json!([1, 2])), false).unwrap();
    assert_eq!(split(&few, 8).iter().flatten().map(|part| part.num_rows()).sum::<usize>(), 2);
}

#[test]
fn pairs_are_wanted_only_by_operations_on_the_elements_themselves() {
    assert!(wants_pairs(&[Operation::SortByKey(SortOrder::Ascending)]));
    assert!(wants_pairs(&[Operation::Distinct, Operation::Keys]));
    assert!(!wants_pairs(&[Operation::Count, Operation::Keys]));
}
