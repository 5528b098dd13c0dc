//! Connectors of plugins, against real servers: the two examples, and the hostile ones beside a healthy neighbour.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests end a test as its assertions do")]

#[path = "../../../tests/src/hostile.rs"]
#[expect(dead_code, unreachable_pub, reason = "it is public in the crate that it belongs to, and has more users")]
mod corpus;

#[path = "connectors/api.rs"]
mod api;
#[path = "connectors/conformance.rs"]
mod conformance;
#[path = "connectors/hostile.rs"]
mod hostile;
#[path = "connectors/shelf.rs"]
mod shelf;
#[path = "connectors/sink.rs"]
mod sink;
#[path = "connectors/source.rs"]
mod source;

use azora_connect::{Connector as _, Outcome, Policy, Position, ReadRequest, Reader, Secrets, Source, Split};
use azora_sandbox::{CompilerCommand, GuestConnector, Options, PluginConnectorKind, Sandbox, Services};
use azora_spec::limits::GuestLimits;
use azora_spec::{Failure, Grants, Secret, wire};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// The value of the one secret that the server of these tests has, under `TOKEN`.
const TOKEN: &str = "canary-7f3a-token";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A sandbox whose connectors may reach this machine.
struct World {
    sandbox: Sandbox,
    directory: tempfile::TempDir,
}

impl World {
    fn new(instances_max: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let compiler = CompilerCommand { program: PathBuf::from(env!("CARGO_BIN_EXE_azora-compile")), args: Vec::new() };
        let mut options = Options::new(directory.path().join("cache"), compiler);
        options.instances_max = instances_max;
        options.services = Some(Services {
            policy: Policy::local(),
            secrets: Secrets::new([("TOKEN".to_owned(), Secret::new(TOKEN.to_owned()))]),
            state_dir: directory.path().join("state"),
            io: Handle::current(),
        });
        Self { sandbox: Sandbox::new(options).unwrap(), directory }
    }

    fn connector(&self, bytes: &[u8], kind: PluginConnectorKind, grants: &Value, limits: GuestLimits) -> Result<GuestConnector, Failure> {
        let inspection = self.sandbox.inspect(bytes)?;
        let component = self.sandbox.load(&inspection.digest, &|| None)?;
        let decl = inspection.manifest.connectors.iter().find(|decl| decl.kind == kind).expect("a connector of the kind").clone();
        Ok(component.connector(&inspection.manifest, &decl, grants_of(grants), limits))
    }

    /// An example that `cargo xtask guests` built.
    fn example(&self, name: &str, kind: PluginConnectorKind, grants: &Value) -> GuestConnector {
        let folder = std::env::var("AZORA_TEST_GUESTS").expect("AZORA_TEST_GUESTS is not set: run the tests by `cargo xtask test`");
        let bytes = std::fs::read(Path::new(&folder).join(format!("{name}.wasm"))).expect("run `cargo xtask guests`");
        self.connector(&bytes, kind, grants, GuestLimits::default()).unwrap()
    }
}

fn grants_of(value: &Value) -> Grants {
    wire::grants(value, "").unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

async fn open_source(connector: &GuestConnector, config: Value) -> Result<Arc<dyn Source>, Failure> {
    connector.source(&object(config)).await
}

fn request(batch_rows: usize) -> ReadRequest {
    ReadRequest::new(batch_rows, 1 << 20)
}

/// Reads until the end: every batch with the position behind it.
async fn drain(mut reader: Box<dyn Reader>) -> Result<Vec<(arrow::array::RecordBatch, Position)>, Failure> {
    let mut read = Vec::new();
    loop {
        match tokio::time::timeout(Duration::from_secs(60), reader.read()).await.expect("a read ends")? {
            Outcome::Batch(batch, position) => read.push((batch, position)),
            Outcome::Idle(wait) => tokio::time::sleep(wait).await,
            Outcome::End => return Ok(read),
        }
    }
}

async fn read_split(
    source: &dyn Source,
    split: &Split,
    position: Option<&Position>,
    rows: usize,
) -> Result<Vec<(arrow::array::RecordBatch, Position)>, Failure> {
    drain(source.open(split, position, request(rows)).await?).await
}
