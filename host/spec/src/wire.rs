//! The JSON shapes of the REST contract and their way into [`crate::JobSpec`]: after this module nothing is untyped.
//!
//! Readers here parse rather than validate: each takes a JSON value and answers a type that cannot hold a wrong request,
//! or a [`crate::Failure`] with a JSON Pointer, what was expected, what was there, and where possible what was meant.
//! How answers look in JSON is the business of `azora-api`.

mod cache;
mod combination;
mod dataframe;
mod explain;
mod fields;
mod function;
mod grants;
mod input;
mod job;
mod json;
mod operation;
mod requests;
mod scan;
mod sink;
mod sql;
mod suggest;

pub use explain::explained_job;
pub use fields::{Fields, Unknown, shown};
pub use function::plugin_function;
pub use grants::{grants, grants_json};
pub use job::job_spec;
pub use json::parse;
pub use requests::{ContextRequest, DataFrameRequest, IngestRequest, StreamingRequest, TryRequest};
pub use scan::{place, places};
pub use sink::partition_by;
pub use sql::{SqlRequest, Statements, function_json, statements};
pub use suggest::{closest, meant, suggestion};

#[cfg(test)]
mod tests;
