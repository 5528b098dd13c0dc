//! Where a job's rows go: kept as its result, a dataset, files below a root, or a connector. All are two-phase.

mod append;
pub(crate) mod collect;
pub(crate) mod dataset;
pub(crate) mod description;
mod file;
pub(crate) mod folders;
mod left;
mod network;
pub(crate) mod part;
mod staging;

use crate::Catalog;
use crate::files::Files;
use crate::guests;
use crate::input::wanting;
use crate::relation::{Applied, PlanContext};
use azora_connect::{Connector as _, Half, Registry, Sink};
use azora_spec::{Code, DatasetName, Failure, FileFormat, WriteMode};
use std::sync::Arc;

/// What sinks need of the engine.
#[derive(Debug)]
pub(crate) struct Sinks<'a> {
    pub(crate) files: &'a Arc<Files>,
    pub(crate) registry: &'a Registry,
    pub(crate) catalog: &'a Arc<dyn Catalog>,
    /// Where connectors of plugins come from.
    pub(crate) guests: &'a PlanContext,
}

/// A sink and what the engine has to know about it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) kind: Kind,
    /// The dataset that it writes.
    pub(crate) dataset: Option<DatasetName>,
    /// Whether all rows go through one writer.
    pub(crate) is_single: bool,
    /// Columns by which every partition has to be sorted.
    pub(crate) sorted_by: Vec<String>,
    /// Whether a target that is there already is no fault, and stays as it is.
    pub(crate) may_be_left: bool,
}

impl Target {
    fn new(sink: Arc<dyn Sink>, kind: Kind) -> Self {
        Self { sink, kind, dataset: None, is_single: false, sorted_by: Vec::new(), may_be_left: false }
    }

    /// The same where nothing is to be written.
    pub(crate) fn left(self) -> Self {
        Self::new(Arc::new(left::LeftSink), self.kind)
    }
}

/// How an answer is made of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The rows themselves.
    Collect,
    /// What was written, and where.
    Files(String),
    /// Nothing is known of a connector's tokens.
    Connector(String),
}

impl Sinks<'_> {
    /// The rows with the columns of what they are appended to.
    pub(crate) fn fitted(&self, sink: &azora_spec::Sink, applied: Applied) -> Result<Applied, Failure> {
        let azora_spec::Sink::Dataset { name, mode: WriteMode::Append, .. } = sink else { return Ok(applied) };
        match self.catalog.dataset(name) {
            Ok(entry) => append::fitted(applied, name, &*crate::input::dataset_schema(self.files, &entry)?),
            Err(failure) if failure.code == Code::DatasetUnknown => Ok(applied),
            Err(failure) => Err(failure),
        }
    }

    /// The sink that a job names.
    pub(crate) async fn target(&self, sink: &azora_spec::Sink, applied: &Applied) -> Result<Target, Failure> {
        match sink {
            azora_spec::Sink::Collect => {
                let sink = Arc::new(collect::CollectSink::new(Arc::clone(self.files)));
                Ok(Target::new(sink, Kind::Collect))
            }
            azora_spec::Sink::Dataset { name, mode, ttl: _ } => {
                let sink = dataset::DatasetSink::new(Arc::clone(self.files), Arc::clone(self.catalog), name.clone(), *mode);
                let kind = Kind::Files(format!("dataset:{name}"));
                let may_be_left = *mode == WriteMode::Ignore;
                Ok(Target { dataset: Some(name.clone()), may_be_left, ..Target::new(Arc::new(sink), kind) })
            }
            azora_spec::Sink::File { path, format, compression, mode, partition_by } => {
                let sink = file::FileSink::new(Arc::clone(self.files), path, *format, compression.as_deref(), *mode)?;
                let sink = sink.parted(partition_by, &applied.relation.schema)?;
                file::check_schema(*format, &applied.relation.schema)?;
                let is_single = sink.is_single();
                let (sorted_by, may_be_left) = (partition_by.clone(), *mode == WriteMode::Ignore);
                Ok(Target { is_single, sorted_by, may_be_left, ..Target::new(Arc::new(sink), Kind::Files(path.clone())) })
            }
            azora_spec::Sink::Connector { connector, config } => {
                let (sink, label) = if connector == guests::PLUGIN {
                    let (guest, config) = self.guests.guest(Half::Sink, config).await?;
                    (guest.sink(&config).await.map_err(guests::inside_config)?, String::new())
                } else {
                    let found = self.registry.get(connector)?;
                    let label = found.label(config);
                    (found.sink(config).await.map_err(|failure| wanting(failure, &label))?, label)
                };
                sink.fits(&applied.relation.schema)?;
                let (sorted_by, may_be_left) = (sink.sorted_by().to_vec(), sink.leaves_what_is_there());
                let sink = network::NetworkSink::new(sink, label, tokio::runtime::Handle::current());
                Ok(Target { sorted_by, may_be_left, ..Target::new(Arc::new(sink), Kind::Connector(connector.clone())) })
            }
        }
    }
}

/// The usual ending of a file of a format.
pub(crate) const fn extension(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Json => "json",
        FileFormat::Ndjson => "ndjson",
        FileFormat::Csv => "csv",
        FileFormat::Text => "txt",
        FileFormat::Parquet => "parquet",
        FileFormat::Arrow => "arrow",
        FileFormat::Avro => "avro",
    }
}

/// Runs work that waits for a disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(crate::Error::Panicked.into()))
}

#[cfg(test)]
mod tests;
