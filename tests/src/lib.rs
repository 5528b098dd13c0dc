//! The harness of the end-to-end tests: a server in this process, a client, and cases that are data.
//!
//! The cases themselves lie in `tests/cases`; what is tested beside the code lies beside the code.

pub mod attack;
mod cases;
mod client;
mod guests;
pub mod hostile;
mod neighbours;
pub mod readme;
mod server;

pub use cases::{Case, Failed};
pub use client::{Answer, Client};
pub use guests::{component, hostile as hostile_component};
pub use server::Server;
