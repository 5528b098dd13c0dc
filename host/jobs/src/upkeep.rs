//! Dropping old jobs with what they left, and compacting the journal, from time to time.

use crate::live::now_ms;
use crate::shared::{Shared, blocking};
use std::sync::Arc;

impl Shared {
    /// Keeps the store small until the server goes down.
    pub(crate) fn start_upkeep(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    () = shared.drain.cancelled() => return,
                    () = tokio::time::sleep(shared.options.upkeep_every) => shared.upkeep().await,
                }
            }
        });
    }

    async fn upkeep(self: &Arc<Self>) {
        match self.remove_expired().await {
            Ok(0) => {}
            Ok(datasets) => tracing::info!(datasets, "datasets whose time was over were removed"),
            Err(failure) => tracing::warn!(%failure, "datasets whose time is over could not be removed; that is tried again later"),
        }
        let shared = Arc::clone(self);
        let work = move || {
            let upkeep = shared.store.upkeep(&shared.options.retention, now_ms())?;
            for job in &upkeep.dropped_jobs {
                shared.engine.remove_result(*job)?;
            }
            Ok::<_, azora_spec::Failure>(upkeep)
        };
        match blocking(work).await {
            Ok(Ok(upkeep)) if upkeep != azora_store::Upkeep::default() => {
                tracing::info!(
                    jobs = upkeep.dropped_jobs.len(),
                    keys = upkeep.dropped_keys,
                    segments = upkeep.removed_segments,
                    "old records were dropped"
                );
            }
            Ok(Ok(_)) => {}
            Ok(Err(failure)) | Err(failure) => tracing::warn!(%failure, "upkeep of the store failed and is tried again later"),
        }
    }
}
