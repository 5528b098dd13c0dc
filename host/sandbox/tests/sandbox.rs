//! What the sandbox promises beside refusing attacks: a private cache, cancelling, bounded instances that start clean,
//! capabilities that are off, and codes that tell lambdas from plugins.
#![allow(clippy::unwrap_used, reason = "helpers of tests end a test as its assertions do")]

#[path = "../../../tests/src/hostile.rs"]
#[expect(dead_code, unreachable_pub, reason = "it is public in the crate that it belongs to; here only variants of one guest are of use")]
mod corpus;

use arrow::array::{AsArray as _, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use azora_sandbox::{CancelFlag, Capability, CompilerCommand, Component, Error, FunctionKind, Haste, Instance, Options, Sandbox};
use azora_spec::limits::GuestLimits;
use azora_spec::{Code, Digest, Failure};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const LOOP: &str = r#"
;;@process
(func (export "azora:plugin/transform@0.1.0#process") (param i64 i32 i32 i32 i32) (result i32)
  (loop (br 0))
  (i32.const 0))
"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn options(directory: &Path) -> Options {
    let compiler = CompilerCommand { program: PathBuf::from(env!("CARGO_BIN_EXE_azora-compile")), args: Vec::new() };
    Options { instances_max: 4, ..Options::new(directory.join("cache"), compiler) }
}

/// Options of a sandbox that cannot compile uploads.
fn options_without_compiler(directory: &Path) -> Options {
    Options { compiler: CompilerCommand { program: directory.join("none"), args: Vec::new() }, ..options(directory) }
}

fn input() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("value", DataType::Int64, true)]))
}

fn numbers(values: Vec<i64>) -> RecordBatch {
    RecordBatch::try_new(input(), vec![Arc::new(Int64Array::from(values))]).unwrap()
}

fn start(component: &Component) -> Result<Instance, Error> {
    component.bind("double", &input(), "{}", GuestLimits::default())?.start()
}

fn answers(instance: &mut Instance, values: Vec<i64>) -> Vec<i64> {
    instance.process(&numbers(values)).unwrap().made.column(0).as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn what_is_shipped_is_compiled_once_for_all_processes() {
    let bytes = corpus::healthy(&root()).unwrap();
    for haste in [Haste::Aside, Haste::Now] {
        let directory = tempfile::tempdir().unwrap();
        let first = Sandbox::new(options(directory.path())).unwrap().shipped(&bytes, haste).unwrap();
        assert!(first.is_compiled, "{haste:?}");
        // Another process over the same directory, which could not compile aside.
        let second = Sandbox::new(options_without_compiler(directory.path())).unwrap();
        let loaded = second.shipped(&bytes, Haste::Aside).unwrap();
        assert!(!loaded.is_compiled, "{haste:?}");
        assert_eq!(answers(&mut start(&loaded.component).unwrap(), vec![1, 2]), [2, 4]);
        assert!(!second.shipped(&bytes, Haste::Now).unwrap().is_compiled, "from memory");
        // A touched artefact is not loaded.
        for entry in fs::read_dir(directory.path().join("cache")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "cwasm") {
                let mut artefact = fs::read(&path).unwrap();
                let last = artefact.len() - 1;
                artefact[last] ^= 1;
                fs::write(&path, artefact).unwrap();
            }
        }
        let third = Sandbox::new(options_without_compiler(directory.path())).unwrap();
        assert!(third.shipped(&bytes, Haste::Aside).is_err(), "{haste:?}");
        assert!(third.shipped(&bytes, Haste::Now).unwrap().is_compiled, "{haste:?}");
    }
}

#[test]
fn an_artefact_outlives_the_process_and_a_touched_one_is_not_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = corpus::healthy(&root()).unwrap();
    let inspection = Sandbox::new(options(directory.path())).unwrap().inspect(&bytes).unwrap();
    assert_eq!(inspection.manifest.name.as_str(), "hostile");
    assert_eq!(inspection.manifest.functions[0].kind, FunctionKind::Map);
    assert!(inspection.imports.iter().all(|name| name.contains("types") || name.contains("failures")), "{:?}", inspection.imports);
    assert_eq!(inspection.exports, ["azora:plugin/describe@0.1.0", "azora:plugin/transform@0.1.0"]);

    let later = Sandbox::new(options_without_compiler(directory.path())).unwrap();
    let component = later.load(&inspection.digest, &|| None).unwrap();
    assert_eq!(answers(&mut start(&component).unwrap(), vec![1, 2]), [2, 4]);

    let cache = directory.path().join("cache");
    let artefact =
        fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|e| e == "cwasm"));
    let artefact = artefact.unwrap();
    let mut touched = fs::read(&artefact).unwrap();
    let middle = touched.len() / 2;
    touched[middle] ^= 1;
    fs::write(&artefact, touched).unwrap();
    let error = Sandbox::new(options_without_compiler(directory.path())).unwrap().load(&inspection.digest, &|| None).unwrap_err();
    assert!(matches!(error, Error::Unknown { .. }), "{error}");
    assert!(!artefact.exists());
    // With the bytes at hand it is compiled again.
    let again = Sandbox::new(options(directory.path())).unwrap().load(&inspection.digest, &|| Some(bytes.clone())).unwrap();
    assert_eq!(answers(&mut start(&again).unwrap(), vec![21]), [42]);
}

#[test]
fn bytes_of_another_digest_are_not_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new(options(directory.path())).unwrap();
    let error = sandbox.load(&Digest::of(b"asked for"), &|| corpus::healthy(&root()).ok()).unwrap_err();
    assert_eq!(Failure::from(error).code, Code::PluginUnknown);
}

#[test]
fn the_cache_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    Sandbox::new(options(directory.path())).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory.path().join("cache")), 0o700);
    assert_eq!(mode(&directory.path().join("cache/seal.key")), 0o600);
}

#[test]
fn a_flag_stops_a_guest_that_would_run_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new(options_without_compiler(directory.path())).unwrap();
    let component = sandbox.lambda(&corpus::variant(&root(), LOOP).unwrap()).unwrap();
    let limits = GuestLimits { call_time_max: Duration::from_secs(600), ..GuestLimits::default() };
    let cancel = CancelFlag::new();
    let mut instance = component.bind("", &input(), "{}", limits).unwrap().start_with(cancel.clone()).unwrap();
    let error = std::thread::scope(|scope| {
        let running = scope.spawn(|| instance.process(&numbers(vec![1])));
        cancel.cancel();
        running.join().unwrap().unwrap_err()
    });
    assert!(matches!(error, Error::Cancelled), "{error}");
}

#[test]
fn a_lambda_that_runs_too_long_is_the_callers_fault() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new(options_without_compiler(directory.path())).unwrap();
    let component = sandbox.lambda(&corpus::variant(&root(), LOOP).unwrap()).unwrap();
    let limits = GuestLimits { call_time_max: Duration::from_millis(30), ..GuestLimits::default() };
    let mut instance = component.bind("", &input(), "{}", limits).unwrap().start().unwrap();
    let failure = Failure::from(instance.process(&numbers(vec![1])).unwrap_err());
    assert_eq!((failure.code, failure.blame()), (Code::LambdaLimit, azora_spec::Blame::Caller));
}

#[test]
fn instances_are_bounded_and_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new(options_without_compiler(directory.path())).unwrap();
    let component = sandbox.lambda(&corpus::healthy(&root()).unwrap()).unwrap();
    let transform = component.bind("", &input(), "{}", GuestLimits::default()).unwrap();
    let mut alive: Vec<Instance> = (0..4).map(|_| transform.start().unwrap()).collect();
    assert!(matches!(transform.start().unwrap_err(), Error::Busy));
    alive.pop();
    assert_eq!(answers(&mut transform.start().unwrap(), vec![3]), [6]);
}

/// Answers what it finds in memory that it takes, then leaves marks there and traps at the second call.
const MARKS: &str = r#"
;;@process
(func (export "azora:plugin/transform@0.1.0#process")
  (param $rows i64) (param $nodes i32) (param $n_nodes i32) (param $buffers i32) (param $n_buffers i32) (result i32)
  (if (i32.gt_u (memory.size) (i32.const 1)) (then unreachable))
  (drop (memory.grow (i32.const 31)))
  (i64.store (i32.load offset=8 (local.get $buffers)) (i64.or (i64.load (i32.const 70000)) (i64.load (i32.const 2000000))))
  (memory.fill (i32.const 65536) (i32.const 255) (i32.const 2031616))
  (i64.store (i32.const 3080) (local.get $rows))
  (i32.store (i32.const 3088) (local.get $nodes))
  (i32.store (i32.const 3092) (local.get $n_nodes))
  (i32.store (i32.const 3096) (local.get $buffers))
  (i32.store (i32.const 3100) (local.get $n_buffers))
  (i32.const 3072))
"#;

#[test]
fn an_instance_never_sees_what_another_one_left() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new(options_without_compiler(directory.path())).unwrap();
    let component = sandbox.lambda(&corpus::variant(&root(), MARKS).unwrap()).unwrap();
    let transform = component.bind("", &input(), "{}", GuestLimits::default()).unwrap();
    for round in 0..500 {
        let mut instance = transform.start().unwrap();
        assert_eq!(answers(&mut instance, vec![7]), [0], "round {round}");
        assert!(instance.process(&numbers(vec![7])).is_err());
    }
}

/// A plugin that imports the clock; `listed` capabilities stand in its manifest.
fn clock(listed: u32) -> Vec<u8> {
    let text = format!(
        r#";;@imports
(import "azora:plugin/clock@0.1.0" "now-ms" (func $now (result i64)))
;;@describe
(func (export "azora:plugin/describe@0.1.0#describe") (result i32)
  (i32.store8 (i32.const 3300) (i32.const 1))
  (i32.store (i32.const 1244) (i32.const 3300))
  (i32.store (i32.const 1248) (i32.const {listed}))
  (i32.const 1204))
;;@extra
(func (export "unused") (drop (call $now)))
"#
    );
    corpus::variant(&root(), &text).unwrap()
}

#[test]
fn a_capability_is_listed_or_refused_and_off_until_it_is_granted() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new(options(directory.path())).unwrap();
    let error = sandbox.inspect(&clock(0)).unwrap_err();
    assert_eq!(Failure::from(&error).code, Code::PluginManifest, "{error}");
    let inspection = sandbox.inspect(&clock(1)).unwrap();
    assert_eq!(inspection.manifest.capabilities, [Capability::Clock]);
    let component = sandbox.load(&inspection.digest, &|| None).unwrap();
    let error = start(&component).unwrap_err();
    assert!(matches!(error, Error::Impure { capability: "clock" }), "{error}");
}

#[test]
fn what_it_used_and_said_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new(options_without_compiler(directory.path())).unwrap();
    let text = r#"
;;@imports
(import "azora:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))
;;@finish
(func (export "azora:plugin/transform@0.1.0#finish") (result i32)
  (call $log (i32.const 4) (i32.const 3300) (i32.const 12))
  unreachable)
;;@extra
(data (i32.const 3300) "out of\1b cheese")
"#;
    let component = sandbox.lambda(&corpus::variant(&root(), text).unwrap()).unwrap();
    let mut instance = component.bind("", &input(), "{}", GuestLimits::default()).unwrap().start().unwrap();
    assert_eq!(answers(&mut instance, vec![1, 2, 3]), [2, 4, 6]);
    let stats = instance.stats();
    assert_eq!((stats.calls, stats.rows_in, stats.rows_out, stats.bytes_in, stats.bytes_out), (1, 3, 3, 24, 24));
    assert!(stats.memory_bytes >= 65_536 && stats.guest_ns > 0);
    let error = instance.finish().unwrap_err();
    assert!(error.to_string().contains("out of\u{fffd} chee"), "{error}");
    assert_eq!(instance.log().len(), 1);
}
