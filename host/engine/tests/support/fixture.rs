//! An engine over temporary directories, without datasets and plugins.

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
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Largest answer in a test.
const ANSWER_BYTES_MAX: usize = 64 << 20;

#[derive(Debug)]
struct NoCatalog;

impl Catalog for NoCatalog {
    fn dataset(&self, name: &DatasetName) -> Result<DatasetEntry, Failure> {
        Err(Failure::new(Code::DatasetUnknown, format!("no dataset '{name}'")))
    }

    fn last_dataset(&self) -> Option<DatasetName> {
        None
    }

    fn plugin(&self, reference: &PluginRef) -> Result<PluginEntry, Failure> {
        Err(Failure::new(Code::PluginUnknown, format!("no plugin '{reference}'")))
    }

    fn plugin_bytes(&self, _: &Digest) -> Option<Vec<u8>> {
        None
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
pub struct Fixture {
    pub engine: Engine,
    pub runtime: Runtime,
    pub files: TempDir,
    pub memory_bytes: usize,
    _data: TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        Self::with_memory(256 << 20)
    }

    pub fn with_memory(memory_bytes: usize) -> Self {
        let (data, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let compiler = CompilerCommand { program: "false".into(), args: Vec::new() };
        let sandbox = Sandbox::new(azora_sandbox::Options::new(data.path().join("components"), compiler)).unwrap();
        let mut options = Options::new(data.path().join("data"));
        options.roots.push(files.path().canonicalize().unwrap());
        options.threads = 2;
        let engine = Engine::new(options, sandbox, Registry::new(), Arc::new(NoCatalog)).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { engine, runtime, files, memory_bytes, _data: data }
    }

    /// The plan of a request.
    pub fn plan(&self, request: &Value, partitions: usize) -> Result<Planned, Failure> {
        let mut spec = job_spec(request, Unknown::Refuse)?;
        spec.options.parallelism = Some(partitions);
        let context = ContextOptions { parallelism: partitions, threads: 2, memory_bytes: self.memory_bytes };
        self.runtime.block_on(self.engine.plan(&spec, &context, None))
    }

    /// The answer to a request.
    pub fn run(&self, request: &Value, partitions: usize) -> Result<Value, Failure> {
        let planned = self.plan(request, partitions)?;
        self.runtime.block_on(async {
            let job = JobId::generate();
            let context =
                RunContext { job, attempt: 0, prepared: BTreeMap::new(), progress: Arc::new(Unheard), cancel: CancellationToken::new() };
            let tokens = self.engine.run(&planned, context).await?;
            self.engine.commit(&planned, job, &tokens).await?;
            let result = self.engine.result(job, planned.description(), &tokens)?;
            format::to_json_value(&result, ANSWER_BYTES_MAX).await
        })
    }
}
