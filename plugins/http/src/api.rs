//! The connector `api`: which halves it has and what it says of itself.

use crate::config::{self, Config};
use crate::pace::{self, Sender};
use crate::sink::ApiSink;
use crate::source::ApiSource;
use async_trait::async_trait;
use azora_connect::fetch::Client;
use azora_connect::{Connector, ConnectorKind, Half, Setup, Sink, Source};
use azora_spec::Failure;
use serde_json::{Map, Value};
use std::sync::Arc;

/// HTTP APIs that speak JSON.
#[derive(Debug)]
pub(crate) struct ApiConnector {
    setup: Setup,
    client: Client,
}

impl ApiConnector {
    pub(crate) fn new(setup: &Setup) -> Result<Self, Failure> {
        Ok(Self { setup: setup.clone(), client: pace::client(&setup.network)? })
    }
}

#[async_trait]
impl Connector for ApiConnector {
    fn name(&self) -> &str {
        "api"
    }

    fn aliases(&self) -> &[&str] {
        &["http", "https", "rest"]
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Both
    }

    fn config_schema(&self) -> Value {
        config::schema()
    }

    fn check(&self, half: Half, config: &Map<String, Value>) -> Vec<Failure> {
        Config::read(&self.setup, half, config).err().into_iter().collect()
    }

    fn label(&self, config: &Map<String, Value>) -> String {
        let url = config.get("url").and_then(Value::as_str).unwrap_or_default();
        match self.setup.network.check_url(url, &["http", "https"]) {
            Ok(url) => {
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                format!("api://{}{port}{}", url.host_str().unwrap_or_default(), url.path())
            }
            Err(_) => "api://".to_owned(),
        }
    }

    async fn source(&self, config: &Map<String, Value>) -> Result<Arc<dyn Source>, Failure> {
        let config = Config::read(&self.setup, Half::Source, config)?;
        let sender = Sender::new(self.client.clone(), config.pace);
        Ok(Arc::new(ApiSource::new(config, sender).await?))
    }

    async fn sink(&self, config: &Map<String, Value>) -> Result<Arc<dyn Sink>, Failure> {
        let config = Config::read(&self.setup, Half::Sink, config)?;
        let sender = Sender::new(self.client.clone(), config.pace);
        Ok(Arc::new(ApiSink::new(config, sender)))
    }
}
