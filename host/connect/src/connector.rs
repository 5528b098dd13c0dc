//! A connector: a name, a configuration schema, and a source or a sink made of a configuration.

use crate::{Sink, Source};
use async_trait::async_trait;
use azora_spec::{Code, Failure};
use serde_json::{Map, Value};
use std::fmt::Debug;
use std::sync::Arc;

/// Which halves a connector has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectorKind {
    /// It reads.
    Source,
    /// It writes.
    Sink,
    /// It does both.
    Both,
}

/// One half of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// The reading one.
    Source,
    /// The writing one.
    Sink,
}

/// A kind of place to read from or write to. Native ones implement it; the sandbox implements it for guests.
#[async_trait]
pub trait Connector: Debug + Send + Sync {
    /// The name in requests, for example `kafka`.
    fn name(&self) -> &str;

    /// Other names for it in requests.
    fn aliases(&self) -> &[&str] {
        &[]
    }

    /// Which halves it has.
    fn kind(&self) -> ConnectorKind;

    /// JSON Schema of its configuration. Members that hold secrets are marked `"writeOnly": true`.
    fn config_schema(&self) -> Value;

    /// Faults of a configuration that a schema cannot tell, found without connecting; pointers begin at the configuration.
    fn check(&self, half: Half, config: &Map<String, Value>) -> Vec<Failure> {
        let _ = (half, config);
        Vec::new()
    }

    /// Where rows come from or go to, for people: `kafka://broker:9092/topic`. Without users, passwords and queries.
    fn label(&self, config: &Map<String, Value>) -> String {
        let _ = config;
        format!("{}://", self.name())
    }

    /// A source; it may connect to learn its schema.
    async fn source(&self, config: &Map<String, Value>) -> Result<Arc<dyn Source>, Failure> {
        let _ = config;
        Err(Failure::new(Code::ConnectorConfig, format!("'{}' cannot be read from", self.name())))
    }

    /// A sink.
    async fn sink(&self, config: &Map<String, Value>) -> Result<Arc<dyn Sink>, Failure> {
        let _ = config;
        Err(Failure::new(Code::ConnectorConfig, format!("'{}' cannot be written to", self.name())))
    }
}
