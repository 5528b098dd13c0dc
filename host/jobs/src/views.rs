//! What callers of [`crate::Handle`] see: plain structs, made on request. How they look as JSON is decided in `azora-api`.

pub use azora_spec::wire::{ContextRequest, IngestRequest, TryRequest};
use azora_spec::{DatasetName, Digest, Failure, Grants, JobId, JobSpec, JobState, PluginName};
use serde_json::Value;

/// A job to be recorded and run.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The validated job.
    pub spec: JobSpec,
    /// The JSON that [`crate::Options::decode`] turns into `spec` again after a restart. Recorded as it is.
    pub request: Value,
    /// Makes a repeated request answer with the first job in place of a second one.
    pub idempotency: Option<Idempotency>,
}

/// The key of a request that may be repeated safely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// As the caller chose it, at most `limits::IDEMPOTENCY_KEY_BYTES_MAX` bytes.
    pub key: String,
    /// SHA-256 of the request's body.
    pub body_digest: Digest,
}

/// The answer to a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// The job.
    pub id: JobId,
    /// Whether an earlier request with the same key made it.
    pub is_replay: bool,
}

/// A job that was waited for and succeeded.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The job.
    pub id: JobId,
    /// Its last state.
    pub view: JobView,
    /// What it answers; for a job with a sink, what was written.
    pub result: Option<azora_engine::JobResult>,
}

/// One job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// Its name for people.
    pub name: Option<String>,
    /// Where it is in its life.
    pub state: JobState,
    /// Runs that began so far, recoveries and retries included.
    pub attempts: u32,
    /// When it was accepted, in milliseconds since 1970.
    pub accepted_at_ms: u64,
    /// When its plan was fixed.
    pub planned_at_ms: Option<u64>,
    /// When it began to run, the last time.
    pub started_at_ms: Option<u64>,
    /// When it ended.
    pub ended_at_ms: Option<u64>,
    /// Whether somebody asked to cancel it.
    pub is_cancel_requested: bool,
    /// Output partitions, where its plan is known.
    pub partitions: Option<usize>,
    /// Output partitions whose rows are durable.
    pub partitions_prepared: usize,
    /// How its lambdas run, where its plan is known; not in lists.
    pub lambdas: Vec<azora_engine::LambdaUse>,
    /// What lambdas mean and were probably not meant to, where its plan is known, and once it has ended what went wrong
    /// beside it; not in lists.
    pub warnings: Vec<azora_engine::Warning>,
    /// Progress by stage; of an ended job, the last state of it.
    pub stages: Vec<StageView>,
    /// Rows and records that were left out, by reason; in lists, those of living jobs only.
    pub refused: Vec<azora_engine::Refused>,
    /// The dataset that keeps them, where they are kept.
    pub dead_letters: Option<DatasetName>,
    /// Why it failed or was cancelled.
    pub failure: Option<Failure>,
    /// What it wrote, where it succeeded.
    pub output: Option<OutputView>,
    /// Whether a result can be fetched.
    pub has_result: bool,
}

/// One stage's progress: totals over its partitions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StageView {
    /// Its number.
    pub stage: usize,
    /// What it does, for people.
    pub name: String,
    /// Partitions that reported so far.
    pub partitions: usize,
    /// Partitions that finished.
    pub partitions_done: usize,
    /// Rows read.
    pub rows_in: u64,
    /// Rows given on.
    pub rows_out: u64,
    /// Bytes given on.
    pub bytes: u64,
    /// Time spent inside guests, in nanoseconds, all partitions together.
    pub guest_ns: u64,
    /// Calls of guests that failed and were tried again with fewer rows.
    pub traps: u64,
    /// Rows that were left out because a function failed on them.
    pub skipped: u64,
    /// The partitions, the first [`crate::PARTITIONS_SHOWN_MAX`] of them.
    pub partition_views: Vec<PartitionView>,
}

/// One partition's progress in a stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionView {
    /// Its number.
    pub partition: usize,
    /// Whether it finished.
    pub is_done: bool,
    /// Rows read.
    pub rows_in: u64,
    /// Rows given on.
    pub rows_out: u64,
    /// Bytes given on.
    pub bytes: u64,
    /// Time spent inside guests, in nanoseconds.
    pub guest_ns: u64,
    /// Calls of guests that failed and were tried again with fewer rows.
    pub traps: u64,
    /// Rows that were left out because a function failed on them.
    pub skipped: u64,
}

/// What a job wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutputView {
    /// Rows.
    pub rows: u64,
    /// Bytes, where they are known.
    pub bytes: u64,
    /// Names of what was made, for people.
    pub outputs: Vec<String>,
}

/// Which jobs to list. Newest first.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Most jobs in the page; 0 means `limits::PAGE_ROWS_DEFAULT`, and `limits::PAGE_ROWS_MAX` is the most.
    pub limit: usize,
    /// [`Page::next`] of the page before.
    pub cursor: Option<String>,
    /// Only jobs in this state.
    pub state: Option<JobState>,
}

/// A page of jobs. Stages are left out of listed jobs.
#[derive(Debug, Clone)]
pub struct Page {
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// The cursor of the next page, where there is one.
    pub next: Option<String>,
}

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEvent {
    /// Counts up within a job, with gaps after a restart.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What: `accepted`, `planned`, `running`, `progress`, `retry`, `succeeded`, `failed`, `cancelled`.
    pub kind: &'static str,
    /// The details.
    pub data: Value,
}

impl JobEvent {
    /// Whether no event follows it.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(self.kind, "succeeded" | "failed" | "cancelled")
    }
}

/// One uploaded plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginView {
    /// Its name.
    pub name: PluginName,
    /// Its version.
    pub version: semver::Version,
    /// Hash of its bytes.
    pub digest: Digest,
    /// Size of its bytes.
    pub bytes: u64,
    /// What it says of itself.
    pub doc: String,
    /// Its functions.
    pub functions: Vec<FunctionView>,
    /// Its connectors.
    pub connectors: Vec<PluginConnectorView>,
    /// Capabilities that it asks for.
    pub capabilities: Vec<String>,
    /// What the component imports.
    pub imports: Vec<String>,
    /// What the component exports.
    pub exports: Vec<String>,
    /// What the operator granted its connectors.
    pub grants: Grants,
    /// When it was uploaded, in milliseconds since 1970.
    pub uploaded_at_ms: u64,
    /// Whether these bytes were here before this upload.
    pub is_known: bool,
}

/// One connector of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginConnectorView {
    /// Its name.
    pub name: String,
    /// Whether rows come from it; they go to it otherwise.
    pub is_source: bool,
    /// What it does.
    pub doc: String,
    /// JSON Schema of its configuration; none where it takes none.
    pub config_schema: Option<Value>,
}

/// One function of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionView {
    /// Its name.
    pub name: String,
    /// `map`, `filter`, `flat-map`, `map-partitions`, ….
    pub kind: String,
    /// What it does.
    pub doc: String,
    /// Its arguments.
    pub params: Vec<ColumnView>,
    /// The columns that it answers.
    pub output: Vec<ColumnView>,
    /// JSON Schema of its configuration.
    pub config_schema: Option<Value>,
}

/// One column of a signature or a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnView {
    /// Its name.
    pub name: String,
    /// Its Arrow type, in Arrow's own words.
    pub data_type: String,
    /// Whether nulls may occur.
    pub is_nullable: bool,
}

/// A stored dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetView {
    /// Its name.
    pub name: DatasetName,
    /// Rows.
    pub rows: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// How many files hold it.
    pub files: usize,
    /// The name of its newest version.
    pub version: String,
    /// When its newest version was committed, in milliseconds since 1970.
    pub committed_at_ms: u64,
    /// The job that committed it.
    pub job: JobId,
    /// Whether it is the one that jobs without input read.
    pub is_last: bool,
    /// When it ends, in milliseconds since 1970; never where absent.
    pub expires_at_ms: Option<u64>,
}

/// An open context: the nine fields resolved, and what they came to.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextView {
    /// A name for people.
    pub app_name: String,
    /// As it was asked for.
    pub master: String,
    /// As it was asked for.
    pub executor_memory: String,
    /// As it was asked for.
    pub executor_cores: u32,
    /// As it was asked for.
    pub num_executors: u32,
    /// Partitions of a job that does not ask for its own number.
    pub default_parallelism: u32,
    /// As it was asked for.
    pub ingestion_engines: Vec<String>,
    /// As it was asked for.
    pub enable_streaming: bool,
    /// As it was asked for.
    pub enable_ml: bool,
    /// Executors that `/cluster/status` counts.
    pub executors: usize,
    /// `executor_memory` in bytes.
    pub memory_bytes: usize,
}

/// What an ingest made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestView {
    /// The dataset.
    pub dataset: DatasetName,
    /// Where the rows came from, for example `file://events.csv`.
    pub source: String,
    /// Rows.
    pub rows: u64,
    /// Partitions as asked for.
    pub partitions: usize,
    /// When it was committed, in milliseconds since 1970.
    pub at_ms: u64,
    /// The job that did it.
    pub job: JobId,
}

/// How the service is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthView {
    /// Whether it is shutting down.
    pub is_draining: bool,
    /// Whether the disk is full: reads and running jobs go on, new jobs are refused.
    pub is_storage_full: bool,
    /// Jobs that wait for a runner.
    pub queued: usize,
    /// Jobs that run.
    pub running: usize,
}
