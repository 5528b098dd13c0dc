//! Name to connector.

use crate::Connector;
use azora_spec::wire::{shown, suggestion};
use azora_spec::{Code, Failure};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The connectors of a server. Built once at start.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    connectors: BTreeMap<String, Arc<dyn Connector>>,
    aliases: BTreeMap<String, String>,
}

impl Registry {
    /// No connectors.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; one of the same name is replaced.
    pub fn insert(&mut self, connector: Arc<dyn Connector>) {
        for alias in connector.aliases() {
            self.aliases.insert((*alias).to_owned(), connector.name().to_owned());
        }
        self.connectors.insert(connector.name().to_owned(), connector);
    }

    /// The connector of a name.
    ///
    /// # Errors
    /// [`Code::ConnectorUnknown`], naming those that are there.
    pub fn get(&self, name: &str) -> Result<Arc<dyn Connector>, Failure> {
        self.find(name).cloned().ok_or_else(|| {
            let failure = Failure::new(Code::ConnectorUnknown, format!("unknown connector '{}'", shown(name)));
            let known = std::iter::once("file").chain(self.connectors.keys().map(String::as_str));
            failure.hint(suggestion(name, known, "connectors are"))
        })
    }

    fn find(&self, name: &str) -> Option<&Arc<dyn Connector>> {
        self.connectors.get(name).or_else(|| self.connectors.get(self.aliases.get(name)?))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Connector>> {
        self.connectors.values()
    }
}
