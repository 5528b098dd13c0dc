//! A module that was started already: what its initialisation left in memory becomes its data, so that every instance
//! begins where the initialisation ended. Which guests want that is their own affair.

use anyhow::{Context, Result, bail, ensure};
use std::ops::Range;
use wasm_encoder::{ConstExpr, DataSection, ExportKind, ExportSection, MemorySection, MemoryType, Module, RawSection};
use wasmparser::{DataKind, ExternalKind, Parser, Payload};
use wasmtime::{Engine, Linker, Store};

/// Zeros between two pieces of data that are not worth a segment of their own.
const GAP_BYTES: usize = 32;
const PAGE_BYTES: u64 = 1 << 16;

/// Runs the export `initialise` of a core module and writes the module as it is afterwards, without that export. The
/// module may call nothing of its host meanwhile.
pub(crate) fn take(module: &[u8], initialise: &str) -> Result<Vec<u8>> {
    check(module)?;
    let memory = run(module, initialise)?;
    rewrite(module, initialise, &memory)
}

/// Only what lies in the one memory is kept: nothing else may change.
fn check(module: &[u8]) -> Result<()> {
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::GlobalSection(globals) => {
                // The one that every compiler makes is the stack's pointer, which is back in its place after a call.
                let changing = globals.into_iter().filter(|global| global.as_ref().is_ok_and(|global| global.ty.mutable)).count();
                ensure!(changing <= 1, "the module has {changing} globals that change");
            }
            Payload::MemorySection(memories) => ensure!(memories.count() == 1, "the module has several memories"),
            Payload::StartSection { .. } => bail!("the module has a start function"),
            Payload::DataSection(segments) => {
                for segment in segments {
                    ensure!(matches!(segment?.kind, DataKind::Active { memory_index: 0, .. }), "the module has passive data");
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn run(module: &[u8], initialise: &str) -> Result<Vec<u8>> {
    let engine = Engine::default();
    let module = wasmtime::Module::new(&engine, module)?;
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.define_unknown_imports_as_traps(&module)?;
    let instance = linker.instantiate(&mut store, &module)?;
    instance.get_typed_func::<(), i32>(&mut store, initialise).and_then(|function| match function.call(&mut store, ())? {
        0 => Ok(()),
        code => Err(wasmtime::Error::msg(format!("the initialisation failed with {code}"))),
    })?;
    let memory = instance.get_memory(&mut store, "memory").context("the module exports no memory")?;
    Ok(memory.data(&store).to_vec())
}

fn rewrite(module: &[u8], initialise: &str, memory: &[u8]) -> Result<Vec<u8>> {
    let mut out = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        match &payload {
            Payload::MemorySection(memories) => {
                let old = memories.clone().into_iter().next().context("the module has no memory")??;
                let minimum = memory.len() as u64 / PAGE_BYTES;
                let memory = MemoryType { minimum, maximum: old.maximum, memory64: false, shared: false, page_size_log2: None };
                out.section(MemorySection::new().memory(memory));
            }
            Payload::ExportSection(exports) => {
                let mut kept = ExportSection::new();
                for export in exports.clone() {
                    let export = export?;
                    if export.name == initialise {
                        continue;
                    }
                    let kind = match export.kind {
                        ExternalKind::Func => ExportKind::Func,
                        ExternalKind::Memory => ExportKind::Memory,
                        ExternalKind::Global => ExportKind::Global,
                        ExternalKind::Table => ExportKind::Table,
                        other => bail!("the module exports {other:?}"),
                    };
                    kept.export(export.name, kind, export.index);
                }
                out.section(&kept);
            }
            Payload::DataCountSection { .. } => {}
            Payload::DataSection(_) => {
                let mut data = DataSection::new();
                for range in pieces(memory) {
                    let at = i32::from_le_bytes(u32::try_from(range.start)?.to_le_bytes());
                    data.active(0, &ConstExpr::i32_const(at), memory[range].iter().copied());
                }
                out.section(&data);
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    out.section(&RawSection { id, data: &module[range] });
                }
            }
        }
    }
    Ok(out.finish())
}

/// The parts of a memory that are not zero.
fn pieces(memory: &[u8]) -> Vec<Range<usize>> {
    let mut pieces: Vec<Range<usize>> = Vec::new();
    for (at, _) in memory.iter().enumerate().filter(|(_, byte)| **byte != 0) {
        match pieces.last_mut() {
            Some(last) if at - last.end <= GAP_BYTES => last.end = at + 1,
            _ => pieces.push(at..at + 1),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTER: &str = r#"(module
        (memory (export "memory") 1 9)
        (global $sp (mut i32) (i32.const 16))
        (data (i32.const 8) "\05")
        (func (export "initialise") (result i32)
            (drop (memory.grow (i32.const 2)))
            (i32.store8 (i32.const 131073) (i32.const 7))
            (i32.store8 (i32.const 8) (i32.const 6))
            (i32.const 0))
        (func (export "read") (param i32) (result i32) (i32.load8_u (local.get 0))))"#;

    fn read(module: &[u8], at: i32) -> i32 {
        let engine = Engine::default();
        let module = wasmtime::Module::new(&engine, module).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &module).unwrap();
        instance.get_typed_func::<i32, i32>(&mut store, "read").unwrap().call(&mut store, at).unwrap()
    }

    #[test]
    fn an_instance_begins_where_the_initialisation_ended() {
        let module = take(&wat::parse_str(COUNTER).unwrap(), "initialise").unwrap();
        assert_eq!([read(&module, 8), read(&module, 131_073), read(&module, 9)], [6, 7, 0]);
        let engine = Engine::default();
        let names: Vec<String> =
            wasmtime::Module::new(&engine, &module).unwrap().exports().map(|export| export.name().to_owned()).collect();
        assert_eq!(names, ["memory", "read"]);
    }

    #[test]
    fn what_would_be_lost_is_refused() {
        let refused = |wat: &str| take(&wat::parse_str(wat).unwrap(), "initialise").unwrap_err().to_string();
        let globals = r#"(module (memory (export "memory") 1) (global (mut i32) (i32.const 0)) (global (mut i32) (i32.const 0)))"#;
        assert!(refused(globals).contains("globals that change"));
        assert!(refused(r#"(module (memory (export "memory") 1) (data "x"))"#).contains("passive data"));
        let failing = r#"(module (memory (export "memory") 1) (func (export "initialise") (result i32) (i32.const 3)))"#;
        assert!(refused(failing).contains("failed with 3"));
    }
}
