//! Every hostile component beside a healthy neighbour: each ends with its code, the neighbour keeps its answers, and the
//! process keeps its memory.
#![allow(clippy::unwrap_used, reason = "helpers of tests end a test as its assertions do")]

#[path = "../../../tests/src/hostile.rs"]
#[expect(dead_code, unreachable_pub, reason = "it is public in the crate that it belongs to, and has more users")]
mod corpus;

use arrow::array::{AsArray as _, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use azora_sandbox::{CompilerCommand, Component, Error, Instance, Options, Sandbox};
use azora_spec::limits::GuestLimits;
use azora_spec::{Digest, Failure};
use corpus::{Case, Stage};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How much more memory the process may hold after all the attacks than after the first healthy answer.
const GROWTH_BYTES_MAX: usize = 128 << 20;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sandbox(directory: &Path) -> Sandbox {
    let compiler = CompilerCommand { program: PathBuf::from(env!("CARGO_BIN_EXE_azora-compile")), args: Vec::new() };
    let mut options = Options::new(directory.join("cache"), compiler);
    options.describe.call_time_max = Duration::from_millis(500);
    options.compile.wall_time_max = Duration::from_secs(20);
    options.compile.cpu_time_max = Duration::from_secs(4);
    Sandbox::new(options).unwrap()
}

fn limits() -> GuestLimits {
    GuestLimits { call_time_max: Duration::from_millis(300), ..GuestLimits::default() }
}

fn input() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("value", DataType::Int64, true)]))
}

fn numbers() -> RecordBatch {
    RecordBatch::try_new(input(), vec![Arc::new(Int64Array::from_iter_values(0..10))]).unwrap()
}

fn start(component: &Component) -> Result<Instance, Error> {
    component.bind("double", &input(), "{}", limits())?.start()
}

fn assert_healthy(instance: &mut Instance, after: &str) {
    let made = instance.process(&numbers()).unwrap().made;
    let doubled = Int64Array::from_iter_values((0..10).map(|value| value * 2));
    assert_eq!(made.column(0).as_primitive::<Int64Type>(), &doubled, "the neighbour after {after}");
}

fn strike(sandbox: &Sandbox, case: &Case) -> Option<(Stage, Error)> {
    if let Err(error) = sandbox.inspect(&case.bytes) {
        return Some((Stage::Upload, error));
    }
    let component = sandbox.load(&Digest::of(&case.bytes), &|| None).unwrap();
    let mut instance = match start(&component) {
        Ok(instance) => instance,
        Err(error) => return Some((Stage::Open, error)),
    };
    if let Err(error) = instance.process(&numbers()) {
        assert!(instance.process(&numbers()).is_err(), "{}: an instance that failed works on", case.name);
        return Some((Stage::Process, error));
    }
    instance.finish().err().map(|error| (Stage::Finish, error))
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

#[test]
fn every_hostile_component_ends_with_its_code_and_harms_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = sandbox(directory.path());
    let bytes = corpus::healthy(&root()).unwrap();
    let inspection = sandbox.inspect(&bytes).unwrap();
    let component = sandbox.load(&inspection.digest, &|| None).unwrap();
    let mut neighbour = start(&component).unwrap();
    assert_healthy(&mut neighbour, "nothing");

    let cases = corpus::cases(&root()).unwrap();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let before = resident_bytes();
    let mut wrong = Vec::new();
    for case in &cases {
        let outcome = strike(&sandbox, case).map(|(stage, error)| (stage, Failure::from(&error)));
        match outcome {
            Some((stage, failure)) if stage == case.stage && failure.code.as_str() == case.code => {
                assert!(!failure.message.chars().any(|character| character.is_control() && character != '\n'), "{}", case.name);
                assert!(failure.message.len() < 5000, "{}: a message of {} bytes", case.name, failure.message.len());
            }
            other => wrong.push(format!("{} must end in {:?} with {}, but: {other:?}", case.name, case.stage, case.code)),
        }
        assert_healthy(&mut neighbour, &case.name);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "the process grew by {} MiB", grown >> 20);
    assert_healthy(&mut start(&component).unwrap(), "everything");
}
