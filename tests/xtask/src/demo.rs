//! `cargo xtask demo`: the README's tour, run for real against a server that it starts and stops.
//!
//! The steps are data in `tour.rs`; here is only how they are carried out and shown.

use crate::server::Server;
use crate::{guests, steps, tour};
use anyhow::{Context, Result};

/// Builds what is needed, runs the tour, stops the server.
pub(crate) fn run() -> Result<()> {
    steps::heading("Preparing the WebAssembly toolchain");
    guests::toolchain(true)?;
    steps::say("\nThe first build compiles DataFusion and wasmtime: about half an hour on two cores, seconds afterwards.");
    steps::run("Building the server", steps::cargo().args(["build", "--workspace", "--bin", "azora"]))?;
    steps::heading("Building the example plugin from examples/transform-rust");
    let components = steps::target_dir().join("guests").join("components");
    let plugin = guests::build(&steps::root().join("examples/transform-rust"), &components)?;

    let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
    let server =
        Server::start(&steps::target_dir().join("debug/azora"), folder.path(), &[&steps::root().join("examples/data"), folder.path()])?;
    steps::heading(&format!("A server listens on {}", server.url()));
    tour::walk(&server, &plugin.component, folder.path())?;
    server.stop()?;
    steps::say("\nThe server has stopped and its temporary data is gone. To keep one: `cargo run --bin azora -- serve`, then README.md.");
    Ok(())
}
