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
    /// Rows that are left out, and how many may follow.
    pub(crate) window: Option<(u64, u64)>,
}

/// Rows of one partition.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Memory(Vec<RecordBatch>),
    /// A file and its rows.
    File(PathBuf, u64),
    /// All that a plan gives, run as it is read.
    Plan(crate::Planned),
}

impl JobResult {
    /// A result of rows at hand.
    #[must_use]
    pub fn of_batches(shape: Shape, schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let bytes = batches.iter().map(|batch| batch.get_array_memory_size() as u64).sum();
        Self { shape, schema, rows, bytes, parts: vec![Part::Memory(batches)], window: None }
    }

    /// Some of the rows: at most `limit` behind the first `from`. Whole parts before them are not read.
    #[must_use]
    pub fn page(&self, from: u64, limit: u64) -> Self {
        let mut page = self.clone();
        let (mut skipped, mut parts) = (from, std::mem::take(&mut page.parts).into_iter().peekable());
        while let Some(rows) = parts.peek().and_then(part_rows).filter(|rows| *rows <= skipped) {
            skipped -= rows;
            parts.next();
        }
        page.parts = parts.collect();
        page.rows = self.rows.saturating_sub(from).min(limit);
        page.window = Some((skipped, limit));
        page
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
        let all = stream::iter(parts).map(|part| Ok::<_, Failure>(part_stream(part))).try_flatten();
        match self.window {
            None => all.boxed(),
            Some(window) => all.boxed().scan(window, |window, batch| futures::future::ready(cut(window, batch))).boxed(),
        }
    }
}

/// How many rows a part has, where that is known without reading it.
fn part_rows(part: &Part) -> Option<u64> {
    match part {
        Part::Memory(batches) => Some(batches.iter().map(|batch| batch.num_rows() as u64).sum()),
        Part::File(_, rows) => Some(*rows),
        Part::Plan(_) => None,
    }
}

/// What of a batch lies inside of a window, which moves on. None ends the stream.
fn cut(window: &mut (u64, u64), batch: Result<RecordBatch, Failure>) -> Option<Result<RecordBatch, Failure>> {
    let (skip, left) = window;
    if *left == 0 {
        return None;
    }
    Some(batch.map(|batch| {
        let rows = batch.num_rows() as u64;
        let from = rows.min(*skip);
        let taken = (rows - from).min(*left);
        (*skip, *left) = (*skip - from, *left - taken);
        // Both are at most the number of rows.
        batch.slice(usize::try_from(from).unwrap_or_default(), usize::try_from(taken).unwrap_or_default())
    }))
}

fn part_stream(part: Part) -> BoxStream<'static, Result<RecordBatch, Failure>> {
    match part {
        Part::Memory(batches) => stream::iter(batches.into_iter().map(Ok)).boxed(),
        Part::File(path, _) => crate::sink::collect::read(path),
        Part::Plan(planned) => crate::reading::rows(planned),
    }
}
