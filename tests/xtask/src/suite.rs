//! `cargo xtask test` and `cargo xtask check`. What is tested lives with the code and in `tests/`.

use crate::{guests, services, steps};
use anyhow::Result;
use std::path::PathBuf;

/// Builds the guests that the tests upload, then runs every test of the workspace.
pub(crate) fn test(rest: &[String]) -> Result<()> {
    if !steps::is_there("node") {
        steps::install("lambdas are compared with Node", &["nodejs"])?;
    }
    if !steps::is_there("curl") {
        steps::install("the README's tour is run", &["curl"])?;
    }
    if std::process::Command::new("openssl").arg("version").output().is_err() {
        steps::install("servers of the tests have certificates", &["openssl"])?;
    }
    services::redis()?;
    services::databases()?;
    services::kafka()?;
    services::ferretdb()?;
    moto()?;
    polars()?;
    let built = build_guests()?;
    steps::run(
        "Testing the workspace",
        steps::cargo().args(["test", "--workspace", "--no-fail-fast"]).args(rest).env("AZORA_TEST_GUESTS", &built),
    )
}

/// The S3 server of the tests.
fn moto() -> Result<()> {
    environment("moto", "bin/moto_server", "moto[server]==5.2.5", "the S3 server of the tests is a Python program")
}

/// What the README's tour reads an Arrow stream with.
fn polars() -> Result<()> {
    environment("polars", "lib/polars-2.1.0", "polars==2.1.0", "the README's Python is run")
}

/// A virtual environment with one Python package, beside what cargo builds. `proof` is there once it is complete.
fn environment(name: &str, proof: &str, package: &str, why: &str) -> Result<()> {
    let folder = steps::target_dir().join("services").join(name);
    if folder.join(proof).exists() {
        return Ok(());
    }
    steps::virtual_environment(why, &folder, package)?;
    if !folder.join(proof).exists() {
        std::fs::write(folder.join(proof), "")?;
    }
    Ok(())
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
