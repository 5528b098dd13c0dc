//! A job after validation. Built only by `wire`; whoever holds a [`JobSpec`] need not check it again.

use crate::limits::GuestLimits;
use crate::{DatasetName, FileFormat, Operation};
use serde_json::{Map, Value};
use std::time::Duration;

/// One request, validated: where rows come from, what happens to them, where they go.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSpec {
    /// A name for people.
    pub name: Option<String>,
    /// Where rows come from.
    pub input: Input,
    /// What happens to them, in order. An action (`count`, `reduce`, …) is always the last one.
    pub operations: Vec<Operation>,
    /// Where they go.
    pub sink: Sink,
    /// How the job runs.
    pub options: JobOptions,
}

/// Where a job's rows come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Rows in the request: JSON values of one type.
    Inline(Vec<Value>),
    /// A stored dataset.
    Dataset(DatasetName),
    /// The dataset that was written last in this context.
    LastDataset,
    /// A connector's rows. `file` is the engine's own; the others come from the registry.
    Source {
        /// The connector's name, for example `file`.
        connector: String,
        /// Its configuration, not checked here: the connector knows its fields.
        config: Map<String, Value>,
    },
}

/// Where a job's rows go.
#[derive(Debug, Clone, PartialEq)]
pub enum Sink {
    /// Kept as the job's result until it is fetched or expires.
    Collect,
    /// A named dataset.
    Dataset {
        /// Its name.
        name: DatasetName,
        /// What happens to rows that are there already.
        mode: WriteMode,
        /// How long it lives from its commit on. Where absent, an append leaves the end that was set before.
        ttl: Option<Duration>,
    },
    /// Files below a configured root.
    File {
        /// The directory to make, or, where it ends in the format's extension, the one file.
        path: String,
        /// Their format.
        format: FileFormat,
        /// Codec name (`snappy`, `zstd`, `gzip`, `bzip2`, `xz`, `none`); the format's usual one where absent.
        compression: Option<String>,
        /// What happens to files that are there already.
        mode: WriteMode,
        /// Columns whose values become folders, `city=Oslo/day=1/`, and are left out of the files. None: no folders.
        partition_by: Vec<String>,
    },
    /// A connector's sink.
    Connector {
        /// The connector's name.
        connector: String,
        /// Its configuration.
        config: Map<String, Value>,
    },
}

/// What a sink does with what is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// Refuse the job.
    ErrorIfExists,
    /// Replace it, in one step.
    Overwrite,
    /// Keep it and add to it.
    Append,
    /// Keep it and write nothing.
    Ignore,
}

impl WriteMode {
    /// The word used in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ErrorIfExists => "error",
            Self::Overwrite => "overwrite",
            Self::Append => "append",
            Self::Ignore => "ignore",
        }
    }
}

/// What happens to rows on which a function fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The job fails.
    Fail,
    /// The row is dropped and counted.
    Skip,
    /// The row goes to the dead-letter dataset with its reason.
    DeadLetter,
}

/// How a job runs.
#[derive(Debug, Clone, PartialEq)]
pub struct JobOptions {
    /// Partitions; the context's parallelism where absent.
    pub parallelism: Option<usize>,
    /// Longest run.
    pub time_max: Duration,
    /// Limits of every guest instance.
    pub guest: GuestLimits,
    /// What happens to poison rows.
    pub on_error: OnError,
    /// The dataset that keeps them, where they are kept; one named after the sink where absent.
    pub dead_letters: Option<DatasetName>,
    /// Whether its rows are only looked at: sources that remember what was read do not count them. Requests cannot say it.
    pub is_look: bool,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            parallelism: None,
            time_max: crate::limits::JOB_TIME_MAX,
            guest: GuestLimits::default(),
            on_error: OnError::Fail,
            dead_letters: None,
            is_look: false,
        }
    }
}
