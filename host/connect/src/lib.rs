//! What a connector is: sources, sinks, the conventions of elements over Arrow, and what every connector needs on its way:
//! JSON to columns, bad records, secrets, and which servers may be reached.
//!
//! No engine and no sandbox: a connector crate imports this one and `azora-spec`, and nothing else of ours.

#[cfg(feature = "avro")]
pub mod avro;
pub mod bad;
#[cfg(feature = "compress")]
pub mod compress;
mod condition;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod connector;
pub mod element;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod hive;
#[cfg(feature = "ipc")]
pub mod ipc;
pub mod json;
mod memory;
pub mod network;
mod registry;
pub mod schema;
mod secrets;
mod setup;
mod sink;
mod source;
pub mod types;

pub use bad::{Receive, Rejected, Rejects};
pub use condition::{Compare, Condition, Constant};
pub use connector::{Connector, ConnectorKind, Half};
pub use memory::MemoryConnector;
pub use network::Policy;
pub use registry::Registry;
pub use secrets::Secrets;
pub use setup::Setup;
pub use sink::{Receipt, Sink, Token, Writer, WriterId};
pub use source::{Finish, Outcome, Position, ReadRequest, Reader, Source, Split, rows_within};
