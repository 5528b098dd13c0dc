//! The embedded component is the one that its sources make: whoever changes them rebuilds it.
#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected fails")]

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The digest that `cargo xtask interpreter` records.
fn sources(folder: &Path) -> String {
    let mut files = vec![folder.join("Cargo.lock"), folder.join("Cargo.toml")];
    files.extend(fs::read_dir(folder.join("src")).unwrap().map(|entry| entry.unwrap().path()));
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let name = file.strip_prefix(folder).unwrap().to_str().unwrap().replace('\\', "/");
        let bytes = fs::read(&file).unwrap();
        digest.update(format!("{name} {}\n", bytes.len()));
        digest.update(&bytes);
    }
    hex::encode(digest.finalize())
}

#[test]
fn embedded_interpreter_is_built_from_its_sources() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let record = fs::read_to_string(folder.join("src/interpreter.digest")).unwrap();
    let field = |name: &str| record.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!(field("sources "), sources(&folder.join("guest")), "run `cargo xtask interpreter` after changing the interpreter");
    let component = azora_interpreter::component().unwrap();
    assert_eq!(
        field("component "),
        hex::encode(Sha256::digest(component)),
        "interpreter.wasm.zst is not what `cargo xtask interpreter` wrote"
    );
}
