//! Rows of a plan that are read as they come, without a sink: nothing of them is kept.

use crate::failure_of;
use crate::local::{stamp, task_context};
use crate::planned::Planned;
use azora_spec::Failure;
use datafusion::arrow::array::RecordBatch;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use futures::stream::{self, BoxStream, StreamExt};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Batches that are computed ahead of whoever reads.
const AHEAD_BATCHES: usize = 4;

/// The rows in the order of partitions. They are computed on the context's threads, and no longer than somebody reads.
pub(crate) fn rows(planned: Planned) -> BoxStream<'static, Result<RecordBatch, Failure>> {
    let (sender, receiver) = mpsc::channel(AHEAD_BATCHES);
    let cancel = CancellationToken::new();
    let work = read(planned.clone(), sender, cancel.clone());
    stream::once(async move {
        planned.session().cpu().spawn(work);
        // Whoever stops reading ends the work, also one that waits for a guest.
        let guard = cancel.drop_guard();
        stream::unfold(
            (receiver, guard),
            |(mut receiver, guard)| async move { receiver.recv().await.map(|batch| (batch, (receiver, guard))) },
        )
    })
    .flatten()
    .boxed()
}

async fn read(planned: Planned, sender: mpsc::Sender<Result<RecordBatch, Failure>>, cancel: CancellationToken) {
    let reading = async {
        planned.current_run().begin(cancel.clone());
        let plan = reset_plan_states(Arc::clone(planned.plan())).map_err(failure_of)?;
        let context = task_context(&planned, "reading", &cancel, None);
        for partition in 0..planned.partitions() {
            let mut batches = plan.execute(partition, Arc::clone(&context)).map_err(failure_of)?;
            while let Some(batch) = batches.next().await {
                let batch = stamp(planned.schema(), batch.map_err(failure_of)?)?;
                if batch.num_rows() > 0 && sender.send(Ok(batch)).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok::<(), Failure>(())
    };
    let ended = tokio::select! {
        () = cancel.cancelled() => Ok(()),
        ended = reading => ended,
    };
    if let Err(failure) = ended {
        // A receiver that is gone needs no error.
        drop(sender.send(Err(failure)).await);
    }
}
