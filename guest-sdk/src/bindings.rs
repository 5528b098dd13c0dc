//! What wit-bindgen makes of `wit/`: the canonical ABI of the plugin contract. Nothing here is written by hand except
//! this file.
//!
//! The bindings are stored, not generated during the build: that spares a plugin's author the code generator, which
//! takes a hundred times longer to compile than the SDK itself. After a change of `wit/`, make them anew with the
//! wit-bindgen of the version in the root `Cargo.toml`:
//!
//! ```text
//! cargo install wit-bindgen-cli --version 0.61.1 --locked --no-default-features --features rust
//! cd guest-sdk/src/bindings && mkdir wit && cp ../../../wit/*.wit everything.wit wit
//! for world in everything transform-plugin aggregate-plugin source-plugin sink-plugin connector-plugin; do
//!   wit-bindgen rust wit --world $world --pub-export-macro --export-macro-name export_$(echo $world | tr - _) \
//!     --generate-all --format
//! done
//! for world in transform aggregate source sink connector; do
//!   sed -n '/^#\[allow(unused_macros)\]/,/^pub use __export/p' ${world}_plugin.rs > t && mv t ${world}_plugin.rs
//! done
//! sed -i '/^\/\/\/ Generates `#\[unsafe(no_mangle)\]` functions/,/^pub use __export/d' everything.rs; rm -r wit
//! ```
//!
//! `everything.rs` holds all types and functions; no plugin is of that world. Of the contract's worlds only the macros are
//! kept that name their exports, so that a plugin exports what it has and nothing else. What of the imports a plugin does
//! not use is left out when it is linked. The fingerprint in `WIT_FINGERPRINT` is compared with `wit/` by a test, which
//! prints the new one.

#![allow(
    missing_docs,
    missing_debug_implementations,
    unsafe_code,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::unwrap_used,
    clippy::panic,
    clippy::undocumented_unsafe_blocks,
    clippy::wildcard_imports,
    reason = "generated code"
)]

#[rustfmt::skip]
#[path = "bindings/everything.rs"]
mod generated;
#[rustfmt::skip]
#[path = "bindings/aggregate_plugin.rs"]
mod aggregate_export;
#[rustfmt::skip]
#[path = "bindings/connector_plugin.rs"]
mod connector_export;
#[rustfmt::skip]
#[path = "bindings/sink_plugin.rs"]
mod sink_export;
#[rustfmt::skip]
#[path = "bindings/source_plugin.rs"]
mod source_export;
#[rustfmt::skip]
#[path = "bindings/transform_plugin.rs"]
mod transform_export;

pub use aggregate_export::export_aggregate_plugin;
pub use connector_export::export_connector_plugin;
pub use generated::{azora, exports};
pub use sink_export::export_sink_plugin;
pub use source_export::export_source_plugin;
pub use transform_export::export_transform_plugin;

/// Fingerprint of the WIT package that these bindings were made from.
#[cfg(test)]
pub(crate) const WIT_FINGERPRINT: u64 = 0xdf8c_5793_3fe7_cec7;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// FNV-1a over the contract without comments, blanks and escapes of keywords.
    fn fingerprint(wit: &Path) -> u64 {
        let mut files: Vec<_> = std::fs::read_dir(wit).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "wit"));
        files.sort();
        let text: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        let bytes = code.flat_map(str::bytes).filter(|byte| !byte.is_ascii_whitespace() && *byte != b'%');
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    #[test]
    fn bindings_are_of_the_current_contract() {
        let found = fingerprint(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit"));
        assert_eq!(found, super::WIT_FINGERPRINT, "wit/ changed: make the bindings anew, then write {found:#018x} into bindings.rs");
    }
}
