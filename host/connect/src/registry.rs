//! Name to connector.

use crate::Connector;
use azora_spec::{Code, Failure};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The connectors of a server. Built once at start.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    connectors: BTreeMap<String, Arc<dyn Connector>>,
}

impl Registry {
    /// No connectors.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; one of the same name is replaced.
    pub fn insert(&mut self, connector: Arc<dyn Connector>) {
        self.connectors.insert(connector.name().to_owned(), connector);
    }

    /// The connector of a name.
    ///
    /// # Errors
    /// [`Code::ConnectorUnknown`], naming those that are there.
    pub fn get(&self, name: &str) -> Result<Arc<dyn Connector>, Failure> {
        self.connectors.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.connectors.keys().map(String::as_str).collect();
            Failure::new(Code::ConnectorUnknown, format!("unknown connector '{}'", name.escape_debug()))
                .hint(format!("connectors are file, {}", known.join(", ")))
        })
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Connector>> {
        self.connectors.values()
    }
}
