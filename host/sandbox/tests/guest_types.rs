//! Every type of the guest SDK through a built component: the two sides of the contract share no code, so that only
//! this shows that they mean the same bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests end a test as its assertions do")]

use arrow::array::{
    Array, ArrayRef, AsArray as _, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array, FixedSizeBinaryArray,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeStringArray, ListArray, NullArray, RecordBatch,
    RecordBatchOptions, StringArray, StructArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int32Type, Int64Type, Schema};
use azora_sandbox::{CompilerCommand, Component, FunctionKind, Inspection, Options, Sandbox};
use azora_spec::limits::GuestLimits;
use azora_spec::{Code, Failure};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

static GUEST: LazyLock<(Inspection, Component, tempfile::TempDir)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let compiler = CompilerCommand { program: PathBuf::from(env!("CARGO_BIN_EXE_azora-compile")), args: Vec::new() };
    let sandbox = Sandbox::new(Options::new(directory.path().join("cache"), compiler)).unwrap();
    let guests = std::env::var("AZORA_TEST_GUESTS").expect("AZORA_TEST_GUESTS is not set: run the tests by `cargo xtask test`");
    let file = Path::new(&guests).join("types.wasm");
    let bytes = std::fs::read(&file).expect("types.wasm is missing: run `cargo xtask guests`");
    let inspection = sandbox.inspect(&bytes).unwrap();
    let component = sandbox.load(&inspection.digest, &|| None).unwrap();
    (inspection, component, directory)
});

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), array.logical_null_count() > 0)).collect();
    let rows = columns[0].1.len();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).unwrap()
}

/// All batches through one instance, and what it still had at the end.
fn run_all(function: &str, config: &str, batches: &[RecordBatch]) -> Result<Vec<RecordBatch>, Failure> {
    let transform = GUEST.1.bind(function, &batches[0].schema(), config, GuestLimits::default())?;
    let plan = transform.plan();
    let mut instance = transform.start()?;
    let mut out = Vec::new();
    for batch in batches {
        let needed = batch.project(&plan.needs).unwrap();
        out.push(plan.assemble(batch, instance.process(&needed)?)?);
    }
    out.extend(instance.finish()?);
    Ok(out)
}

fn run(function: &str, config: &str, input: &RecordBatch) -> Result<RecordBatch, Failure> {
    run_all(function, config, std::slice::from_ref(input)).map(|mut batches| batches.remove(0))
}

/// Whole, sliced off a byte boundary, and empty: what comes out is `expected` at the same rows.
fn check(function: &str, name: &str, given: ArrayRef, expected: ArrayRef) {
    let whole = batch(vec![(name, given)]);
    let rows = whole.num_rows();
    for (offset, length) in [(0, rows), (1, rows - 1), (rows - 1, 1), (3.min(rows), rows.saturating_sub(4)), (0, 0)] {
        let made = run(function, "{}", &whole.slice(offset, length)).unwrap_or_else(|failure| panic!("{function}: {failure:?}"));
        assert_eq!(made.num_columns(), 1, "{function}");
        assert_eq!(made.column(0).as_ref(), expected.slice(offset, length).as_ref(), "{function} at {offset}, {length} rows");
        assert_eq!(made.schema().metadata().get("azora:element").map(String::as_str), Some("scalar"), "{function}");
    }
}

fn same(function: &str, array: impl Array + 'static) {
    let array: ArrayRef = Arc::new(array);
    check(function, "value", Arc::clone(&array), array);
}

fn timestamp(values: Vec<Option<i64>>) -> TimestampMicrosecondArray {
    TimestampMicrosecondArray::from(values).with_timezone("UTC")
}

fn list(item: Field, offsets: &[usize], items: ArrayRef, valid: Option<Vec<bool>>) -> ListArray {
    let offsets = OffsetBuffer::from_lengths(offsets.iter().copied());
    ListArray::new(Arc::new(item), offsets, items, valid.map(NullBuffer::from))
}

#[test]
fn numbers_survive() {
    same("same_bool", (0..77).map(|row| (row % 5 != 0).then_some(row % 3 == 0)).collect::<BooleanArray>());
    same("same_i8", Int8Array::from(vec![Some(i8::MIN), None, Some(0), Some(i8::MAX), None]));
    same("same_i16", Int16Array::from(vec![Some(i16::MIN), None, Some(i16::MAX), Some(1), None]));
    same("same_i32", Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX), Some(1), None]));
    same("same_i64", (0..1000_i64).map(|row| (row % 7 != 0).then_some(row * i64::from(i32::MAX))).collect::<Int64Array>());
    same("same_i64", Int64Array::from_iter_values([i64::MIN, -1, 0, 1, i64::MAX]));
    same("same_u8", UInt8Array::from(vec![Some(0), None, Some(u8::MAX), Some(1), None]));
    same("same_u16", UInt16Array::from(vec![Some(0), None, Some(u16::MAX), Some(1), None]));
    same("same_u32", UInt32Array::from(vec![Some(0), None, Some(u32::MAX), Some(1), None]));
    same("same_u64", UInt64Array::from(vec![Some(0), None, Some(u64::MAX), Some(1), None]));
    same("same_f32", Float32Array::from(vec![Some(-0.0), None, Some(f32::INFINITY), Some(f32::MIN_POSITIVE), None]));
    same("same_f64", Float64Array::from(vec![Some(f64::NAN), None, Some(f64::NEG_INFINITY), Some(1e-300), None]));
}

#[test]
fn narrower_numbers_are_widened() {
    let given: ArrayRef = Arc::new(Int32Array::from(vec![Some(-7), None, Some(9), Some(1), Some(2)]));
    check("same_i64", "value", Arc::clone(&given), Arc::new(Int64Array::from(vec![Some(-7), None, Some(9), Some(1), Some(2)])));
    check("same_f64", "value", given, Arc::new(Float64Array::from(vec![Some(-7.0), None, Some(9.0), Some(1.0), Some(2.0)])));
    let nulls: ArrayRef = Arc::new(NullArray::new(5));
    check("same_f64", "value", Arc::clone(&nulls), Arc::new(Float64Array::from(vec![None; 5])));
    check("same_str", "any", Arc::clone(&nulls), Arc::new(StringArray::from(vec![None::<&str>; 5])));
    let item = Field::new("item", DataType::Int64, false);
    check("same_list", "any", nulls, Arc::new(list(item, &[0; 5], Arc::new(Int64Array::new_null(0)), Some(vec![false; 5]))));
}

#[test]
fn text_and_bytes_survive() {
    let texts = vec![Some("a"), None, Some(""), Some("größe 😀"), Some("z\0\n")];
    for function in ["same_str", "same_string"] {
        same(function, StringArray::from(texts.clone()));
        check(function, "value", Arc::new(LargeStringArray::from(texts.clone())), Arc::new(StringArray::from(texts.clone())));
    }
    let bytes = vec![Some(&b"\xff\0"[..]), None, Some(&b""[..]), Some(&b"abc"[..]), None];
    for function in ["same_bytes", "same_binary"] {
        same(function, BinaryArray::from(bytes.clone()));
    }
    let fixed =
        FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some([1_u8, 2]), None, Some([3, 4]), Some([5, 6])].into_iter(), 2).unwrap();
    check(
        "same_bytes",
        "value",
        Arc::new(fixed),
        Arc::new(BinaryArray::from(vec![Some(&[1_u8, 2][..]), None, Some(&[3, 4]), Some(&[5, 6])])),
    );
}

#[test]
fn moments_and_decimals_survive() {
    let micros = vec![Some(1_700_000_000_123_456), None, Some(-1), Some(0), Some(1000)];
    same("same_timestamp", timestamp(micros));
    let seconds = TimestampSecondArray::from(vec![Some(-5), None, Some(7)]);
    check("same_timestamp", "value", Arc::new(seconds), Arc::new(timestamp(vec![Some(-5_000_000), None, Some(7_000_000)])));
    let millis = TimestampMillisecondArray::from(vec![Some(-5), None, Some(7)]).with_timezone("Europe/Berlin");
    check("same_timestamp", "value", Arc::new(millis), Arc::new(timestamp(vec![Some(-5000), None, Some(7000)])));
    let nanos = TimestampNanosecondArray::from(vec![Some(-1), None, Some(1999)]);
    check("same_timestamp", "value", Arc::new(nanos), Arc::new(timestamp(vec![Some(-1), None, Some(1)])));
    same("same_date", Date32Array::from(vec![Some(0), None, Some(-719_162), Some(20_000), None]));
    let days = Date64Array::from(vec![Some(86_400_000), None, Some(-1)]);
    check("same_date", "value", Arc::new(days), Arc::new(Date32Array::from(vec![Some(1), None, Some(-1)])));

    let decimal =
        |values: Vec<Option<i128>>, precision, scale| Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap();
    same("same_decimal", decimal(vec![Some(123_456_789), None, Some(-1), Some(99_999_999_999_999_999_999), None], 20, 4));
    let cents: ArrayRef = Arc::new(decimal(vec![Some(1050), None, Some(-1)], 10, 2));
    check("same_decimal", "value", cents, Arc::new(decimal(vec![Some(105_000), None, Some(-100)], 20, 4)));
    let whole: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), None, Some(-4)]));
    check("same_decimal", "value", whole, Arc::new(decimal(vec![Some(30_000), None, Some(-40_000)], 20, 4)));

    let failure =
        run("same_timestamp", "{}", &batch(vec![("value", Arc::new(TimestampSecondArray::from(vec![0, i64::MAX])))])).unwrap_err();
    assert!(failure.message.contains("timestamp 9223372036854775807 of column 'value' is out of range"), "{failure:?}");
}

#[test]
fn lists_survive() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..6));
    let valid = Some(vec![true, false, true, true, true]);
    let item = Field::new("item", DataType::Int64, false);
    same("same_list", list(item.clone(), &[2, 0, 0, 3, 1], numbers, valid.clone()));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("c"), Some("")]));
    same("same_texts", list(Field::new("item", DataType::Utf8, true), &[1, 0, 2, 0, 1], texts, valid.clone()));
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)]));
    same("same_flags", list(Field::new("item", DataType::Boolean, true), &[1, 0, 2, 0, 1], flags, valid));

    // A null in a list that cannot hold one makes the list null.
    let holed: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let given = list(Field::new("item", DataType::Int64, true), &[1, 2], holed, None);
    let kept: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    check("same_list", "value", Arc::new(given), Arc::new(list(item, &[1, 0], kept, Some(vec![true, false]))));

    let floats = list(Field::new("item", DataType::Int32, false), &[2, 1], Arc::new(Int32Array::from(vec![1, 2, 3])), None);
    let made = run("same_slice", "{}", &batch(vec![("value", Arc::new(floats))])).unwrap();
    assert_eq!(made.column(0).as_list::<i32>().values().as_primitive::<Float64Type>().values(), &[1.0, 2.0, 3.0]);
}

fn inner() -> (Fields, StructArray) {
    let fields = Fields::from(vec![Field::new("x", DataType::Int32, false), Field::new("name", DataType::Utf8, true)]);
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int32Array::from(vec![1, 2, 3, 4])), Arc::new(StringArray::from(vec![Some("a"), None, Some("c"), Some("")]))];
    let valid = NullBuffer::from(vec![true, true, false, true]);
    (fields.clone(), StructArray::new(fields, columns, Some(valid)))
}

#[test]
fn structs_and_rows_survive() {
    let (fields, structs) = inner();
    let nested = list(Field::new("item", DataType::Struct(fields.clone()), true), &[2, 1, 1], Arc::new(structs.clone()), None);
    let outer = list(Field::new("item", nested.data_type().clone(), false), &[1, 0, 2], Arc::new(nested), Some(vec![true, false, true]));
    let made = run("same_nested", "{}", &batch(vec![("value", Arc::new(outer.clone()))])).unwrap();
    assert_eq!(made.column(0).as_ref(), &outer as &dyn Array);

    let floats = list(Field::new("item", DataType::Float64, false), &[1, 0, 2, 0], Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5])), None);
    let rows = batch(vec![
        ("extra", Arc::new(Int64Array::from(vec![9; 4]))),
        ("type", Arc::new(BooleanArray::from(vec![true, false, true, false]))),
        ("the list", Arc::new(floats)),
        ("inner", Arc::new(structs.clone())),
        ("text", Arc::new(StringArray::from(vec![Some("t"), None, Some("u"), Some("v")]))),
    ]);
    let made = run("same_row", "{}", &rows.slice(1, 3)).unwrap();
    let names: Vec<String> = made.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["text", "inner", "the list", "type"]);
    assert_eq!(made.schema().metadata().get("azora:element").map(String::as_str), Some("object"));
    for (column, name) in names.iter().enumerate() {
        assert_eq!(made.column(column).as_ref(), rows.slice(1, 3).column_by_name(name).unwrap().as_ref(), "{name}");
    }

    let made = run(
        "same_struct",
        "{}",
        &batch(vec![("value", Arc::new(structs.clone())), ("at", Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4)])))]),
    )
    .unwrap();
    assert_eq!(made.column(1).as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(1), None, Some(3), Some(4)]));
    let found = made.column(0).as_struct();
    assert_eq!((0..4).map(|row| found.is_valid(row)).collect::<Vec<_>>(), [true, false, false, true]);
    assert_eq!(found.column(0).as_primitive::<Int32Type>().value(3), 4);

    let pairs = batch(vec![("_1", Arc::new(StringArray::from(vec!["a", "b"]))), ("_2", Arc::new(Int64Array::from(vec![None, Some(2)])))]);
    let made = run("same_pair", "{}", &pairs).unwrap();
    assert_eq!(made.schema().metadata().get("azora:element").map(String::as_str), Some("tuple"));
    assert_eq!((made.column(0), made.column(1)), (pairs.column(1), pairs.column(0)));
}

#[test]
fn every_kind_of_function_works() {
    let a: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4)]));
    let b: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(0.5), Some(0.5), Some(1.0)]));
    let both = batch(vec![("b", Arc::clone(&b)), ("a", Arc::clone(&a))]);
    let floats = |function: &str, config: &str, input: &RecordBatch| {
        run(function, config, input).unwrap().column(0).as_primitive::<Float64Type>().clone()
    };
    assert_eq!(floats("strict", "{}", &both), Float64Array::from(vec![None, None, Some(3.5), Some(5.0)]));
    assert_eq!(floats("total", "{}", &both), Float64Array::from(vec![Some(1.0), None, Some(3.5), Some(5.0)]));
    let x = batch(vec![("x", a.slice(2, 2))]);
    assert_eq!(floats("scaled", r#"{"factor": 2, "offset": 0.5}"#, &x), Float64Array::from(vec![6.5, 8.5]));
    assert_eq!(floats("scaled", r#"{"factor": 2, "noteText": "hi"}"#, &x), Float64Array::from(vec![6.0, 8.0]));

    let numbers: ArrayRef = Arc::new((0..100_i64).map(|n| (n % 10 != 4).then_some(n)).collect::<Int64Array>());
    let rows =
        batch(vec![("other", Arc::new(StringArray::from_iter_values((0..100).map(|n| format!("row {n}"))))), ("n", Arc::clone(&numbers))]);
    let expected: Vec<i64> = (0..100).filter(|n| n % 2 == 0 && n % 10 != 4).collect();
    for function in ["is_even", "is_even_batch"] {
        let kept = run(function, "{}", &rows).unwrap();
        assert_eq!(kept.schema().fields(), rows.schema().fields());
        assert_eq!(kept.column(1).as_primitive::<Int64Type>().values().to_vec(), expected, "{function}");
        assert_eq!(kept.column(0).as_string::<i32>().value(1), "row 2");
    }

    let texts = batch(vec![
        ("text", Arc::new(StringArray::from(vec![Some("a"), None, Some("b")]))),
        ("times", Arc::new(UInt32Array::from(vec![2, 5, 0]))),
    ]);
    let repeated = run("repeat", "{}", &texts).unwrap();
    assert_eq!(repeated.column(0).as_string::<i32>(), &StringArray::from(vec!["a", "a"]));
    let sums = run_all(
        "running",
        "{}",
        &[batch(vec![("n", numbers.slice(1, 3))]), batch(vec![("n", numbers.slice(0, 0))]), batch(vec![("n", numbers.slice(5, 2))])],
    )
    .unwrap();
    let sums: Vec<i64> = sums.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    assert_eq!(sums, [3, 11, 17]);
}

#[test]
fn refusals_and_failures_reach_the_caller() {
    let text = |values: Vec<&str>| batch(vec![("text", Arc::new(StringArray::from(values)))]);
    let says = |outcome: Result<RecordBatch, Failure>, code: Code, part: &str| {
        let failure = outcome.unwrap_err();
        assert!(failure.code == code && failure.message.contains(part), "expected '{part}', got {failure:?}");
    };
    let numbers = batch(vec![("n", Arc::new(Int64Array::from(vec![1])))]);
    says(run("shout", "{}", &numbers), Code::PluginRefused, "argument 'text': expected utf8, got int64 in column 'n'");
    says(run("strict", "{}", &numbers), Code::PluginRefused, "expected columns (a int64, b float64), got (n int64)");
    says(run("scaled", "{}", &numbers), Code::PluginRefused, "config 'factor' is missing");
    says(run("scaled", r#"{"factor": "x"}"#, &numbers), Code::PluginRefused, "config 'factor' does not take a string");
    says(run("fails", r#"{"factor": 3}"#, &numbers), Code::PluginRefused, "no factor will do, not even 3");
    says(run("nothing", "{}", &numbers), Code::PluginRefused, "plugin 'types' has no function 'nothing'");
    says(run("shout", "{}", &text(vec!["a", "b", ""])), Code::PluginFailed, "nothing to shout");
    says(run("explode", "{}", &text(vec!["a b", "the bomb"])), Code::PluginFailed, "bomb found");
    says(run("shout", "{}", &text(vec!["panic"])), Code::PluginTrap, "shouted too loud");
    let mask = run("invert", r#"{"mask": 1}"#, &numbers).unwrap();
    assert_eq!(mask.column(0).as_primitive::<Int64Type>().values(), &[0]);
}

#[test]
fn the_manifest_tells_docs_types_and_configuration() {
    let manifest = &GUEST.0.manifest;
    let function = |name: &str| manifest.functions.iter().find(|function| function.name == name).unwrap();
    assert_eq!((manifest.name.to_string(), manifest.version.to_string()), ("types".to_owned(), "0.1.0".to_owned()));
    assert_eq!(function("strict").doc, "Null where any argument is.");
    assert_eq!(function("strict").output.field(0).name(), "value");
    let kinds: Vec<FunctionKind> = ["strict", "is_even", "repeat", "running", "mean"].iter().map(|name| function(name).kind).collect();
    let expected = [FunctionKind::Map, FunctionKind::Filter, FunctionKind::FlatMap, FunctionKind::MapPartitions, FunctionKind::Aggregate];
    assert_eq!(kinds, expected);
    let schema = function("scaled").config_schema.as_ref().unwrap();
    assert_eq!(schema["required"], serde_json::json!(["factor"]));
    assert_eq!(schema["properties"]["offset"], serde_json::json!({"type": "number", "description": "Added afterwards."}));
    assert_eq!(function("strict").config_schema, None);
    assert!(GUEST.0.exports.iter().any(|export| export.contains("aggregate")));
}
