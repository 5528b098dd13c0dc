//! The house rules as tests: layers, owners of heavy dependencies, file heads and lengths, names, the frozen contract.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests end a test as its assertions do")]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_owned()
}

struct Layer {
    level: u32,
    imports: BTreeSet<String>,
    owns: Vec<String>,
}

fn cell(text: &str) -> Vec<String> {
    text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty() && word != "–").collect()
}

/// The table under `## Layers` in ARCHITECTURE.md.
fn layers() -> BTreeMap<String, Layer> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let section = text.split("## Layers").nth(1).expect("a section Layers").split("\n## ").next().expect("its text");
    let table: BTreeMap<String, Layer> = section
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
            let [level, name, _folder, imports, owns] = cells.as_slice() else { return None };
            let level = level.parse().ok()?;
            Some(((*name).to_owned(), Layer { level, imports: cell(imports).into_iter().collect(), owns: cell(owns) }))
        })
        .collect();
    assert!(table.len() >= 9, "the layer table was not read: {} rows", table.len());
    table
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

/// Normal dependencies only: tests may look anywhere.
fn dependencies(package: &Value) -> BTreeSet<String> {
    package["dependencies"]
        .as_array()
        .expect("dependencies")
        .iter()
        .filter(|dependency| dependency["kind"].is_null())
        .map(|dependency| dependency["name"].as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn layers_are_as_the_table_says() {
    let layers = layers();
    let mut wrong = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().expect("a name");
        if matches!(name, "azora-tests" | "azora-services" | "xtask") {
            continue;
        }
        let Some(layer) = layers.get(name) else {
            wrong.push(format!("{name} is not in the table"));
            continue;
        };
        for used in dependencies(&package).iter().filter(|used| used.starts_with("azora-")) {
            if !layer.imports.contains(used) {
                wrong.push(format!("{name} imports {used}, which its row does not allow"));
            }
            if layers.get(used).is_none_or(|below| below.level > layer.level) {
                wrong.push(format!("{name} imports {used} from a higher layer"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn heavy_dependencies_have_one_owner() {
    let layers = layers();
    let mut wrong = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().expect("a name");
        if matches!(name, "azora-tests" | "azora-services" | "xtask") {
            continue;
        }
        let used = dependencies(&package);
        for (owner, layer) in &layers {
            for owned in layer.owns.iter().filter(|owned| owner != name && used.contains(*owned)) {
                wrong.push(format!("{name} uses {owned}, which belongs to {owner}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_crate_takes_the_common_lints() {
    for package in packages() {
        let manifest = std::fs::read_to_string(package["manifest_path"].as_str().expect("a path")).expect("a manifest");
        assert!(manifest.contains("[lints]\nworkspace = true") || manifest.contains("[lints.rust]"), "{} sets no lints", package["name"]);
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let name = entry.file_name().expect("a name").to_string_lossy().into_owned();
        if entry.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&entry, found);
        } else if name.ends_with(".rs") {
            found.push(entry);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["host", "plugins", "guest-sdk", "tests", "examples"] {
        sources(&root().join(folder), &mut found);
    }
    assert!(found.len() > 50, "only {} sources found", found.len());
    found
}

/// Written by a code generator; their heads say so.
fn is_generated(path: &Path) -> bool {
    path.ends_with("guest-sdk/src/bindings.rs") || path.components().any(|part| part.as_os_str() == "bindings")
}

#[test]
fn every_file_says_what_lives_in_it() {
    let wrong: Vec<String> = all_sources()
        .into_iter()
        .filter(|path| !is_generated(path))
        .filter(|path| !std::fs::read_to_string(path).expect("a source").starts_with("//!"))
        .map(|path| path.display().to_string())
        .collect();
    assert!(wrong.is_empty(), "these do not open with `//!`:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_is_longer_than_can_be_read() {
    const LINES_MAX: usize = 600;
    let wrong: Vec<String> = all_sources()
        .into_iter()
        .filter(|path| !is_generated(path))
        .filter_map(|path| {
            let lines = std::fs::read_to_string(&path).expect("a source").lines().count();
            (lines > LINES_MAX).then(|| format!("{} has {lines} lines", path.display()))
        })
        .collect();
    assert!(wrong.is_empty(), "over {LINES_MAX} lines:\n{}", wrong.join("\n"));
}

#[test]
fn modules_are_named_for_an_idea() {
    const FORBIDDEN: [&str; 9] = ["util", "utils", "helper", "helpers", "common", "misc", "manager", "stuff", "mod"];
    let wrong: Vec<String> = all_sources()
        .into_iter()
        .filter(|path| FORBIDDEN.contains(&path.file_stem().expect("a stem").to_string_lossy().as_ref()))
        .map(|path| path.display().to_string())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A released contract never changes: a change needs a new version beside it.
#[test]
fn the_contract_equals_its_frozen_copy() {
    let wit = root().join("wit");
    let world = std::fs::read_to_string(wit.join("world.wit")).expect("world.wit");
    let version =
        world.lines().next().and_then(|line| line.split('@').nth(1)).map(|rest| rest.trim_end_matches(';').to_owned()).expect("a version");
    let frozen = wit.join("released").join(&version);
    for entry in std::fs::read_dir(&wit).expect("wit/").map(|entry| entry.expect("an entry").path()) {
        if entry.extension().is_some_and(|extension| extension == "wit") {
            let name = entry.file_name().expect("a name");
            let current = std::fs::read_to_string(&entry).expect("a contract file");
            let released = std::fs::read_to_string(frozen.join(name)).unwrap_or_default();
            assert!(current == released, "{} differs from its copy in wit/released/{version}: raise the version", name.display());
        }
    }
}
