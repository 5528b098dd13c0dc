//! The WIT package is valid, and what was released of it never changes.
#![allow(clippy::unwrap_used, reason = "helpers of tests end a test as its assertions do")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use wit_parser::Resolve;

fn wit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

fn files(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|extension| extension == "wit"));
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn the_package_parses_and_has_every_world() {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit()).unwrap();
    for world in ["lambda", "transform-plugin", "aggregate-plugin", "source-plugin", "sink-plugin", "connector-plugin"] {
        resolve.select_world(&[package], Some(world)).unwrap();
    }
}

#[test]
fn the_released_files_are_those_of_the_version_in_the_text() {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit()).unwrap();
    let version = resolve.packages[package].name.version.clone().unwrap();
    let released = wit().join("released").join(version.to_string());
    assert!(released.is_dir(), "version {version} has no frozen copy in wit/released");
    assert!(files(&released) == files(&wit()), "wit/ differs from its frozen copy: raise the version or undo the change");
}
