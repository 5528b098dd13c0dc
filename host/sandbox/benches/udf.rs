//! What an uploaded Rust function costs beside the same Rust in native code: ten million rows in batches as the engine makes
//! them, whole calls with the copies in and out and the checks, against a loop that fills a column of the same batches.
//!
//! `cargo xtask guests` makes the component of `examples/transform-rust`, whose functions these are.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot start has nothing to say")]

use arrow::array::{Array as _, ArrayRef, AsArray as _, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Float64Type;
use azora_sandbox::{CompilerCommand, Component, Options, Sandbox};
use azora_spec::limits::GuestLimits;
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROWS: usize = 10_000_000;
const BATCH_ROWS: usize = 8192;
/// Different batches, so that what they hold does not stay in a near cache, nor takes the memory of ten million rows.
const BATCHES: usize = 64;
const ROUNDS: usize = 3;
const EARTH_RADIUS_KM: f64 = 6371.0088;

fn haversine(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64 {
    let (from, to) = (lat1.to_radians(), lat2.to_radians());
    let (north, east) = ((to - from) / 2.0, (lon2 - lon1).to_radians() / 2.0);
    let chord = north.sin().powi(2) + from.cos() * to.cos() * east.sin().powi(2);
    2.0 * EARTH_RADIUS_KM * chord.sqrt().min(1.0).asin()
}

fn fnv1a(text: &str) -> i64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash.cast_signed()
}

/// Numbers in an order that no branch predictor learns.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn degrees(&mut self, span: f64) -> ArrayRef {
        let degrees = (0..BATCH_ROWS).map(|_| (self.next() as f64 / f64::from(1_u32 << 30) - 1.0) * span);
        Arc::new(Float64Array::from_iter_values(degrees))
    }

    fn text(&mut self) -> String {
        let letters = 10 + self.next() % 31;
        (0..letters).map(|_| char::from(b'a' + u8::try_from(self.next() % 26).unwrap())).collect()
    }
}

fn places(numbers: &mut Numbers) -> RecordBatch {
    let spans = [("lat1", 90.0), ("lon1", 180.0), ("lat2", 90.0), ("lon2", 180.0)];
    RecordBatch::try_from_iter(spans.map(|(name, span)| (name, numbers.degrees(span)))).unwrap()
}

fn texts(numbers: &mut Numbers) -> RecordBatch {
    let texts = StringArray::from_iter_values((0..BATCH_ROWS).map(|_| numbers.text()));
    RecordBatch::try_from_iter([("text", Arc::new(texts) as ArrayRef)]).unwrap()
}

fn native_haversine(batch: &RecordBatch) -> ArrayRef {
    let column = |at: usize| batch.column(at).as_primitive::<Float64Type>().values();
    let (lat1, lon1, lat2, lon2) = (column(0), column(1), column(2), column(3));
    let rows = lat1.iter().zip(lon1).zip(lat2).zip(lon2);
    Arc::new(Float64Array::from_iter_values(rows.map(|(((lat1, lon1), lat2), lon2)| haversine(*lat1, *lon1, *lat2, *lon2))))
}

fn native_fnv1a(batch: &RecordBatch) -> ArrayRef {
    let texts = batch.column(0).as_string::<i32>();
    Arc::new(Int64Array::from_iter_values((0..texts.len()).map(|row| fnv1a(texts.value(row)))))
}

/// The time that ten million rows take.
fn time(batches: &[RecordBatch], mut work: impl FnMut(&RecordBatch)) -> Duration {
    let began = Instant::now();
    for batch in batches.iter().cycle().take(ROWS.div_ceil(BATCH_ROWS)) {
        work(batch);
    }
    began.elapsed()
}

fn compare(component: &Component, function: &str, batches: &[RecordBatch], native: fn(&RecordBatch) -> ArrayRef) {
    let transform = component.bind(function, &batches[0].schema(), "{}", GuestLimits::default()).unwrap();
    let mut instance = transform.start().unwrap();
    let mut call = |batch: &RecordBatch| transform.plan().assemble(batch, instance.process(batch).unwrap()).unwrap();
    // Both mean the same, to the last bits of what libraries make of sines.
    let (made, expected) = (call(&batches[0]), native(&batches[0]));
    match (made.column(0).as_primitive_opt::<Float64Type>(), expected.as_primitive_opt::<Float64Type>()) {
        (Some(made), Some(expected)) => {
            assert!(made.values().iter().zip(expected.values()).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs().max(1.0)));
        }
        _ => assert_eq!(made.column(0), &expected),
    }
    let mut best = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        let times = [time(batches, |batch| drop(black_box(call(batch)))), time(batches, |batch| drop(black_box(native(batch))))];
        for (best, time) in best.iter_mut().zip(times) {
            *best = (*best).min(time);
        }
    }
    let [plugin, native] = best.map(|time| time.as_secs_f64());
    let per_row = |seconds: f64| seconds * 1e9 / ROWS as f64;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{function}, {ROWS} rows: plugin {:.1} ns/row, native {:.1} ns/row, ratio {:.2}",
        per_row(plugin),
        per_row(native),
        plugin / native
    )
    .unwrap();
}

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let compiler = CompilerCommand { program: PathBuf::from(env!("CARGO_BIN_EXE_azora-compile")), args: Vec::new() };
    let sandbox = Sandbox::new(Options::new(directory.path().join("cache"), compiler)).unwrap();
    let told = std::env::var_os("AZORA_TEST_GUESTS").map(PathBuf::from);
    let guests = told.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/components"));
    let bytes = std::fs::read(guests.join("textkit.wasm")).expect("textkit.wasm is missing: run `cargo xtask guests`");
    let inspection = sandbox.inspect(&bytes).unwrap();
    let component = sandbox.load(&inspection.digest, &|| None).unwrap();
    let mut numbers = Numbers(42);
    let of = |make: fn(&mut Numbers) -> RecordBatch, numbers: &mut Numbers| (0..BATCHES).map(|_| make(numbers)).collect::<Vec<_>>();
    compare(&component, "haversine", &of(places, &mut numbers), native_haversine);
    compare(&component, "fnv1a", &of(texts, &mut numbers), native_fnv1a);
}
