//! `cargo xtask test` and `cargo xtask check`. What is tested lives with the code and in `tests/`.

use crate::{guests, services, steps};
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

/// Builds the guests that the tests upload, then runs every test of the workspace.
pub(crate) fn test(rest: &[String]) -> Result<()> {
    if !steps::is_there("node") {
        steps::install("lambdas are compared with Node", &["nodejs"])?;
    }
    if !steps::is_there("curl") {
        steps::install("the README's tour is run", &["curl"])?;
    }
    if Command::new("openssl").arg("version").output().is_err() {
        steps::install("servers of the tests have certificates", &["openssl"])?;
    }
    services::redis()?;
    services::databases()?;
    services::kafka()?;
    moto()?;
    let built = build_guests()?;
    steps::run(
        "Testing the workspace",
        steps::cargo().args(["test", "--workspace", "--no-fail-fast"]).args(rest).env("AZORA_TEST_GUESTS", &built),
    )
}

/// The S3 server of the tests, in a virtual environment beside what cargo builds.
fn moto() -> Result<()> {
    const PACKAGE: &str = "moto[server]==5.2.5";
    let folder = steps::target_dir().join("services/moto");
    if folder.join("bin/moto_server").exists() {
        return Ok(());
    }
    let has_venv = Command::new("python3").args(["-c", "import ensurepip, venv"]).output().is_ok_and(|output| output.status.success());
    if !has_venv {
        steps::install("the S3 server of the tests is a Python program", &["python3", "python3-venv"])?;
    }
    steps::run("Making a virtual environment", Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    steps::run("Installing the S3 server", Command::new(folder.join("bin/pip")).args(["install", "--quiet", PACKAGE]))
}

/// What a change must pass before review.
pub(crate) fn check() -> Result<()> {
    steps::run("Checking the format", steps::cargo().args(["fmt", "--all", "--check"]))?;
    steps::run("Checking lints", steps::cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    steps::run("Checking the documentation", steps::cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    test(&[])
}

/// Builds every guest of the checkout and answers the folder that holds their components.
pub(crate) fn build_guests() -> Result<PathBuf> {
    let out = steps::target_dir().join("guests").join("components");
    for guest in ["examples/transform-rust", "examples/connector-rust-source", "examples/connector-rust-sink", "tests/guests/types"] {
        let folder = steps::root().join(guest);
        if folder.join("Cargo.toml").exists() {
            guests::build(&folder, &out)?;
        }
    }
    Ok(out)
}
