//! What crossing the boundary costs: an empty call, copying in, and a round trip that is checked.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot start has nothing to say")]

#[path = "../../../tests/src/hostile.rs"]
#[expect(dead_code, unreachable_pub, reason = "it is public in the crate that it belongs to; only the healthy guest is of use here")]
mod corpus;

use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use azora_sandbox::{CompilerCommand, Component, Options, Sandbox};
use azora_spec::limits::GuestLimits;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn component() -> Component {
    let directory = tempfile::tempdir().unwrap();
    let compiler = CompilerCommand { program: PathBuf::from("none"), args: Vec::new() };
    let sandbox = Sandbox::new(Options::new(directory.path().to_owned(), compiler)).unwrap();
    let bytes = corpus::healthy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
    sandbox.lambda(&bytes).unwrap()
}

fn integers(rows: usize) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("value", DataType::Int64, true)]));
    RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from_iter_values(0..i64::try_from(rows).unwrap()))]).unwrap()
}

fn mixed(rows: usize) -> RecordBatch {
    let numbers = 0..i64::try_from(rows).unwrap();
    let columns = [
        ("value", Arc::new(Int64Array::from_iter_values(numbers.clone())) as Arc<dyn arrow::array::Array>),
        ("x", Arc::new(Float64Array::from_iter_values(numbers.clone().map(|number| number as f64)))),
        ("text", Arc::new(StringArray::from_iter_values(numbers.map(|number| format!("row {number}"))))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn calls(criterion: &mut Criterion) {
    let component = component();
    let mut group = criterion.benchmark_group("boundary");
    for rows in [1, 8192, 65_536] {
        let batch = integers(rows);
        let transform = component.bind("double", &batch.schema(), "{}", GuestLimits::default()).unwrap();
        let mut instance = transform.start().unwrap();
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(format!("round trip of Int64, {rows} rows"), |bencher| {
            bencher.iter(|| instance.process(black_box(&batch)).unwrap());
        });
        let wide = mixed(rows);
        let transform = component.bind("double", &wide.schema(), "{}", GuestLimits::default()).unwrap();
        let needed = wide.project(&transform.plan().needs).unwrap();
        let mut instance = transform.start().unwrap();
        group.bench_function(format!("one column of three, {rows} rows"), |bencher| {
            bencher.iter(|| transform.plan().assemble(&wide, instance.process(black_box(&needed)).unwrap()).unwrap());
        });
    }
    group.finish();
    let batch = integers(1);
    let transform = component.bind("double", &batch.schema(), "{}", GuestLimits::default()).unwrap();
    criterion.bench_function("instance, opened and dropped", |bencher| bencher.iter(|| transform.start().unwrap()));
}

criterion_group!(benches, calls);
criterion_main!(benches);
