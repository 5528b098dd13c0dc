//! What the handle and the jobs' tasks share.

use crate::catalog::Catalog;
use crate::context::ContextCell;
use crate::datasets::Retired;
use crate::error::Error;
use crate::live::Live;
use crate::options::Options;
use crate::seal::Seal;
use crate::turns::Turns;
use azora_engine::Engine;
use azora_sandbox::Sandbox;
use azora_spec::{DatasetName, Failure, JobId};
use azora_store::Store;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Locks by hash: names that share one merely wait for each other.
const STRIPES: usize = 64;

/// What [`Shared::lock_datasets`] gives: while it is held nobody else commits to those datasets.
pub(crate) type DatasetTurns = Vec<OwnedMutexGuard<()>>;

/// State of the service.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) store: Store,
    pub(crate) catalog: Catalog,
    pub(crate) engine: Engine,
    pub(crate) sandbox: Sandbox,
    pub(crate) context: ContextCell,
    /// Jobs that have not ended.
    pub(crate) live: RwLock<HashMap<JobId, Arc<Live>>>,
    /// Held while a job is checked against what exists and registered, and while something that jobs use goes away.
    pub(crate) registering: Mutex<()>,
    /// Old versions of datasets, until nobody reads them.
    pub(crate) retired: Retired,
    /// Number of the next commit of a dataset.
    pub(crate) ordinal: AtomicU64,
    /// Keeps the secrets of recorded requests.
    pub(crate) seal: Seal,
    /// One permit per job that may be alive.
    pub(crate) places: Arc<Semaphore>,
    /// Who may run.
    pub(crate) turns: Turns,
    /// One permit per upload that may be alive, and one per upload that may be inspected.
    pub(crate) uploads: Arc<Semaphore>,
    pub(crate) inspections: Semaphore,
    /// Held while a plugin is added.
    pub(crate) adding: tokio::sync::Mutex<()>,
    keys: Vec<Arc<tokio::sync::Mutex<()>>>,
    datasets: Vec<Arc<tokio::sync::Mutex<()>>>,
    /// Nothing new is accepted any more.
    pub(crate) drain: CancellationToken,
    /// Running jobs stop and are left for the next start.
    pub(crate) halt: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Shared {
    pub(crate) fn new(options: Options, store: Store, catalog: Catalog, engine: Engine, sandbox: Sandbox) -> Result<Self, Failure> {
        let stripes = || (0..STRIPES).map(|_| Arc::default()).collect();
        let seal = Seal::of(store.data_dir())?;
        Ok(Self {
            seal,
            places: Arc::new(Semaphore::new(options.queue_max + options.running_max)),
            turns: Turns::new(options.running_max),
            uploads: Arc::new(Semaphore::new(options.uploads_max)),
            inspections: Semaphore::new(1),
            adding: tokio::sync::Mutex::new(()),
            ordinal: AtomicU64::new(store.last_dataset().map_or(1, |last| last.ordinal + 1)),
            context: ContextCell::default(),
            live: RwLock::default(),
            registering: Mutex::default(),
            retired: Retired::default(),
            keys: stripes(),
            datasets: stripes(),
            drain: CancellationToken::new(),
            halt: CancellationToken::new(),
            tasks: TaskTracker::new(),
            options,
            store,
            catalog,
            engine,
            sandbox,
        })
    }

    /// A place among the jobs that have not ended, or a refusal.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, Failure> {
        self.check_open()?;
        let limit = self.options.queue_max + self.options.running_max;
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::QueueFull { limit }.into())
    }

    /// Refuses where nothing new is accepted.
    pub(crate) fn check_open(&self) -> Result<(), Failure> {
        if self.drain.is_cancelled() {
            return Err(Error::Draining.into());
        }
        if self.store.is_full() {
            return Err(azora_store::Error::Full.into());
        }
        Ok(())
    }

    pub(crate) fn find(&self, id: JobId) -> Option<Arc<Live>> {
        self.live.read().get(&id).cloned()
    }

    /// One request per idempotency key at a time.
    pub(crate) async fn lock_key(&self, key: &str) -> Option<OwnedMutexGuard<()>> {
        lock(&self.keys, key).await
    }

    /// One commit per dataset at a time.
    pub(crate) async fn lock_datasets(&self, names: &[&DatasetName]) -> DatasetTurns {
        // In one order, so that two jobs never wait for one another, and each stripe once.
        let mut stripes: Vec<usize> = names.iter().map(|name| stripe(name.as_str())).collect();
        stripes.sort_unstable();
        stripes.dedup();
        let mut turns = Vec::with_capacity(stripes.len());
        for mutex in stripes.into_iter().filter_map(|at| self.datasets.get(at)) {
            turns.push(Arc::clone(mutex).lock_owned().await);
        }
        turns
    }
}

impl Shared {
    /// The turns of datasets where nobody has them; for a start, before anything else runs.
    pub(crate) fn lock_datasets_now(&self, name: &DatasetName) -> DatasetTurns {
        self.datasets.get(stripe(name.as_str())).and_then(|mutex| Arc::clone(mutex).try_lock_owned().ok()).into_iter().collect()
    }
}

async fn lock(stripes: &[Arc<tokio::sync::Mutex<()>>], name: &str) -> Option<OwnedMutexGuard<()>> {
    match stripes.get(stripe(name)) {
        Some(stripe) => Some(Arc::clone(stripe).lock_owned().await),
        None => None,
    }
}

fn stripe(name: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    usize::try_from(hasher.finish() % STRIPES as u64).unwrap_or_default()
}

/// Runs something that blocks on a thread for it.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a blocking call did not come back");
        Error::Lost.into()
    })
}
