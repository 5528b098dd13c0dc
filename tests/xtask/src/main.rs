//! `cargo xtask`: the project's chores as plain Rust. Every command installs what it needs or says how to.
//!
//! Nothing here is part of the product.

mod demo;
mod go;
mod guests;
mod interpreter;
mod runtime;
mod server;
mod services;
mod snapshot;
mod steps;
mod suite;
mod tour;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the Azora Spark checkout")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything, start a server on embedded defaults, run a tour of real jobs, stop.
    Demo,
    /// Install what the tests need, build the guests, run every test.
    Test {
        /// Passed on to `cargo test`, for example a test's name.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Build the example and test guests into components.
    Guests,
    /// Rebuild the lambda runtime that is checked in as WebAssembly.
    Runtime,
    /// Rebuild the JavaScript engine that is checked in as a compressed component.
    Interpreter,
    /// Formatting, lints, documentation and tests, as CI and reviewers see them.
    Check,
}

fn main() -> ExitCode {
    // The demo's HTTP client cannot be made without; nothing else can have installed one before.
    rustls::crypto::ring::default_provider().install_default().ok();
    let outcome = match Arguments::parse().command {
        Command::Demo => demo::run(),
        Command::Test { rest } => suite::test(&rest),
        Command::Guests => suite::build_guests().map(drop),
        Command::Runtime => runtime::build(steps::root()),
        Command::Interpreter => interpreter::build(steps::root()),
        Command::Check => suite::check(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            steps::say(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
