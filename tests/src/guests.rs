//! Components that tests upload.

use crate::hostile as corpus;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The bytes of a guest that `cargo xtask guests` built.
///
/// # Errors
/// When it was not built; the text says how to.
pub fn component(name: &str) -> Result<Vec<u8>> {
    let path = folder()?.join(format!("{name}.wasm"));
    std::fs::read(&path).with_context(|| format!("{} is missing: run `cargo xtask guests`", path.display()))
}

/// Where `cargo xtask guests` put them.
///
/// # Errors
/// When nobody says.
pub(crate) fn folder() -> Result<PathBuf> {
    std::env::var_os("AZORA_TEST_GUESTS").map(PathBuf::from).context("AZORA_TEST_GUESTS is not set: run the tests by `cargo xtask test`")
}

/// The bytes of a hostile component by its name; `healthy` is the one that they are all made of.
///
/// # Errors
/// When there is none of this name.
pub fn hostile(name: &str) -> Result<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("tests/ has a parent")?;
    if name == "healthy" {
        return corpus::healthy(root);
    }
    let case = corpus::cases(root)?.into_iter().find(|case| case.name == name);
    Ok(case.with_context(|| format!("no hostile component is called {name}"))?.bytes)
}
