//! An aggregate of the guest SDK through the sandbox: states that are made apart, travel, and meet again give what one
//! instance would have given.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests end a test as its assertions do")]

use arrow::array::{AsArray as _, Float64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};
use azora_sandbox::{Aggregate, CancelFlag, CompilerCommand, Component, Error, FunctionKind, Options, Sandbox};
use azora_spec::limits::GuestLimits;
use azora_spec::{Code, Failure};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Groups by turns.
const TURNS: [u32; 6] = [0, 1, 0, 2, 1, 0];

fn component(directory: &Path) -> Component {
    let compiler = CompilerCommand { program: PathBuf::from(env!("CARGO_BIN_EXE_azora-compile")), args: Vec::new() };
    let sandbox = Sandbox::new(Options::new(directory.join("cache"), compiler)).unwrap();
    let guests = std::env::var("AZORA_TEST_GUESTS").expect("AZORA_TEST_GUESTS is not set: run the tests by `cargo xtask test`");
    let bytes = std::fs::read(Path::new(&guests).join("types.wasm")).expect("types.wasm is missing: run `cargo xtask guests`");
    let inspection = sandbox.inspect(&bytes).unwrap();
    let is_listed = inspection.manifest.functions.iter().any(|f| f.name == "mean" && f.kind == FunctionKind::Aggregate);
    assert!(is_listed, "{:?}", inspection.manifest.functions);
    sandbox.load(&inspection.digest, &|| None).unwrap()
}

fn column(data_type: DataType, name: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(name, data_type, true)]))
}

fn bind(component: &Component, function: &str, input: &SchemaRef) -> Aggregate {
    component.bind_aggregate(function, input, "{}", GuestLimits::default()).unwrap()
}

fn floats(values: Vec<Option<f64>>) -> RecordBatch {
    RecordBatch::try_new(column(DataType::Float64, "x"), vec![Arc::new(Float64Array::from(values))]).unwrap()
}

#[test]
fn parts_that_meet_again_give_the_whole() {
    let directory = tempfile::tempdir().unwrap();
    let mean = bind(&component(directory.path()), "mean", &column(DataType::Float64, "x"));
    let rows = floats(vec![Some(1.0), Some(10.0), Some(2.0), None, Some(20.0), Some(6.0)]);

    let mut whole = mean.start(CancelFlag::new()).unwrap();
    whole.update(&rows, &TURNS, 3).unwrap();
    let expected = whole.evaluate(None).unwrap();
    assert_eq!(expected.column(0).as_primitive::<Float64Type>(), &Float64Array::from(vec![Some(3.0), Some(15.0), None]));

    let mut parts = Vec::new();
    for (start, length) in [(0, 2), (2, 4)] {
        let mut part = mean.start(CancelFlag::new()).unwrap();
        part.update(&rows.slice(start, length), &TURNS[start..start + length], 3).unwrap();
        // A part that is spilled half by half is no other part.
        let halves = [part.state(Some(2)).unwrap(), part.state(None).unwrap()];
        assert_eq!(halves.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [2, 1]);
        parts.push(concat_batches(&mean.plan().state, &halves).unwrap());
    }
    let mut met = mean.start(CancelFlag::new()).unwrap();
    for part in &parts {
        met.merge(part, &[0, 1, 2], 3).unwrap();
    }
    let first = met.evaluate(Some(1)).unwrap();
    let rest = met.evaluate(None).unwrap();
    assert_eq!(concat_batches(&mean.plan().result, &[first, rest]).unwrap(), expected);
    assert_eq!(met.evaluate(None).unwrap().num_rows(), 0);
    assert_eq!(met.stats().rows_out, 3);
}

#[test]
fn a_failure_reaches_the_caller_and_ends_the_instance() {
    let directory = tempfile::tempdir().unwrap();
    let input = column(DataType::Utf8, "text");
    let longest = bind(&component(directory.path()), "longest", &input);
    let mut instance = longest.start(CancelFlag::new()).unwrap();
    let texts = |texts: Vec<&str>| RecordBatch::try_new(Arc::clone(&input), vec![Arc::new(StringArray::from(texts))]).unwrap();
    instance.update(&texts(vec!["a", "abc"]), &[0, 0], 1).unwrap();
    let failure = Failure::from(instance.update(&texts(vec!["bomb"]), &[0], 1).unwrap_err());
    assert_eq!(failure.code, Code::PluginFailed);
    assert!(failure.message.contains("bomb found"), "{failure}");
    assert!(instance.evaluate(None).is_err());
}

#[test]
fn groups_that_do_not_fit_the_rows_never_reach_the_guest() {
    let directory = tempfile::tempdir().unwrap();
    let mean = bind(&component(directory.path()), "mean", &column(DataType::Float64, "x"));
    let mut instance = mean.start(CancelFlag::new()).unwrap();
    let rows = floats(vec![Some(1.0), Some(2.0)]);
    for (groups, total) in [(&[0][..], 1), (&[0, 1], 1), (&[0, 5], 3)] {
        assert!(matches!(instance.update(&rows, groups, total), Err(Error::Input { .. })));
    }
    instance.update(&rows, &[0, 1], 2).unwrap();
    assert!(matches!(instance.update(&rows, &[0, 0], 1), Err(Error::Input { .. })), "groups do not go away");
    assert_eq!(instance.evaluate(None).unwrap().num_rows(), 2);
}
