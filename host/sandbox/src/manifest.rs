//! What a plugin says about itself, after every name, version and schema in it was checked.

use crate::aggregate::AggregateGuest;
use crate::component::Component;
use crate::error::{Error, Result};
use crate::instance::{Guest, typed};
use crate::shape::Shape;
use crate::sink::SinkGuest;
use crate::source::SourceGuest;
use crate::{CancelFlag, abi, schema, store, text};
use arrow::datatypes::SchemaRef;
use azora_spec::PluginName;
use azora_spec::limits::GuestLimits;
use semver::Version;
use std::collections::HashSet;
use std::sync::Arc;

/// What a component is and offers.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Its name.
    pub name: PluginName,
    /// Its version.
    pub version: Version,
    /// Markdown for people.
    pub doc: String,
    /// Its functions, names unique.
    pub functions: Vec<FunctionDecl>,
    /// Its connectors, names unique per kind.
    pub connectors: Vec<ConnectorDecl>,
    /// What it asks for, each once.
    pub capabilities: Vec<Capability>,
}

/// A function of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionDecl {
    /// A letter, then letters, digits, `_` or `-`; at most 64 bytes.
    pub name: String,
    /// What it makes of rows.
    pub kind: FunctionKind,
    /// Markdown for people.
    pub doc: String,
    /// Its arguments.
    pub params: SchemaRef,
    /// The columns it makes; empty for a filter, or where only binding can tell.
    pub output: SchemaRef,
    /// JSON Schema of its configuration; none where it takes none.
    pub config_schema: Option<serde_json::Value>,
}

/// What a function makes of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FunctionKind {
    /// One row for every row.
    Map,
    /// Keeps some rows.
    Filter,
    /// Any number of rows for every row.
    FlatMap,
    /// Any number of rows for a partition.
    MapPartitions,
    /// One row per group.
    Aggregate,
}

/// A connector of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectorDecl {
    /// As a function's name.
    pub name: String,
    /// Which way rows go.
    pub kind: PluginConnectorKind,
    /// Markdown for people.
    pub doc: String,
    /// JSON Schema of its configuration; none where it takes none.
    pub config_schema: Option<serde_json::Value>,
}

/// Which way rows go through a plugin's connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PluginConnectorKind {
    /// Into a job.
    Source,
    /// Out of a job.
    Sink,
}

/// What a plugin may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Requests to granted hosts.
    HttpClient,
    /// The time.
    Clock,
    /// Random bytes.
    Random,
    /// A small store of its own.
    KeyValue,
    /// Granted secrets, by name.
    Secrets,
}

macro_rules! words {
    ($type:ident, $($name:ident = $text:literal),* $(,)?) => {
        impl $type {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word used in JSON and in WIT.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The variant of that word.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

words!(FunctionKind, Map = "map", Filter = "filter", FlatMap = "flat-map", MapPartitions = "map-partitions", Aggregate = "aggregate");
words!(PluginConnectorKind, Source = "source", Sink = "sink");
words!(Capability, HttpClient = "http-client", Clock = "clock", Random = "random", KeyValue = "key-value", Secrets = "secrets");

/// Functions of one plugin.
const FUNCTIONS_MAX: usize = 256;
/// Connectors of one plugin.
const CONNECTORS_MAX: usize = 64;
/// Bytes of any documentation.
const DOC_BYTES_MAX: usize = 4 << 10;
/// Bytes of a JSON Schema.
const CONFIG_SCHEMA_BYTES_MAX: usize = 64 << 10;
/// Bytes of a function's or connector's name.
const NAME_BYTES_MAX: usize = 64;
/// Bytes of a version.
const VERSION_BYTES_MAX: usize = 64;

/// Asks a component what it is, and checks every word of the answer against it.
pub(crate) fn describe(component: &Component, shape: &Shape, limits: GuestLimits) -> Result<Manifest> {
    let export = component.describe()?;
    let (mut store, instance) = component.instantiate(limits, CancelFlag::new())?;
    let missing = || Error::Export { name: "azora:plugin/describe".to_owned(), reason: "lacks a function" };
    let function = instance.get_func(&mut store, export).ok_or_else(missing)?;
    let function = typed::<(), (abi::Manifest,)>(function, &store, "azora:plugin/describe#describe")?;
    store::begin(&mut store)?;
    let (answer,) = function.call(&mut store, ()).map_err(|error| store::explain(&store, "describe", error))?;
    // The instances below need its place, where there is only one.
    drop(store);
    let manifest = check(&answer)?;
    // The exports' types are checked here, so that a wrong one is refused at upload and not in a job.
    if shape.is_exporting("transform") {
        drop(Guest::instantiate(component, limits, CancelFlag::new())?);
    }
    if shape.is_exporting("aggregate") {
        drop(AggregateGuest::instantiate(component, limits, CancelFlag::new())?);
    }
    if shape.is_exporting("source") {
        drop(SourceGuest::instantiate(component, limits, CancelFlag::new(), Arc::default())?);
    }
    if shape.is_exporting("sink") {
        drop(SinkGuest::instantiate(component, limits, CancelFlag::new(), Arc::default())?);
    }
    agree(&manifest, component, shape)?;
    Ok(manifest)
}

/// What the manifest says must be what the component has.
fn agree(manifest: &Manifest, component: &Component, shape: &Shape) -> Result<()> {
    let missing = |name: &str| Error::Export { name: format!("azora:plugin/{name}"), reason: "is missing, though the manifest needs it" };
    let is_transforming = manifest.functions.iter().any(|function| function.kind != FunctionKind::Aggregate);
    let is_aggregating = manifest.functions.iter().any(|function| function.kind == FunctionKind::Aggregate);
    let connects = |kind| manifest.connectors.iter().any(|connector| connector.kind == kind);
    let needed = [
        ("transform", is_transforming),
        ("aggregate", is_aggregating),
        ("source", connects(PluginConnectorKind::Source)),
        ("sink", connects(PluginConnectorKind::Sink)),
    ];
    for (interface, is_needed) in needed {
        if is_needed && !shape.is_exporting(interface) {
            return Err(missing(interface));
        }
    }
    for capability in component.needs() {
        if !manifest.capabilities.contains(capability) {
            return Err(wrong("capabilities", format!("do not list '{}', which the component imports", capability.as_str())));
        }
    }
    Ok(())
}

fn wrong(field: impl Into<String>, reason: impl Into<String>) -> Error {
    Error::Manifest { field: field.into(), reason: reason.into() }
}

fn check(answer: &abi::Manifest) -> Result<Manifest> {
    let name = answer
        .name
        .parse()
        .map_err(|_| wrong("name", "is not a lower-case letter, then lower-case letters, digits or '-', at most 64 of them"))?;
    let version = Some(&answer.version).filter(|text| text.len() <= VERSION_BYTES_MAX).and_then(|text| Version::parse(text).ok());
    let version = version.ok_or_else(|| wrong("version", "is not a semantic version such as 1.4.0"))?;
    if answer.functions.len() > FUNCTIONS_MAX || answer.connectors.len() > CONNECTORS_MAX {
        return Err(wrong("functions", format!("are more than {FUNCTIONS_MAX}, or connectors more than {CONNECTORS_MAX}")));
    }
    if answer.functions.is_empty() && answer.connectors.is_empty() {
        return Err(wrong("functions", "are missing, and connectors too"));
    }
    let functions = answer.functions.iter().map(check_function).collect::<Result<Vec<_>>>()?;
    let connectors = answer.connectors.iter().map(check_connector).collect::<Result<Vec<_>>>()?;
    let mut names = HashSet::new();
    if let Some(function) = functions.iter().find(|function| !names.insert(function.name.as_str())) {
        return Err(wrong(format!("function '{}'", function.name), "comes twice"));
    }
    let mut names = HashSet::new();
    if let Some(connector) = connectors.iter().find(|connector| !names.insert((connector.name.as_str(), connector.kind))) {
        return Err(wrong(format!("connector '{}'", connector.name), "comes twice"));
    }
    let mut capabilities = Vec::new();
    for capability in &answer.capabilities {
        let capability = match capability {
            abi::Capability::HttpClient => Capability::HttpClient,
            abi::Capability::Clock => Capability::Clock,
            abi::Capability::Random => Capability::Random,
            abi::Capability::KeyValue => Capability::KeyValue,
            abi::Capability::Secrets => Capability::Secrets,
        };
        if !capabilities.contains(&capability) {
            capabilities.push(capability);
        }
    }
    Ok(Manifest { name, version, doc: doc("doc", &answer.doc)?, functions, connectors, capabilities })
}

fn check_function(answer: &abi::Function) -> Result<FunctionDecl> {
    let name = declared_name("a function's name", &answer.name)?;
    let field = |part: &str| format!("{part} of function '{name}'");
    let params = schema::lift(&answer.params).map_err(|flaw| wrong(field("params"), format!("are {flaw}")))?;
    let output = schema::lift(&answer.output).map_err(|flaw| wrong(field("output"), format!("is {flaw}")))?;
    let kind = match answer.kind {
        abi::FunctionKind::Map => FunctionKind::Map,
        abi::FunctionKind::Filter => FunctionKind::Filter,
        abi::FunctionKind::FlatMap => FunctionKind::FlatMap,
        abi::FunctionKind::MapPartitions => FunctionKind::MapPartitions,
        abi::FunctionKind::Aggregate => FunctionKind::Aggregate,
    };
    let doc = doc(&field("doc"), &answer.doc)?;
    let config_schema = config_schema(&field("config-schema"), &answer.config_schema)?;
    Ok(FunctionDecl { name, kind, doc, params, output, config_schema })
}

fn check_connector(answer: &abi::Connector) -> Result<ConnectorDecl> {
    let name = declared_name("a connector's name", &answer.name)?;
    let field = |part: &str| format!("{part} of connector '{name}'");
    let kind = match answer.kind {
        abi::ConnectorKind::Source => PluginConnectorKind::Source,
        abi::ConnectorKind::Sink => PluginConnectorKind::Sink,
    };
    let doc = doc(&field("doc"), &answer.doc)?;
    let config_schema = config_schema(&field("config-schema"), &answer.config_schema)?;
    Ok(ConnectorDecl { name, kind, doc, config_schema })
}

fn declared_name(field: &str, name: &str) -> Result<String> {
    let is_name = name.len() <= NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_name { Ok(name.to_owned()) } else { Err(wrong(field, "is not a letter, then letters, digits, '_' or '-', at most 64 of them")) }
}

fn doc(field: &str, text: &str) -> Result<String> {
    if text.len() > DOC_BYTES_MAX {
        return Err(wrong(field, format!("is longer than {DOC_BYTES_MAX} bytes")));
    }
    Ok(text::sanitise(text, DOC_BYTES_MAX))
}

fn config_schema(field: &str, text: &str) -> Result<Option<serde_json::Value>> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > CONFIG_SCHEMA_BYTES_MAX {
        return Err(wrong(field, format!("is longer than {CONFIG_SCHEMA_BYTES_MAX} bytes")));
    }
    match serde_json::from_str(text) {
        Ok(schema @ (serde_json::Value::Object(_) | serde_json::Value::Bool(_))) => Ok(Some(schema)),
        _ => Err(wrong(field, "is not a JSON Schema")),
    }
}

#[cfg(test)]
mod tests;
