//! How the service is set up.

use azora_engine::ContextOptions;
use azora_spec::{Failure, JobSpec, limits};
use azora_store::Retention;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Turns a recorded request into the validated job again.
pub type Decode = Arc<dyn Fn(&Value) -> Result<JobSpec, Failure> + Send + Sync>;

/// Most partitions of a stage that a view lists one by one.
pub const PARTITIONS_SHOWN_MAX: usize = 64;

/// Settings of the service, fixed for its life.
#[derive(Clone)]
pub struct Options {
    /// How a restart reads recorded requests.
    pub decode: Decode,
    /// Jobs that wait for a runner.
    pub queue_max: usize,
    /// Jobs that run at the same time.
    pub running_max: usize,
    /// Uploads that are checked or wait for it at the same time.
    pub uploads_max: usize,
    /// What jobs get where no context is open.
    pub context: ContextOptions,
    /// Processors that `local[*]` counts.
    pub processors: usize,
    /// What is kept of ended jobs.
    pub retention: Retention,
    /// Runs of one job within one life of the server, where the server itself is to blame for their end.
    pub retries_max: u32,
    /// Pause before the second run; doubled for each further one.
    pub retry_pause: Duration,
    /// How often old jobs are dropped and the journal is compacted.
    pub upkeep_every: Duration,
}

impl Options {
    /// The usual settings.
    #[must_use]
    pub fn new(decode: Decode, context: ContextOptions) -> Self {
        Self {
            decode,
            queue_max: limits::QUEUE_JOBS_MAX,
            running_max: limits::RUNNING_JOBS_MAX,
            uploads_max: 16,
            context,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            retention: Retention::default(),
            retries_max: 3,
            retry_pause: Duration::from_millis(200),
            upkeep_every: Duration::from_secs(30),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("queue_max", &self.queue_max).field("running_max", &self.running_max).finish_non_exhaustive()
    }
}
