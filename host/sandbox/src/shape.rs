//! A look at an upload before anything expensive: is it a component, is it of a size that compiles in bounded time, what
//! does it import and export. Nothing is validated here beyond that; the compiler does it.

use crate::component::Bounds;
use crate::error::{Error, Result};
use crate::host;
use azora_spec::limits::PLUGIN_BYTES_MAX;
use wasmparser::{BinaryReaderError, ComponentExternalKind, ComponentTypeRef, Encoding, FunctionBody, Operator, Parser, Payload};

/// Core modules: a plugin of one language needs about 3; an interpreter with shared libraries comes near the bound.
const MODULES_MAX: u64 = 32;
/// Components in components.
const COMPONENTS_MAX: u64 = 64;
/// Nesting of modules and components.
const DEPTH_MAX: usize = 8;
/// Functions of all modules. 300,000 empty ones cost 23 s and 1.7 GB to compile.
const FUNCTIONS_MAX: u64 = 50_000;
/// Bytes of one function body. One body of 2.5 MiB costs 11 s and 0.9 GB.
const BODY_BYTES_MAX: u64 = 1 << 20;
/// Local variables of one function.
const LOCALS_MAX: u64 = 10_000;
/// Branch-table targets of one function.
const BRANCH_TARGETS_MAX: u64 = 65_536;
/// Blocks, loops and conditions within each other. The time to compile grows with the square: 300,000 cost a minute.
const CONTROL_DEPTH_MAX: u64 = 10_000;
/// Bytes of one page of linear memory.
const PAGE_BYTES: u64 = 64 << 10;
/// Entries of any other section, all sections of a kind together.
const ENTRIES_MAX: u64 = 200_000;
/// Entries of component sections, all together.
const COMPONENT_ENTRIES_MAX: u64 = 20_000;
/// Data segments of all modules.
const DATA_SEGMENTS_MAX: u64 = 50_000;
/// Bytes of all custom sections: names, debug information.
const CUSTOM_BYTES_MAX: u64 = 16 << 20;
/// Imports of the component itself.
const IMPORTS_MAX: usize = 64;
/// Exports of the component itself.
const EXPORTS_MAX: usize = 256;
/// How compiled artefacts begin: they are ELF files.
const ARTEFACT_MAGIC: &[u8] = b"\x7fELF";

/// What an upload looks like from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Imported interfaces, each one that plugins may have.
    pub(crate) imports: Vec<String>,
    /// Exported interfaces of ours; others are ignored.
    pub(crate) exports: Vec<String>,
}

impl Shape {
    /// Whether an interface of ours is exported.
    pub(crate) fn is_exporting(&self, interface: &str) -> bool {
        self.exports.iter().any(|name| host::interface(name) == Some(interface))
    }
}

/// Counts what costs time and memory later, and audits imports.
pub(crate) fn check(bytes: &[u8], bounds: Bounds) -> Result<Shape> {
    if bytes.len() > PLUGIN_BYTES_MAX {
        return Err(Error::TooLarge { what: "bytes", limit: PLUGIN_BYTES_MAX as u64 });
    }
    let not_component = |reason: &str| Error::NotComponent { reason: reason.to_owned() };
    if bytes.starts_with(ARTEFACT_MAGIC) {
        return Err(not_component("it is compiled machine code; upload the .wasm file"));
    }
    if Parser::is_core_wasm(bytes) {
        return Err(not_component("it is a core module"));
    }
    if !Parser::is_component(bytes) {
        return Err(not_component("it does not begin as one"));
    }
    let mut walk = Walk::new(bounds);
    for payload in Parser::new(0).parse_all(bytes) {
        walk.payload(&payload.map_err(malformed)?)?;
    }
    if walk.depth != 0 {
        return Err(not_component("it ends too early"));
    }
    Ok(walk.shape)
}

fn malformed(error: BinaryReaderError) -> Error {
    Error::NotComponent { reason: format!("{} at byte {}", error.message(), error.offset()) }
}

#[derive(Debug)]
struct Walk {
    bounds: Bounds,
    depth: usize,
    modules: u64,
    components: u64,
    functions: u64,
    entries: u64,
    component_entries: u64,
    data_segments: u64,
    custom_bytes: u64,
    memory_bytes: u64,
    table_elements: u64,
    shape: Shape,
}

/// Adds to a count and compares with its limit.
fn add(count: &mut u64, more: u64, what: &'static str, limit: u64) -> Result<()> {
    *count = count.saturating_add(more);
    if *count > limit { Err(Error::TooLarge { what, limit }) } else { Ok(()) }
}

impl Walk {
    fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            depth: 0,
            modules: 0,
            components: 0,
            functions: 0,
            entries: 0,
            component_entries: 0,
            data_segments: 0,
            custom_bytes: 0,
            memory_bytes: 0,
            table_elements: 0,
            shape: Shape::default(),
        }
    }

    fn payload(&mut self, payload: &Payload<'_>) -> Result<()> {
        match payload {
            Payload::Version { encoding, .. } => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(Error::TooLarge { what: "levels of nesting", limit: DEPTH_MAX as u64 });
                }
                match encoding {
                    Encoding::Module => add(&mut self.modules, 1, "core modules", MODULES_MAX),
                    Encoding::Component => add(&mut self.components, 1, "components", COMPONENTS_MAX),
                }
            }
            Payload::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(())
            }
            Payload::CustomSection(section) => {
                add(&mut self.custom_bytes, section.data().len() as u64, "bytes of custom sections", CUSTOM_BYTES_MAX)
            }
            Payload::FunctionSection(section) => add(&mut self.functions, section.count().into(), "functions", FUNCTIONS_MAX),
            Payload::CodeSectionEntry(body) => function(body),
            Payload::DataSection(section) => add(&mut self.data_segments, section.count().into(), "data segments", DATA_SEGMENTS_MAX),
            Payload::TableSection(section) => self.tables(section.clone()),
            Payload::MemorySection(section) => self.memories(section.clone()),
            Payload::TypeSection(section) => self.entries(section.count()),
            Payload::ImportSection(section) => self.entries(section.count()),
            Payload::TagSection(section) => self.entries(section.count()),
            Payload::GlobalSection(section) => self.entries(section.count()),
            Payload::ExportSection(section) => self.entries(section.count()),
            Payload::ElementSection(section) => self.entries(section.count()),
            Payload::InstanceSection(section) => self.component_entries(section.count()),
            Payload::CoreTypeSection(section) => self.component_entries(section.count()),
            Payload::ComponentInstanceSection(section) => self.component_entries(section.count()),
            Payload::ComponentAliasSection(section) => self.component_entries(section.count()),
            Payload::ComponentTypeSection(section) => self.component_entries(section.count()),
            Payload::ComponentCanonicalSection(section) => self.component_entries(section.count()),
            Payload::ComponentStartSection { .. } => Err(Error::NotComponent { reason: "it has a component start section".to_owned() }),
            Payload::ComponentImportSection(section) => {
                self.component_entries(section.count())?;
                if self.depth == 1 { self.imports(section.clone()) } else { Ok(()) }
            }
            Payload::ComponentExportSection(section) => {
                self.component_entries(section.count())?;
                if self.depth == 1 { self.exports(section.clone()) } else { Ok(()) }
            }
            Payload::UnknownSection { id, .. } => Err(Error::NotComponent { reason: format!("it has a section of unknown kind {id}") }),
            _ => Ok(()),
        }
    }

    fn entries(&mut self, count: u32) -> Result<()> {
        add(&mut self.entries, count.into(), "entries in its sections", ENTRIES_MAX)
    }

    fn component_entries(&mut self, count: u32) -> Result<()> {
        add(&mut self.component_entries, count.into(), "entries in its component sections", COMPONENT_ENTRIES_MAX)
    }

    fn tables(&mut self, section: wasmparser::TableSectionReader<'_>) -> Result<()> {
        self.entries(section.count())?;
        let limit = self.bounds.table_elements_max as u64;
        for table in section {
            add(&mut self.table_elements, table.map_err(malformed)?.ty.initial, "elements in its tables", limit)?;
        }
        Ok(())
    }

    fn memories(&mut self, section: wasmparser::MemorySectionReader<'_>) -> Result<()> {
        self.entries(section.count())?;
        let limit = self.bounds.memory_bytes_max as u64;
        for memory in section {
            let bytes = memory.map_err(malformed)?.initial.saturating_mul(PAGE_BYTES);
            add(&mut self.memory_bytes, bytes, "bytes of memory from the start", limit)?;
        }
        Ok(())
    }

    fn imports(&mut self, section: wasmparser::ComponentImportSectionReader<'_>) -> Result<()> {
        for import in section {
            let import = import.map_err(malformed)?;
            let name = import.name.name;
            if host::import(name).is_none() || !matches!(import.ty, ComponentTypeRef::Instance(_)) {
                return Err(Error::Import { name: crate::text::sanitise(name, 256) });
            }
            if self.shape.imports.len() == IMPORTS_MAX {
                return Err(Error::TooLarge { what: "imports", limit: IMPORTS_MAX as u64 });
            }
            self.shape.imports.push(name.to_owned());
        }
        Ok(())
    }

    fn exports(&mut self, section: wasmparser::ComponentExportSectionReader<'_>) -> Result<()> {
        for (at, export) in section.into_iter().enumerate() {
            let export = export.map_err(malformed)?;
            if at >= EXPORTS_MAX {
                return Err(Error::TooLarge { what: "exports", limit: EXPORTS_MAX as u64 });
            }
            let name = export.name.name;
            if host::interface(name).is_some() && export.kind == ComponentExternalKind::Instance {
                self.shape.exports.push(name.to_owned());
            }
        }
        Ok(())
    }
}

fn function(body: &FunctionBody<'_>) -> Result<()> {
    let range = body.range();
    if (range.end - range.start) as u64 > BODY_BYTES_MAX {
        return Err(Error::TooLarge { what: "bytes in one function", limit: BODY_BYTES_MAX });
    }
    let mut locals = 0;
    for group in body.get_locals_reader().map_err(malformed)? {
        let (count, _) = group.map_err(malformed)?;
        add(&mut locals, count.into(), "local variables in one function", LOCALS_MAX)?;
    }
    let (mut targets, mut depth) = (0, 0_u64);
    for operator in body.get_operators_reader().map_err(malformed)? {
        match operator.map_err(malformed)? {
            Operator::BrTable { targets: table } => {
                add(&mut targets, table.len().into(), "branch targets in one function", BRANCH_TARGETS_MAX)?;
            }
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                add(&mut depth, 1, "levels of nesting in one function", CONTROL_DEPTH_MAX)?;
            }
            // The end of the body is one more than there are blocks.
            Operator::End => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}
