//! Manifests are taken word by word, and refused by the part that is wrong.

use super::{Capability, FunctionKind, check};
use crate::abi;

fn function(name: &str) -> abi::Function {
    let empty = abi::Schema { fields: Vec::new(), metadata: Vec::new() };
    abi::Function {
        name: name.to_owned(),
        kind: abi::FunctionKind::Filter,
        doc: "Keeps \u{1b}[1mbold\u{1b}[0m rows.".to_owned(),
        params: empty.clone(),
        output: empty,
        config_schema: String::new(),
    }
}

fn manifest() -> abi::Manifest {
    abi::Manifest {
        name: "word-tools".to_owned(),
        version: "1.4.0-rc.1".to_owned(),
        doc: String::new(),
        functions: vec![function("keep")],
        connectors: Vec::new(),
        capabilities: vec![abi::Capability::Clock, abi::Capability::Clock],
    }
}

fn refused(change: impl FnOnce(&mut abi::Manifest)) -> String {
    let mut manifest = manifest();
    change(&mut manifest);
    check(&manifest).unwrap_err().to_string()
}

#[test]
fn a_valid_manifest_is_taken() {
    let taken = check(&manifest()).unwrap();
    assert_eq!((taken.name.as_str(), taken.version.to_string().as_str()), ("word-tools", "1.4.0-rc.1"));
    assert_eq!(taken.functions[0].kind, FunctionKind::Filter);
    assert_eq!(taken.functions[0].doc, "Keeps \u{fffd}[1mbold\u{fffd}[0m rows.");
    assert_eq!(taken.functions[0].config_schema, None);
    assert_eq!(taken.capabilities, [Capability::Clock]);
}

#[test]
fn a_wrong_part_is_named() {
    for name in ["", "Word", "1word", "word tools", "../x", &"w".repeat(65)] {
        assert!(refused(|manifest| manifest.name = name.to_owned()).contains("name is not"), "{name}");
    }
    for version in ["", "1", "1.0", "v1.0.0", "1.0.0 ", &format!("1.0.0-{}", "a".repeat(100))] {
        assert!(refused(|manifest| manifest.version = version.to_owned()).contains("version"), "{version}");
    }
    for name in ["", "a b", "é", "a\0", &"f".repeat(65)] {
        assert!(refused(|manifest| manifest.functions[0].name = name.to_owned()).contains("function's name"), "{name}");
    }
    assert!(refused(|manifest| manifest.functions.push(function("keep"))).contains("comes twice"));
    assert!(refused(|manifest| manifest.functions.clear()).contains("missing"));
    assert!(refused(|manifest| manifest.functions = (0..257).map(|at| function(&format!("f{at}"))).collect()).contains("more than"));
    assert!(refused(|manifest| manifest.doc = "d".repeat(5000)).contains("longer"));
    assert!(refused(|manifest| manifest.functions[0].config_schema = "[1]".to_owned()).contains("JSON Schema"));
}
