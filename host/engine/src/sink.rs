//! Where a job's rows go: kept as its result, a dataset, files below a root, or a connector. All are two-phase.

pub(crate) mod collect;
pub(crate) mod dataset;
pub(crate) mod description;
mod file;
mod network;
pub(crate) mod part;
mod staging;

use crate::Catalog;
use crate::files::Files;
use crate::guests;
use crate::relation::{Applied, PlanContext};
use azora_connect::{Connector as _, Half, Registry, Sink};
use azora_spec::{DatasetName, Failure, FileFormat};
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
    /// The sink that a job names.
    pub(crate) async fn target(&self, sink: &azora_spec::Sink, applied: &Applied) -> Result<Target, Failure> {
        match sink {
            azora_spec::Sink::Collect => {
                let sink = Arc::new(collect::CollectSink::new(Arc::clone(self.files)));
                Ok(Target { sink, kind: Kind::Collect, dataset: None, is_single: false })
            }
            azora_spec::Sink::Dataset { name, mode } => {
                let sink = dataset::DatasetSink::new(Arc::clone(self.files), Arc::clone(self.catalog), name.clone(), *mode);
                let kind = Kind::Files(format!("dataset:{name}"));
                Ok(Target { sink: Arc::new(sink), kind, dataset: Some(name.clone()), is_single: false })
            }
            azora_spec::Sink::File { path, format, compression, mode } => {
                let sink = file::FileSink::new(Arc::clone(self.files), path, *format, compression.as_deref(), *mode)?;
                file::check_schema(*format, &applied.relation.schema)?;
                let is_single = sink.is_single();
                Ok(Target { sink: Arc::new(sink), kind: Kind::Files(path.clone()), dataset: None, is_single })
            }
            azora_spec::Sink::Connector { connector, config } => {
                let sink = if connector == guests::PLUGIN {
                    let (guest, config) = self.guests.guest(Half::Sink, config).await?;
                    guest.sink(&config).await.map_err(guests::inside)?
                } else {
                    self.registry.get(connector)?.sink(config).await?
                };
                let sink = network::NetworkSink::new(sink, tokio::runtime::Handle::current());
                Ok(Target { sink: Arc::new(sink), kind: Kind::Connector(connector.clone()), dataset: None, is_single: false })
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
    }
}

/// Runs work that waits for a disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(crate::Error::Panicked.into()))
}

#[cfg(test)]
mod tests;
