//! The data plane: validated jobs become DataFusion plans, plans run partition by partition into two-phase sinks.
//!
//! No HTTP, no sled, no cluster and no knowledge of any connector but files: those are other crates. The sandbox runs
//! every function; no plan holds plugin bytes, only digests.

mod cache;
mod catalog;
mod concat;
mod engine;
mod error;
mod explain;
mod files;
pub mod format;
mod fuse;
mod guests;
mod input;
mod lambda;
mod letters;
mod local;
mod memory;
mod node;
mod notes;
mod options;
mod pins;
mod plan;
mod planned;
mod progress;
mod pushdown;
mod reading;
mod relation;
mod result;
mod runner;
mod session;
mod sink;
mod stack;
mod stages;
mod stops;
#[cfg(test)]
mod testing;
mod udf;

pub use cache::{CacheEntryView, CacheView};
pub use catalog::{Catalog, DatasetEntry, PluginEntry};
pub use engine::Engine;
pub use error::{Error, failure_of};
pub use explain::{ChainExplained, ColumnExplained, ElementsExplained, Explained};
pub use guests::{guest_connector, inside_config};
pub use lambda::check_function;
pub use letters::Refused;
pub use node::{Components, decode_node, encode_node};
pub use notes::{LambdaUse, Warning};
pub use options::{ContextOptions, Options};
pub use pins::Pins;
pub use planned::Planned;
pub use progress::{Progress, StageUpdate};
pub use relation::Shape;
pub use result::JobResult;
pub use runner::{RunContext, Runner};
