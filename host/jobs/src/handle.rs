//! The door: everything that callers can do with jobs and what is around them.

use crate::catalog::Catalog;
use crate::connectors::ConnectorView;
use crate::options::Options;
use crate::reading::Reading;
use crate::shared::{Shared, blocking};
use crate::submit::{Incoming, Origin};
use crate::views::{
    ColumnView, ContextRequest, ContextView, DatasetView, Ended, HealthView, IngestRequest, IngestView, JobEvent, JobView, ListQuery, Page,
    PluginView, Submission, Submitted, TryRequest,
};
use azora_connect::Half;
use azora_engine::{Engine, JobResult};
use azora_sandbox::Sandbox;
use azora_spec::{DatasetName, Failure, Grants, JobId, JobSpec, PluginRef};
use azora_store::Store;
use futures::Stream;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// How long jobs that were told to stop may take before the process goes on without them.
const HALT_GRACE: Duration = Duration::from_secs(12);

/// The service. Clones share it; it ends with [`Handle::shutdown`].
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// Starts the service: jobs that had not ended go on at once. `catalog` is the one that `engine` was made with.
///
/// Must be called inside a tokio runtime; jobs' tasks live in it.
///
/// # Errors
/// None today; what a later version must check before it starts would be one.
pub async fn start(options: Options, store: Store, catalog: Catalog, engine: Engine, sandbox: Sandbox) -> Result<Handle, Failure> {
    let shared = Arc::new(Shared::new(options, store, catalog, engine, sandbox)?);
    let recovering = Arc::clone(&shared);
    // Rows and pins are read from the disk.
    blocking(move || recovering.clear_orphans()).await?;
    shared.recover();
    shared.start_upkeep();
    Ok(Handle { shared })
}

impl Handle {
    /// Plans and records a job, and starts it. It survives any crash once this returned.
    ///
    /// # Errors
    /// What is wrong with the job; [`azora_spec::Code::JobQueueFull`], [`azora_spec::Code::ServerDraining`],
    /// [`azora_spec::Code::StorageFull`], [`azora_spec::Code::IdempotencyMismatch`].
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, Failure> {
        self.shared.submit(submission).await
    }

    /// Runs a job and waits for its end. One that only collects leaves nothing behind if the server or the caller goes
    /// away; any other is recorded as by [`Self::submit`] and goes on.
    ///
    /// # Errors
    /// As [`Self::submit`], and the job's own failure.
    pub async fn run(&self, spec: JobSpec, request: Value) -> Result<Ended, Failure> {
        self.shared.run(Incoming { spec, origin: Origin::Request, body: request }).await
    }

    /// One job.
    ///
    /// # Errors
    /// [`azora_spec::Code::JobUnknown`].
    pub async fn get(&self, id: JobId) -> Result<JobView, Failure> {
        self.shared.get(id)
    }

    /// Jobs, newest first.
    ///
    /// # Errors
    /// [`azora_spec::Code::RequestField`] for a limit or cursor that is none.
    pub async fn list(&self, query: ListQuery) -> Result<Page, Failure> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.list(&query)).await?
    }

    /// Asks a job to stop; durable when answered. A job that has ended, or whose commit has begun, ends as it would.
    ///
    /// # Errors
    /// [`azora_spec::Code::JobUnknown`], [`azora_spec::Code::StorageFull`].
    pub async fn cancel(&self, id: JobId) -> Result<JobView, Failure> {
        self.shared.cancel(id).await
    }

    /// Forgets an ended job with its result. What it wrote to a sink stays.
    ///
    /// # Errors
    /// [`azora_spec::Code::JobUnknown`], [`azora_spec::Code::JobNotFinished`].
    pub async fn delete(&self, id: JobId) -> Result<(), Failure> {
        self.shared.delete(id).await
    }

    /// Waits until a job has ended, however it ends.
    ///
    /// # Errors
    /// [`azora_spec::Code::JobUnknown`]; [`azora_spec::Code::ServerDraining`] where the server goes down first.
    pub async fn wait(&self, id: JobId) -> Result<JobView, Failure> {
        self.shared.wait(id).await
    }

    /// The events of a job with numbers above `after`, then live ones; ends with the job. A slow reader misses progress
    /// only.
    ///
    /// # Errors
    /// [`azora_spec::Code::JobUnknown`].
    pub async fn events(&self, id: JobId, after: u64) -> Result<impl Stream<Item = JobEvent> + Send + 'static, Failure> {
        self.shared.events(id, after)
    }

    /// The answer of a job that collected.
    ///
    /// # Errors
    /// [`azora_spec::Code::JobUnknown`], [`azora_spec::Code::JobNotFinished`], [`azora_spec::Code::JobNoResult`].
    pub async fn result(&self, id: JobId) -> Result<JobResult, Failure> {
        self.shared.result(id).await
    }

    /// The request of a job, as it was submitted.
    ///
    /// # Errors
    /// [`azora_spec::Code::JobUnknown`]; [`azora_spec::Code::JobNoResult`] where it was not kept.
    pub async fn request(&self, id: JobId) -> Result<Value, Failure> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.request(id)).await?
    }

    /// Checks an upload and keeps it; durable when answered.
    ///
    /// # Errors
    /// What is wrong with the component; [`azora_spec::Code::PluginExists`], [`azora_spec::Code::StorageFull`].
    pub async fn upload_plugin(&self, bytes: Vec<u8>) -> Result<PluginView, Failure> {
        self.shared.upload_plugin(bytes).await
    }

    /// Checks an upload and keeps nothing.
    ///
    /// # Errors
    /// As [`Self::upload_plugin`].
    pub async fn inspect_plugin(&self, bytes: Vec<u8>) -> Result<PluginView, Failure> {
        self.shared.inspect_plugin(bytes).await
    }

    /// All plugins, by name and version.
    ///
    /// # Errors
    /// Where a record is damaged.
    pub fn plugins(&self) -> Result<Vec<PluginView>, Failure> {
        self.shared.plugin_views()
    }

    /// One plugin.
    ///
    /// # Errors
    /// [`azora_spec::Code::PluginUnknown`].
    pub fn plugin(&self, reference: &PluginRef) -> Result<PluginView, Failure> {
        self.shared.plugin_view(reference)
    }

    /// Sets what a plugin's connectors may use from now on; durable when answered. Jobs that are running keep what they got.
    ///
    /// # Errors
    /// [`azora_spec::Code::PluginUnknown`]; [`azora_spec::Code::RequestField`] for what the plugin does not ask for.
    pub async fn grant_plugin(&self, reference: &PluginRef, grants: Grants) -> Result<PluginView, Failure> {
        self.shared.grant_plugin(reference, grants).await
    }

    /// Deletes a plugin that no living job uses, and answers what it was.
    ///
    /// # Errors
    /// [`azora_spec::Code::PluginUnknown`], [`azora_spec::Code::PluginInUse`].
    pub async fn delete_plugin(&self, reference: &PluginRef) -> Result<PluginView, Failure> {
        self.shared.delete_plugin(reference).await
    }

    /// Calls a function of a plugin on a few rows. Nothing is recorded.
    ///
    /// # Errors
    /// Those of a job that does the same.
    pub async fn try_plugin(&self, reference: &PluginRef, request: TryRequest) -> Result<Value, Failure> {
        self.shared.try_plugin(reference, request).await
    }

    /// How the lambdas of a job would run. Nothing is recorded.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn explain(&self, spec: JobSpec) -> Result<azora_engine::Explained, Failure> {
        self.shared.explain(spec).await
    }

    /// All datasets, by name.
    ///
    /// # Errors
    /// None today.
    pub fn datasets(&self) -> Result<Vec<DatasetView>, Failure> {
        Ok(self.shared.dataset_views())
    }

    /// One dataset.
    ///
    /// # Errors
    /// [`azora_spec::Code::DatasetUnknown`].
    pub fn dataset(&self, name: &DatasetName) -> Result<DatasetView, Failure> {
        self.shared.dataset_view(name)
    }

    /// The columns of datasets, in their order; none of one that went away meanwhile.
    ///
    /// # Errors
    /// Where the work was lost.
    pub async fn dataset_columns(&self, names: Vec<DatasetName>) -> Result<Vec<Option<Vec<ColumnView>>>, Failure> {
        self.shared.dataset_columns(names).await
    }

    /// The rows of a dataset, to be read while the answer lives.
    ///
    /// # Errors
    /// [`azora_spec::Code::DatasetUnknown`], [`azora_spec::Code::JobQueueFull`].
    pub async fn read_dataset(&self, name: &DatasetName) -> Result<Reading, Failure> {
        self.shared.read_dataset(name).await
    }

    /// Nulls, distinct values and extremes of every column, as JSON.
    ///
    /// # Errors
    /// [`azora_spec::Code::DatasetUnknown`], and those of a job that reads all of it.
    pub async fn dataset_statistics(&self, name: &DatasetName) -> Result<Value, Failure> {
        self.shared.dataset_statistics(name).await
    }

    /// Says how long a dataset lives from now on, or that it has no end; durable when answered.
    ///
    /// # Errors
    /// [`azora_spec::Code::DatasetUnknown`].
    pub async fn expire_dataset(&self, name: &DatasetName, ttl: Option<Duration>) -> Result<DatasetView, Failure> {
        self.shared.expire_dataset(name, ttl).await
    }

    /// Forgets a dataset; its rows go when the last job that reads them has ended.
    ///
    /// # Errors
    /// [`azora_spec::Code::DatasetUnknown`].
    pub async fn delete_dataset(&self, name: &DatasetName) -> Result<(), Failure> {
        self.shared.delete_dataset(name).await
    }

    /// The rows that `cache` and `persist` keep.
    #[must_use]
    pub fn cache(&self) -> azora_engine::CacheView {
        self.shared.engine.cache()
    }

    /// Lets go of kept rows by their id or name, or of all, and answers how many sets of them there were.
    #[must_use]
    pub fn clear_cache(&self, which: Option<&str>) -> usize {
        self.shared.engine.clear_cache(which)
    }

    /// Opens a context in place of the one that is open.
    ///
    /// # Errors
    /// [`azora_spec::Code::RequestField`] with a pointer.
    pub fn init_context(&self, request: ContextRequest) -> Result<ContextView, Failure> {
        self.shared.init_context(request)
    }

    /// Names functions for the queries and frames to come; they end with the context.
    ///
    /// # Errors
    /// [`azora_spec::Code::RequestField`] for too many.
    pub fn add_functions(&self, functions: std::collections::BTreeMap<String, azora_spec::Function>) -> Result<(), Failure> {
        self.shared.add_functions(functions)
    }

    /// The functions that are named.
    #[must_use]
    pub fn functions(&self) -> std::collections::BTreeMap<String, azora_spec::Function> {
        self.shared.functions()
    }

    /// Closes the context and answers whether there was one.
    #[must_use]
    pub fn stop_context(&self) -> bool {
        self.shared.stop_context()
    }

    /// The open context.
    #[must_use]
    pub fn context(&self) -> Option<ContextView> {
        self.shared.context_view()
    }

    /// Keeps a source's rows as a dataset, and waits for it. Whether a context is open is the caller's matter.
    ///
    /// # Errors
    /// Those of a job that does the same.
    pub async fn ingest(&self, request: IngestRequest) -> Result<IngestView, Failure> {
        self.shared.ingest(request).await
    }

    /// All connectors, by name.
    #[must_use]
    pub fn connectors(&self) -> Vec<ConnectorView> {
        self.shared.connectors()
    }

    /// One of them.
    ///
    /// # Errors
    /// [`azora_spec::Code::ConnectorUnknown`].
    pub fn connector(&self, name: &str) -> Result<ConnectorView, Failure> {
        self.shared.connector(name)
    }

    /// Everything that is wrong with a configuration and can be told without connecting; pointers begin at it.
    ///
    /// # Errors
    /// Where there is no such connector, or not this half of it.
    pub fn check_connector(&self, name: &str, half: Half, config: &Map<String, Value>) -> Result<Vec<Failure>, Failure> {
        self.shared.check_connector(name, half, config)
    }

    /// How the service is doing.
    #[must_use]
    pub fn health(&self) -> HealthView {
        let shared = &self.shared;
        let running = shared.turns.running();
        HealthView {
            is_draining: shared.drain.is_cancelled(),
            is_storage_full: shared.store.is_full(),
            queued: shared.live.read().len().saturating_sub(running),
            running,
        }
    }

    /// Refuses new work from now on, gives what runs the grace time, leaves the rest for the next start, and closes the
    /// store.
    pub async fn shutdown(&self, grace: Duration) {
        let shared = Arc::clone(&self.shared);
        shared.drain.cancel();
        shared.tasks.close();
        if tokio::time::timeout(grace, shared.tasks.wait()).await.is_err() {
            tracing::info!(jobs = shared.live.read().len(), "jobs that have not ended are left for the next start");
            shared.halt.cancel();
            if tokio::time::timeout(HALT_GRACE, shared.tasks.wait()).await.is_err() {
                tracing::warn!("some jobs did not stop in time");
            }
        }
        let store = shared.store.clone();
        if let Err(failure) = blocking(move || store.close()).await {
            tracing::error!(%failure, "the store was not closed in order");
        }
    }
}
