//! `cargo xtask test` and `cargo xtask check`. What is tested lives with the code and in `tests/`.

use crate::{go, guests, services, steps};
use anyhow::{Result, bail};
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
    if !steps::is_there("npm") {
        steps::install("Azure's protocol is tested with a server from npm", &["npm"])?;
    }
    // All that the distribution installs comes first: it has one lock.
    steps::python("the S3 server of the tests is a Python program")?;
    services::redis()?;
    services::databases()?;
    services::java()?;
    prepare()?;
    let built = build_guests()?;
    steps::run(
        "Testing the workspace",
        steps::cargo().args(["test", "--workspace", "--no-fail-fast"]).args(rest).env("AZORA_TEST_GUESTS", &built),
    )
}

/// Fetches and builds what lies beside what cargo builds, all at once: most of it waits for registries. What is built from
/// Go is one behind the other, since each build takes all processors.
fn prepare() -> Result<()> {
    let go = || go::ferretdb().and_then(|()| go::fake_gcs());
    let python = || moto().and_then(|()| polars());
    let kinds: [&(dyn Fn() -> Result<()> + Sync); 4] = [&go, &python, &services::kafka, &services::azurite];
    std::thread::scope(|scope| {
        let started: Vec<_> = kinds.iter().map(|kind| scope.spawn(kind)).collect();
        started.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("preparing a server panicked")))
    })
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
