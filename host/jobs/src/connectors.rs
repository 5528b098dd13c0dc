//! What is known of connectors without running a job: their list, and what is wrong with a configuration.

use crate::shared::Shared;
use azora_connect::{Connector, ConnectorKind, Half, schema};
use azora_engine::Engine;
use azora_spec::wire::{self, Fields, Unknown};
use azora_spec::{Code, Failure, PluginRef};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Members of a source's configuration that the engine reads itself.
const COMMON: [&str; 2] = ["badRecords", "deadLetters"];

/// The type of sources and sinks that are connectors of a plugin.
const GUEST: &str = "plugin";

/// A connector.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectorView {
    /// Its name in requests.
    pub name: String,
    /// Other names.
    pub aliases: Vec<String>,
    /// `source`, `sink` or `both`.
    pub kind: &'static str,
    /// Whether it can be read from.
    pub is_source: bool,
    /// Whether it can be written to.
    pub is_sink: bool,
    /// JSON Schema of its configuration.
    pub config_schema: Value,
}

impl ConnectorView {
    fn file() -> Self {
        let (name, aliases) = ("file".to_owned(), vec!["filesystem".to_owned()]);
        Self { name, aliases, kind: "both", is_source: true, is_sink: true, config_schema: with_common(Engine::file_schema()) }
    }

    /// All connectors of plugins: which one is a part of the configuration.
    fn guests() -> Self {
        let text = |about: &str| json!({ "type": "string", "description": about });
        let schema = json!({
            "type": "object", "required": ["plugin"], "additionalProperties": false,
            "properties": {
                "plugin": text("name@version, or the digest of its bytes"),
                "connector": text("which of its connectors, where it has several"),
                "config": { "type": "object", "description": "as the connector's own schema says" },
                "grants": { "type": "object", "description": "less than was granted" },
            },
        });
        let name = GUEST.to_owned();
        Self { name, aliases: Vec::new(), kind: "both", is_source: true, is_sink: true, config_schema: with_common(schema) }
    }

    fn of(connector: &Arc<dyn Connector>) -> Self {
        let (kind, is_source, is_sink) = match connector.kind() {
            ConnectorKind::Source => ("source", true, false),
            ConnectorKind::Sink => ("sink", false, true),
            ConnectorKind::Both => ("both", true, true),
        };
        let aliases = connector.aliases().iter().map(|alias| (*alias).to_owned()).collect();
        let schema = connector.config_schema();
        let config_schema = if is_source { with_common(schema) } else { schema };
        Self { name: connector.name().to_owned(), aliases, kind, is_source, is_sink, config_schema }
    }
}

/// A source's schema with the members that every source has.
fn with_common(mut schema: Value) -> Value {
    let policies = json!({
        "enum": ["fail", "skip", "dead-letter"], "default": "fail",
        "description": "of a source: what happens to records that are no rows",
    });
    let letters = json!({ "type": "string", "description": "of a source: the dataset that keeps them" });
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, of) in COMMON.into_iter().zip([policies, letters]) {
            properties.insert(name.to_owned(), of);
        }
    }
    schema
}

impl Shared {
    /// All connectors, by name.
    pub(crate) fn connectors(&self) -> Vec<ConnectorView> {
        let mut views: Vec<ConnectorView> = self.engine.registry().iter().map(ConnectorView::of).collect();
        views.push(ConnectorView::file());
        views.sort_by(|a, b| a.name.cmp(&b.name));
        views
    }

    /// One of them.
    pub(crate) fn connector(&self, name: &str) -> Result<ConnectorView, Failure> {
        if Engine::is_file_source(name) {
            return Ok(ConnectorView::file());
        }
        if name == GUEST {
            return Ok(ConnectorView::guests());
        }
        self.engine.registry().get(name).map(|connector| ConnectorView::of(&connector))
    }

    /// Everything that is wrong with a configuration and can be told without connecting.
    pub(crate) fn check_connector(&self, name: &str, half: Half, config: &Map<String, Value>) -> Result<Vec<Failure>, Failure> {
        let view = self.connector(name)?;
        let is_there = match half {
            Half::Source => view.is_source,
            Half::Sink => view.is_sink,
        };
        if !is_there {
            let verb = if half == Half::Source { "read from" } else { "written to" };
            return Err(Failure::new(Code::ConnectorConfig, format!("'{}' cannot be {verb}", view.name)));
        }
        let mut config = config.clone();
        let bad = config.get("badRecords").and_then(Value::as_str).map(azora_connect::bad::policy).and_then(Result::err);
        COMMON.iter().for_each(|name| drop(config.shift_remove(*name)));
        let mut faults = schema::faults(&view.config_schema, &config);
        faults.extend(bad);
        // A connector's own check may rely on what its schema says.
        if faults.is_empty() {
            match Engine::is_file_source(name) {
                true if half == Half::Source => faults.extend(Engine::file_fault(&config)),
                true => {}
                false if name == GUEST => faults.extend(self.guest_faults(half, &config).unwrap_or_else(|failure| vec![failure])),
                false => faults.extend(self.engine.registry().get(name)?.check(half, &config)),
            }
        }
        Ok(faults)
    }

    /// What is wrong with what a request says of a plugin's connector, and with the connector's own configuration.
    fn guest_faults(&self, half: Half, config: &Map<String, Value>) -> Result<Vec<Failure>, Failure> {
        let mut fields = Fields::config(config);
        let reference: PluginRef = fields.required_text("plugin")?.parse().map_err(|failure: Failure| failure.at("/plugin"))?;
        let name = fields.text("connector")?;
        let own = fields.object("config")?.unwrap_or_default();
        fields.value("grants").map(|value| wire::grants(value, "/grants")).transpose()?;
        fields.finish(Unknown::Refuse)?;
        let row = self.catalog.row(&reference).map_err(|failure| failure.at("/plugin"))?;
        let manifest = self.catalog.manifest(&row)?.0;
        let connector = azora_engine::guest_connector(&manifest, half, name)?;
        let none = json!({ "type": "object", "additionalProperties": false });
        let faults = schema::faults(connector.config_schema.as_ref().unwrap_or(&none), &own);
        Ok(faults.into_iter().map(azora_engine::inside_config).collect())
    }

    /// Where a source's rows come from, for people.
    pub(crate) fn source_label(&self, connector: &str, config: &Map<String, Value>) -> String {
        let text = |name: &str| config.get(name).and_then(Value::as_str);
        match self.engine.registry().get(connector) {
            _ if connector == GUEST => {
                let inner = text("connector").map(|name| format!("/{name}")).unwrap_or_default();
                format!("plugin://{}{inner}", text("plugin").unwrap_or_default())
            }
            Ok(found) if !Engine::is_file_source(connector) => found.label(config),
            _ => format!("file://{}", text("path").unwrap_or_default()),
        }
    }

    /// The configuration of an ingest without what the request says beside it and the connector does not know.
    pub(crate) fn known_fields(&self, connector: &str, mut config: Map<String, Value>) -> Map<String, Value> {
        if let Ok(found) = self.engine.registry().get(connector) {
            let schema = found.config_schema();
            let knows = |name: &str| schema.get("properties").is_some_and(|known: &Value| known.get(name).is_some());
            if !knows("batchSize") {
                config.shift_remove("batchSize");
            }
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectorView;

    #[test]
    fn files_are_a_connector_like_others() {
        let file = ConnectorView::file();
        assert!(file.is_source && file.is_sink && file.config_schema["properties"]["path"].is_object());
        azora_connect::schema::check_schema(&file.config_schema).unwrap();
    }
}
