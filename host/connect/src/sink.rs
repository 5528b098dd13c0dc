//! The writing half of a connector, in two phases: nothing is visible before `commit`.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use azora_spec::{Failure, JobId};
use std::fmt::Debug;

/// Who writes. A restart gives the same job, partition and epoch, and a higher attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterId {
    /// The job.
    pub job: JobId,
    /// The partition of its last stage.
    pub partition: usize,
    /// 0 for the first try.
    pub attempt: u32,
    /// The micro-batch of a stream; 0 for a job.
    pub epoch: u64,
}

/// Names what one writer prepared. Opaque, at most 64 KiB, without secrets: it is stored with the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token(pub String);

/// What a commit made visible.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Rows.
    pub rows: u64,
    /// Bytes, where they are known.
    pub bytes: u64,
    /// What was made, for people: paths, topics.
    pub outputs: Vec<String>,
}

/// Where rows go.
#[async_trait]
pub trait Sink: Debug + Send + Sync {
    /// Checks the target before the job is accepted, for example that it does not exist yet.
    async fn check(&self) -> Result<(), Failure>;

    /// Refuses rows of a schema that the target cannot hold, before the job is accepted.
    ///
    /// # Errors
    /// The failure that names what does not fit.
    fn fits(&self, schema: &SchemaRef) -> Result<(), Failure> {
        let _ = schema;
        Ok(())
    }

    /// Columns by which the rows of every partition come sorted.
    fn sorted_by(&self) -> &[String] {
        &[]
    }

    /// Whether a target that [`Self::check`] finds there already is no fault: nothing is written then.
    fn leaves_what_is_there(&self) -> bool {
        false
    }

    /// Starts one partition.
    async fn open(&self, id: WriterId, schema: SchemaRef) -> Result<Box<dyn Writer>, Failure>;

    /// Makes all of it visible, in one step where the target can. Called again after a crash with the same tokens, and
    /// must then end in the same state.
    async fn commit(&self, job: JobId, epoch: u64, schema: SchemaRef, tokens: &[Token]) -> Result<Receipt, Failure>;

    /// Removes what was prepared, and what crashed writers of the job left. May be called again.
    async fn abort(&self, job: JobId, epoch: u64, tokens: &[Token]) -> Result<(), Failure>;
}

/// One partition being written. Dropping it leaves nothing that `abort` does not find.
#[async_trait]
pub trait Writer: Debug + Send {
    /// Takes rows of the schema.
    async fn write(&mut self, batch: RecordBatch) -> Result<(), Failure>;

    /// Makes the rows durable, still invisible.
    async fn prepare(self: Box<Self>) -> Result<Token, Failure>;
}
