//! An engine over temporary directories, without datasets.

#![allow(dead_code, reason = "each test binary uses its part")]

use azora_connect::Registry;
use azora_engine::{
    Catalog, ContextOptions, DatasetEntry, Engine, Options, Planned, PluginEntry, Progress, RunContext, StageUpdate, format,
};
use azora_sandbox::{CompilerCommand, Sandbox};
use azora_spec::wire::{Unknown, job_spec};
use azora_spec::{Code, DatasetName, Digest, Failure, JobId, PluginRef};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Largest answer in a test.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How often a job may be planned again.
const REPLANS_MAX: usize = 12;

/// No datasets, and one plugin at most.
#[derive(Debug, Default)]
struct OnePlugin(Option<(PluginEntry, Vec<u8>)>);

impl Catalog for OnePlugin {
    fn dataset(&self, name: &DatasetName) -> Result<DatasetEntry, Failure> {
        Err(Failure::new(Code::DatasetUnknown, format!("no dataset '{name}'")))
    }

    fn last_dataset(&self) -> Option<DatasetName> {
        None
    }

    fn plugin(&self, reference: &PluginRef) -> Result<PluginEntry, Failure> {
        let is_meant = |entry: &PluginEntry| match reference {
            PluginRef::Newest(name) => *name == entry.manifest.name,
            PluginRef::Version(name, version) => *name == entry.manifest.name && *version == entry.manifest.version,
            PluginRef::Digest(digest) => *digest == entry.digest,
        };
        let found = self.0.iter().map(|(entry, _)| entry).find(|entry| is_meant(entry));
        found.cloned().ok_or_else(|| Failure::new(Code::PluginUnknown, format!("no plugin '{reference}'")))
    }

    fn plugin_bytes(&self, _: &Digest) -> Option<Vec<u8>> {
        self.0.as_ref().map(|(_, bytes)| bytes.clone())
    }
}

#[derive(Debug)]
struct Unheard;

impl Progress for Unheard {
    fn prepared(&self, _: usize, _: &azora_connect::Token) -> Result<(), Failure> {
        Ok(())
    }

    fn update(&self, _: StageUpdate) {}
}

/// An engine, the runtime it is driven by, and the directories it works in.
pub(crate) struct Fixture {
    pub(crate) engine: Engine,
    pub(crate) runtime: Runtime,
    pub(crate) files: TempDir,
    pub(crate) memory_bytes: usize,
    /// How often jobs were planned again.
    pub(crate) replans: AtomicUsize,
    _data: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with_memory(256 << 20)
    }

    pub(crate) fn with_memory(memory_bytes: usize) -> Self {
        Self::with(memory_bytes, &[], None)
    }

    /// An engine that may read other folders, too.
    pub(crate) fn with_roots(memory_bytes: usize, roots: &[PathBuf]) -> Self {
        Self::with(memory_bytes, roots, None)
    }

    /// An engine with an uploaded component.
    pub(crate) fn with_plugin(bytes: Vec<u8>) -> Self {
        Self::with(256 << 20, &[], Some(bytes))
    }

    /// The same with another memory.
    pub(crate) fn with_plugin_and_memory(bytes: Vec<u8>, memory_bytes: usize) -> Self {
        Self::with(memory_bytes, &[], Some(bytes))
    }

    fn with(memory_bytes: usize, roots: &[PathBuf], plugin: Option<Vec<u8>>) -> Self {
        let (data, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        // Cargo builds it with the tests of the sandbox, two folders above those of the tests.
        let program = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("azora-compile");
        assert!(plugin.is_none() || program.exists(), "{} is missing: cargo build -p azora-sandbox", program.display());
        let compiler = CompilerCommand { program, args: Vec::new() };
        let sandbox = Sandbox::new(azora_sandbox::Options::new(data.path().join("components"), compiler)).unwrap();
        let catalog = OnePlugin(plugin.map(|bytes| {
            let found = sandbox.inspect(&bytes).unwrap();
            (PluginEntry { digest: found.digest, manifest: Arc::new(found.manifest), grants: azora_spec::Grants::default() }, bytes)
        }));
        let mut options = Options::new(data.path().join("data"));
        options.roots.push(files.path().canonicalize().unwrap());
        options.roots.extend_from_slice(roots);
        options.threads = 2;
        let engine = Engine::new(options, sandbox, Registry::new(), Arc::new(catalog)).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { engine, runtime, files, memory_bytes, replans: AtomicUsize::new(0), _data: data }
    }

    /// The plan of a request.
    pub(crate) fn plan(&self, request: &Value, partitions: usize) -> Result<Planned, Failure> {
        let mut spec = job_spec(request, Unknown::Refuse)?;
        spec.options.parallelism = Some(partitions);
        let context = ContextOptions { parallelism: partitions, threads: 2, memory_bytes: self.memory_bytes };
        self.runtime.block_on(self.engine.plan(&spec, &context, None))
    }

    /// The answer to a request.
    pub(crate) fn run(&self, request: &Value, partitions: usize) -> Result<Value, Failure> {
        let mut planned = self.plan(request, partitions)?;
        let mut spec = job_spec(request, Unknown::Refuse)?;
        spec.options.parallelism = Some(partitions);
        let context = ContextOptions { parallelism: partitions, threads: 2, memory_bytes: self.memory_bytes };
        for _ in 0..REPLANS_MAX {
            let failure = match self.run_planned(&planned) {
                Err(failure) if failure.code == Code::LambdaResultType => failure,
                ended => return ended,
            };
            // As the jobs do it.
            match self.runtime.block_on(self.engine.replan(&spec, &context, &planned)) {
                Ok(Some(wider)) => planned = wider,
                _ => return Err(failure),
            }
            self.replans.fetch_add(1, Ordering::Relaxed);
        }
        panic!("a job is planned again and again");
    }

    /// How often operators of a query write what they hold to disk.
    pub(crate) fn spills(&self, request: &Value, partitions: usize) -> u64 {
        let mut request = request.clone();
        request["sql"] = Value::from(format!("EXPLAIN ANALYZE {}", request["sql"].as_str().unwrap()));
        let plan = self.run(&request, partitions).unwrap().to_string();
        let counts = plan.split("spill_count=").skip(1);
        counts.map(|rest| rest.split(|letter: char| !letter.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// The answer of a plan.
    pub(crate) fn run_planned(&self, planned: &Planned) -> Result<Value, Failure> {
        self.runtime.block_on(async {
            let job = JobId::generate();
            let context =
                RunContext { job, attempt: 0, prepared: BTreeMap::new(), progress: Arc::new(Unheard), cancel: CancellationToken::new() };
            let tokens = self.engine.run(planned, context).await?;
            self.engine.commit(planned, job, &tokens).await?;
            let result = self.engine.result(job, planned.description(), &tokens)?;
            format::to_json_value(&result, ANSWER_BYTES_MAX).await
        })
    }
}
