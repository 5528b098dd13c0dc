//! Looking things up.

use super::Store;
use crate::blob::Blob;
use crate::error::{Error, Result};
use crate::event::{Accepted, DatasetCommitted, Ending, Event, PluginAdded};
use crate::record::{DatasetRow, JobRow, KeyRow, PluginRow, Pointer};
use azora_spec::{DatasetName, Digest, JobId, JobState};
use std::collections::BTreeMap;
use std::ops::Bound;

impl Store {
    /// One job's row.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<JobRow> {
        self.inner.tables.read().jobs.get(&id).map(|job| job.row.clone())
    }

    /// Jobs in a state, or in any, newest first, older than `before` where it is given.
    #[must_use]
    pub fn jobs(&self, before: Option<JobId>, state: Option<JobState>, limit: usize) -> Vec<(JobId, JobRow)> {
        let tables = self.inner.tables.read();
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        tables
            .jobs
            .range((Bound::Unbounded, end))
            .rev()
            .filter(|(_, job)| state.is_none_or(|state| job.row.state() == state))
            .take(limit)
            .map(|(id, job)| (*id, job.row.clone()))
            .collect()
    }

    /// Jobs that have not ended, oldest first.
    #[must_use]
    pub fn unfinished(&self) -> Vec<(JobId, JobRow)> {
        let tables = self.inner.tables.read();
        tables.jobs.iter().filter(|(_, job)| job.row.ended.is_none()).map(|(id, job)| (*id, job.row.clone())).collect()
    }

    /// The request of a job. `None` where it was not kept.
    ///
    /// # Errors
    /// [`Error::Damaged`] where its record was lost, and errors of the file system.
    pub fn request(&self, row: &JobRow) -> Result<Option<String>> {
        match self.event(row.at.accepted)? {
            Event::Accepted(Accepted { request: Some(blob), .. }) => self.inner.blobs.read(&blob).map(Some),
            Event::Accepted(_) => Ok(None),
            _ => Err(wrong(row.at.accepted)),
        }
    }

    /// The pins of a job. `None` where it was not planned.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub fn pins(&self, row: &JobRow) -> Result<Option<String>> {
        if row.at.planned.is_none() {
            return Ok(None);
        }
        match self.event(row.at.planned)? {
            Event::Planned { pins, .. } => self.read_blob(&pins).map(Some),
            _ => Err(wrong(row.at.planned)),
        }
    }

    /// How a job ended. `None` where it has not.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub fn ending(&self, row: &JobRow) -> Result<Option<Ending>> {
        if row.at.ended.is_none() {
            return Ok(None);
        }
        match self.event(row.at.ended)? {
            Event::Ended(ending) => Ok(Some(ending)),
            _ => Err(wrong(row.at.ended)),
        }
    }

    /// The tokens of a job's prepared partitions.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub fn tokens(&self, id: JobId) -> Result<BTreeMap<u32, String>> {
        let pointers = self.inner.tables.read().jobs.get(&id).map(|job| job.tokens.clone()).unwrap_or_default();
        let token = |(partition, at)| match self.event(Some(at))? {
            Event::Prepared { token, .. } => Ok((partition, token)),
            _ => Err(wrong(Some(at))),
        };
        pointers.into_iter().map(token).collect()
    }

    /// How many partitions of a job are prepared.
    #[must_use]
    pub fn n_prepared(&self, id: JobId) -> usize {
        self.inner.tables.read().jobs.get(&id).map_or(0, |job| job.tokens.len())
    }

    /// Reads what [`Store::keep_blob`] kept.
    ///
    /// # Errors
    /// Errors of the file system, and [`Error::Damaged`] where the file is another one.
    pub fn read_blob(&self, blob: &Blob) -> Result<String> {
        self.inner.blobs.read(blob)
    }

    /// All plugins, by name and version.
    #[must_use]
    pub fn plugins(&self) -> Vec<PluginRow> {
        let mut rows: Vec<PluginRow> = self.inner.tables.read().plugins.values().cloned().collect();
        rows.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        rows
    }

    /// One plugin.
    #[must_use]
    pub fn plugin(&self, digest: &Digest) -> Option<PluginRow> {
        self.inner.tables.read().plugins.get(digest).cloned()
    }

    /// All that is known of a plugin.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub fn plugin_added(&self, row: &PluginRow) -> Result<PluginAdded> {
        match self.event(Some(row.at))? {
            Event::PluginAdded(added) => Ok(added),
            _ => Err(wrong(Some(row.at))),
        }
    }

    /// All datasets, by name.
    #[must_use]
    pub fn datasets(&self) -> Vec<DatasetRow> {
        self.inner.tables.read().datasets.values().cloned().collect()
    }

    /// One dataset.
    #[must_use]
    pub fn dataset(&self, name: &DatasetName) -> Option<DatasetRow> {
        self.inner.tables.read().datasets.get(name).cloned()
    }

    /// The dataset that was committed last.
    #[must_use]
    pub fn last_dataset(&self) -> Option<DatasetRow> {
        self.inner.tables.read().datasets.values().max_by_key(|row| row.ordinal).cloned()
    }

    /// The files of a dataset and all else that is known of its current version.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub fn dataset_committed(&self, row: &DatasetRow) -> Result<DatasetCommitted> {
        match self.event(Some(row.at))? {
            Event::DatasetCommitted(committed) => Ok(committed),
            _ => Err(wrong(Some(row.at))),
        }
    }

    /// What an idempotency key is bound to. Keys over their age may still be answered.
    #[must_use]
    pub fn key(&self, key: &str) -> Option<KeyRow> {
        self.inner.tables.read().keys.get(key).cloned()
    }

    fn event(&self, at: Option<Pointer>) -> Result<Event> {
        let Pointer(lsn, _) = at.ok_or(Error::Damaged { lsn: 0, what: "the record was lost" })?;
        Event::decode(&self.inner.journal.read(lsn)?, lsn)
    }
}

fn wrong(at: Option<Pointer>) -> Error {
    Error::Damaged { lsn: at.map_or(0, |at| at.0), what: "it is another kind of event" }
}
