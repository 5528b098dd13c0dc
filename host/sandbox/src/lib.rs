//! The security boundary: untrusted components in, checked Arrow batches out.
//!
//! A compiled lambda and an upload are the same thing here, and a guest's connector is a [`azora_connect::Connector`] like
//! any other. No engine and no job state: callers hand in bytes and batches. The one network client is that of the
//! granted `http-client`. Guest data becomes Arrow only through `checked.rs`.

mod abi;
mod aggregate;
mod batch;
mod calls;
mod cancel;
mod capabilities;
mod checked;
mod compile;
mod compiler_process;
mod component;
mod connector;
mod engine;
mod error;
mod host;
mod http_client;
mod instance;
mod key_value;
mod manifest;
mod options;
mod sandbox;
mod schema;
mod shape;
mod sink;
mod source;
mod store;
mod text;
mod transform;

pub use aggregate::{Aggregate, AggregateInstance, AggregatePlan};
pub use cancel::CancelFlag;
pub use capabilities::Services;
pub use compiler_process::compile_main;
pub use component::Component;
pub use connector::GuestConnector;
pub use error::{Error, Fault, GuestCode, Origin, Result};
pub use instance::Instance;
pub use manifest::{Capability, ConnectorDecl, FunctionDecl, FunctionKind, Manifest, PluginConnectorKind};
pub use options::{CompileLimits, CompilerCommand, Options};
pub use sandbox::{Haste, Inspection, Sandbox, Shipped};
pub use transform::{Column, Kept, LogLevel, LogLine, Plan, Processed, Stats, Transform};
