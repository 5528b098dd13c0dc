//! Datasets: what a commit made, what can be listed, and old versions that go when nobody reads them.

use crate::error::Error;
use crate::live::now_ms;
use crate::shared::{Shared, blocking};
use crate::views::DatasetView;
use azora_connect::Token;
use azora_engine::{DatasetEntry, Planned};
use azora_spec::{DatasetName, Failure, JobId, Sink, WriteMode};
use azora_store::{DatasetCommitted, DatasetRow, Event};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Versions that are no longer current, and the plans that may still have seen them.
#[derive(Debug, Default)]
pub(crate) struct Retired {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Number of the next plan.
    next: u64,
    /// Plans under way.
    plans: BTreeSet<u64>,
    /// Versions with the number of the first plan that cannot have seen them.
    versions: Vec<(u64, DatasetRow)>,
}

/// A plan under way. Until it is dropped, no version goes that it may have seen.
#[derive(Debug)]
pub(crate) struct PlanTicket<'a> {
    retired: &'a Retired,
    number: u64,
}

impl Retired {
    pub(crate) fn begin_plan(&self) -> PlanTicket<'_> {
        PlanTicket { retired: self, number: self.begin() }
    }

    /// Begins a plan that is to be ended by its number.
    pub(crate) fn begin(&self) -> u64 {
        let mut inner = self.inner.lock();
        let number = inner.next;
        inner.next += 1;
        inner.plans.insert(number);
        number
    }

    /// Ends a plan.
    pub(crate) fn end(&self, number: u64) {
        self.inner.lock().plans.remove(&number);
    }

    fn push(&self, row: DatasetRow) {
        let mut inner = self.inner.lock();
        let next = inner.next;
        inner.versions.push((next, row));
    }

    fn is_empty(&self) -> bool {
        self.inner.lock().versions.is_empty()
    }

    /// Takes the versions that nobody uses.
    fn take(&self, is_used: impl Fn(&DatasetRow) -> bool) -> Vec<DatasetRow> {
        let mut inner = self.inner.lock();
        let oldest = inner.plans.first().copied().unwrap_or(u64::MAX);
        let (gone, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut inner.versions).into_iter().partition(|(seen, row)| oldest >= *seen && !is_used(row));
        inner.versions = kept;
        gone.into_iter().map(|(_, row)| row).collect()
    }
}

impl Drop for PlanTicket<'_> {
    fn drop(&mut self) {
        self.retired.end(self.number);
    }
}

impl Shared {
    /// What a commit made of a dataset, ready to be recorded. Not recorded yet, so not visible yet.
    pub(crate) async fn committed(&self, planned: &Planned, job: JobId, sink: &Sink) -> Result<Option<DatasetCommitted>, Failure> {
        let (engine, planned) = (self.engine.clone(), planned.clone());
        let Some(entry) = blocking(move || engine.dataset(&planned, job)).await?? else { return Ok(None) };
        let end = match sink {
            Sink::Dataset { ttl: Some(ttl), .. } => Some(now_ms().saturating_add(millis(*ttl))),
            // More rows change nothing about the end that was set for those that are there.
            Sink::Dataset { name, mode: WriteMode::Append, .. } => self.end_of(name),
            _ => None,
        };
        Ok(Some(self.version(entry, self.ordinal.fetch_add(1, Ordering::Relaxed), job, end)))
    }

    /// The same of the dataset of its dead letters. It never is the last dataset while there is another one.
    pub(crate) async fn dead_letters(&self, planned: &Planned, job: JobId, tokens: &[Token]) -> Result<Option<DatasetCommitted>, Failure> {
        let (engine, planned, tokens) = (self.engine.clone(), planned.clone(), tokens.to_vec());
        let entry = blocking(move || engine.dead_letters(&planned, job, &tokens)).await??;
        Ok(entry.map(|entry| {
            let end = self.end_of(&entry.name);
            self.version(entry, 0, job, end)
        }))
    }

    fn end_of(&self, name: &DatasetName) -> Option<u64> {
        self.catalog.current(name).and_then(|row| row.expires_at_ms)
    }

    fn version(&self, entry: DatasetEntry, ordinal: u64, job: JobId, expires_at_ms: Option<u64>) -> DatasetCommitted {
        DatasetCommitted {
            directory: relative(self.store.data_dir(), &entry.directory),
            name: entry.name,
            files: entry.files,
            rows: entry.rows,
            bytes: entry.bytes,
            at_ms: now_ms(),
            ordinal,
            job,
            expires_at_ms,
        }
    }

    /// Lets a version go as soon as nobody reads it.
    pub(crate) fn retire(&self, row: &DatasetRow) {
        let is_current = self.store.dataset(&row.name).is_some_and(|current| current.directory == row.directory);
        if !is_current {
            self.retired.push(row.clone());
        }
    }

    /// Removes the versions that nobody reads any more.
    pub(crate) fn sweep_retired(&self) {
        if self.retired.is_empty() {
            return;
        }
        let live: Vec<_> = self.live.read().values().map(|live| live.uses.lock().clone()).collect();
        let is_used = |row: &DatasetRow| {
            let version = Path::new(&row.directory).file_name().and_then(|name| name.to_str()).unwrap_or_default();
            live.iter().any(|uses| {
                let reads = uses.datasets.iter().any(|(name, used)| name == row.name.as_str() && used == version);
                uses.is_unknown || reads || uses.appends_to.contains(&row.name)
            })
        };
        for row in self.retired.take(is_used) {
            let engine = self.engine.clone();
            let entry = DatasetEntry {
                directory: self.store.data_dir().join(&row.directory),
                name: row.name,
                files: Vec::new(),
                rows: row.rows,
                bytes: row.bytes,
            };
            self.tasks.spawn_blocking(move || {
                if let Err(error) = engine.remove_dataset(&entry) {
                    tracing::warn!(dataset = %entry.name, %error, "an old version of a dataset could not be removed");
                }
            });
        }
    }

    /// Removes what a crash left without an owner: results of jobs that are not known, and versions of datasets that are
    /// neither current nor used. The latter only while no job lives, for a living one may have made them.
    pub(crate) fn clear_orphans(&self) {
        for entry in std::fs::read_dir(self.store.data_dir().join("results")).into_iter().flatten().map_while(Result::ok) {
            let owner = entry.file_name().to_str().and_then(|name| name.parse::<JobId>().ok());
            if let Some(job) = owner.filter(|job| self.store.job(*job).is_none())
                && let Err(error) = self.engine.remove_result(job)
            {
                tracing::warn!(%job, %error, "a result without a job could not be removed");
            }
        }
        if !self.store.unfinished().is_empty() {
            return;
        }
        for row in self.store.datasets() {
            let Some(versions) = Path::new(&row.directory).parent().map(|parent| self.store.data_dir().join(parent)) else { continue };
            for entry in std::fs::read_dir(versions).into_iter().flatten().map_while(Result::ok) {
                let directory = relative(self.store.data_dir(), &entry.path());
                if directory != row.directory && entry.path().is_dir() {
                    let mut orphan = row.clone();
                    orphan.directory = directory;
                    self.retired.push(orphan);
                }
            }
        }
        self.clear_nameless();
        self.sweep_retired();
    }

    /// Removes the versions of datasets that no record names: those of one that was deleted just before a crash.
    fn clear_nameless(&self) {
        for entry in std::fs::read_dir(self.store.data_dir().join("datasets")).into_iter().flatten().map_while(Result::ok) {
            let Some(name) = entry.file_name().to_str().and_then(|name| name.parse::<DatasetName>().ok()) else { continue };
            if self.store.dataset(&name).is_some() {
                continue;
            }
            for version in std::fs::read_dir(entry.path()).into_iter().flatten().map_while(Result::ok) {
                let directory = version.path();
                let orphan = DatasetEntry { name: name.clone(), directory, files: Vec::new(), rows: 0, bytes: 0 };
                if let Err(error) = self.engine.remove_dataset(&orphan) {
                    tracing::warn!(dataset = %name, %error, "what is left of a deleted dataset could not be removed");
                }
            }
        }
    }

    pub(crate) fn dataset_views(&self) -> Vec<DatasetView> {
        let last = self.catalog.last();
        self.catalog.all_current().into_iter().map(|row| view(row, last.as_ref())).collect()
    }

    pub(crate) fn dataset_view(&self, name: &DatasetName) -> Result<DatasetView, Failure> {
        let row = self.catalog.current(name).ok_or_else(|| Error::DatasetUnknown(name.to_string()))?;
        Ok(view(row, self.catalog.last().as_ref()))
    }

    /// Says how long a dataset lives from now on, or that it has no end; durable when answered.
    pub(crate) async fn expire_dataset(self: &Arc<Self>, name: &DatasetName, ttl: Option<Duration>) -> Result<DatasetView, Failure> {
        let _turns = self.lock_datasets(&[name]).await;
        let row = self.catalog.current(name).ok_or_else(|| Error::DatasetUnknown(name.to_string()))?;
        let committed = self.store.dataset_committed(&row)?;
        let expires_at_ms = ttl.map(|ttl| now_ms().saturating_add(millis(ttl)));
        self.store.commit(&[Event::DatasetCommitted(DatasetCommitted { expires_at_ms, ..committed })]).await?;
        self.dataset_view(name)
    }

    /// Forgets the datasets whose time is over. A job that reads one reads it to its end.
    pub(crate) async fn remove_expired(self: &Arc<Self>) -> Result<usize, Failure> {
        let now_ms = now_ms();
        let expired: Vec<DatasetRow> = self.store.datasets().into_iter().filter(|row| row.is_expired(now_ms)).collect();
        let mut removed = 0;
        for row in expired {
            let _turns = self.lock_datasets(&[&row.name]).await;
            // It may have been written again, or been given more time, since.
            let Some(row) = self.store.dataset(&row.name).filter(|row| row.is_expired(now_ms)) else { continue };
            self.store.commit(&[Event::DatasetRemoved { name: row.name.clone() }]).await?;
            self.retire(&row);
            removed += 1;
        }
        self.sweep_retired();
        Ok(removed)
    }

    pub(crate) async fn delete_dataset(self: &Arc<Self>, name: &DatasetName) -> Result<(), Failure> {
        let _turns = self.lock_datasets(&[name]).await;
        let row = self.store.dataset(name).ok_or_else(|| Error::DatasetUnknown(name.to_string()))?;
        self.store.commit(&[Event::DatasetRemoved { name: name.clone() }]).await?;
        self.retire(&row);
        self.sweep_retired();
        Ok(())
    }
}

fn view(row: DatasetRow, last: Option<&DatasetName>) -> DatasetView {
    DatasetView {
        is_last: last == Some(&row.name),
        version: Path::new(&row.directory).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        name: row.name,
        rows: row.rows,
        bytes: row.bytes,
        files: row.files,
        committed_at_ms: row.at_ms,
        job: row.job,
        expires_at_ms: row.expires_at_ms,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A path below the data directory without it, so that the data directory may be moved.
fn relative(data_dir: &Path, path: &Path) -> String {
    path.strip_prefix(data_dir).unwrap_or(path).to_string_lossy().into_owned()
}
