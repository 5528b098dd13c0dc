//! The words that every layer shares: ids, digests, error codes, limits, the validated [`JobSpec`] and the job's state
//! machine.
//!
//! No engine, no sandbox, no HTTP and no disk: clients, tests and the store use this crate without them.

mod code;
mod combination;
pub mod config_schema;
mod digest;
mod failure;
mod frame;
mod grants;
mod id;
mod job;
pub mod limits;
pub mod milestone;
mod operation;
mod secret;
mod state;
pub mod wire;

pub use code::{Blame, Code};
pub use combination::{Combination, OtherInput};
pub use digest::Digest;
pub use failure::{Failure, Position};
pub use frame::{
    AggregateFunction, AggregateWord, Aggregated, CacheLevel, Cached, ColumnType, Expression, Frame, FrameStep, Grouping, JoinKind, JoinOn,
    NamedExpression, PIVOT_VALUES_MAX, Params, Pivot, Query, SetKind, SortBy, TYPES,
};
pub use grants::{Grants, HostPattern, HttpGrant, KeyValueGrant};
pub use id::{DatasetName, JobId, PluginName, PluginRef, RequestId};
pub use job::{Input, JobOptions, JobSpec, OnError, Sink, WriteMode};
pub use operation::{Buckets, FileFormat, Function, NamedAggregate, Operation, SortOrder};
pub use secret::Secret;
pub use state::{JobState, Transition};
