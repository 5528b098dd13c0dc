//! What survives a crash: an append-only journal of events, and an index over it.
//!
//! The journal is the truth: length-framed, checksummed records in segment files, made durable by group commit. The
//! index (sled) only makes lookups fast; where it is missing, damaged, or not what the journal says, it is built again
//! from the journal. Bytes over 64 KiB lie in files of their own and are durable before the event that names them.
//!
//! Nothing here knows what a job does or how it runs.

mod blob;
mod error;
mod event;
mod files;
mod index;
mod journal;
mod lock;
mod record;
mod store;
mod text;
mod upkeep;

pub use blob::Blob;
pub use error::{Error, Result};
pub use event::{
    Accepted, ContextRecord, DatasetCommitted, Ending, Event, Keyed, PartitionRecord, PluginAdded, RefusedRecord, StageRecord,
    WarningRecord,
};
pub use journal::Lsn;
pub use record::{DatasetRow, EndedRow, JobRow, KeyRow, PluginRow};
pub use store::{Options, Retention, Store};
pub use upkeep::Upkeep;
