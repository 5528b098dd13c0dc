//! JavaScript functions compiled to WebAssembly components: text and element types in, one component of the world
//! `lambda` out.
//!
//! Running components, the host's batches and the plan of a job are the engine's; this crate knows no Arrow.

mod check;
mod compile;
mod component;
mod emit;
mod error;
mod fuse;
mod guard;
mod kind;
mod link;
mod model;
mod parse;
mod runtime;
mod syntax;
mod tree;

pub use compile::compile;
pub use error::{Diagnostic, DiagnosticKind};
pub use model::{Compiled, Element, End, Field, Lambda, Pipeline, Step, Type};
