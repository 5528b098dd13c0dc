//! Records to columns and back.

use super::{Decoder, MixedTypes, batch, decode::Rows, infer, told};
use crate::conformance::texts;
use crate::element::{self, Element};
use arrow::datatypes::DataType;
use azora_spec::Code;
use serde_json::{Value, json};

fn rows(value: Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

#[test]
fn values_with_several_types_become_json_texts() {
    let values = rows(json!([{"id": 1, "v": 1, "o": {"x": [1]}}, {"id": 2, "v": "a", "o": {"x": "b"}}, {"id": 3, "v": {"k": null}}]));
    assert_eq!(infer(&values, MixedTypes::Refuse).unwrap_err().code, Code::DataMixed);
    let schema = infer(&values, MixedTypes::Json).unwrap();
    assert!(element::is_json(schema.field_with_name("v").unwrap()));
    assert!(!element::is_json(schema.field_with_name("id").unwrap()));
    let DataType::Struct(inner) = schema.field_with_name("o").unwrap().data_type() else { panic!("an object") };
    assert!(element::is_json(&inner[0]));
    let got = texts(&[batch(&schema, &values).unwrap()]);
    let expect = [r#"{"id":1,"v":1,"o":{"x":[1]}}"#, r#"{"id":2,"v":"a","o":{"x":"b"}}"#, r#"{"id":3,"v":{"k":null},"o":null}"#];
    assert_eq!(got, expect);
}

#[test]
fn a_column_has_the_type_that_it_is_told() {
    let told = told(json!({"at": "timestamp", "n": "int32", "raw": "json", "d": "decimal(10,2)"}).as_object().unwrap(), "/schema").unwrap();
    let schema = Element::Object.schema(told);
    let values = rows(json!([{"at": "2024-01-02T03:04:05Z", "n": 7, "raw": [1, "x"], "d": "1.25"}, {"n": null}]));
    let got = texts(&[batch(&schema, &values).unwrap()]);
    assert_eq!(got[0], r#"{"at":"2024-01-02T03:04:05.000Z","n":7,"raw":[1,"x"],"d":1.25}"#);
    let misfit = batch(&schema, &rows(json!([{"n": 1}, {"n": "many"}]))).unwrap_err();
    assert_eq!((misfit.row, misfit.path.as_slice()), (1, ["n".to_owned()].as_slice()));
    let failure = super::told(json!({"a/b": "money"}).as_object().unwrap(), "/schema").unwrap_err();
    assert_eq!(failure.pointer.as_deref(), Some("/schema/a~1b"));
}

fn decoder(columns: Value) -> Decoder {
    Decoder::new(Element::Object.schema(told(columns.as_object().unwrap(), "").unwrap()))
}

#[test]
fn many_records_become_one_batch() {
    let mut decoder = decoder(json!({"a": "int64", "b": "list<utf8>", "c": "float64"}));
    for record in [r#"{"a":1,"b":["x",null],"c":1.5,"other":[]}"#, "  {\"c\":2e3}\n", r#"{"a":-9007199254740993}"#] {
        decoder.push(record.as_bytes());
    }
    let decoded = decoder.flush();
    assert_eq!((decoded.rejected.len(), &decoded.rows), (0, &Rows::All));
    let expect = [r#"{"a":1,"b":["x",null],"c":1.5}"#, r#"{"a":null,"b":null,"c":2000}"#, r#"{"a":-9007199254740993,"b":null,"c":null}"#];
    assert_eq!(texts(&[decoded.batch]), expect);
    assert_eq!((decoder.len(), decoder.flush().batch.num_rows()), (0, 0));
}

/// Arrow's decoder alone takes each of these, and changes it.
#[test]
fn no_record_is_changed_or_taken_for_two() {
    let bad =
        [r#"{"a":1.5}"#, r#"{"a":1}{"a":2}"#, "", "   ", r#"{"a":1"#, "}", r#"{"a":99999999999999999999}"#, "[1]", "nul", r#"{"a":true}"#];
    let mut decoder = decoder(json!({"a": "int64"}));
    for record in bad {
        decoder.push(record.as_bytes());
        decoder.push(br#"{"a":7}"#);
    }
    let decoded = decoder.flush();
    assert_eq!(texts(&[decoded.batch]), vec![r#"{"a":7}"#; bad.len()]);
    let rejected: Vec<&[u8]> = decoded.rejected.iter().map(|(_, record, _)| record.as_slice()).collect();
    assert_eq!(rejected, bad.map(str::as_bytes));
    assert_eq!(decoded.rejected[0].2, "'a': 1.5 is not Int64");
    assert_eq!(decoded.rows, Rows::Some((0..bad.len()).map(|at| at * 2 + 1).collect()));
}

/// However integers are read, no other column becomes more lenient by it, and none of them loses a digit.
#[test]
fn integers_do_not_make_texts_of_numbers() {
    let mut decoder = decoder(json!({"a": "int64", "s": "utf8", "l": "list<int64>"}));
    let good = [r#"{"a":9007199254740993,"s":"x","l":[1]}"#, r#"{"a":2.0,"s":"1.5","l":[9007199254740993]}"#];
    for record in [good[0], r#"{"a":1,"s":5,"l":[]}"#, r#"{"a":1,"s":"y","l":[1.5]}"#, good[1]] {
        decoder.push(record.as_bytes());
    }
    let decoded = decoder.flush();
    assert_eq!(texts(&[decoded.batch]), [good[0], r#"{"a":2,"s":"1.5","l":[9007199254740993]}"#]);
    assert_eq!(decoded.rejected.iter().map(|(at, ..)| *at).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn scalars_and_tuples_are_records_too() {
    let mut scalars = Decoder::new(element::scalar(DataType::Int64, true));
    for record in ["1", " 2 ", "null", "3.0", "4e2", "5.5"] {
        scalars.push(record.as_bytes());
    }
    let decoded = scalars.flush();
    assert_eq!((texts(&[decoded.batch]), decoded.rejected.len()), (["1", "2", "null", "3", "400"].map(str::to_owned).to_vec(), 1));
    let schema = infer(&rows(json!([["a", 1]])), MixedTypes::Refuse).unwrap();
    let mut tuples = Decoder::new(schema);
    tuples.push(br#"["b",2]"#);
    tuples.push(br#"["b"]"#);
    let decoded = tuples.flush();
    assert_eq!((texts(&[decoded.batch]), decoded.rejected.len()), (vec![r#"["b",2]"#.to_owned()], 1));
}
