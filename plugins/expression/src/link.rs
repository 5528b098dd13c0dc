//! Joins a kernel with the runtime functions that it calls into one module without imports.
//!
//! Nothing is decoded: the runtime's code was linked with five-byte indices that are overwritten in place, and the
//! kernel's own indices stay as they are, because what it imports takes the first places, in the order of its imports.
//! Memory is laid out as stack, runtime data, kernel data, arena.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use wasm_encoder::{
    ConstExpr, DataSection, Encode, ExportKind, ExportSection, GlobalSection, GlobalType, MemorySection, MemoryType, Module, RawSection,
    SectionId, ValType,
};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

use crate::runtime::{Damage, Runtime, Target, runtime};

/// The module name of everything that a kernel imports.
pub(crate) const MODULE: &str = "rt";
/// The name of the memory, imported by the kernel and exported by the linked module.
pub(crate) const MEMORY: &str = "memory";
/// What the canonical ABI calls to have memory.
const REALLOC: &str = "cabi_realloc";
/// Memory that a fresh instance has behind its static data, in pages of 64 KiB.
const PAGES: u64 = 4;
const PAGE: u64 = 1 << 16;
/// Static data of one kernel, in bytes.
pub(crate) const DATA_BYTES_MAX: u32 = 16 << 20;

/// Why a kernel was not linked. All of them are faults of the code generator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// The kernel is not a module.
    #[error("the kernel is not a well-formed module: {reason}")]
    Malformed {
        /// What the parser said.
        reason: String,
    },
    /// The kernel imports something that is neither a runtime function nor the memory.
    #[error("the kernel imports `{module}.{name}`, which the runtime does not have")]
    UnknownImport {
        /// The module it asks for.
        module: String,
        /// The name it asks for.
        name: String,
    },
    /// The kernel imports a runtime function with another type.
    #[error("the kernel imports `{name}` with another type than the runtime has")]
    OtherType {
        /// The function.
        name: String,
    },
    /// The kernel has a part that linked modules do not have.
    #[error("the kernel has a {part}, which is not linked")]
    Unsupported {
        /// The part.
        part: &'static str,
    },
    /// More static data than a kernel may have.
    #[error("the kernel has {got} bytes of static data, the limit is {limit}")]
    TooMuchData {
        /// What it has.
        got: u32,
        /// What it may have.
        limit: u32,
    },
    /// The embedded runtime cannot be used.
    #[error("the embedded runtime module cannot be used: {what}")]
    Damaged {
        /// What is wrong with it.
        what: &'static str,
    },
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        Self::Damaged { what: damage.what }
    }
}

impl From<wasmparser::BinaryReaderError> for Error {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Malformed { reason: error.to_string() }
    }
}

/// Joins `kernel` with what it imports from the runtime, and gives it `data_bytes` bytes from `runtime::data_base()` on.
///
/// The kernel imports functions and the memory from module `rt`, nothing else. The linked module imports nothing and
/// exports what the kernel exports, `memory` and `cabi_realloc`.
pub(crate) fn link(kernel: &[u8], data_bytes: u32) -> Result<Vec<u8>, Error> {
    if data_bytes > DATA_BYTES_MAX {
        return Err(Error::TooMuchData { got: data_bytes, limit: DATA_BYTES_MAX });
    }
    let runtime = runtime()?;
    let kernel = Kernel::read(kernel, runtime)?;
    let linked = Linked::new(runtime, &kernel)?;
    linked.encode(&kernel, data_bytes)
}

/// A section's count and the bytes behind it.
#[derive(Clone, Copy, Default)]
struct Items<'a> {
    count: u32,
    bytes: &'a [u8],
}

/// The kernel, as far as it needs to be looked at.
#[derive(Default)]
struct Kernel<'a> {
    types: Items<'a>,
    /// The runtime functions it imports, in order.
    imports: Vec<usize>,
    functions: Items<'a>,
    globals: Items<'a>,
    code: Items<'a>,
    data: Items<'a>,
    has_data_count: bool,
    exports: Vec<(&'a str, ExportKind, u32)>,
}

impl<'a> Kernel<'a> {
    fn read(module: &'a [u8], runtime: &Runtime) -> Result<Self, Error> {
        let mut kernel = Self::default();
        let mut signatures = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(section) => {
                    kernel.types = items(module, section.count(), section.range())?;
                    signatures = section.into_iter_err_on_gc_types().collect::<wasmparser::Result<Vec<_>>>()?;
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        kernel.import(&import?, &signatures, runtime)?;
                    }
                }
                Payload::FunctionSection(section) => kernel.functions = items(module, section.count(), section.range())?,
                Payload::GlobalSection(section) => kernel.globals = items(module, section.count(), section.range())?,
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        kernel.exports.push((export.name, kind(export.kind)?, export.index));
                    }
                }
                Payload::CodeSectionStart { count, range, .. } => kernel.code = items(module, count, range)?,
                Payload::DataSection(section) => kernel.data = items(module, section.count(), section.range())?,
                Payload::DataCountSection { .. } => kernel.has_data_count = true,
                Payload::MemorySection(_) => return Err(Error::Unsupported { part: "memory of its own" }),
                Payload::TableSection(_) | Payload::ElementSection(_) => return Err(Error::Unsupported { part: "table" }),
                Payload::StartSection { .. } => return Err(Error::Unsupported { part: "start function" }),
                Payload::TagSection(_) => return Err(Error::Unsupported { part: "tag" }),
                _ => {}
            }
        }
        Ok(kernel)
    }

    fn import(&mut self, import: &wasmparser::Import<'_>, signatures: &[wasmparser::FuncType], runtime: &Runtime) -> Result<(), Error> {
        let unknown = || Error::UnknownImport { module: import.module.to_owned(), name: import.name.to_owned() };
        if import.module != MODULE {
            return Err(unknown());
        }
        match import.ty {
            TypeRef::Memory(_) if import.name == MEMORY => Ok(()),
            TypeRef::Func(ty) => {
                let index = runtime.export(import.name).ok_or_else(unknown)?;
                let asked = signatures.get(ty as usize);
                if asked.is_none_or(|asked| !runtime.has_signature(index, asked)) {
                    return Err(Error::OtherType { name: import.name.to_owned() });
                }
                self.imports.push(index);
                Ok(())
            }
            _ => Err(unknown()),
        }
    }
}

fn kind(kind: ExternalKind) -> Result<ExportKind, Error> {
    match kind {
        ExternalKind::Func => Ok(ExportKind::Func),
        ExternalKind::Memory => Ok(ExportKind::Memory),
        ExternalKind::Global => Ok(ExportKind::Global),
        _ => Err(Error::Unsupported { part: "table or tag" }),
    }
}

/// A section without the count in front.
fn items(module: &[u8], count: u32, range: std::ops::Range<usize>) -> Result<Items<'_>, Error> {
    let mut bytes = module.get(range).unwrap_or_default();
    while let Some((first, rest)) = bytes.split_first() {
        bytes = rest;
        if first & 0x80 == 0 {
            break;
        }
    }
    Ok(Items { count, bytes })
}

/// Which runtime functions go where.
struct Linked {
    runtime: &'static Runtime,
    /// Runtime functions behind the kernel's own, in order.
    behind: Vec<usize>,
    /// The index of each runtime function in the linked module.
    places: HashMap<usize, u32>,
    realloc: u32,
}

impl Linked {
    fn new(runtime: &'static Runtime, kernel: &Kernel<'_>) -> Result<Self, Error> {
        let mut places = HashMap::new();
        for (index, function) in kernel.imports.iter().enumerate() {
            places.entry(*function).or_insert(number(index)?);
        }
        let realloc = runtime.export(REALLOC).ok_or(Error::Damaged { what: "it has no `cabi_realloc`" })?;
        let before = number(kernel.imports.len())? + kernel.functions.count;
        let mut behind = Vec::new();
        let mut open = kernel.imports.clone();
        let mut wanted = vec![realloc];
        loop {
            for function in wanted.drain(..) {
                if let Entry::Vacant(place) = places.entry(function) {
                    place.insert(before + number(behind.len())?);
                    behind.push(function);
                    open.push(function);
                }
            }
            let Some(function) = open.pop() else { break };
            let body = runtime.functions.get(function).ok_or(Error::Damaged { what: "a call leads nowhere" })?;
            if body.is_indirect {
                return Err(Error::Damaged { what: "a function needs a table" });
            }
            wanted.extend(body.patches.iter().filter_map(|patch| match patch.target {
                Target::Function(callee) => Some(callee),
                Target::Global(_) => None,
            }));
        }
        let realloc = places.get(&realloc).copied().unwrap_or_default();
        Ok(Self { runtime, behind, places, realloc })
    }

    fn encode(&self, kernel: &Kernel<'_>, data_bytes: u32) -> Result<Vec<u8>, Error> {
        let mut module = Module::new();
        let ahead = kernel.imports.iter();
        let functions: Vec<usize> = ahead.chain(&self.behind).copied().collect();

        let mut types = Types::new(kernel.types);
        let signatures = functions.iter().map(|function| types.place(self.runtime, *function)).collect::<Result<Vec<_>, _>>()?;
        let (first, last) = signatures.split_at(kernel.imports.len());
        section(&mut module, SectionId::Type, types.count, &types.bytes);

        let mut bytes = Vec::new();
        first.iter().for_each(|ty| ty.encode(&mut bytes));
        bytes.extend_from_slice(kernel.functions.bytes);
        last.iter().for_each(|ty| ty.encode(&mut bytes));
        section(&mut module, SectionId::Function, number(functions.len())? + kernel.functions.count, &bytes);

        let heap = (self.runtime.data_base + data_bytes).next_multiple_of(16);
        let pages = u64::from(heap).div_ceil(PAGE) + PAGES;
        let ty = MemoryType { minimum: pages, maximum: None, memory64: false, shared: false, page_size_log2: None };
        module.section(MemorySection::new().memory(ty));

        let mut globals = GlobalSection::new();
        let ty = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        for value in &self.runtime.globals {
            globals.global(ty, &ConstExpr::i32_const(*value));
        }
        joined(&mut module, SectionId::Global, kernel.globals, globals.len(), &globals);

        let mut exports = ExportSection::new();
        for (name, kind, index) in &kernel.exports {
            exports.export(name, *kind, *index);
        }
        if !kernel.exports.iter().any(|(name, ..)| *name == MEMORY) {
            exports.export(MEMORY, ExportKind::Memory, 0);
        }
        if !kernel.exports.iter().any(|(name, ..)| *name == REALLOC) {
            exports.export(REALLOC, ExportKind::Func, self.realloc);
        }
        module.section(&exports);

        let data = self.data(&functions, heap, pages);
        if kernel.has_data_count {
            let count = wasm_encoder::DataCountSection { count: kernel.data.count + data.len() };
            module.section(&count);
        }
        self.code(kernel, &mut module)?;
        joined(&mut module, SectionId::Data, kernel.data, data.len(), &data);
        Ok(module.finish())
    }

    /// The runtime's functions around the kernel's.
    fn code(&self, kernel: &Kernel<'_>, module: &mut Module) -> Result<(), Error> {
        let mut bytes = Vec::new();
        for function in &kernel.imports {
            self.body(*function, kernel.globals.count, &mut bytes)?;
        }
        bytes.extend_from_slice(kernel.code.bytes);
        for function in &self.behind {
            self.body(*function, kernel.globals.count, &mut bytes)?;
        }
        let count = number(kernel.imports.len() + self.behind.len())? + kernel.code.count;
        section(module, SectionId::Code, count, &bytes);
        Ok(())
    }

    /// Appends a runtime function with its indices replaced.
    fn body(&self, function: usize, globals: u32, bytes: &mut Vec<u8>) -> Result<(), Error> {
        const NOWHERE: Error = Error::Damaged { what: "an index leads nowhere" };
        let function = self.runtime.functions.get(function).ok_or(NOWHERE)?;
        number(function.body.len())?.encode(bytes);
        let start = bytes.len();
        bytes.extend_from_slice(function.body);
        for patch in &function.patches {
            let index = match patch.target {
                Target::Function(callee) => *self.places.get(&callee).ok_or(NOWHERE)?,
                Target::Global(global) => globals + global,
            };
            let place = bytes.get_mut(start + patch.offset..start + patch.offset + 5).ok_or(NOWHERE)?;
            place.copy_from_slice(&five(index));
        }
        Ok(())
    }

    /// The data that the functions touch, and the arena's bounds.
    fn data(&self, functions: &[usize], heap: u32, pages: u64) -> DataSection {
        let mut used: Vec<usize> = functions
            .iter()
            .filter_map(|function| self.runtime.functions.get(*function))
            .flat_map(|function| &function.segments)
            .copied()
            .collect();
        used.sort_unstable();
        used.dedup();
        let mut data = DataSection::new();
        for segment in used.into_iter().filter_map(|segment| self.runtime.segments.get(segment)) {
            // Fresh memory is zero, and the arena's bounds follow.
            if segment.address != self.runtime.arena && segment.bytes.iter().any(|byte| *byte != 0) {
                data.active(0, &ConstExpr::i32_const(segment.address.cast_signed()), segment.bytes.iter().copied());
            }
        }
        let mut bounds = Vec::with_capacity(16);
        bounds.extend_from_slice(&heap.to_le_bytes());
        bounds.extend_from_slice(&heap.to_le_bytes());
        bounds.extend_from_slice(&(pages * PAGE).to_le_bytes());
        data.active(0, &ConstExpr::i32_const(self.runtime.arena.cast_signed()), bounds);
        data
    }
}

/// The kernel's types with those of runtime functions behind them.
struct Types {
    count: u32,
    bytes: Vec<u8>,
    places: HashMap<usize, u32>,
}

impl Types {
    fn new(kernel: Items<'_>) -> Self {
        Self { count: kernel.count, bytes: kernel.bytes.to_vec(), places: HashMap::new() }
    }

    /// The index of a runtime function's type.
    fn place(&mut self, runtime: &Runtime, function: usize) -> Result<u32, Error> {
        const NOWHERE: Error = Error::Damaged { what: "a type is missing" };
        let index = runtime.functions.get(function).ok_or(NOWHERE)?.signature;
        if let Some(place) = self.places.get(&index) {
            return Ok(*place);
        }
        let signature = runtime.signatures.get(index).ok_or(NOWHERE)?;
        self.bytes.push(0x60);
        signature.params.as_slice().encode(&mut self.bytes);
        signature.result.as_slice().encode(&mut self.bytes);
        self.places.insert(index, self.count);
        self.count += 1;
        Ok(self.count - 1)
    }
}

/// An index in five bytes.
fn five(index: u32) -> [u8; 5] {
    std::array::from_fn(|byte| {
        let bits = (index >> (7 * byte)) as u8 & 0x7F;
        if byte < 4 { bits | 0x80 } else { bits }
    })
}

fn number(n: usize) -> Result<u32, Error> {
    u32::try_from(n).map_err(|_| Error::Malformed { reason: "it has too many items".to_owned() })
}

/// Adds a section of `count` items.
fn section(module: &mut Module, id: SectionId, count: u32, items: &[u8]) {
    let mut data = Vec::with_capacity(items.len() + 5);
    count.encode(&mut data);
    data.extend_from_slice(items);
    module.section(&RawSection { id: id as u8, data: &data });
}

/// Adds a section of the kernel's items and those of `more`, a section of the same kind.
fn joined(module: &mut Module, id: SectionId, kernel: Items<'_>, count: u32, more: &impl Encode) {
    let mut bytes = Vec::new();
    more.encode(&mut bytes);
    // An encoded section begins with its size and its count.
    let skip = leb_len(&bytes);
    let skip = skip + leb_len(bytes.get(skip..).unwrap_or_default());
    let mut items = kernel.bytes.to_vec();
    items.extend_from_slice(bytes.get(skip..).unwrap_or_default());
    section(module, id, kernel.count + count, &items);
}

/// How many bytes the variable-length number at the beginning has.
fn leb_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| byte & 0x80 == 0).map_or(bytes.len(), |last| last + 1)
}

#[cfg(test)]
mod tests;
