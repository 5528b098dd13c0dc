//! The life of a job: accepted durably, planned, run, committed, kept; and what jobs need around them: datasets, plugins,
//! the context, and recovery after a crash.
//!
//! Each job is one task that owns its state; admission and running are bounded by semaphores, and what must survive goes
//! through `azora-store` before anybody hears of it. No connector is known by name here, and no HTTP.

mod board;
mod catalog;
mod connectors;
mod context;
mod datasets;
mod error;
mod events;
mod float;
mod handle;
mod ingest;
mod live;
mod manifest;
mod masked;
mod options;
mod plugins;
mod queries;
mod reading;
mod recovery;
mod seal;
mod shared;
mod submit;
mod task;
mod trial;
mod turns;
mod upkeep;
mod views;

#[cfg(test)]
mod tests;

pub use azora_connect::Half;
pub use azora_engine::{CacheEntryView, CacheView, JobResult, Refused, Shape, format};
pub use catalog::Catalog;
pub use connectors::ConnectorView;
pub use error::Error;
pub use handle::{Handle, start};
pub use options::{Decode, Options, PARTITIONS_SHOWN_MAX};
pub use reading::{Held, Reading};
pub use views::{
    ColumnView, ContextRequest, ContextView, DatasetView, Ended, FunctionView, HealthView, Idempotency, IngestRequest, IngestView,
    JobEvent, JobView, ListQuery, OutputView, Page, PartitionView, PluginConnectorView, PluginView, StageView, Submission, Submitted,
    TryRequest,
};
