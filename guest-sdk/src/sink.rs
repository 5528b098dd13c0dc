//! Sinks: where rows go, in two phases. How they cross to the host is in `connector.rs`.

use crate::bindings::azora::plugin::batch_types as wire;
use crate::config::{self, Config};
use crate::failure::{Failure, Result};
use crate::records::Records;
use crate::schema::Schema;

/// A place for rows. Nothing that `write` and `prepare` do may be visible before `commit`, which gets the tokens of all
/// partitions, in an instance of its own, perhaps after a crash, and perhaps twice: then it must do nothing new.
pub trait Sink: Sized + 'static {
    /// The name in jobs.
    const NAME: &'static str;
    /// Markdown.
    const DOC: &'static str = "";
    /// What a job says once. Derive it.
    type Config: Config;

    /// Starts one partition with rows of these columns.
    ///
    /// # Errors
    /// What is wrong with the configuration, the columns, or the place.
    fn open(config: Self::Config, input: &Schema, writer: Writer) -> Result<Self>;

    /// Takes rows.
    ///
    /// # Errors
    /// What keeps them from being taken.
    fn write(&mut self, records: &Records<'_>) -> Result<()>;

    /// Makes durable what was written, and names it: at most 64 KiB, and no secret, because it is stored with the job.
    ///
    /// # Errors
    /// What keeps it from being durable.
    fn prepare(self) -> Result<String>;

    /// Makes visible what was prepared.
    ///
    /// # Errors
    /// What keeps it invisible. After [`Failure::retryable`] it is called again.
    fn commit(config: &Self::Config, tokens: &[String]) -> Result<()>;

    /// Removes what was prepared. Called with the tokens of all partitions that have one, perhaps twice.
    ///
    /// # Errors
    /// What keeps it there.
    fn abort(config: &Self::Config, tokens: &[String]) -> Result<()>;
}

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The job, the same after a restart: names what is written.
    pub job: String,
    /// The partition, from 0.
    pub partition: u32,
    /// 0 for the first try of a partition.
    pub attempt: u32,
    /// The micro-batch of a stream; 0 for a job.
    pub epoch: u64,
}

/// A sink that is open.
pub struct OpenedSink {
    schema: Schema,
    sink: Option<Box<dyn Write>>,
}

impl std::fmt::Debug for OpenedSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedSink").field("schema", &self.schema).finish_non_exhaustive()
    }
}

trait Write {
    fn write(&mut self, records: &Records<'_>) -> Result<()>;
    fn prepare(self: Box<Self>) -> Result<String>;
}

struct Writing<S>(S);

impl<S: Sink> Write for Writing<S> {
    fn write(&mut self, records: &Records<'_>) -> Result<()> {
        self.0.write(records)
    }

    fn prepare(self: Box<Self>) -> Result<String> {
        self.0.prepare()
    }
}

impl OpenedSink {
    pub(crate) fn write(&mut self, batch: &wire::RecordBatch) -> Result<()> {
        let sink = self.sink.as_mut().ok_or_else(prepared)?;
        sink.write(&Records::new(batch, &self.schema)?)
    }

    pub(crate) fn prepare(&mut self) -> Result<String> {
        self.sink.take().ok_or_else(prepared)?.prepare()
    }
}

fn prepared() -> Failure {
    Failure::internal("called after prepare")
}

/// Opens a sink.
///
/// # Errors
/// The sink's.
pub fn open<S: Sink>(text: &str, schema: Schema, writer: Writer) -> Result<OpenedSink> {
    let sink = S::open(config::read(text)?, &schema, writer)?;
    Ok(OpenedSink { schema, sink: Some(Box::new(Writing(sink))) })
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It becomes visible.
    Commit,
    /// It goes away.
    Abort,
}

/// Ends a transaction of a sink.
///
/// # Errors
/// The sink's.
pub fn end<S: Sink>(text: &str, tokens: &[String], end: End) -> Result<()> {
    let config = config::read(text)?;
    match end {
        End::Commit => S::commit(&config, tokens),
        End::Abort => S::abort(&config, tokens),
    }
}
