//! The second tier of lambdas: a JavaScript engine (QuickJS-ng) inside a component of `azora:plugin`, built of `guest/` by
//! `cargo xtask interpreter` and checked in compressed, so that building the server needs no C compiler.
//!
//! Which lambdas it runs, and how a job's chain is said to it, is the engine's business; the format of its configuration
//! is written in `guest/src/config.rs`.

use std::io;
use std::sync::OnceLock;

static COMPRESSED: &[u8] = include_bytes!("interpreter.wasm.zst");
/// Bytes of the component, at most: a bound for what is read.
const BYTES_MAX: usize = 8 << 20;

/// The component's bytes. They are decompressed at the first call and kept: 1.3 MB.
///
/// # Errors
/// Where the embedded bytes are damaged, which a test of this crate rules out.
pub fn component() -> io::Result<&'static [u8]> {
    static COMPONENT: OnceLock<Vec<u8>> = OnceLock::new();
    if let Some(bytes) = COMPONENT.get() {
        return Ok(bytes);
    }
    let bytes = zstd::bulk::decompress(COMPRESSED, BYTES_MAX)?;
    Ok(COMPONENT.get_or_init(|| bytes))
}
