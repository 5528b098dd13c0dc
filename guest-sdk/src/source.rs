//! Sources: where rows come from. How they cross to the host is in `connector.rs`.

use crate::bindings::azora::plugin::batch_types as wire;
use crate::config::{self, Config};
use crate::failure::Result;
use crate::schema::Schema;
use crate::write::{Parts, Write, finish_result, result_schema};
use std::time::Duration;

/// A source of rows. The host plans once, and reads every split in an instance of its own, from the position that the
/// last rows came with; after a crash, or a [`Failure::retryable`](crate::Failure::retryable), from there again.
///
/// A split read again from the same position must give the same rows in the same order.
pub trait Source: Sized + 'static {
    /// The name in jobs.
    const NAME: &'static str;
    /// Markdown.
    const DOC: &'static str = "";
    /// What a job says once. Derive it.
    type Config: Config;
    /// A row. Derive it, or use a type that a function could return.
    type Row: Write;

    /// Cuts what there is into about `parallelism` splits, or fewer. May be called more than once.
    ///
    /// # Errors
    /// What is wrong with the configuration, or with the place that it names.
    fn plan(config: &Self::Config, parallelism: usize) -> Result<Vec<Split>>;

    /// Starts to read a split: behind the position where there is one, else from its beginning.
    ///
    /// # Errors
    /// What keeps it from being read.
    fn open(config: Self::Config, split: &str, position: Option<&str>) -> Result<Self>;

    /// The next rows.
    ///
    /// # Errors
    /// What keeps them from being read.
    fn read(&mut self, wanted: Wanted) -> Result<Next<Self::Row>>;
}

/// A part of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    pub(crate) payload: String,
    pub(crate) rows: Option<u64>,
}

impl Split {
    /// A split that only the source understands: at most 64 KiB, and no secret, because it is stored with the job.
    pub fn new(payload: impl Into<String>) -> Self {
        Self { payload: payload.into(), rows: None }
    }

    /// The same with an estimate of its rows, for progress and for an even share of the work.
    #[must_use]
    pub fn rows(mut self, rows: u64) -> Self {
        self.rows = Some(rows);
        self
    }
}

/// How much one read may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Most rows; more are refused.
    pub rows: usize,
    /// About how many bytes.
    pub bytes: u64,
}

/// What a read gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<T> {
    /// Rows, and the position just behind them: at most 64 KiB, and no secret.
    Rows(Vec<T>, String),
    /// Nothing for now; ask again after so long. Only for sources that have no end.
    Idle(Duration),
    /// There are no more rows.
    End,
}

/// A source that is open.
pub struct OpenedSource(Box<dyn Read>);

impl std::fmt::Debug for OpenedSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedSource").finish_non_exhaustive()
    }
}

trait Read {
    fn read(&mut self, wanted: Wanted) -> Result<Next<()>, crate::Failure>;
    fn take(&mut self) -> wire::RecordBatch;
}

struct Reading<S: Source> {
    source: S,
    batch: Option<wire::RecordBatch>,
}

impl<S: Source> Read for Reading<S> {
    fn read(&mut self, wanted: Wanted) -> Result<Next<()>> {
        Ok(match self.source.read(wanted)? {
            Next::Rows(rows, position) => {
                self.batch = Some(batch(rows));
                Next::Rows(Vec::new(), position)
            }
            Next::Idle(wait) => Next::Idle(wait),
            Next::End => Next::End,
        })
    }

    fn take(&mut self) -> wire::RecordBatch {
        self.batch.take().unwrap_or_else(|| Parts::default().batch(0))
    }
}

fn batch<T: Write>(rows: Vec<T>) -> wire::RecordBatch {
    let count = rows.len();
    let mut builder = T::builder(count);
    rows.into_iter().for_each(|row| row.append(&mut builder));
    let mut parts = Parts::default();
    finish_result::<T>(builder, false, &mut parts);
    parts.batch(count)
}

impl OpenedSource {
    pub(crate) fn read(&mut self, wanted: Wanted) -> Result<Next<wire::RecordBatch>> {
        Ok(match self.0.read(wanted)? {
            Next::Rows(_, position) => Next::Rows(vec![self.0.take()], position),
            Next::Idle(wait) => Next::Idle(wait),
            Next::End => Next::End,
        })
    }
}

/// The columns of a source's rows, and its splits.
///
/// # Errors
/// The source's.
pub fn plan<S: Source>(text: &str, parallelism: usize) -> Result<(Schema, Vec<Split>)> {
    let splits = S::plan(&config::read(text)?, parallelism)?;
    Ok((result_schema::<S::Row>(false), splits))
}

/// Opens a source.
///
/// # Errors
/// The source's.
pub fn open<S: Source>(text: &str, split: &str, position: Option<&str>) -> Result<OpenedSource> {
    let source = S::open(config::read(text)?, split, position)?;
    Ok(OpenedSource(Box::new(Reading { source, batch: None })))
}
