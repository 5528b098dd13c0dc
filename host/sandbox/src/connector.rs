//! A guest's connector as a connector like any other: its configuration checked, its calls made on threads that may block,
//! stopped with whoever waits for them, and tried again where the guest says that it may help.

use crate::capabilities::Capabilities;
use crate::component::Component;
use crate::error::{Error, Fault, Result};
use crate::instance::typed;
use crate::manifest::{ConnectorDecl, Manifest, PluginConnectorKind};
use crate::sink::GuestSink;
use crate::source::GuestSource;
use crate::store::{self, State};
use crate::{CancelFlag, abi};
use async_trait::async_trait;
use azora_connect::{Connector, ConnectorKind, Half, Sink, Source};
use azora_spec::limits::GuestLimits;
use azora_spec::{Code, Failure, config_schema};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, ComponentType, Func, Lift, Lower};

/// Bytes of a split's payload, a position and a token.
pub(crate) const TEXT_BYTES_MAX: usize = 64 << 10;
/// Bytes of a configuration.
const CONFIG_BYTES_MAX: usize = 256 << 10;
/// Tries after the first one of what a guest says is worth another.
const RETRIES_MAX: u32 = 4;
/// Wait before the first of them; doubled before each next one.
const RETRY_WAIT: Duration = Duration::from_millis(250);

/// A connector that a plugin exports. Clones share everything.
#[derive(Debug, Clone)]
pub struct GuestConnector(Arc<Bound>);

/// Everything that its instances have in common.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) component: Component,
    /// As the guest knows it.
    pub(crate) export: String,
    pub(crate) capabilities: Arc<Capabilities>,
    pub(crate) limits: GuestLimits,
    label: String,
    kind: PluginConnectorKind,
    config_schema: Option<Value>,
}

impl GuestConnector {
    pub(crate) fn new(
        component: Component,
        manifest: &Manifest,
        decl: &ConnectorDecl,
        capabilities: Arc<Capabilities>,
        limits: GuestLimits,
    ) -> Self {
        Self(Arc::new(Bound {
            component,
            export: decl.name.clone(),
            capabilities,
            limits,
            label: format!("{}@{}/{}", manifest.name, manifest.version, decl.name),
            kind: decl.kind,
            config_schema: decl.config_schema.clone(),
        }))
    }
}

impl Bound {
    /// Its plugin, version and name, for people.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// The configuration's text, once it fits the plugin's schema.
    fn config(&self, config: &Map<String, Value>) -> std::result::Result<String, Failure> {
        let value = Value::Object(config.clone());
        let wrong = |message: String| Failure::new(Code::ConnectorConfig, format!("'{}': {message}", self.label));
        match &self.config_schema {
            Some(schema) => config_schema::check(schema, &value).map_err(|found| wrong(found.message).at(found.pointer))?,
            None if !config.is_empty() => return Err(wrong("it takes no configuration".to_owned())),
            None => {}
        }
        let text = value.to_string();
        if text.len() > CONFIG_BYTES_MAX {
            return Err(wrong(format!("the configuration has more than {CONFIG_BYTES_MAX} bytes")));
        }
        Ok(text)
    }
}

#[async_trait]
impl Connector for GuestConnector {
    fn name(&self) -> &str {
        &self.0.label
    }

    fn kind(&self) -> ConnectorKind {
        match self.0.kind {
            PluginConnectorKind::Source => ConnectorKind::Source,
            PluginConnectorKind::Sink => ConnectorKind::Sink,
        }
    }

    fn config_schema(&self) -> Value {
        self.0.config_schema.clone().unwrap_or_else(|| json!({"type": "object", "additionalProperties": false}))
    }

    fn check(&self, _: Half, config: &Map<String, Value>) -> Vec<Failure> {
        self.0.config(config).err().into_iter().collect()
    }

    fn label(&self, _: &Map<String, Value>) -> String {
        format!("plugin://{}", self.0.label)
    }

    async fn source(&self, config: &Map<String, Value>) -> std::result::Result<Arc<dyn Source>, Failure> {
        if self.0.kind != PluginConnectorKind::Source {
            return Err(Failure::new(Code::ConnectorConfig, format!("'{}' cannot be read from", self.0.label)));
        }
        let config = self.0.config(config)?;
        Ok(Arc::new(GuestSource::plan(Arc::clone(&self.0), config).await?))
    }

    async fn sink(&self, config: &Map<String, Value>) -> std::result::Result<Arc<dyn Sink>, Failure> {
        if self.0.kind != PluginConnectorKind::Sink {
            return Err(Failure::new(Code::ConnectorConfig, format!("'{}' cannot be written to", self.0.label)));
        }
        let config = self.0.config(config)?;
        Ok(Arc::new(GuestSink::new(Arc::clone(&self.0), config)))
    }
}

/// Calls an export. The types are compared with the component's at every call: connectors are called once for many rows.
pub(crate) fn call<P, T>(
    store: &mut Store<State>,
    function: Func,
    name: (&'static str, &'static str),
    params: P,
) -> Result<std::result::Result<T, abi::Failure>>
where
    P: ComponentNamedList + Lower,
    T: Send + Sync + 'static,
    std::result::Result<T, abi::Failure>: ComponentType + Lift,
{
    let (export, name) = name;
    let function = typed::<P, (std::result::Result<T, abi::Failure>,)>(function, store, export)?;
    store::begin(store)?;
    let (answer,) = function.call(&mut *store, params).map_err(|error| store::explain(store, name, error))?;
    Ok(answer)
}

/// Refuses a text that would be stored and is too long or holds a secret that the guest was told.
pub(crate) fn check_text(state: &State, what: &'static str, text: &str) -> std::result::Result<(), Fault> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Fault::Output { reason: format!("a {what} of {} bytes; at most {TEXT_BYTES_MAX} are stored", text.len()) });
    }
    if state.holds_secret(text) {
        return Err(Fault::Output { reason: format!("a {what} that holds a secret; it would be stored with the job") });
    }
    Ok(())
}

/// Stops the guest where the caller goes away before it has answered.
#[derive(Debug)]
pub(crate) struct StopOnDrop(pub(crate) CancelFlag);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Runs one call of a fresh instance on a thread that may block. Dropping the future stops the guest.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce(CancelFlag) -> Result<T> + Send + 'static) -> Result<T> {
    let flag = CancelFlag::new();
    let _stop = StopOnDrop(flag.clone());
    joined(tokio::task::spawn_blocking(move || work(flag)).await)
}

/// A panic on the other thread is a defect of the host's.
pub(crate) fn joined<T>(ended: std::result::Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    ended.unwrap_or_else(|error| Err(Error::Engine { action: "a call of a guest", source: Box::new(error) }))
}

/// How often, and after which waits, something is tried again.
#[derive(Debug)]
pub(crate) struct Patience {
    tries: u32,
}

impl Patience {
    pub(crate) const fn new() -> Self {
        Self { tries: 0 }
    }

    /// Waits before another try; or gives the failure, where another try is not asked for or has been had too often.
    pub(crate) async fn after(&mut self, error: Error) -> std::result::Result<(), Failure> {
        if !error.is_retryable() || self.tries >= RETRIES_MAX {
            return Err(error.into());
        }
        let wait = RETRY_WAIT * 2_u32.pow(self.tries);
        self.tries += 1;
        tracing::debug!(%error, ?wait, "a guest is tried again");
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Something went well: the next failure is the first one.
    pub(crate) const fn reset(&mut self) {
        self.tries = 0;
    }
}
