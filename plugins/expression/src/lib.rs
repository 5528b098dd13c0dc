//! JavaScript functions compiled to WebAssembly components: text and element types in, one component of the world
//! `lambda` out.
//!
//! A function means what Node makes of it, but for this:
//! - Integers are Int64 and exact as long as `+`, `-` and `*` keep them whole; leaving 64 bits is a failure (`overflow`),
//!   never another number. There is no negative zero among them.
//! - A column has one type. What would be a number here and a string there is refused with a hint; where only a null
//!   row makes the difference (`null + null` of two strings), that row is a failure.
//! - `undefined` is stored as null. A cut through a surrogate pair leaves U+FFFD.
//! - There is no clock and no chance: equal input gives equal output.
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
