//! Reading ahead: a task makes batches no faster than they are taken. What it reads, and how, is each engine's business.

use crate::error::Error;
use arrow::array::RecordBatch;
use async_trait::async_trait;
use azora_connect::{Outcome, Position, Reader};
use azora_spec::Failure;
use std::future::Future;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Batches that a reader may be ahead.
const AHEAD_BATCHES: usize = 1;

/// What the task sends on: a batch with the place behind it, or, as the last, why there are no more.
pub(crate) type Sent = Result<(RecordBatch, Position), Failure>;

/// The reader of what a task sends. Dropping it stops the task.
#[derive(Debug)]
pub(crate) struct Ahead {
    batches: mpsc::Receiver<Sent>,
    task: JoinHandle<()>,
    is_ended: bool,
}

impl Ahead {
    /// Starts the task.
    pub(crate) fn start<F: Future<Output = ()> + Send + 'static>(work: impl FnOnce(mpsc::Sender<Sent>) -> F) -> Self {
        let (sender, batches) = mpsc::channel(AHEAD_BATCHES);
        Self { batches, task: tokio::spawn(work(sender)), is_ended: false }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Reader for Ahead {
    async fn read(&mut self) -> Result<Outcome, Failure> {
        match self.batches.recv().await {
            Some(sent) => sent.map(|(batch, position)| Outcome::Batch(batch, position)),
            // A closed channel means the end only where the task ended well.
            None if self.is_ended => Ok(Outcome::End),
            None => {
                self.is_ended = true;
                (&mut self.task).await.map(|()| Outcome::End).map_err(|_| Error::Broken("the reading task").into())
            }
        }
    }
}
