//! What one plugin's connectors were granted, and the services behind it. How guests call them is in `host.rs`.

use crate::http_client::HttpClient;
use crate::key_value::KeyValue;
use azora_connect::{Policy, Secrets};
use azora_spec::{Grants, HttpGrant, PluginName, Secret};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What granted capabilities reach. One for a server.
#[derive(Debug, Clone)]
pub struct Services {
    /// Which addresses may be connected to, whatever was granted.
    pub policy: Policy,
    /// The server's secrets.
    pub secrets: Secrets,
    /// Where plugins keep their state: one directory for each.
    pub state_dir: PathBuf,
    /// The threads that wait for networks.
    pub io: Handle,
}

/// What an instance may reach. The default reaches nothing.
#[derive(Debug, Default)]
pub(crate) struct Capabilities {
    grants: Grants,
    services: Option<Services>,
    http: Option<HttpClient>,
    key_value: Option<KeyValue>,
}

impl Capabilities {
    pub(crate) fn new(grants: Grants, services: Option<Services>, plugin: PluginName) -> Arc<Self> {
        let http = services.as_ref().zip(grants.http_client.as_ref()).map(|(services, _)| HttpClient::new(services));
        let key_value = services
            .as_ref()
            .zip(grants.key_value)
            .map(|(services, grant)| KeyValue::new(services.state_dir.join(plugin.as_str()), grant.bytes_max));
        Arc::new(Self { grants, services, http, key_value })
    }

    /// The client and what it may reach; none where nothing was granted.
    pub(crate) fn http(&self) -> Option<(&HttpClient, &HttpGrant)> {
        self.http.as_ref().zip(self.grants.http_client.as_ref())
    }

    pub(crate) fn has_clock(&self) -> bool {
        self.grants.clock
    }

    pub(crate) fn has_random(&self) -> bool {
        self.grants.random
    }

    pub(crate) fn key_value(&self) -> Option<&KeyValue> {
        self.key_value.as_ref()
    }

    pub(crate) fn has_secrets(&self) -> bool {
        !self.grants.secrets.is_empty()
    }

    /// A secret that was granted and that the server has.
    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        let services = self.services.as_ref().filter(|_| self.grants.secrets.contains(name))?;
        services.secrets.get(name).ok()
    }
}
