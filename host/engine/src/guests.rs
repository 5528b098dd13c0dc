//! Connectors of plugins in jobs: which one is meant, what it was granted, and what of that is kept with the job.

use crate::relation::PlanContext;
use crate::{Error, PluginEntry};
use azora_connect::Half;
use azora_sandbox::{ConnectorDecl, GuestConnector, Manifest, PluginConnectorKind};
use azora_spec::wire::{self, Fields, Unknown, suggestion};
use azora_spec::{Code, Failure, Grants, PluginRef};
use serde_json::{Map, Value};

/// The type of sources and sinks that are a plugin's.
pub(crate) const PLUGIN: &str = "plugin";
/// Where the connector's own configuration stands.
const CONFIG: &str = "/config";

impl PlanContext {
    /// The connector that `{"plugin": …, "connector": …, "config": …, "grants": …}` names, and its configuration.
    pub(crate) async fn guest(&self, half: Half, config: &Map<String, Value>) -> Result<(GuestConnector, Map<String, Value>), Failure> {
        let value = Value::Object(config.clone());
        let mut fields = Fields::of(&value, "")?;
        let reference: PluginRef = fields.required_text("plugin")?.parse().map_err(|failure: Failure| failure.at("/plugin"))?;
        let name = fields.text("connector")?.map(str::to_owned);
        let own = fields.object("config")?.unwrap_or_default();
        let asked = fields.value("grants").map(|value| wire::grants(value, "/grants")).transpose()?;
        fields.finish(Unknown::Refuse)?;
        let entry = self.plugin(&reference).map_err(|failure| failure.at("/plugin"))?;
        let decl = guest_connector(&entry.manifest, half, name.as_deref())?;
        let grants = self.granted(&entry, decl, half, asked.as_ref())?;
        let (sandbox, catalog, digest) = (self.sandbox.clone(), self.catalog.clone(), entry.digest);
        // Bytes that are not compiled any more are compiled again, which takes seconds.
        let loaded = tokio::task::spawn_blocking(move || sandbox.load(&digest, &|| catalog.plugin_bytes(&digest))).await;
        let component = loaded.map_err(|_| Failure::from(Error::Panicked))?.map_err(|error| Failure::from(error).at("/plugin"))?;
        Ok((component.connector(&entry.manifest, decl, grants, self.options.guest), own))
    }

    /// What the job's connector may use: what the job asks for of what was granted, else all of it. A job that is planned
    /// again gets what it got before, without what was taken away since.
    fn granted(&self, entry: &PluginEntry, decl: &ConnectorDecl, half: Half, asked: Option<&Grants>) -> Result<Grants, Failure> {
        let key = format!("{} {}/{}", word(half), entry.digest, decl.name);
        let recorded = self
            .grants(&key)
            .map(|value| wire::grants(&value, ""))
            .transpose()
            .map_err(|_| Error::Damaged { what: "the pins of a job" })?;
        let grants = match (recorded, asked) {
            (Some(recorded), _) => recorded.still_within(&entry.grants),
            (None, Some(asked)) => entry.grants.narrowed(asked).map_err(|failure| failure.at("/grants"))?,
            (None, None) => entry.grants.clone(),
        };
        self.keep_grants(key, wire::grants_json(&grants));
        Ok(grants)
    }
}

const fn word(half: Half) -> &'static str {
    match half {
        Half::Source => "source",
        Half::Sink => "sink",
    }
}

/// The connector of a name that a plugin offers, or the only one.
///
/// # Errors
/// [`Code::ConnectorUnknown`] where there is none, with those that there are.
pub fn guest_connector<'a>(manifest: &'a Manifest, half: Half, name: Option<&str>) -> Result<&'a ConnectorDecl, Failure> {
    let kind = match half {
        Half::Source => PluginConnectorKind::Source,
        Half::Sink => PluginConnectorKind::Sink,
    };
    let offered: Vec<&ConnectorDecl> = manifest.connectors.iter().filter(|decl| decl.kind == kind).collect();
    let names: Vec<&str> = offered.iter().map(|decl| decl.name.as_str()).collect();
    let plugin = format!("{}@{}", manifest.name, manifest.version);
    let found = match (name, offered.as_slice()) {
        (Some(name), _) => offered.iter().copied().find(|decl| decl.name == name),
        (None, [only]) => Some(*only),
        (None, _) => None,
    };
    found.ok_or_else(|| {
        let word = word(half);
        let message = match name {
            Some(name) => format!("'{plugin}' has no {word} '{}'", name.escape_debug()),
            None if names.is_empty() => format!("'{plugin}' has no {word}"),
            None => format!("'{plugin}' has {} connectors of this kind, and 'connector' does not say which", names.len()),
        };
        let failure = Failure::new(Code::ConnectorUnknown, message).at(if name.is_some() { "/connector" } else { "/plugin" });
        match (name, names.as_slice()) {
            (_, []) => failure,
            (Some(name), names) => failure.hint(suggestion(name, names.iter().copied(), "it has")),
            (None, names) => failure.hint(format!("it has {}", names.join(", "))),
        }
    })
}

/// A connector's own fault, at its place in the configuration around it.
#[must_use]
pub fn inside_config(failure: Failure) -> Failure {
    match failure.pointer.clone() {
        Some(pointer) => failure.at(format!("{CONFIG}{pointer}")),
        None => failure,
    }
}
