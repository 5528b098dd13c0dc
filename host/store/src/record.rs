//! What the index knows: one small row per job, plugin, dataset and key. Everything else is in the events that rows
//! point to.

use crate::event::ContextRecord;
use crate::journal::Lsn;
use crate::text;
use azora_spec::{Code, DatasetName, Digest, JobId, JobState, PluginName};
use serde::{Deserialize, Serialize};

/// Longest failure message that a row repeats; the event has all of it.
const MESSAGE_CHARS_MAX: usize = 512;

/// Where an event lies and how many bytes it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pointer(pub(crate) Lsn, pub(crate) u64);

/// One job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobRow {
    /// Its name for people.
    pub name: Option<String>,
    /// When it was accepted, in milliseconds since 1970; 0 where that record was lost.
    pub accepted_at_ms: u64,
    /// Whether its caller waits for it.
    pub is_waited_for: bool,
    /// The context that it runs in.
    pub context: Option<ContextRecord>,
    /// When it was planned.
    pub planned_at_ms: Option<u64>,
    /// Output partitions.
    pub partitions: Option<usize>,
    /// How often the plan was replaced by another one.
    pub revision: u32,
    /// When it was started last.
    pub started_at_ms: Option<u64>,
    /// How many runs began.
    pub attempts: u32,
    /// Whether its sink may have made the output visible.
    pub is_commit_begun: bool,
    /// Whether somebody asked to cancel it.
    pub is_cancel_requested: bool,
    /// How it ended.
    pub ended: Option<EndedRow>,
    pub(crate) at: JobPointers,
}

/// How a job ended, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndedRow {
    /// When.
    pub at_ms: u64,
    /// `succeeded`, `failed` or `cancelled`.
    pub state: String,
    /// The failure's code.
    pub code: Option<String>,
    /// The failure's message, perhaps shortened.
    pub message: Option<String>,
    /// Rows written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Whether there is a result.
    pub has_result: bool,
    /// Number of the job's last event.
    pub last_seq: u64,
}

/// Where the events of a job lie.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct JobPointers {
    pub(crate) accepted: Option<Pointer>,
    pub(crate) planned: Option<Pointer>,
    pub(crate) started: Option<Pointer>,
    pub(crate) commit_begun: Option<Pointer>,
    pub(crate) cancel_requested: Option<Pointer>,
    pub(crate) ended: Option<Pointer>,
}

impl JobPointers {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Pointer> {
        [self.accepted, self.planned, self.started, self.commit_begun, self.cancel_requested, self.ended].into_iter().flatten()
    }
}

impl JobRow {
    /// Where the job is in its life.
    #[must_use]
    pub fn state(&self) -> JobState {
        match &self.ended {
            Some(ended) => JobState::parse(&ended.state).filter(|state| state.is_ended()).unwrap_or(JobState::Failed),
            None if self.started_at_ms.is_some() => JobState::Running,
            None if self.planned_at_ms.is_some() => JobState::Planned,
            None => JobState::Accepted,
        }
    }
}

impl EndedRow {
    pub(crate) fn of(ending: &crate::Ending) -> Self {
        Self {
            at_ms: ending.at_ms,
            state: ending.state.as_str().to_owned(),
            code: ending.failure.as_ref().map(|failure| failure.code.as_str().to_owned()),
            message: ending.failure.as_ref().map(|failure| failure.message.chars().take(MESSAGE_CHARS_MAX).collect()),
            rows: ending.rows,
            bytes: ending.bytes,
            has_result: ending.result.is_some(),
            last_seq: ending.last_seq,
        }
    }

    /// The failure in short: its code and perhaps a part of its message.
    #[must_use]
    pub fn failure(&self) -> Option<azora_spec::Failure> {
        let code = self.code.as_deref()?;
        Some(azora_spec::Failure::new(Code::parse(code).unwrap_or(Code::Internal), self.message.clone().unwrap_or_default()))
    }
}

/// One plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginRow {
    /// Hash of its bytes.
    #[serde(with = "text::digest")]
    pub digest: Digest,
    /// Its name.
    #[serde(with = "text::id")]
    pub name: PluginName,
    /// Its version.
    #[serde(with = "text::id")]
    pub version: semver::Version,
    /// Size of its bytes.
    pub bytes: u64,
    /// When it was uploaded, in milliseconds since 1970.
    pub at_ms: u64,
    pub(crate) at: Pointer,
}

/// The current version of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRow {
    /// Its name.
    #[serde(with = "text::id")]
    pub name: DatasetName,
    /// Directory of the version, relative to the data directory.
    pub directory: String,
    /// How many files hold it.
    pub files: usize,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// When it was committed, in milliseconds since 1970.
    pub at_ms: u64,
    /// Counts commits of all datasets.
    pub ordinal: u64,
    /// The job that made it.
    #[serde(with = "text::id")]
    pub job: JobId,
    /// When it ends, in milliseconds since 1970; never where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    pub(crate) at: Pointer,
}

impl DatasetRow {
    /// Whether its time is over. Until the upkeep removes it, it is there on the disk and not for anybody who asks.
    #[must_use]
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms)
    }
}

/// An idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// Hash of the request's body.
    #[serde(with = "text::digest")]
    pub body_digest: Digest,
    /// The job that the first request made.
    #[serde(with = "text::id")]
    pub job: JobId,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    pub(crate) at: Pointer,
}
