//! The runtime module that is part of this crate, read once: what its functions take and answer, call and touch.
//!
//! How parts of it become part of a kernel is `link`'s; what the functions mean is written in `runtime/src`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use wasm_encoder::ValType;
use wasmparser::{ExternalKind, KnownCustom, Linking, Operator, Parser, Payload, RelocationEntry, RelocationType, SymbolInfo, TypeRef};

/// The module as `cargo xtask runtime` built it.
static MODULE: &[u8] = include_bytes!("runtime.wasm");

/// Data and stacks of kernels start at a multiple of this.
const ALIGN: u32 = 16;
/// The exported address of the record that holds the arena's bounds.
const ARENA: &str = "arena";
/// The exported first address behind the runtime's own data.
const HEAP_BASE: &str = "__heap_base";

/// Why the module that is part of this crate cannot be read: it was not built by `cargo xtask runtime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the embedded runtime module is damaged: {what}")]
pub(crate) struct Damage {
    /// What is wrong with it.
    pub(crate) what: &'static str,
}

/// A function's parameters and what it answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Signature {
    /// Types of the parameters, in order.
    pub(crate) params: Vec<ValType>,
    /// The type of the answer, if it answers.
    pub(crate) result: Option<ValType>,
}

/// What a place in a function's code refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A function, by its index in [`Runtime::functions`].
    Function(usize),
    /// A global, by its index in [`Runtime::globals`].
    Global(u32),
}

/// A place in a function's code that holds an index, written in five bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patch {
    /// Where the five bytes begin in [`Function::body`].
    pub(crate) offset: usize,
    /// What they refer to.
    pub(crate) target: Target,
}

/// A function of the runtime.
#[derive(Debug)]
pub(crate) struct Function {
    /// Index into [`Runtime::signatures`].
    pub(crate) signature: usize,
    /// Locals and code, without the size in front.
    pub(crate) body: &'static [u8],
    /// The indices in it.
    pub(crate) patches: Vec<Patch>,
    /// Indices into [`Runtime::segments`]: the data that it touches, directly or through other data.
    pub(crate) segments: Vec<usize>,
    /// It needs a table, which linked modules do not have.
    pub(crate) is_indirect: bool,
}

/// A piece of the runtime's static data.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Where it lies in memory.
    pub(crate) address: u32,
    /// What it holds.
    pub(crate) bytes: &'static [u8],
}

/// The whole module.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) signatures: Vec<Signature>,
    pub(crate) functions: Vec<Function>,
    /// Mutable `i32` globals and what they start with.
    pub(crate) globals: Vec<i32>,
    pub(crate) segments: Vec<Segment>,
    exports: HashMap<&'static str, usize>,
    /// The first address that is free for a kernel's static data.
    pub(crate) data_base: u32,
    /// The address of the record with the arena's bounds.
    pub(crate) arena: u32,
}

/// The parameters and the answer of a runtime function; none where there is no such function.
pub(crate) fn signature(name: &str) -> Option<(&'static [ValType], Option<ValType>)> {
    let runtime = runtime().ok()?;
    let function = runtime.functions.get(runtime.export(name)?)?;
    let signature = runtime.signatures.get(function.signature)?;
    Some((&signature.params, signature.result))
}

/// The first address that is free for a kernel's static data; a multiple of 16.
pub(crate) fn data_base() -> u32 {
    runtime().map_or(0, |runtime| runtime.data_base)
}

/// The module, read at the first call.
pub(crate) fn runtime() -> Result<&'static Runtime, Damage> {
    static RUNTIME: OnceLock<Result<Runtime, Damage>> = OnceLock::new();
    RUNTIME.get_or_init(|| Sections::read(MODULE)?.runtime()).as_ref().map_err(|damage| *damage)
}

impl Runtime {
    /// The index of an exported function.
    pub(crate) fn export(&self, name: &str) -> Option<usize> {
        self.exports.get(name).copied()
    }

    /// Whether the function at `index` takes and answers exactly what `other` does.
    pub(crate) fn has_signature(&self, index: usize, other: &wasmparser::FuncType) -> bool {
        let function = self.functions.get(index);
        function.and_then(|function| self.signatures.get(function.signature)).is_some_and(|signature| {
            signature.params.iter().copied().eq(other.params().iter().map(value_type))
                && signature.result.iter().copied().eq(other.results().iter().map(value_type))
        })
    }

    /// The names of all exported functions.
    #[cfg(test)]
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.exports.keys().copied()
    }
}

/// What a symbol of the linking section stands for.
#[derive(Clone, Copy)]
enum Symbol {
    Function(u32),
    Global(u32),
    Segment(u32),
    Other,
}

/// The module's sections, before they are related to each other.
#[derive(Default)]
struct Sections {
    signatures: Vec<Signature>,
    types: Vec<u32>,
    globals: Vec<i32>,
    /// How many globals from the first on are mutable.
    n_mutable: usize,
    segments: Vec<Segment>,
    /// Where each segment's bytes begin and end in the module.
    segment_ranges: Vec<Range<usize>>,
    bodies: Vec<Range<usize>>,
    functions: HashMap<&'static str, u32>,
    addresses: HashMap<&'static str, i32>,
    global_exports: Vec<(&'static str, u32)>,
    symbols: Vec<Symbol>,
    code: Range<usize>,
    data: Range<usize>,
    code_relocations: Vec<RelocationEntry>,
    data_relocations: Vec<RelocationEntry>,
}

const UNREADABLE: Damage = Damage { what: "a section cannot be read" };

impl Sections {
    fn read(module: &'static [u8]) -> Result<Self, Damage> {
        let mut sections = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            sections.payload(payload.map_err(|_| UNREADABLE)?).map_err(|_| UNREADABLE)?;
        }
        for (name, global) in std::mem::take(&mut sections.global_exports) {
            if let Some(value) = sections.globals.get(global as usize) {
                sections.addresses.insert(name, *value);
            }
        }
        Ok(sections)
    }

    fn payload(&mut self, payload: Payload<'static>) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(types) => {
                for ty in types.into_iter_err_on_gc_types() {
                    let ty = ty?;
                    self.signatures.push(Signature {
                        params: ty.params().iter().map(value_type).collect(),
                        result: ty.results().first().map(value_type),
                    });
                }
            }
            Payload::FunctionSection(functions) => {
                self.types = functions.into_iter().collect::<wasmparser::Result<_>>()?;
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    let global = global?;
                    if global.ty.mutable && self.n_mutable == self.globals.len() {
                        self.n_mutable += 1;
                    }
                    let value = match global.init_expr.get_operators_reader().read()? {
                        Operator::I32Const { value } => value,
                        _ => 0,
                    };
                    self.globals.push(value);
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    match export.kind {
                        ExternalKind::Func => {
                            self.functions.insert(export.name, export.index);
                        }
                        ExternalKind::Global => self.global_exports.push((export.name, export.index)),
                        _ => {}
                    }
                }
            }
            Payload::CodeSectionStart { range, .. } => self.code = range,
            Payload::CodeSectionEntry(body) => self.bodies.push(body.range()),
            Payload::DataSection(data) => {
                self.data = data.range();
                for segment in data {
                    let segment = segment?;
                    let address = match segment.kind {
                        wasmparser::DataKind::Active { offset_expr, .. } => match offset_expr.get_operators_reader().read()? {
                            Operator::I32Const { value } => value.cast_unsigned(),
                            _ => 0,
                        },
                        wasmparser::DataKind::Passive => 0,
                    };
                    self.segment_ranges.push(segment.range.end - segment.data.len()..segment.range.end);
                    self.segments.push(Segment { address, bytes: segment.data });
                }
            }
            Payload::CustomSection(custom) => match custom.as_known() {
                KnownCustom::Linking(linking) => {
                    for part in linking.subsections() {
                        if let Linking::SymbolTable(symbols) = part? {
                            for symbol in symbols {
                                self.symbols.push(Symbol::from(symbol?));
                            }
                        }
                    }
                }
                KnownCustom::Reloc(relocations) => {
                    let entries = relocations.entries().into_iter().collect::<wasmparser::Result<Vec<_>>>()?;
                    match custom.name() {
                        "reloc.CODE" => self.code_relocations = entries,
                        "reloc.DATA" => self.data_relocations = entries,
                        _ => {}
                    }
                }
                _ => {}
            },
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if let TypeRef::Func(_) = import?.ty {
                        // Function indices below would be off; a module with imports was built wrongly.
                        self.bodies.clear();
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Relates code to what it refers to.
    fn runtime(self) -> Result<Runtime, Damage> {
        if self.bodies.len() != self.types.len() || self.symbols.is_empty() {
            return Err(Damage { what: "it has imports or was linked without relocations" });
        }
        let reachable = self.segments_through_segments();
        let mut functions = Vec::with_capacity(self.bodies.len());
        let mut relocations = self.code_relocations.iter().peekable();
        for (range, ty) in self.bodies.iter().zip(&self.types) {
            let mut function = Function {
                signature: *ty as usize,
                body: MODULE.get(range.clone()).ok_or(UNREADABLE)?,
                patches: Vec::new(),
                segments: Vec::new(),
                is_indirect: false,
            };
            let (begin, end) = (range.start - self.code.start, range.end - self.code.start);
            while let Some(relocation) = relocations.next_if(|relocation| (relocation.offset as usize) < end) {
                let offset = (relocation.offset as usize).checked_sub(begin).ok_or(UNREADABLE)?;
                self.relate(relocation, offset, &mut function);
            }
            let mut segments: Vec<usize> =
                function.segments.iter().filter_map(|segment| reachable.get(*segment)).flatten().copied().collect();
            segments.sort_unstable();
            segments.dedup();
            function.segments = segments;
            functions.push(function);
        }
        let address = |name| self.addresses.get(name).map(|value| value.cast_unsigned());
        let missing = Damage { what: "it exports neither `arena` nor `__heap_base`" };
        Ok(Runtime {
            data_base: address(HEAP_BASE).ok_or(missing)?.next_multiple_of(ALIGN),
            arena: address(ARENA).ok_or(missing)?,
            signatures: self.signatures,
            functions,
            globals: self.globals.into_iter().take(self.n_mutable).collect(),
            segments: self.segments,
            exports: self.functions.into_iter().map(|(name, index)| (name, index as usize)).collect(),
        })
    }

    fn relate(&self, relocation: &RelocationEntry, offset: usize, function: &mut Function) {
        let symbol = self.symbols.get(relocation.index as usize).copied().unwrap_or(Symbol::Other);
        match (relocation.ty, symbol) {
            (RelocationType::FunctionIndexLeb, Symbol::Function(index)) => {
                function.patches.push(Patch { offset, target: Target::Function(index as usize) });
            }
            (RelocationType::GlobalIndexLeb, Symbol::Global(index)) => {
                function.patches.push(Patch { offset, target: Target::Global(index) });
            }
            (_, Symbol::Segment(index)) => function.segments.push(index as usize),
            _ => function.is_indirect = true,
        }
    }

    /// For each segment, the segments that are reached from it, itself among them.
    fn segments_through_segments(&self) -> Vec<Vec<usize>> {
        let mut next: Vec<Vec<usize>> = vec![Vec::new(); self.segments.len()];
        for relocation in &self.data_relocations {
            let place = self.data.start + relocation.offset as usize;
            let from = self.segment_ranges.iter().position(|range| range.contains(&place));
            if let (Some(from), Some(Symbol::Segment(to))) = (from, self.symbols.get(relocation.index as usize)) {
                next[from].push(*to as usize);
            }
        }
        (0..next.len())
            .map(|start| {
                let mut reached = vec![start];
                let mut at = 0;
                while let Some(segment) = reached.get(at) {
                    for to in next.get(*segment).into_iter().flatten() {
                        if !reached.contains(to) {
                            reached.push(*to);
                        }
                    }
                    at += 1;
                }
                reached
            })
            .collect()
    }
}

impl From<SymbolInfo<'_>> for Symbol {
    fn from(symbol: SymbolInfo<'_>) -> Self {
        match symbol {
            SymbolInfo::Func { index, .. } => Self::Function(index),
            SymbolInfo::Global { index, .. } => Self::Global(index),
            SymbolInfo::Data { symbol: Some(data), .. } => Self::Segment(data.index),
            _ => Self::Other,
        }
    }
}

/// The runtime uses numbers only; anything else would fail validation of the first linked module.
fn value_type(ty: &wasmparser::ValType) -> ValType {
    match ty {
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        _ => ValType::I32,
    }
}

#[cfg(test)]
mod tests;
