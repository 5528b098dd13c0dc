//! An engine over a temporary directory, for the tests of this crate.

use crate::{
    Catalog, ContextOptions, DatasetEntry, Engine, JobResult, Options, Planned, PluginEntry, Progress, RunContext, StageUpdate, format,
};
use azora_connect::{MemoryConnector, Receipt, Registry, Token};
use azora_sandbox::{CompilerCommand, Sandbox};
use azora_spec::{
    Code, DatasetName, Digest, Failure, FileFormat, Input, JobId, JobOptions, JobSpec, Operation, PluginRef, Sink, WriteMode,
};
use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// One sandbox for all tests: each reserves a lot of address space.
static SANDBOX: LazyLock<(TempDir, Sandbox)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let compiler = CompilerCommand { program: "none".into(), args: Vec::new() };
    let sandbox = Sandbox::new(azora_sandbox::Options::new(dir.path().join("cache"), compiler)).unwrap();
    (dir, sandbox)
});

#[derive(Debug, Default)]
pub(crate) struct TestCatalog {
    pub(crate) datasets: Mutex<Vec<DatasetEntry>>,
}

impl Catalog for TestCatalog {
    fn dataset(&self, name: &DatasetName) -> Result<DatasetEntry, Failure> {
        let datasets = self.datasets.lock();
        let found = datasets.iter().rev().find(|entry| &entry.name == name).cloned();
        found.ok_or_else(|| Failure::new(Code::DatasetUnknown, "no such dataset"))
    }

    fn last_dataset(&self) -> Option<DatasetName> {
        self.datasets.lock().last().map(|entry| entry.name.clone())
    }

    fn plugin(&self, _: &PluginRef) -> Result<PluginEntry, Failure> {
        Err(Failure::new(Code::PluginUnknown, "no such plugin"))
    }

    fn plugin_bytes(&self, _: &Digest) -> Option<Vec<u8>> {
        None
    }
}

/// A connector with one table, so that reading goes the way of networks.
fn registry() -> Registry {
    let memory = MemoryConnector::default();
    let batches: Vec<_> = (0..5).map(|at| numbers(at * 100, 100)).collect();
    memory.insert("numbers", batches[0].schema(), batches);
    let mut registry = Registry::new();
    registry.insert(Arc::new(memory));
    registry
}

/// A batch of scalars.
fn numbers(from: i64, rows: i64) -> RecordBatch {
    let schema = azora_connect::element::scalar(DataType::Int64, false);
    RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from_iter_values(from..from + rows))]).unwrap()
}

/// Remembers what it is told.
#[derive(Debug, Default)]
pub(crate) struct TestProgress {
    pub(crate) prepared: Mutex<BTreeMap<usize, Token>>,
    pub(crate) updates: Mutex<Vec<StageUpdate>>,
}

impl Progress for TestProgress {
    fn prepared(&self, partition: usize, token: &Token) -> Result<(), Failure> {
        self.prepared.lock().insert(partition, token.clone());
        Ok(())
    }

    fn update(&self, update: StageUpdate) {
        self.updates.lock().push(update);
    }
}

pub(crate) struct Bench {
    dir: TempDir,
    pub(crate) engine: Engine,
    pub(crate) catalog: Arc<TestCatalog>,
    pub(crate) context: ContextOptions,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Arc::new(TestCatalog::default());
        let options = Options { roots: vec![dir.path().join("root")], threads: 2, ..Options::new(dir.path().join("data")) };
        let shared: Arc<dyn Catalog> = Arc::clone(&catalog) as _;
        let engine = Engine::new(options, SANDBOX.1.clone(), registry(), shared).unwrap();
        Self { dir, engine, catalog, context: ContextOptions { parallelism: 4, threads: 2, memory_bytes: 256 << 20 } }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Writes a file below the root.
    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.root().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) async fn plan(&self, spec: &JobSpec) -> Result<Planned, Failure> {
        self.engine.plan(spec, &self.context, None).await
    }

    pub(crate) async fn run_planned(&self, planned: &Planned, job: JobId) -> Result<Vec<Token>, Failure> {
        self.engine.run(planned, run_context(job)).await
    }

    /// Plans, runs, commits.
    pub(crate) async fn run(&self, spec: &JobSpec) -> Result<(JobResult, Receipt), Failure> {
        let planned = self.plan(spec).await?;
        let job = JobId::generate();
        let tokens = self.run_planned(&planned, job).await?;
        let receipt = self.engine.commit(&planned, job, &tokens).await?;
        let made = [self.engine.dead_letters(&planned, job, &tokens)?, self.engine.dataset(&planned, job)?];
        self.catalog.datasets.lock().extend(made.into_iter().flatten());
        Ok((self.engine.result(job, planned.description(), &tokens)?, receipt))
    }

    /// The answer as JSON.
    pub(crate) async fn answer(&self, spec: &JobSpec) -> Result<Value, Failure> {
        let (result, _) = self.run(spec).await?;
        format::to_json_value(&result, usize::MAX).await
    }

    /// What a file source reads.
    pub(crate) async fn read(&self, config: Value) -> Result<Value, Failure> {
        self.answer(&job(source(config), Vec::new(), Sink::Collect)).await
    }
}

pub(crate) fn run_context(job: JobId) -> RunContext {
    RunContext { job, attempt: 0, prepared: BTreeMap::new(), progress: Arc::new(TestProgress::default()), cancel: CancellationToken::new() }
}

pub(crate) fn job(input: Input, operations: Vec<Operation>, sink: Sink) -> JobSpec {
    JobSpec { name: None, input, operations, sink, options: JobOptions::default() }
}

pub(crate) fn inline(rows: Value) -> Input {
    match rows {
        Value::Array(rows) => Input::Inline(rows),
        other => Input::Inline(vec![other]),
    }
}

pub(crate) fn source(config: Value) -> Input {
    let Value::Object(config) = config else { return inline(json!([])) };
    Input::Source { connector: "file".to_owned(), config }
}

pub(crate) fn file_sink(path: &str, format: FileFormat, mode: WriteMode) -> Sink {
    Sink::File { path: path.to_owned(), format, compression: None, mode, partition_by: Vec::new() }
}

/// Every file below a directory, hidden ones too, by its path from there.
pub(crate) fn tree(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(base: &Path, at: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(base, &path, found);
            } else {
                found.insert(path.strip_prefix(base).unwrap().display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    if directory.exists() {
        walk(directory, directory, &mut found);
    }
    found
}
