//! What a connector is: sources, sinks and the conventions of elements over Arrow.
//!
//! No engine and no sandbox: a connector crate imports this one and `azora-spec`, and nothing else of ours.

mod connector;
pub mod element;
mod memory;
mod registry;
mod sink;
mod source;

pub use connector::{Connector, ConnectorKind};
pub use memory::MemoryConnector;
pub use registry::Registry;
pub use sink::{Receipt, Sink, Token, Writer, WriterId};
pub use source::{Outcome, Position, ReadRequest, Reader, Source, Split};
