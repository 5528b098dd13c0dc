//! Linked modules, validated and run.

use super::{Error, link};
use crate::runtime::{data_base, runtime};
use wasmtime::{Engine, Instance, Module, Store};

/// Links a kernel written as text.
fn linked(kernel: &str, data_bytes: u32) -> Result<Vec<u8>, Error> {
    link(&wat::parse_str(kernel).unwrap(), data_bytes)
}

fn start(module: &[u8]) -> (Store<()>, Instance) {
    wasmparser::validate(module).unwrap();
    let engine = Engine::default();
    let module = Module::new(&engine, module).unwrap();
    assert_eq!(module.imports().count(), 0);
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    (store, instance)
}

#[test]
fn a_kernel_without_imports_gets_memory_and_realloc() {
    let (mut store, instance) = start(&linked("(module (func (export \"f\") (result i32) i32.const 7))", 0).unwrap());
    assert_eq!(instance.get_typed_func::<(), i32>(&mut store, "f").unwrap().call(&mut store, ()).unwrap(), 7);
    let realloc = instance.get_typed_func::<(i32, i32, i32, i32), i32>(&mut store, "cabi_realloc").unwrap();
    let first = realloc.call(&mut store, (0, 0, 8, 3 << 20)).unwrap();
    let second = realloc.call(&mut store, (0, 0, 8, 8)).unwrap();
    assert!(first >= data_base().cast_signed() && second >= first + (3 << 20));
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    assert!(memory.data_size(&store) >= usize::try_from(second).unwrap() + 8 + 64);
}

#[test]
fn kernel_indices_stay_as_they_are() {
    let kernel = format!(
        r#"(module
            (import "rt" "str_concat" (func $concat (param i64 i64) (result i64)))
            (import "rt" "memory" (memory 1))
            (import "rt" "num_to_str" (func $text (param f64) (result i64)))
            (import "rt" "str_concat" (func $again (param i64 i64) (result i64)))
            (global $calls (mut i32) (i32.const 5))
            (data (i32.const {base}) "ab")
            (func $twice (param i64) (result i64) local.get 0 local.get 0 call $again)
            (func (export "f") (param f64) (result i64)
                global.get $calls i32.const 1 i32.add global.set $calls
                i64.const {ab} local.get 0 call $text call $concat call $twice)
            (func (export "calls") (result i32) global.get $calls))"#,
        base = data_base(),
        ab = u64::from(data_base()) | 2 << 32,
    );
    let (mut store, instance) = start(&linked(&kernel, 2).unwrap());
    let f = instance.get_typed_func::<f64, i64>(&mut store, "f").unwrap();
    let packed = f.call(&mut store, 1.5e-9).unwrap().cast_unsigned();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let at = usize::try_from(packed & 0xFFFF_FFFF).unwrap();
    let text = &memory.data(&store)[at..at + usize::try_from(packed >> 32).unwrap()];
    assert_eq!(text, b"ab1.5e-9ab1.5e-9");
    assert_eq!(instance.get_typed_func::<(), i32>(&mut store, "calls").unwrap().call(&mut store, ()).unwrap(), 6);
}

#[test]
fn every_runtime_function_links_alone() {
    let runtime = runtime().unwrap();
    for name in runtime.names() {
        let (params, result) = crate::runtime::signature(name).unwrap();
        let text = |ty: &wasm_encoder::ValType| format!("{ty:?}").to_lowercase();
        let params: Vec<String> = params.iter().map(text).collect();
        let result = result.as_ref().map(|ty| format!("(result {})", text(ty))).unwrap_or_default();
        let kernel = format!(r#"(module (import "rt" "{name}" (func (param {}) {result})) (export "f" (func 0)))"#, params.join(" "));
        let module = linked(&kernel, 0).unwrap();
        wasmparser::validate(&module).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn what_is_not_called_is_left_out() {
    let small = linked("(module)", 0).unwrap();
    assert!(small.len() < 1024, "{}", small.len());
    let concat = r#"(module (import "rt" "str_concat" (func (param i64 i64) (result i64))) (export "f" (func 0)))"#;
    let concat = linked(concat, 0).unwrap();
    assert!(concat.len() < 4096, "{}", concat.len());
}

#[test]
fn wrong_kernels_are_refused() {
    let error = |kernel| linked(kernel, 0).unwrap_err();
    assert!(matches!(error(r#"(module (import "rt" "nothing" (func)))"#), Error::UnknownImport { .. }));
    assert!(matches!(error(r#"(module (import "wasi" "str_eq" (func)))"#), Error::UnknownImport { .. }));
    assert!(matches!(error(r#"(module (import "rt" "str_eq" (func (param i32))))"#), Error::OtherType { .. }));
    assert!(matches!(error("(module (memory 1))"), Error::Unsupported { .. }));
    assert!(matches!(error("(module (table 1 funcref))"), Error::Unsupported { .. }));
    assert!(matches!(link(b"\0asm nonsense", 0), Err(Error::Malformed { .. })));
    assert!(matches!(link(b"", u32::MAX), Err(Error::TooMuchData { .. })));
}
