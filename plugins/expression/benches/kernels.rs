//! What a kernel costs per row, beside the same loop in Rust: alone, with its batch in memory already, and as a whole
//! call of the component, with the copy of the batch; beside Arrow's kernels, one after the other. What a lambda costs that
//! was never seen before, and a call that has nothing to do.
//!
//! `cargo bench -p azora-expression` runs it; behind criterion's own report stands one line per pipeline with the ratio.
#![expect(clippy::unwrap_used, reason = "a benchmark that meets the unexpected stops")]

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use arrow::array::{AsArray as _, Int64Array};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::kernels::numeric::{add_wrapping, mul_wrapping, rem};
use arrow::compute::{filter, sum};
use arrow::datatypes::Int64Type;
use azora_expression::{Element, End, Lambda, Pipeline, Step, Type};
use criterion::{Criterion, Throughput};
use wasmparser::{Parser, Payload};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Instance, Module, Store, TypedFunc};

mod world {
    //! The contract's side of the host.
    wasmtime::component::bindgen!({ path: "../../wit", world: "lambda" });
}

use world::azora::plugin::batch_types::{FieldNode, RecordBatch, Schema};

/// Rows of a batch, as the engine sends them.
const ROWS: usize = 8192;
/// How often a batch is repeated for one time, and how many times are taken; the least of them counts.
const REPEATS: u32 = 8;
const TIMES: usize = 200;
/// More than any call here allocates.
const ARENA_BYTES: u32 = 8 << 20;

type Process = TypedFunc<(i64, u32, u32, u32, u32), u32>;

/// A kernel with a batch in its memory.
struct Kernel {
    store: Store<()>,
    process: Process,
    post: TypedFunc<u32, ()>,
    instance: Instance,
    batch: (u32, u32),
}

impl Kernel {
    fn new(ty: Type, steps: &[(&str, &str)], end: End, buffers: &[&[u8]]) -> Self {
        let compiled = compiled(ty, steps, end);
        let engine = engine();
        let module = Module::new(&engine, core_module(&compiled.component)).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let export = |what: &str| format!("{what}azora:plugin/transform@0.1.0#process");
        let process = instance.get_typed_func(&mut store, &export("")).unwrap();
        let post = instance.get_typed_func(&mut store, &export("cabi_post_")).unwrap();
        let mut kernel = Self { store, process, post, instance, batch: (0, 0) };
        kernel.place_batch(buffers);
        kernel
    }

    /// Puts the batch behind the arena, which first grows beyond what any call here takes.
    fn place_batch(&mut self, buffers: &[&[u8]]) {
        let alloc: TypedFunc<(u32, u32, u32, u32), u32> = self.instance.get_typed_func(&mut self.store, "cabi_realloc").unwrap();
        alloc.call(&mut self.store, (0, 0, 8, ARENA_BYTES)).unwrap();
        self.post.call(&mut self.store, 0).unwrap();
        let memory = self.instance.get_memory(&mut self.store, "memory").unwrap();
        let mut at = memory.data_size(&self.store);
        memory.grow(&mut self.store, 64).unwrap();
        let mut list = Vec::new();
        for bytes in buffers {
            memory.write(&mut self.store, at, bytes).unwrap();
            list.extend(u32::try_from(at).unwrap().to_le_bytes());
            list.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            at = (at + bytes.len() + 64).next_multiple_of(64);
        }
        memory.write(&mut self.store, at, &list).unwrap();
        self.batch = (u32::try_from(at).unwrap(), u32::try_from(buffers.len()).unwrap());
    }

    fn run(&mut self) {
        let (at, n) = self.batch;
        let result = self.process.call(&mut self.store, (i64::try_from(ROWS).unwrap(), 0, 0, at, n)).unwrap();
        self.post.call(&mut self.store, black_box(result)).unwrap();
    }
}

fn engine() -> Engine {
    let mut config = Config::new();
    config.epoch_interruption(true).concurrency_support(false);
    Engine::new(&config).unwrap()
}

/// A component that is called as the host calls it.
struct Whole {
    store: Store<()>,
    lambda: world::Lambda,
    batch: RecordBatch,
}

impl Whole {
    fn new(steps: &[(&str, &str)], end: End, numbers: &[i64]) -> Self {
        let engine = engine();
        let component = Component::new(&engine, &compiled(Type::Int64, steps, end).component).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        let lambda = world::Lambda::instantiate(&mut store, &component, &Linker::new(&engine)).unwrap();
        let schema = Schema { fields: Vec::new(), metadata: Vec::new() };
        lambda.azora_plugin_transform().call_open(&mut store, "", &schema, "{}").unwrap().unwrap();
        let rows = numbers.len() as u64;
        let buffers = vec![Vec::new(), words(numbers.iter().map(|number| number.cast_unsigned()))];
        let batch = RecordBatch { rows, nodes: vec![FieldNode { length: rows, null_count: 0 }], buffers };
        Self { store, lambda, batch }
    }

    fn run(&mut self) {
        let answer = self.lambda.azora_plugin_transform().call_process(&mut self.store, &self.batch).unwrap();
        black_box(answer.unwrap());
    }
}

fn compiled(ty: Type, steps: &[(&str, &str)], end: End) -> azora_expression::Compiled {
    let step = |(kind, text): &(&str, &str)| match *kind {
        "map" => Step::Map(Lambda::new(*text, 0)),
        _ => Step::Filter(Lambda::new(*text, 0)),
    };
    let pipeline = Pipeline { input: Element::scalar(ty, false), steps: steps.iter().map(step).collect(), end };
    azora_expression::compile(&pipeline).unwrap()
}

/// W1 as an engine does it that has a kernel for each operation.
fn by_arrow(numbers: &Int64Array) -> Option<i64> {
    let constant = |number| Int64Array::new_scalar(number);
    let y = add_wrapping(&mul_wrapping(numbers, &constant(2)).unwrap(), &constant(1)).unwrap();
    let is_kept = eq(&rem(&y, &constant(3)).unwrap(), &constant(0)).unwrap();
    sum(filter(&y, &is_kept).unwrap().as_primitive::<Int64Type>())
}

/// The same loops in Rust. They are functions of their own because the compiler makes four times slower code of some of them
/// inside of a benchmark.
mod native {
    #[inline(never)]
    pub(super) fn count(numbers: &[i64]) -> usize {
        numbers.iter().map(|x| x * 2 + 1).filter(|y| y % 3 == 0).count()
    }

    #[inline(never)]
    pub(super) fn sum(numbers: &[i64]) -> i64 {
        numbers.iter().map(|x| x * 2 + 1).filter(|y| y % 3 == 0).sum()
    }

    /// What is not kept adds nothing: without a branch that no predictor learns.
    #[inline(never)]
    pub(super) fn sum_by_masks(numbers: &[i64]) -> i64 {
        numbers.iter().map(|x| x * 2 + 1).map(|y| y & -i64::from(y % 3 == 0)).sum()
    }
}

/// Whole calls with the copy of the batch, beside the faster of two ways to write the same loop in Rust, and Arrow's kernels.
fn boundary(lines: &mut Vec<String>) {
    for rows in [8 << 10, 64 << 10] {
        let numbers: Vec<i64> = numbers().into_iter().cycle().take(rows).collect();
        let mut whole = Whole::new(&W1, End::Sum, &numbers);
        let per_row = |ns: f64| ns * ROWS as f64 / rows as f64;
        let wasm = per_row(time(|| whole.run()));
        let by_branches = time(|| {
            black_box(native::sum(black_box(&numbers)));
        });
        let by_masks = time(|| {
            black_box(native::sum_by_masks(black_box(&numbers)));
        });
        let native = per_row(by_branches.min(by_masks));
        let mut counting = Whole::new(&W1, End::Count, &numbers);
        let count = per_row(time(|| counting.run()));
        let native_count = per_row(time(|| {
            black_box(native::count(black_box(&numbers)));
        }));
        let column = Int64Array::from(numbers.clone());
        assert_eq!(by_arrow(&column), Some(numbers.iter().map(|x| x * 2 + 1).filter(|y| y % 3 == 0).sum()));
        let arrow = per_row(time(|| {
            black_box(by_arrow(black_box(&column)));
        }));
        lines.push(format!(
            "{rows} rows, whole call: {wasm:.2} ns/row, native {native:.2} ns/row, ratio {:.2}; Arrow's kernels {arrow:.2} ns/row, {:.1} times it",
            wasm / native,
            arrow / wasm
        ));
        let ratio = count / native_count;
        lines.push(format!("{rows} rows, whole call that counts: {count:.2} ns/row, native {native_count:.2} ns/row, ratio {ratio:.2}"));
    }
    let mut nothing = Whole::new(&W1, End::Sum, &[]);
    lines.push(format!("a call with no rows: {:.0} ns", time(|| nothing.run()) * ROWS as f64));
}

/// From text to code that can be called, for lambdas that were never seen.
fn cold(lines: &mut Vec<String>) {
    let typical = [
        ("arithmetic", "x => x * 2 + 1"),
        ("branches", "x => x % 15 === 0 ? 'FizzBuzz' : x % 5 === 0 ? 'Buzz' : x % 3 === 0 ? 'Fizz' : String(x)"),
        ("a loop", "x => { let s = 0; for (let i = 0; i < x; i++) { if (i % 3 === 0) continue; s += i; } return s; }"),
        ("lists", "x => [3, x, 1].map(y => y * 2).filter(y => y > 2).sort((a, b) => a - b).join()"),
    ];
    let engine = engine();
    for (name, text) in typical {
        let (mut ours, mut all) = (Duration::MAX, Duration::MAX);
        for _ in 0..20 {
            let began = Instant::now();
            let component = compiled(Type::Int64, &[("map", text)], End::Rows).component;
            ours = ours.min(began.elapsed());
            black_box(Component::new(&engine, &component).unwrap());
            all = all.min(began.elapsed());
        }
        lines.push(format!(
            "cold, {name}: {:.2} ms, of which {:.2} ms before Cranelift",
            all.as_secs_f64() * 1e3,
            ours.as_secs_f64() * 1e3
        ));
    }
}

/// The module inside of a component.
fn core_module(component: &[u8]) -> &[u8] {
    Parser::new(0)
        .parse_all(component)
        .find_map(|payload| match payload.unwrap() {
            Payload::ModuleSection { unchecked_range, .. } => component.get(unchecked_range),
            _ => None,
        })
        .unwrap()
}

/// Numbers below 2^31 in an order that no branch predictor learns.
fn numbers() -> Vec<i64> {
    let mut state = 42_u64;
    let next = move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(state >> 33).unwrap()
    };
    (0..ROWS).map(next).collect()
}

fn words(numbers: impl Iterator<Item = u64>) -> Vec<u8> {
    numbers.flat_map(u64::to_le_bytes).collect()
}

/// Words of 3 to 18 letters, and their offsets.
fn texts() -> (Vec<i32>, Vec<u8>) {
    let (mut offsets, mut bytes) = (vec![0], Vec::new());
    for number in numbers() {
        let length = usize::try_from(number % 16).unwrap() + 3;
        bytes.extend((0..length).map(|at| b'a' + u8::try_from(number >> at & 15).unwrap()));
        offsets.push(i32::try_from(bytes.len()).unwrap());
    }
    (offsets, bytes)
}

/// Nanoseconds per row: the best of several means.
fn time(mut work: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..TIMES {
        let began = Instant::now();
        for _ in 0..REPEATS {
            work();
        }
        best = best.min(began.elapsed());
    }
    best.as_secs_f64() * 1e9 / f64::from(REPEATS) / ROWS as f64
}

/// Measures a kernel and a loop, by criterion and for the table at the end.
fn compare(criterion: &mut Criterion, name: &str, mut kernel: Kernel, mut native: impl FnMut()) -> String {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(ROWS as u64)).sample_size(20).measurement_time(Duration::from_secs(1));
    group.bench_function("wasm", |bencher| bencher.iter(|| kernel.run()));
    group.bench_function("native", |bencher| bencher.iter(&mut native));
    group.finish();
    let (wasm, native) = (time(|| kernel.run()), time(native));
    format!("{name}: {wasm:.2} ns/row, native {native:.2} ns/row, ratio {:.2}", wasm / native)
}

const W1: [(&str, &str); 2] = [("map", "x => x * 2 + 1"), ("filter", "x => x % 3 === 0")];

fn integers(criterion: &mut Criterion, lines: &mut Vec<String>) {
    let numbers = numbers();
    let data = words(numbers.iter().map(|number| number.cast_unsigned()));
    let kernel = |end| Kernel::new(Type::Int64, &W1, end, &[&[], &data]);
    lines.push(compare(criterion, "int64 map filter count", kernel(End::Count), || {
        black_box(native::count(black_box(&numbers)));
    }));
    lines.push(compare(criterion, "int64 map filter sum", kernel(End::Sum), || {
        black_box(native::sum(black_box(&numbers)));
    }));
    let mut out = Vec::with_capacity(ROWS);
    lines.push(compare(criterion, "int64 map filter rows", kernel(End::Rows), || {
        out.clear();
        out.extend(black_box(&numbers).iter().map(|x| x * 2 + 1).filter(|y| y % 3 == 0));
        black_box(&out);
    }));
}

fn doubles(criterion: &mut Criterion, lines: &mut Vec<String>) {
    let numbers: Vec<f64> = numbers().into_iter().map(|number| number as f64 / 16.0).collect();
    let data = words(numbers.iter().map(|number| number.to_bits()));
    let steps = [("map", "x => x * 2 + 1"), ("filter", "x => x > 1e8")];
    let kernel = Kernel::new(Type::Float64, &steps, End::Sum, &[&[], &data]);
    lines.push(compare(criterion, "float64 map filter sum", kernel, || {
        black_box(black_box(&numbers).iter().map(|x| x * 2.0 + 1.0).filter(|y| *y > 1e8).sum::<f64>());
    }));
}

fn strings(criterion: &mut Criterion, lines: &mut Vec<String>) {
    let (offsets, bytes) = texts();
    let data: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
    let steps = [("map", "s => s.toUpperCase().slice(0, 8) + '-X1'")];
    let kernel = Kernel::new(Type::Utf8, &steps, End::Rows, &[&[], &data, &bytes]);
    let (mut ends, mut out) = (Vec::with_capacity(ROWS), Vec::with_capacity(ROWS * 16));
    lines.push(compare(criterion, "utf8 upper slice concat", kernel, || {
        ends.clear();
        out.clear();
        for pair in black_box(&offsets).windows(2) {
            let text = &bytes[usize::try_from(pair[0]).unwrap()..usize::try_from(pair[1]).unwrap()];
            let text = std::str::from_utf8(text).unwrap();
            // What a Rust programmer writes: a string for each step.
            let upper = text.to_uppercase();
            let cut: String = upper.chars().take(8).collect();
            out.extend_from_slice(cut.as_bytes());
            out.extend_from_slice(b"-X1");
            ends.push(out.len());
        }
        black_box((&ends, &out));
    }));
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut lines = Vec::new();
    integers(&mut criterion, &mut lines);
    doubles(&mut criterion, &mut lines);
    strings(&mut criterion, &mut lines);
    boundary(&mut lines);
    cold(&mut lines);
    criterion.final_summary();
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}").unwrap();
    }
}
