//! The rows in memory, and how an event changes them. They are few: ended jobs beyond a limit are dropped. sled keeps a
//! copy of them on disk (`disk.rs`), which is all that it is for: a failing copy never stops the server.

mod disk;

pub(crate) use disk::{Disk, Loaded};

use crate::event::{Event, Keyed};
use crate::record::{DatasetRow, EndedRow, JobRow, KeyRow, PluginRow, Pointer};
use azora_spec::{DatasetName, Digest, JobId};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A job's row and where its tokens lie.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Job {
    pub(crate) row: JobRow,
    pub(crate) tokens: BTreeMap<u32, Pointer>,
}

/// All rows.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tables {
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) plugins: BTreeMap<Digest, PluginRow>,
    pub(crate) datasets: BTreeMap<DatasetName, DatasetRow>,
    pub(crate) keys: BTreeMap<String, KeyRow>,
    /// Bytes of the journal that rows point to; the rest is garbage.
    pub(crate) live_bytes: u64,
}

/// One key of the copy on disk: a new value, or none.
pub(crate) type Change = (Vec<u8>, Option<Vec<u8>>);

/// First byte of a key: what kind of row it names.
pub(crate) mod kind {
    pub(crate) const JOB: u8 = b'j';
    pub(crate) const TOKEN: u8 = b't';
    pub(crate) const PLUGIN: u8 = b'p';
    pub(crate) const DATASET: u8 = b'd';
    pub(crate) const KEY: u8 = b'k';
    pub(crate) const META: u8 = b'm';
}

impl Tables {
    /// Applies an event that lies at `at`, and says what changes on disk.
    pub(crate) fn apply(&mut self, event: &Event, at: Pointer) -> Vec<Change> {
        if let Event::Deleted { job } = event {
            return self.delete(*job);
        }
        let mut changes = Vec::new();
        if let Event::Prepared { job, revision, .. } | Event::Planned { job, revision, .. } = event {
            // A moved event may come after one of a later plan, or before that plan itself.
            match revision.cmp(&self.jobs.entry(*job).or_default().row.revision) {
                Ordering::Less => return changes,
                Ordering::Equal => {}
                Ordering::Greater => changes = self.revise(*job, *revision),
            }
        }
        if let Event::Prepared { job, partition, .. } = event {
            let old = self.jobs.entry(*job).or_default().tokens.insert(*partition, at);
            self.count(old, Some(at));
            changes.push((token_key(*job, *partition), encode(&at)));
            return changes;
        }
        if let Some(job) = event.job() {
            changes.extend(self.apply_to_job(job, event, at));
            return changes;
        }
        match event {
            Event::Keyed(Keyed { key, body_digest, job, at_ms }) => {
                let row = KeyRow { body_digest: *body_digest, job: *job, at_ms: *at_ms, at };
                let change = (named_key(kind::KEY, key.as_bytes()), encode(&row));
                let old = self.keys.insert(key.clone(), row).map(|row| row.at);
                self.count(old, Some(at));
                vec![change]
            }
            Event::KeyDropped { key } => {
                let old = self.keys.remove(key).map(|row| row.at);
                self.count(old, None);
                vec![(named_key(kind::KEY, key.as_bytes()), None)]
            }
            Event::PluginAdded(added) => {
                let row = PluginRow {
                    digest: added.digest,
                    name: added.name.clone(),
                    version: added.version.clone(),
                    bytes: added.bytes,
                    at_ms: added.at_ms,
                    at,
                };
                let change = (named_key(kind::PLUGIN, added.digest.as_bytes()), encode(&row));
                let old = self.plugins.insert(added.digest, row).map(|row| row.at);
                self.count(old, Some(at));
                vec![change]
            }
            Event::PluginRemoved { digest } => {
                let old = self.plugins.remove(digest).map(|row| row.at);
                self.count(old, None);
                vec![(named_key(kind::PLUGIN, digest.as_bytes()), None)]
            }
            Event::DatasetCommitted(committed) => {
                let row = DatasetRow {
                    name: committed.name.clone(),
                    directory: committed.directory.clone(),
                    files: committed.files.len(),
                    rows: committed.rows,
                    bytes: committed.bytes,
                    at_ms: committed.at_ms,
                    ordinal: committed.ordinal,
                    job: committed.job,
                    expires_at_ms: committed.expires_at_ms,
                    at,
                };
                let change = (named_key(kind::DATASET, committed.name.as_str().as_bytes()), encode(&row));
                let old = self.datasets.insert(committed.name.clone(), row).map(|row| row.at);
                self.count(old, Some(at));
                vec![change]
            }
            Event::DatasetRemoved { name } => {
                let old = self.datasets.remove(name).map(|row| row.at);
                self.count(old, None);
                vec![(named_key(kind::DATASET, name.as_str().as_bytes()), None)]
            }
            _ => Vec::new(),
        }
    }

    /// Another plan counts from here on: the one before is forgotten, with what was prepared for it.
    fn revise(&mut self, id: JobId, revision: u32) -> Vec<Change> {
        let job = self.jobs.entry(id).or_default();
        job.row.revision = revision;
        (job.row.planned_at_ms, job.row.partitions) = (None, None);
        let old = job.row.at.planned.take();
        let mut changes = vec![(named_key(kind::JOB, id.as_bytes()), encode(&job.row))];
        let tokens = std::mem::take(&mut job.tokens);
        changes.extend(tokens.keys().map(|partition| (token_key(id, *partition), None)));
        for at in tokens.into_values().chain(old) {
            self.count(Some(at), None);
        }
        changes
    }

    fn apply_to_job(&mut self, job: JobId, event: &Event, at: Pointer) -> Vec<Change> {
        let row = &mut self.jobs.entry(job).or_default().row;
        let slot = match event {
            Event::Accepted(accepted) => {
                row.name.clone_from(&accepted.name);
                row.accepted_at_ms = accepted.at_ms;
                row.is_waited_for = accepted.is_waited_for;
                row.context = Some(accepted.context);
                &mut row.at.accepted
            }
            Event::Planned { at_ms, partitions, .. } => {
                row.planned_at_ms = Some(*at_ms);
                row.partitions = Some(*partitions);
                &mut row.at.planned
            }
            // A moved event may come after a younger one of its kind.
            Event::Started { attempt, .. } if *attempt < row.attempts.saturating_sub(1) => return Vec::new(),
            Event::Started { at_ms, attempt, .. } => {
                row.started_at_ms = Some(*at_ms);
                row.attempts = attempt.saturating_add(1);
                &mut row.at.started
            }
            Event::CommitBegun { .. } => {
                row.is_commit_begun = true;
                &mut row.at.commit_begun
            }
            Event::CancelRequested { .. } => {
                row.is_cancel_requested = true;
                &mut row.at.cancel_requested
            }
            Event::Ended(ending) => {
                row.ended = Some(EndedRow::of(ending));
                &mut row.at.ended
            }
            _ => return Vec::new(),
        };
        let old = slot.replace(at);
        let change = (named_key(kind::JOB, job.as_bytes()), encode(row));
        self.count(old, Some(at));
        vec![change]
    }

    fn delete(&mut self, id: JobId) -> Vec<Change> {
        let mut changes = vec![(named_key(kind::JOB, id.as_bytes()), None)];
        if let Some(job) = self.jobs.remove(&id) {
            changes.extend(job.tokens.keys().map(|partition| (token_key(id, *partition), None)));
            for at in job.row.at.iter().chain(job.tokens.into_values()) {
                self.count(Some(at), None);
            }
        }
        changes
    }

    /// Whether a row points to this event, so that compaction must keep it.
    pub(crate) fn is_live(&self, event: &Event, at: Pointer) -> bool {
        if let Event::Prepared { job, partition, .. } = event {
            return self.jobs.get(job).and_then(|job| job.tokens.get(partition)) == Some(&at);
        }
        match event {
            Event::Keyed(keyed) => self.keys.get(&keyed.key).is_some_and(|row| row.at == at),
            Event::PluginAdded(added) => self.plugins.get(&added.digest).is_some_and(|row| row.at == at),
            Event::DatasetCommitted(committed) => self.datasets.get(&committed.name).is_some_and(|row| row.at == at),
            _ => event.job().and_then(|job| self.jobs.get(&job)).is_some_and(|job| job.row.at.iter().any(|pointer| pointer == at)),
        }
    }

    /// Adds what rows that were loaded from disk point to.
    pub(crate) fn recount(&mut self) {
        let jobs = self.jobs.values().flat_map(|job| job.row.at.iter().chain(job.tokens.values().copied()));
        let others = self
            .plugins
            .values()
            .map(|row| row.at)
            .chain(self.datasets.values().map(|row| row.at))
            .chain(self.keys.values().map(|row| row.at));
        self.live_bytes = jobs.chain(others).map(|at| at.1).sum();
    }

    fn count(&mut self, old: Option<Pointer>, new: Option<Pointer>) {
        let old = old.map_or(0, |at| at.1);
        let new = new.map_or(0, |at| at.1);
        self.live_bytes = (self.live_bytes + new).saturating_sub(old);
    }
}

fn named_key(kind: u8, name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 1);
    key.push(kind);
    key.extend_from_slice(name);
    key
}

fn token_key(job: JobId, partition: u32) -> Vec<u8> {
    let mut key = named_key(kind::TOKEN, job.as_bytes());
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

/// Rows have only types that JSON can hold; one that failed would merely be missing from the copy, which is then rebuilt.
fn encode(row: &impl Serialize) -> Option<Vec<u8>> {
    serde_json::to_vec(row).ok()
}
