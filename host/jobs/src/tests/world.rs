//! A world around a server that can be killed: what is outside of it stays.

use crate::{Catalog, Handle, JobView, Options, Submission};
use arrow::array::{Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use azora_connect::{
    Connector, ConnectorKind, Finish, Outcome, Position, ReadRequest, Reader, Receipt, Registry, Sink, Source, Split, Token, Writer,
    WriterId, element,
};
use azora_engine::{ContextOptions, Engine};
use azora_sandbox::{CompilerCommand, Sandbox};
use azora_spec::{Code, Failure, Function, Input, JobId, JobOptions, JobSpec, JobState, Operation};
use azora_store::Store;
use futures::StreamExt as _;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Rows of each partition of the test source.
pub(crate) const ROWS: i64 = 100;
/// Longest wait for anything: a hang is a failure, not a hung test.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is outside of the server.
#[derive(Debug)]
pub(crate) struct Outside {
    /// Partitions of the source with a number below it may be read.
    pub(crate) gate: watch::Sender<usize>,
    /// Whether commits may return.
    pub(crate) commits: watch::Sender<bool>,
    /// Whether the source may note what was read.
    pub(crate) notes: watch::Sender<bool>,
    pub(crate) ledger: Mutex<Ledger>,
    changed: watch::Sender<u64>,
}

/// What happened to the sink.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// How often each partition was opened.
    pub(crate) opened: BTreeMap<usize, usize>,
    /// Prepared rows by job and partition.
    pub(crate) prepared: BTreeMap<(JobId, usize), Vec<i64>>,
    /// Visible rows by job.
    pub(crate) visible: BTreeMap<JobId, Vec<i64>>,
    pub(crate) n_commits: usize,
    /// Jobs in the order of their commits.
    pub(crate) committed: Vec<JobId>,
    pub(crate) aborted: Vec<JobId>,
    /// What the source was told of ended jobs: how many splits, and how the job ended.
    pub(crate) finished: Vec<(usize, Finish)>,
    /// Failures that the next sources answer.
    pub(crate) source_failures: Vec<Code>,
    /// Failures that the next openings answer.
    pub(crate) open_failures: Vec<Code>,
    /// Failures that the next commits answer.
    pub(crate) commit_failures: Vec<Code>,
    /// Failures that the next removals answer.
    pub(crate) abort_failures: Vec<Code>,
    /// What the gate is set to when something is removed.
    pub(crate) gate_at_abort: Option<usize>,
}

impl Outside {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            gate: watch::Sender::new(usize::MAX),
            commits: watch::Sender::new(true),
            notes: watch::Sender::new(true),
            ledger: Mutex::default(),
            changed: watch::Sender::new(0),
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        let answer = change(&mut self.ledger.lock());
        self.changed.send_modify(|n| *n += 1);
        answer
    }

    /// Waits until the ledger is as it should be.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Ledger) -> bool) {
        let mut changed = self.changed.subscribe();
        let wait = changed.wait_for(|_| is_so(&self.ledger.lock()));
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}")).unwrap();
    }
}

/// One life of a server.
pub(crate) struct World {
    pub(crate) handle: Handle,
    runtime: Option<Runtime>,
}

impl World {
    /// Starts a server over a directory.
    pub(crate) fn start(dir: &Path, outside: &Arc<Outside>) -> Self {
        Self::start_with(dir, outside, |_| {})
    }

    pub(crate) fn start_with(dir: &Path, outside: &Arc<Outside>, change: impl FnOnce(&mut Options)) -> Self {
        Self::start_on("world", dir, outside, change)
    }

    /// The same on threads of a name, by which they can be told from those of other worlds.
    pub(crate) fn start_on(threads: &str, dir: &Path, outside: &Arc<Outside>, change: impl FnOnce(&mut Options)) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).thread_name(threads).enable_all().build().unwrap();
        until_released(&dir.join("data/LOCK"));
        let store = Store::open(&azora_store::Options::new(dir.join("data"))).unwrap();
        let catalog = Catalog::new(store.clone());
        let compiler = CompilerCommand { program: "/nonexistent".into(), args: Vec::new() };
        let mut sandbox_options = azora_sandbox::Options::new(dir.join("data/compiled"), compiler);
        sandbox_options.instances_max = 4;
        let sandbox = Sandbox::new(sandbox_options).unwrap();
        let mut registry = Registry::new();
        registry.insert(Arc::new(Gated(Arc::clone(outside))));
        std::fs::create_dir_all(dir.join("files")).unwrap();
        let mut engine_options = azora_engine::Options::new(dir.join("data"));
        engine_options.roots = vec![dir.join("files")];
        let context = ContextOptions { parallelism: 4, threads: 2, memory_bytes: 64 << 20 };
        let mut options = Options::new(Arc::new(decode), context);
        options.retry_pause = Duration::from_millis(1);
        change(&mut options);
        let handle = runtime.block_on(async {
            let engine = Engine::new(engine_options, sandbox.clone(), registry, Arc::new(catalog.clone())).unwrap();
            crate::start(options, store, catalog, engine, sandbox).await.unwrap()
        });
        Self { handle, runtime: Some(runtime) }
    }

    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().unwrap().block_on(async { tokio::time::timeout(PATIENCE, work).await.expect("took too long") })
    }

    /// Starts work beside the test, as a caller's connection is.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.runtime.as_ref().unwrap().spawn(work)
    }

    /// Ends the server without telling it.
    pub(crate) fn kill(mut self) {
        let runtime = self.runtime.take().unwrap();
        let Self { handle, .. } = self;
        runtime.shutdown_timeout(PATIENCE);
        drop(handle);
    }

    /// Submits a job that reads `partitions` partitions into the ledger.
    pub(crate) fn submit(&self, partitions: usize) -> JobId {
        self.run(self.handle.submit(submission(request(partitions)))).unwrap().id
    }

    pub(crate) fn wait(&self, id: JobId) -> JobView {
        self.run(self.handle.wait(id)).unwrap()
    }

    pub(crate) fn state(&self, id: JobId) -> JobState {
        self.run(self.handle.get(id)).unwrap().state
    }

    /// Waits for an event.
    pub(crate) fn until_event(&self, id: JobId, kind: &str) {
        self.run(async {
            let events = self.handle.events(id, 0).await.unwrap();
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                if event.kind == kind {
                    return;
                }
            }
            panic!("the job ended without {kind}");
        });
    }
}

/// Waits for the life before: the engine's own threads let go of the store some time after the handle is dropped.
fn until_released(lock: &Path) {
    if let Ok(file) = std::fs::File::open(lock) {
        file.lock().unwrap();
        file.unlock().unwrap();
    }
}

/// The request of a job from the gated source to the ledger.
pub(crate) fn request(partitions: usize) -> Value {
    json!({"source": {"partitions": partitions}, "sink": "gated"})
}

pub(crate) fn submission(request: Value) -> Submission {
    Submission { spec: decode(&request).unwrap(), request, idempotency: None }
}

/// The wire form of these tests.
pub(crate) fn decode(request: &Value) -> Result<JobSpec, Failure> {
    let input = match (request.get("data"), request.get("dataset")) {
        (Some(data), _) => Input::Inline(data.as_array().unwrap().clone()),
        (None, Some(name)) => Input::Dataset(name.as_str().unwrap().parse()?),
        (None, None) => Input::Source {
            connector: "gated".to_owned(),
            config: request.get("source").and_then(Value::as_object).cloned().unwrap_or_default(),
        },
    };
    let mode = match request.get("mode").and_then(Value::as_str) {
        Some("overwrite") => azora_spec::WriteMode::Overwrite,
        Some("append") => azora_spec::WriteMode::Append,
        _ => azora_spec::WriteMode::ErrorIfExists,
    };
    let sink = match request.get("sink").and_then(Value::as_str) {
        None => azora_spec::Sink::Collect,
        Some("gated") => azora_spec::Sink::Connector { connector: "gated".to_owned(), config: Map::new() },
        Some(name) => azora_spec::Sink::Dataset {
            name: name.parse()?,
            mode,
            ttl: request.get("ttlSeconds").and_then(Value::as_u64).map(Duration::from_secs),
        },
    };
    let mut options = JobOptions {
        parallelism: request.pointer("/source/partitions").and_then(Value::as_u64).map(|n| n as usize),
        ..JobOptions::default()
    };
    if let Some(ms) = request.get("timeMs").and_then(Value::as_u64) {
        options.time_max = Duration::from_millis(ms);
    }
    let maps = request.get("map").and_then(Value::as_str).map(|text| Operation::Map(Function::Lambda(text.to_owned())));
    Ok(JobSpec { name: Some("test".to_owned()), input, operations: maps.into_iter().collect(), sink, options })
}

/// Every row that `partitions` partitions hold.
pub(crate) fn rows(partitions: usize) -> Vec<i64> {
    (0..partitions as i64 * ROWS).collect()
}

#[derive(Debug)]
struct Gated(Arc<Outside>);

#[async_trait]
impl Connector for Gated {
    fn name(&self) -> &str {
        "gated"
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Both
    }

    fn config_schema(&self) -> Value {
        json!({})
    }

    async fn source(&self, config: &Map<String, Value>) -> Result<Arc<dyn Source>, Failure> {
        let partitions = config.get("partitions").and_then(Value::as_u64).unwrap_or(1) as usize;
        if let Some(code) = self.0.change(|ledger| ledger.source_failures.pop()) {
            return Err(Failure::new(code, "as ordered"));
        }
        Ok(Arc::new(GatedSource { outside: Arc::clone(&self.0), partitions }))
    }

    async fn sink(&self, _config: &Map<String, Value>) -> Result<Arc<dyn Sink>, Failure> {
        Ok(Arc::new(LedgerSink(Arc::clone(&self.0))))
    }
}

#[derive(Debug)]
struct GatedSource {
    outside: Arc<Outside>,
    partitions: usize,
}

#[async_trait]
impl Source for GatedSource {
    fn schema(&self) -> SchemaRef {
        element::scalar(DataType::Int64, false)
    }

    async fn plan(&self, _parallelism: usize) -> Result<Vec<Split>, Failure> {
        Ok((0..self.partitions).map(|at| Split { payload: at.to_string(), rows: Some(ROWS as u64) }).collect())
    }

    async fn open(&self, split: &Split, _position: Option<&Position>, _request: ReadRequest) -> Result<Box<dyn Reader>, Failure> {
        Ok(Box::new(GatedReader {
            outside: Arc::clone(&self.outside),
            partition: split.payload.parse().unwrap(),
            is_read: false,
            schema: self.schema(),
        }))
    }

    async fn finished(&self, splits: &[Split], finish: Finish) -> Result<(), Failure> {
        self.outside.change(|ledger| ledger.finished.push((splits.len(), finish)));
        self.outside.notes.subscribe().wait_for(|may| *may).await.unwrap();
        Err(Failure::new(Code::ConnectorUnavailable, "as ordered"))
    }
}

#[derive(Debug)]
struct GatedReader {
    outside: Arc<Outside>,
    partition: usize,
    is_read: bool,
    schema: SchemaRef,
}

#[async_trait]
impl Reader for GatedReader {
    async fn read(&mut self) -> Result<Outcome, Failure> {
        if self.is_read {
            return Ok(Outcome::End);
        }
        let partition = self.partition;
        self.outside.gate.subscribe().wait_for(|gate| partition < *gate).await.unwrap();
        self.is_read = true;
        let first = partition as i64 * ROWS;
        let column = Int64Array::from_iter_values(first..first + ROWS);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![Arc::new(column)]).unwrap();
        Ok(Outcome::Batch(batch, Position("1".to_owned())))
    }
}

#[derive(Debug)]
struct LedgerSink(Arc<Outside>);

#[async_trait]
impl Sink for LedgerSink {
    async fn check(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn open(&self, id: WriterId, _schema: SchemaRef) -> Result<Box<dyn Writer>, Failure> {
        let failure = self.0.change(|ledger| {
            *ledger.opened.entry(id.partition).or_default() += 1;
            ledger.open_failures.pop()
        });
        match failure {
            Some(code) => Err(Failure::new(code, "as ordered")),
            None => Ok(Box::new(LedgerWriter { outside: Arc::clone(&self.0), id, rows: Vec::new() })),
        }
    }

    async fn commit(&self, job: JobId, _epoch: u64, _schema: SchemaRef, tokens: &[Token]) -> Result<Receipt, Failure> {
        let failure = self.0.change(|ledger| {
            ledger.n_commits += 1;
            if let Some(code) = ledger.commit_failures.pop() {
                return Some(code);
            }
            let mut rows: Vec<i64> = tokens.iter().flat_map(|token| ledger.prepared[&(job, token.0.parse().unwrap())].clone()).collect();
            rows.sort_unstable();
            ledger.visible.insert(job, rows);
            ledger.committed.push(job);
            None
        });
        if let Some(code) = failure {
            return Err(Failure::new(code, "as ordered"));
        }
        // The effect is there; whether the server hears of it is another matter.
        self.0.commits.subscribe().wait_for(|may| *may).await.unwrap();
        let rows = self.0.ledger.lock().visible[&job].len() as u64;
        Ok(Receipt { rows, bytes: 8 * rows, outputs: vec!["ledger".to_owned()] })
    }

    async fn abort(&self, job: JobId, _epoch: u64, _tokens: &[Token]) -> Result<(), Failure> {
        let failure = self.0.change(|ledger| ledger.abort_failures.pop());
        if let Some(code) = failure {
            return Err(Failure::new(code, "as ordered"));
        }
        let gate = self.0.change(|ledger| {
            ledger.prepared.retain(|(owner, _), _| *owner != job);
            ledger.aborted.push(job);
            ledger.gate_at_abort.take()
        });
        if let Some(gate) = gate {
            self.0.gate.send_replace(gate);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct LedgerWriter {
    outside: Arc<Outside>,
    id: WriterId,
    rows: Vec<i64>,
}

#[async_trait]
impl Writer for LedgerWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        match batch.column(0).as_any().downcast_ref::<Int64Array>() {
            Some(column) => self.rows.extend(column.values()),
            // The ledger knows tenths, so that a fraction can be told from a whole number.
            None => {
                let column = batch.column(0).as_any().downcast_ref::<Float64Array>().unwrap();
                self.rows.extend(column.values().iter().map(|value| (value * 10.0) as i64));
            }
        }
        Ok(())
    }

    async fn prepare(self: Box<Self>) -> Result<Token, Failure> {
        let Self { outside, id, rows } = *self;
        outside.change(|ledger| ledger.prepared.insert((id.job, id.partition), rows));
        Ok(Token(id.partition.to_string()))
    }
}
