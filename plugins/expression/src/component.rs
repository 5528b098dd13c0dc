//! A linked core module as a component of the world `lambda`.

use std::ops::Range;
use std::sync::OnceLock;
use wasm_encoder::{ComponentSectionId, Encode};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The contract, as the host and the guests read it.
const CONTRACT: [&str; 7] = [
    include_str!("../../../wit/types.wit"),
    include_str!("../../../wit/transform.wit"),
    include_str!("../../../wit/describe.wit"),
    include_str!("../../../wit/aggregate.wit"),
    include_str!("../../../wit/connector.wit"),
    include_str!("../../../wit/host.wit"),
    include_str!("../../../wit/world.wit"),
];
const WORLD: &str = "lambda";

/// Bytes of a component and where its core module lies in them. All kernels export the same functions, so only the
/// module differs from one component to the next.
#[derive(Debug)]
struct Template {
    bytes: Vec<u8>,
    /// The section that holds the module, its header included.
    module: Range<usize>,
}

static TEMPLATE: OnceLock<Option<Template>> = OnceLock::new();

/// Wraps a core module; none if it is not one of ours.
pub(crate) fn wrap(module: &[u8]) -> Option<Vec<u8>> {
    // Encoding looks at the module's exports, so the first kernel of all serves as the pattern.
    let template = TEMPLATE.get_or_init(|| encode(module)).as_ref()?;
    let mut out = Vec::with_capacity(template.bytes.len() + module.len());
    out.extend_from_slice(template.bytes.get(..template.module.start)?);
    out.push(ComponentSectionId::CoreModule.into());
    module.len().encode(&mut out);
    out.extend_from_slice(module);
    out.extend_from_slice(template.bytes.get(template.module.end..)?);
    Some(out)
}

fn encode(module: &[u8]) -> Option<Template> {
    let contract = CONTRACT.iter().map(|text| text.replace("package azora:plugin@0.1.0;", "")).collect::<String>();
    let mut resolve = Resolve::default();
    let package = resolve.push_source("plugin.wit", &format!("package azora:plugin@0.1.0;\n{contract}")).ok()?;
    let world = resolve.select_world(&[package], Some(WORLD)).ok()?;
    let mut annotated = module.to_vec();
    embed_component_metadata(&mut annotated, &resolve, world, StringEncoding::UTF8).ok()?;
    let bytes = ComponentEncoder::default().module(&annotated).ok()?.encode().ok()?;
    let module = module_section(&bytes)?;
    Some(Template { bytes, module })
}

/// Where the only module section of a component is, from its id to its end.
fn module_section(component: &[u8]) -> Option<Range<usize>> {
    for payload in Parser::new(0).parse_all(component) {
        if let Payload::ModuleSection { unchecked_range, .. } = payload.ok()? {
            let header = 1 + leb_bytes(unchecked_range.len());
            return Some(unchecked_range.start.checked_sub(header)?..unchecked_range.end);
        }
    }
    None
}

/// Bytes of a number in the encoding of section sizes.
fn leb_bytes(value: usize) -> usize {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes.len()
}
