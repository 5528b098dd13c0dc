//! Looking into datasets: their columns, what can be said of them, and their rows, read past any job.

use crate::error::Error;
use crate::plugins::columns;
use crate::shared::{Shared, blocking};
use crate::submit::{Incoming, Origin};
use crate::views::{ColumnView, DatasetView};
use azora_engine::{Catalog as _, JobResult};
use azora_spec::{DatasetName, Failure, Input, JobOptions, JobSpec, Operation, Sink, limits};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// A dataset's rows, to be read while this lives.
#[derive(Debug)]
pub struct Reading {
    /// The dataset.
    pub view: DatasetView,
    /// Its rows, computed as they are read.
    pub result: JobResult,
    /// Keeps the rows on the disk.
    pub held: Held,
}

/// Keeps the versions of datasets that were there when it was made, and a place among what is running.
#[derive(Debug)]
pub struct Held {
    shared: Arc<Shared>,
    number: u64,
    _place: OwnedSemaphorePermit,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.retired.end(self.number);
    }
}

impl Shared {
    /// The rows of a dataset.
    pub(crate) async fn read_dataset(self: &Arc<Self>, name: &DatasetName) -> Result<Reading, Failure> {
        let held = Held { _place: self.place()?, shared: Arc::clone(self), number: self.retired.begin() };
        let view = self.dataset_view(name)?;
        let context = self.context.options().unwrap_or(self.options.context);
        let planned = self.engine.plan(&spec(name, Vec::new()), &context, None).await?;
        let result = self.engine.read(&planned, view.rows, view.bytes);
        Ok(Reading { view, result, held })
    }

    /// What can be said of every column, as JSON.
    pub(crate) async fn dataset_statistics(self: &Arc<Self>, name: &DatasetName) -> Result<Value, Failure> {
        let mut spec = spec(name, vec![Operation::Statistics]);
        spec.options.parallelism = None;
        let incoming = Incoming { spec, origin: Origin::Request, body: Value::Null };
        let ended = self.run(incoming).await?;
        let result = ended.result.ok_or(Error::Lost)?;
        azora_engine::format::to_json_value(&result, limits::RESULT_INLINE_BYTES_MAX).await
    }

    /// The columns of datasets, in their order; none of one that went away meanwhile.
    pub(crate) async fn dataset_columns(self: &Arc<Self>, names: Vec<DatasetName>) -> Result<Vec<Option<Vec<ColumnView>>>, Failure> {
        let shared = Arc::clone(self);
        let of = move |name: &DatasetName| {
            let entry = shared.catalog.dataset(name).ok()?;
            shared.engine.dataset_schema(&entry).ok().map(|schema| columns(&schema))
        };
        blocking(move || names.iter().map(of).collect()).await
    }
}

/// A job over one dataset, in one partition.
fn spec(name: &DatasetName, operations: Vec<Operation>) -> JobSpec {
    JobSpec {
        name: None,
        input: Input::Dataset(name.clone()),
        operations,
        sink: Sink::Collect,
        options: JobOptions { parallelism: Some(1), ..JobOptions::default() },
    }
}
