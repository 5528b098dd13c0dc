//! The answer of a job: rows and the shape they take.

use crate::Shape;
use azora_spec::Failure;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use std::path::PathBuf;

/// The answer of a job. Rows come from the job's tokens and from files; they may be read any number of times.
#[derive(Debug, Clone)]
pub struct JobResult {
    /// How rows become the answer.
    pub shape: Shape,
    /// Columns, with the element conventions of `azora-connect`.
    pub schema: SchemaRef,
    /// Rows.
    pub rows: u64,
    /// Bytes as Arrow IPC.
    pub bytes: u64,
    pub(crate) parts: Vec<Part>,
}

/// Rows of one partition.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Memory(Vec<RecordBatch>),
    File(PathBuf),
    /// All that a plan gives, run as it is read.
    Plan(crate::Planned),
}

impl JobResult {
    /// A result of rows at hand.
    #[must_use]
    pub fn of_batches(shape: Shape, schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let bytes = batches.iter().map(|batch| batch.get_array_memory_size() as u64).sum();
        Self { shape, schema, rows, bytes, parts: vec![Part::Memory(batches)] }
    }

    /// Name, type and nullability of each column, for people.
    #[must_use]
    pub fn columns(&self) -> Vec<(String, String, bool)> {
        self.schema.fields().iter().map(|field| (field.name().clone(), field.data_type().to_string(), field.is_nullable())).collect()
    }

    /// The rows in their order. Files are read as the stream is polled, one batch at a time.
    #[must_use]
    pub fn batches(&self) -> BoxStream<'static, Result<RecordBatch, Failure>> {
        let parts = self.parts.clone();
        stream::iter(parts).map(|part| Ok::<_, Failure>(part_stream(part))).try_flatten().boxed()
    }
}

fn part_stream(part: Part) -> BoxStream<'static, Result<RecordBatch, Failure>> {
    match part {
        Part::Memory(batches) => stream::iter(batches.into_iter().map(Ok)).boxed(),
        Part::File(path) => crate::sink::collect::read(path),
        Part::Plan(planned) => crate::reading::rows(planned),
    }
}
