//! A function bound to a schema, and the instances that run it.

use crate::{CancelFlag, Error, Result};
use arrow::array::{RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::SchemaRef;

/// A function bound to an input schema and a configuration. Clones are cheap; any number of instances may run.
#[derive(Debug, Clone)]
pub struct Transform {
    plan: std::sync::Arc<Plan>,
}

impl Transform {
    /// What binding decided.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// A fresh instance for one partition.
    ///
    /// # Errors
    /// When the guest fails to start, or all instances are in use.
    pub fn start(&self) -> Result<Instance> {
        self.start_with(CancelFlag::new())
    }

    /// A fresh instance for one partition that stops when the flag is set.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(&self, _cancel: CancelFlag) -> Result<Instance> {
        Err(Error::Cancelled)
    }
}

/// What a function does with columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The columns after the function: passed and made, in order.
    pub output: SchemaRef,
    /// The columns that the guest makes.
    pub made: SchemaRef,
    /// Where each output column comes from.
    pub columns: Vec<Column>,
    /// Indices of the input columns that the guest gets, in order.
    pub needs: Vec<usize>,
    /// Rows per call that the guest likes best; 0 for no wish.
    pub batch_rows: usize,
}

/// Where an output column comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// Index into the made columns.
    Made(usize),
    /// Index of an input column, and the name it gets.
    Passed {
        /// The input column.
        input: usize,
        /// Its name in the output.
        name: String,
    },
}

impl Plan {
    /// Puts the made columns and the input's passed columns together.
    ///
    /// # Errors
    /// When `processed` does not belong to `input`.
    pub fn assemble(&self, _input: &RecordBatch, _processed: Processed) -> Result<RecordBatch> {
        Err(Error::Cancelled)
    }
}

/// What one call made.
#[derive(Debug, Clone)]
pub struct Processed {
    /// The made columns.
    pub made: RecordBatch,
    /// Which input rows they belong to.
    pub kept: Kept,
}

/// Which input rows the output rows come from.
#[derive(Debug, Clone)]
pub enum Kept {
    /// Row i from row i.
    All,
    /// The rows whose bit is set.
    Bitmap(BooleanBuffer),
    /// For every output row the index of its input row.
    Indices(UInt32Array),
}

/// A living guest: the state of one partition. Calls block the thread and use the processor.
#[derive(Debug)]
pub struct Instance {}

impl Instance {
    /// Hands in the needed columns of one batch, in the plan's order.
    ///
    /// # Errors
    /// When the guest fails. The instance is unusable then.
    pub fn process(&mut self, _needed: &RecordBatch) -> Result<Processed> {
        Err(Error::Cancelled)
    }

    /// Ends the partition and gives the rows that were held back.
    ///
    /// # Errors
    /// As [`Self::process`].
    pub fn finish(&mut self) -> Result<Option<RecordBatch>> {
        Err(Error::Cancelled)
    }

    /// What the instance used so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// What the guest logged, oldest first, within its bound.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        &[]
    }
}

/// What an instance used since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls of `process` and `finish`.
    pub calls: u64,
    /// Rows handed in.
    pub rows_in: u64,
    /// Rows made.
    pub rows_out: u64,
    /// Bytes handed in.
    pub bytes_in: u64,
    /// Bytes taken out.
    pub bytes_out: u64,
    /// Wall time inside the guest, copies included.
    pub guest_ns: u64,
    /// Linear memory now.
    pub memory_bytes: usize,
    /// Log lines that were dropped for their bound.
    pub log_lines_dropped: u64,
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Every step.
    Trace,
    /// For the author.
    Debug,
    /// For the operator.
    Info,
    /// Something is odd.
    Warn,
    /// Something failed.
    Error,
}

/// One line that a guest logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// Its text, sanitised.
    pub text: String,
}
