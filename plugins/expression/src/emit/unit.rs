//! The module: what it imports, its small functions, its exports and static data.

use super::code::{Code, Label};
use super::columns::mem;
use super::statics::Statics;
use super::{plan, process};
use crate::link;
use crate::runtime;
use crate::tree::Program;
use std::collections::BTreeSet;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    MemoryType, Module, TypeSection, ValType,
};

/// A core module that still imports the runtime.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) module: Vec<u8>,
    /// Static data that it takes behind the runtime's own.
    pub(crate) data_bytes: u32,
    /// Top-level input columns that it reads, ascending.
    pub(crate) needs: Vec<usize>,
}

/// Functions that a kernel brings along where it uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Helper {
    /// `(text, code, row or -1) -> result`: writes a failure.
    Fail,
    /// `(place, bytes, new bytes) -> place`: moves a buffer to a larger place.
    Grow,
    /// `(to, text)`: copies a string; up to 64 bytes from its place on are overwritten.
    Append,
    /// `(flags, count, to) -> ones`: bytes of 0 and 1 to a bitmap.
    PackBits,
    /// `(a, b) -> flag`: whether a product leaves 64 bits.
    MulOverflows,
}

const EXPORTS: [&str; 6] = [
    "azora:plugin/transform@0.1.0#open",
    "azora:plugin/transform@0.1.0#process",
    "azora:plugin/transform@0.1.0#finish",
    "cabi_post_azora:plugin/transform@0.1.0#open",
    "cabi_post_azora:plugin/transform@0.1.0#process",
    "cabi_post_azora:plugin/transform@0.1.0#finish",
];

/// Bytes in which a call's result is laid out.
const RESULT_BYTES: usize = 64;

/// What emission of one kernel shares.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) statics: Statics,
    imports: Vec<&'static str>,
    helpers: Vec<Helper>,
    /// Top-level columns in the order in which the host sends them.
    pub(super) needs: Vec<usize>,
    pub(super) touched: BTreeSet<usize>,
    /// Bytes of ones, read where a column has no validity bitmap.
    pub(super) ones: u32,
    pub(super) result: u32,
    pub(super) nodes: u32,
    pub(super) buffers: u32,
    pub(super) n_nodes: u32,
    pub(super) n_buffers: u32,
    /// Where values are that outlive a batch.
    pub(super) state: u32,
    /// A fault of the compiler itself.
    pub(super) broken: Option<&'static str>,
}

/// Emits a program. The error names a fault of the compiler itself.
///
/// What a kernel imports, brings along and reads is known only when its code is written, and its code depends on it, so
/// it is written until that stands still.
pub(crate) fn emit(program: &Program) -> Result<Kernel, &'static str> {
    let (mut imports, mut helpers, mut needs) = (Vec::new(), Vec::new(), (0..program.columns.len()).collect::<Vec<_>>());
    for _ in 0..4 {
        let known = (imports.clone(), helpers.clone(), needs.clone());
        let mut unit = Unit::new(program, imports, helpers, needs);
        let module = unit.module(program);
        if let Some(broken) = unit.broken {
            return Err(broken);
        }
        imports = unit.imports;
        helpers = unit.helpers;
        needs = unit.touched.into_iter().collect();
        if known == (imports.clone(), helpers.clone(), needs.clone()) {
            let data_bytes = u32::try_from(unit.statics.bytes().len()).map_err(|_| "too much static data")?;
            return Ok(Kernel { module, data_bytes, needs });
        }
    }
    Err("the kernel never settles")
}

impl Unit {
    fn new(program: &Program, imports: Vec<&'static str>, helpers: Vec<Helper>, needs: Vec<usize>) -> Self {
        let mut statics = Statics::new(runtime::data_base());
        let ones = statics.place(&[0xFF; 16]);
        let result = statics.reserve(RESULT_BYTES);
        let (n_nodes, n_buffers) = plan::counts(program);
        let nodes = statics.reserve(n_nodes as usize * 16);
        let buffers = statics.reserve(n_buffers as usize * 8);
        let state = process::place_state(&mut statics, program);
        Self {
            statics,
            imports,
            helpers,
            needs,
            touched: BTreeSet::new(),
            ones,
            result,
            nodes,
            buffers,
            n_nodes,
            n_buffers,
            state,
            broken: None,
        }
    }

    /// The index of a runtime function.
    pub(super) fn import(&mut self, name: &'static str) -> u32 {
        let at = self.imports.iter().position(|known| *known == name).unwrap_or_else(|| {
            if runtime::signature(name).is_none() {
                self.broken.get_or_insert(name);
            }
            self.imports.push(name);
            self.imports.len() - 1
        });
        count(at)
    }

    pub(super) fn helper(&mut self, helper: Helper) -> u32 {
        let at = self.helpers.iter().position(|known| *known == helper).unwrap_or_else(|| {
            self.helpers.push(helper);
            self.helpers.len() - 1
        });
        count(self.imports.len() + EXPORTS.len() + at)
    }

    fn module(&mut self, program: &Program) -> Vec<u8> {
        let open = plan::open(self, program);
        let process = process::process(self, program);
        let finish = process::finish(self, program);
        let bodies = [
            (vec![ValType::I32; 8], vec![ValType::I32], open),
            (vec![ValType::I64, ValType::I32, ValType::I32, ValType::I32, ValType::I32], vec![ValType::I32], process),
            (vec![], vec![ValType::I32], finish),
            (vec![ValType::I32], vec![], process::post(self, program, false)),
            (vec![ValType::I32], vec![], process::post(self, program, true)),
            (vec![ValType::I32], vec![], process::post(self, program, false)),
        ];
        let mut functions: Vec<(Vec<ValType>, Vec<ValType>, Function)> = bodies.into_iter().collect();
        let mut at = 0;
        while let Some(helper) = self.helpers.get(at).copied() {
            functions.push(self.helper_function(helper));
            at += 1;
        }
        self.assemble(functions)
    }

    fn assemble(&mut self, functions: Vec<(Vec<ValType>, Vec<ValType>, Function)>) -> Vec<u8> {
        let mut types = TypeSection::new();
        let mut known: Vec<(Vec<ValType>, Vec<ValType>)> = Vec::new();
        let mut type_of = |params: Vec<ValType>, results: Vec<ValType>| -> u32 {
            let signature = (params, results);
            let at = known.iter().position(|other| *other == signature).unwrap_or_else(|| {
                types.ty().function(signature.0.clone(), signature.1.clone());
                known.push(signature);
                known.len() - 1
            });
            count(at)
        };
        let mut imports = ImportSection::new();
        let memory = MemoryType { minimum: 0, maximum: None, memory64: false, shared: false, page_size_log2: None };
        imports.import(link::MODULE, link::MEMORY, memory);
        for name in &self.imports {
            let (params, result) = runtime::signature(name).unwrap_or_default();
            imports.import(link::MODULE, name, EntityType::Function(type_of(params.to_vec(), result.into_iter().collect())));
        }
        let (mut declared, mut code) = (FunctionSection::new(), CodeSection::new());
        for (params, results, body) in functions {
            declared.function(type_of(params, results));
            code.function(&body);
        }
        let mut exports = ExportSection::new();
        for (at, name) in EXPORTS.iter().enumerate() {
            exports.export(name, ExportKind::Func, count(self.imports.len() + at));
        }
        let mut data = DataSection::new();
        let base = super::output::cast(self.statics.base());
        data.active(0, &ConstExpr::i32_const(base), self.statics.bytes().iter().copied());
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&declared).section(&exports).section(&code).section(&data);
        module.finish()
    }

    fn helper_function(&mut self, helper: Helper) -> (Vec<ValType>, Vec<ValType>, Function) {
        use ValType::{I32, I64};
        match helper {
            Helper::Fail => (vec![I64, I32, I32], vec![I32], self.fail()),
            Helper::Grow => {
                let alloc = self.import("alloc");
                let mut code = Code::new(3);
                let to = code.local(I32);
                let mut i = code.i();
                i.local_get(2).call(alloc).local_tee(to).local_get(0).local_get(1).memory_copy(0, 0).local_get(to);
                (vec![I32; 3], vec![I32], code.finish())
            }
            Helper::Append => (vec![I32, I64], vec![], append()),
            Helper::PackBits => (vec![I32; 3], vec![I32], pack_bits()),
            Helper::MulOverflows => (vec![I64; 2], vec![I32], mul_overflows()),
        }
    }

    fn fail(&self) -> Function {
        let result = super::output::cast(self.result);
        let mut code = Code::new(3);
        let mut i = code.i();
        i.i32_const(result).i32_const(1).i32_store8(mem(0, 0));
        i.i32_const(result).local_get(1).i32_store8(mem(8, 0));
        i.i32_const(result).local_get(0).i32_wrap_i64().i32_store(mem(12, 2));
        i.i32_const(result).local_get(0).i64_const(32).i64_shr_u().i32_wrap_i64().i32_store(mem(16, 2));
        i.i32_const(result).local_get(2).i32_const(0).i32_ge_s().i32_store8(mem(24, 0));
        i.i32_const(result).local_get(2).i64_extend_i32_s().i64_store(mem(32, 3));
        i.i32_const(result);
        code.finish()
    }
}

fn count(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn append() -> Function {
    let mut code = Code::new(2);
    let (length, from) = (code.local(ValType::I32), code.local(ValType::I32));
    let mut i = code.i();
    i.local_get(1).i32_wrap_i64().local_set(from);
    i.local_get(1).i64_const(32).i64_shr_u().i32_wrap_i64().local_tee(length);
    // Short strings are copied without a loop: what lies behind both places is there to be read and overwritten.
    i.i32_const(16).i32_le_u().if_(BlockType::Empty);
    i.local_get(0).local_get(from).v128_load(mem(0, 0)).v128_store(mem(0, 0));
    i.else_().local_get(length).i32_const(64).i32_le_u().if_(BlockType::Empty);
    for at in [0, 16, 32, 48] {
        i.local_get(0).local_get(from).v128_load(mem(at, 0)).v128_store(mem(at, 0));
    }
    i.else_();
    i.local_get(0).local_get(from).local_get(length).memory_copy(0, 0);
    i.end().end();
    code.finish()
}

/// Moves the first bit of each of eight bytes to the top byte.
const GATHER: i64 = 0x0102_0408_1020_4080;

fn pack_bits() -> Function {
    let mut code = Code::new(3);
    let (end, ones) = (code.local(ValType::I32), code.local(ValType::I32));
    let word = code.local(ValType::I64);
    code.i().local_get(0).local_get(1).i32_add().local_set(end);
    for at in 0..8 {
        code.i().local_get(end).i64_const(0).i64_store(mem(at * 8, 0));
    }
    let done: Label = code.block();
    code.i().local_get(0).local_get(end).i32_ge_u();
    code.br_if(done);
    let again = code.start_loop();
    for at in 0..8_u32 {
        let mut i = code.i();
        i.local_get(0).i64_load(mem(at * 8, 0)).i64_const(GATHER).i64_mul().i64_const(56).i64_shr_u();
        if at > 0 {
            i.i64_const(i64::from(at) * 8).i64_shl().local_get(word).i64_or();
        }
        i.local_set(word);
    }
    let mut i = code.i();
    i.local_get(2).local_get(word).i64_store(mem(0, 0));
    i.local_get(ones).local_get(word).i64_popcnt().i32_wrap_i64().i32_add().local_set(ones);
    i.local_get(2).i32_const(8).i32_add().local_set(2);
    i.local_get(0).i32_const(64).i32_add().local_tee(0).local_get(end).i32_lt_u();
    code.br_if(again);
    code.end();
    code.end();
    code.i().local_get(ones);
    code.finish()
}

fn mul_overflows() -> Function {
    let mut code = Code::new(2);
    let mut i = code.i();
    // Division undoes a product that did not overflow; 0 and -1 cannot be divided by safely.
    i.local_get(0).i64_eqz().if_(BlockType::Empty).i32_const(0).return_().end();
    i.local_get(0).i64_const(-1).i64_eq().if_(BlockType::Empty);
    i.local_get(1).i64_const(i64::MIN).i64_eq().return_().end();
    i.local_get(0).local_get(1).i64_mul().local_get(0).i64_div_s().local_get(1).i64_ne();
    code.finish()
}
