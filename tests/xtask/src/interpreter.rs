//! `cargo xtask interpreter`: compiles the JavaScript engine of the second tier to the component that is checked in
//! compressed, and records what it was built of.
//!
//! Everybody else builds without it and needs no C compiler; a test of the interpreter's crate fails where the sources
//! are not those of the record.

use crate::runtime::sources;
use crate::{guests, steps};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

const GUEST: &str = "plugins/interpreter/guest";
const COMPONENT: &str = "plugins/interpreter/src/interpreter.wasm.zst";
const RECORD: &str = "plugins/interpreter/src/interpreter.digest";
/// C's and Rust's stack together; the engine itself uses less, and says so by an exception.
const STACK_BYTES: u32 = 512 * 1024;
/// The most that zstd has to offer: it is compressed once, and decompressed by every server.
const LEVEL: i32 = 22;
/// Starts the engine and puts its globals in order, which takes some ten milliseconds.
const INITIALISE: &str = "azora-initialise";

/// Builds the component and its record in the checkout at `root`.
pub(crate) fn build(root: &Path) -> Result<()> {
    let compiler = "clang-22";
    if !steps::is_there(compiler) {
        steps::install("the JavaScript engine is written in C", &[compiler, "lld-22", "binutils"])?;
    }
    let out = tempfile::tempdir()?;
    let folder = root.join(GUEST);
    let native = guests::Native {
        // The archive is only taken apart again by the Rust compiler, so any archiver will do.
        environment: &[("CC_wasm32_unknown_unknown", compiler), ("AR_wasm32_unknown_unknown", "ar")],
        flags: &[&format!("-Clink-arg=-zstack-size={STACK_BYTES}")],
        initialise: Some(INITIALISE),
    };
    let built = guests::build_native(&folder, out.path(), &native)?;
    let component = fs::read(&built.component).with_context(|| format!("cannot read {}", built.component.display()))?;
    let compressed = zstd::bulk::compress(&component, LEVEL).context("cannot compress the component")?;
    fs::write(root.join(COMPONENT), &compressed).with_context(|| format!("cannot write {COMPONENT}"))?;
    let record = format!(
        "sources {}\ncomponent {}\ntoolchain {}, {compiler}\n",
        sources(&folder)?,
        hex::encode(Sha256::digest(&component)),
        built.toolchain
    );
    fs::write(root.join(RECORD), record).with_context(|| format!("cannot write {RECORD}"))?;
    steps::say(&format!("   {COMPONENT}: {} bytes, {} uncompressed", compressed.len(), component.len()));
    Ok(())
}
