//! The security boundary: untrusted components in, checked Arrow batches out.
//!
//! A compiled lambda and an upload are the same thing here. No engine, no HTTP and no job state: callers hand in bytes
//! and batches. Guest data becomes Arrow only through `checked.rs`.

mod cancel;
mod error;
mod manifest;
mod options;
mod sandbox;
mod transform;

pub use cancel::CancelFlag;
pub use error::{Error, Fault, GuestCode, Origin, Result};
pub use manifest::{Capability, ConnectorDecl, FunctionDecl, FunctionKind, Manifest, PluginConnectorKind};
pub use options::{CompileLimits, CompilerCommand, Options};
pub use sandbox::{Component, Inspection, Sandbox, compile_main};
pub use transform::{Column, Instance, Kept, LogLevel, LogLine, Plan, Processed, Stats, Transform};
