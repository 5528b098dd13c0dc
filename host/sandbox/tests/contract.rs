//! The WIT package is valid. That a released version never changes is checked with the house's other rules.
#![allow(clippy::unwrap_used, reason = "helpers of tests end a test as its assertions do")]

use std::path::{Path, PathBuf};
use wit_parser::Resolve;

fn wit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

#[test]
fn the_package_parses_and_has_every_world() {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit()).unwrap();
    for world in ["lambda", "transform-plugin", "aggregate-plugin", "source-plugin", "sink-plugin", "connector-plugin"] {
        resolve.select_world(&[package], Some(world)).unwrap();
    }
}
