//! The assembly: configuration, the joining of the parts, start and stop. The one crate that names concrete parts, and the
//! only one that reads the environment.
//!
//! No routes, no job state, no plans: those are crates of their own.

mod config;
mod doctor;
mod error;
mod logging;
mod server;
mod shutdown;
mod wiring;

pub use config::{Config, Flags, LogFormat, Origin, Setting};
pub use doctor::examine;
pub use error::{Error, Result};
pub use logging::init as init_logging;
pub use server::{Server, start};
pub use shutdown::Signals;
