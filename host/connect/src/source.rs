//! The reading half of a connector: plan splits once, then read each from a position.

use crate::{Condition, Rejects};
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use azora_spec::Failure;
use std::fmt::Debug;
use std::time::Duration;

/// A part of a source that one partition reads. Opaque, at most 64 KiB, without secrets: it is stored with the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Only the connector understands it.
    pub payload: String,
    /// An estimate for progress.
    pub rows: Option<u64>,
}

/// A place in a split, just behind the rows read so far. Opaque, at most 64 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position(pub String);

/// How a reader should read.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// Indices of the columns to read, in order; all where absent.
    pub projection: Option<Vec<usize>>,
    /// Rows for which one of these is not true may be left out; they need not be. Positions belong to a request: what is
    /// read on from one is read with the same conditions.
    pub conditions: Vec<Condition>,
    /// Most rows in a batch.
    pub batch_rows: usize,
    /// Most bytes in a batch, where one row is not more already.
    pub batch_bytes: usize,
    /// Where records go that are no rows.
    pub rejects: Rejects,
}

impl ReadRequest {
    /// All columns, in batches of at most so many rows and about so many bytes; a bad record fails.
    #[must_use]
    pub fn new(batch_rows: usize, batch_bytes: usize) -> Self {
        Self { projection: None, conditions: Vec::new(), batch_rows, batch_bytes, rejects: Rejects::default() }
    }
}

/// How many rows of a batch, from one on, are at most so many rows and about so many bytes; at least one where there is one.
#[must_use]
pub fn rows_within(batch: &RecordBatch, from: usize, rows_max: usize, bytes_max: usize) -> usize {
    let bytes = |rows: usize| -> usize {
        let slice = batch.slice(from, rows);
        slice.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(usize::MAX)).fold(0, usize::saturating_add)
    };
    let mut rows = batch.num_rows().saturating_sub(from).min(rows_max.max(1));
    while rows > 1 && bytes(rows) > bytes_max {
        rows /= 2;
    }
    rows
}

/// What one read gave.
#[derive(Debug)]
pub enum Outcome {
    /// Rows, and the position behind them.
    Batch(RecordBatch, Position),
    /// Nothing for now. Only unbounded sources answer it.
    Idle(Duration),
    /// The split is read.
    End,
}

/// Where rows come from. Splits of a plan cover every row exactly once, and a split read again from the same position
/// gives the same rows in the same order.
#[async_trait]
pub trait Source: Debug + Send + Sync {
    /// The columns, before any projection.
    fn schema(&self) -> SchemaRef;

    /// Whether the source ends.
    fn is_bounded(&self) -> bool {
        true
    }

    /// Whether its readers use conditions.
    fn takes_conditions(&self) -> bool {
        false
    }

    /// Cuts the source into about `parallelism` splits.
    async fn plan(&self, parallelism: usize) -> Result<Vec<Split>, Failure>;

    /// Starts reading a split, from its beginning where there is no position.
    async fn open(&self, split: &Split, position: Option<&Position>, request: ReadRequest) -> Result<Box<dyn Reader>, Failure>;
}

/// One split being read. Dropping it stops the reading.
#[async_trait]
pub trait Reader: Debug + Send {
    /// The next rows.
    async fn read(&mut self) -> Result<Outcome, Failure>;
}
