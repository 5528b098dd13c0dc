//! What a plugin says about itself, after every name, version and schema in it was checked.

use arrow::datatypes::SchemaRef;
use azora_spec::PluginName;
use semver::Version;

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
