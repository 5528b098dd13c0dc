//! The checked-in runtime and its table of functions. What the functions answer is compared with Node elsewhere.

use super::{data_base, runtime, signature};
use wasm_encoder::ValType::{F64, I32, I64};

#[test]
fn signatures_are_known() {
    assert_eq!(signature("str_concat"), Some((&[I64, I64][..], Some(I64))));
    assert_eq!(signature("str_slice"), Some((&[I64, F64, F64][..], Some(I64))));
    assert_eq!(signature("alloc"), Some((&[I32][..], Some(I32))));
    assert_eq!(signature("arena_reset"), Some((&[][..], None)));
    assert_eq!(signature("no_such_function"), None);
}

#[test]
fn every_function_can_be_linked() {
    let runtime = runtime().unwrap();
    for name in runtime.names() {
        let function = &runtime.functions[runtime.export(name).unwrap()];
        assert!(!function.is_indirect, "{name} needs a table");
        assert!(function.segments.iter().all(|segment| *segment < runtime.segments.len()), "{name} touches unknown data");
    }
    assert!(runtime.names().count() > 80);
}

#[test]
fn data_lies_between_stack_and_base() {
    let runtime = runtime().unwrap();
    assert_eq!(data_base() % 16, 0);
    for segment in &runtime.segments {
        assert!(segment.address + u32::try_from(segment.bytes.len()).unwrap() <= data_base());
    }
    assert!(runtime.segments.iter().any(|segment| segment.address == runtime.arena && segment.bytes.len() == 16));
}
