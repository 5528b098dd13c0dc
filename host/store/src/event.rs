//! What happened, as it stands in the journal: one JSON object per record, `{"v":1,"e":"accepted",…}`.
//!
//! Events are facts that carry everything of their kind, so they may be replayed more than once and, within one job,
//! in any order: compaction moves a live event behind younger ones.

use crate::blob::Blob;
use crate::error::{Error, Result};
use crate::text;
use azora_spec::{DatasetName, Digest, Failure, JobId, JobState, PluginName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of every record that is written. A reader refuses larger ones.
pub(crate) const VERSION: u32 = 1;
/// How a record of that version begins.
const HEAD: &[u8] = b"{\"v\":1,";

/// One fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "e", rename_all = "snake_case")]
pub enum Event {
    /// A job exists.
    Accepted(Accepted),
    /// Its plan is fixed.
    Planned {
        /// The job.
        #[serde(with = "text::id")]
        job: JobId,
        /// When, in milliseconds since 1970.
        at_ms: u64,
        /// What a restart must not decide again.
        pins: Blob,
        /// Output partitions.
        partitions: usize,
        /// Counts from 0; the largest one counts, and what was prepared for a smaller one is no part of the job any more.
        #[serde(default, skip_serializing_if = "is_first")]
        revision: u32,
    },
    /// A run begins.
    Started {
        /// The job.
        #[serde(with = "text::id")]
        job: JobId,
        /// When.
        at_ms: u64,
        /// Counts from 0; the largest one counts.
        attempt: u32,
    },
    /// One output partition is durable and invisible.
    Prepared {
        /// The job.
        #[serde(with = "text::id")]
        job: JobId,
        /// Which partition.
        partition: u32,
        /// What the sink calls it.
        token: String,
        /// Of the plan that it was prepared for.
        #[serde(default, skip_serializing_if = "is_first")]
        revision: u32,
    },
    /// The sink may have made the output visible from here on.
    CommitBegun {
        /// The job.
        #[serde(with = "text::id")]
        job: JobId,
        /// When.
        at_ms: u64,
    },
    /// Somebody asked to cancel it.
    CancelRequested {
        /// The job.
        #[serde(with = "text::id")]
        job: JobId,
        /// When.
        at_ms: u64,
    },
    /// It ended.
    Ended(Ending),
    /// It is forgotten, with everything above.
    Deleted {
        /// The job.
        #[serde(with = "text::id")]
        job: JobId,
    },
    /// An idempotency key is bound to a job.
    Keyed(Keyed),
    /// An idempotency key is forgotten.
    KeyDropped {
        /// The key.
        key: String,
    },
    /// A plugin can be used.
    PluginAdded(PluginAdded),
    /// It cannot be used any more.
    PluginRemoved {
        /// Its bytes' hash.
        #[serde(with = "text::digest")]
        digest: Digest,
    },
    /// A dataset has a new version.
    DatasetCommitted(DatasetCommitted),
    /// A dataset is gone.
    DatasetRemoved {
        /// Its name.
        #[serde(with = "text::id")]
        name: DatasetName,
    },
}

/// A job as it was submitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// The job.
    #[serde(with = "text::id")]
    pub job: JobId,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Its name for people.
    pub name: Option<String>,
    /// The request. Absent where nobody can rely on the job: a caller waits, and nothing is visible before the answer.
    pub request: Option<Blob>,
    /// The context that it runs in, whatever becomes of that context.
    pub context: ContextRecord,
    /// Whether its caller waits for it, so that a restart ends it in place of running it again.
    pub is_waited_for: bool,
}

/// What a job keeps of its context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextRecord {
    /// Partitions of a job that does not say.
    pub parallelism: usize,
    /// Threads that compute.
    pub threads: usize,
    /// Memory of the operators.
    pub memory_bytes: usize,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    /// The job.
    #[serde(with = "text::id")]
    pub job: JobId,
    /// When.
    pub at_ms: u64,
    /// `succeeded`, `failed` or `cancelled`.
    #[serde(with = "state")]
    pub state: JobState,
    /// Why, unless it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_failure")]
    pub failure: Option<Failure>,
    /// Rows written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
    /// What was made, for people.
    pub outputs: Vec<String>,
    /// The engine's description of the result, which with the tokens is all that reading it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Progress as it stood at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageRecord>,
    /// Rows and records that were left out, by reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedRecord>,
    /// The dataset that keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<String>,
    /// What went wrong without changing how it ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<WarningRecord>,
    /// Number of the job's last event.
    pub last_seq: u64,
}

/// What an ended job left out for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRecord {
    /// A failure's code.
    pub code: String,
    /// Why, for people.
    pub reason: String,
    /// How many rows or records.
    pub rows: u64,
}

/// What went wrong beside an ended job, as a failure says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningRecord {
    /// A failure's code.
    pub code: String,
    /// What, for people.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

/// One stage of an ended job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Its number.
    pub stage: usize,
    /// What it does.
    pub name: String,
    /// Its partitions.
    pub partitions: usize,
    /// Those that finished.
    pub partitions_done: usize,
    /// Rows read.
    pub rows_in: u64,
    /// Rows given on.
    pub rows_out: u64,
    /// Bytes given on.
    pub bytes: u64,
    /// Nanoseconds inside guests.
    pub guest_ns: u64,
    /// Failed calls of guests that the job went on behind.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub traps: u64,
    /// Rows that were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u64,
    /// The first of its partitions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<PartitionRecord>,
}

/// One partition of a stage of an ended job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionRecord {
    /// Its number.
    pub partition: usize,
    /// Whether it finished.
    pub is_done: bool,
    /// Rows read.
    pub rows_in: u64,
    /// Rows given on.
    pub rows_out: u64,
    /// Bytes given on.
    pub bytes: u64,
    /// Nanoseconds inside guests.
    pub guest_ns: u64,
    /// Failed calls of guests that the job went on behind.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub traps: u64,
    /// Rows that were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
const fn is_first(revision: &u32) -> bool {
    *revision == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// An idempotency key and what it is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyed {
    /// The key.
    pub key: String,
    /// Hash of the request's body.
    #[serde(with = "text::digest")]
    pub body_digest: Digest,
    /// The job that the first request made.
    #[serde(with = "text::id")]
    pub job: JobId,
    /// When.
    pub at_ms: u64,
}

/// An uploaded component. Its bytes are in a file that was durable before this event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PluginAdded {
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
    /// When.
    pub at_ms: u64,
    /// What it said of itself, in the caller's own encoding.
    pub manifest: Value,
}

/// One version of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetCommitted {
    /// Its name.
    #[serde(with = "text::id")]
    pub name: DatasetName,
    /// Directory of the version, relative to the data directory.
    pub directory: String,
    /// Its files, in the order of their rows.
    pub files: Vec<String>,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// When.
    pub at_ms: u64,
    /// Counts commits of all datasets; the largest one is the last dataset.
    pub ordinal: u64,
    /// The job that made it.
    #[serde(with = "text::id")]
    pub job: JobId,
    /// When it ends, in milliseconds since 1970; never where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
}

#[derive(Serialize)]
struct Outgoing<'a> {
    v: u32,
    #[serde(flatten)]
    event: &'a Event,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

impl Event {
    /// The record of it.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&Outgoing { v: VERSION, event: self }).map_err(Error::Encode)
    }

    /// Reads a record whose checksum was right.
    pub(crate) fn decode(bytes: &[u8], lsn: u64) -> Result<Self> {
        if !bytes.starts_with(HEAD) {
            return Err(match serde_json::from_slice::<Version>(bytes) {
                Ok(Version { v }) if v > VERSION => Error::Newer { path: "the journal".into(), found: v, supported: VERSION },
                _ => Error::Damaged { lsn, what: "it is not an event" },
            });
        }
        serde_json::from_slice(bytes).map_err(|error| {
            tracing::error!(lsn, %error, "a record has a right checksum and a wrong content");
            Error::Damaged { lsn, what: "its content is not an event of this version" }
        })
    }

    /// The job that it is about, if any.
    pub(crate) fn job(&self) -> Option<JobId> {
        match self {
            Self::Accepted(accepted) => Some(accepted.job),
            Self::Ended(ending) => Some(ending.job),
            Self::Planned { job, .. }
            | Self::Started { job, .. }
            | Self::Prepared { job, .. }
            | Self::CommitBegun { job, .. }
            | Self::CancelRequested { job, .. }
            | Self::Deleted { job } => Some(*job),
            Self::Keyed(_)
            | Self::KeyDropped { .. }
            | Self::PluginAdded(_)
            | Self::PluginRemoved { .. }
            | Self::DatasetCommitted(_)
            | Self::DatasetRemoved { .. } => None,
        }
    }
}

mod state {
    use azora_spec::JobState;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(value: &JobState, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<JobState, D::Error> {
        let text = String::deserialize(deserializer)?;
        JobState::parse(&text).ok_or_else(|| D::Error::custom("not a state"))
    }
}

mod optional_failure {
    use crate::text::failure;
    use azora_spec::Failure;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Wrapped(#[serde(with = "failure")] Failure);

    pub(super) fn serialize<S: Serializer>(value: &Option<Failure>, serializer: S) -> Result<S::Ok, S::Error> {
        value.clone().map(Wrapped).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Failure>, D::Error> {
        Ok(Option::<Wrapped>::deserialize(deserializer)?.map(|wrapped| wrapped.0))
    }
}
