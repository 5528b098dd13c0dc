//! Functions of plugins inside DataFusion's own expressions: SQL, data frames, and what RDD operations build of them.

pub(crate) mod aggregate;
pub(crate) mod scalar;

use crate::relation::CurrentRun;
use azora_sandbox::CancelFlag;
use datafusion::common::runtime::SpawnedTask;

/// A flag that is set when the run under way is cancelled, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Watch {
    flag: CancelFlag,
    _task: Option<SpawnedTask<()>>,
}

impl Watch {
    pub(crate) fn new(run: &CurrentRun) -> Self {
        let (flag, cancel) = (CancelFlag::new(), run.cancel());
        let watched = flag.clone();
        let task = tokio::runtime::Handle::try_current().is_ok().then(|| {
            SpawnedTask::spawn(async move {
                cancel.cancelled().await;
                watched.cancel();
            })
        });
        Self { flag, _task: task }
    }

    /// The flag, for a guest.
    pub(crate) fn flag(&self) -> CancelFlag {
        self.flag.clone()
    }

    /// Whether the run that it watched has ended so.
    pub(crate) fn is_set(&self) -> bool {
        self.flag.is_cancelled()
    }
}
