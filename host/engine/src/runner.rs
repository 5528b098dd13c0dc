//! The seam between planning and running: here or, later, on a cluster.

use crate::{Planned, Progress};
use async_trait::async_trait;
use azora_connect::Token;
use azora_spec::{Failure, JobId};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What belongs to one attempt at a job.
#[derive(Debug, Clone)]
pub struct RunContext {
    /// The job.
    pub job: JobId,
    /// 0 for the first try, one more after each restart.
    pub attempt: u32,
    /// Partitions that an earlier attempt prepared. They do not run again.
    pub prepared: BTreeMap<usize, Token>,
    /// Receives progress.
    pub progress: Arc<dyn Progress>,
    /// Ends the run as [`azora_spec::Code::JobCancelled`].
    pub cancel: CancellationToken,
}

/// Runs plans.
#[async_trait]
pub trait Runner: Send + Sync + Debug {
    /// Runs every partition that is not prepared yet, each into a writer of the plan's sink, up to `prepare`.
    ///
    /// Answers one token per partition, in their order. On an error everything that this call started has stopped;
    /// prepared partitions stay until the plan's sink commits or aborts. Dropping the future stops the run too.
    async fn run(&self, planned: &Planned, context: RunContext) -> Result<Vec<Token>, Failure>;
}
