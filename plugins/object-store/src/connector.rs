//! One store as a connector.

use crate::config::{self, Reading, Writing};
use crate::error::Named;
use crate::provider::{Opened, Provider};
use crate::sink::ObjectSink;
use crate::source::ObjectSource;
use async_trait::async_trait;
use azora_connect::{Connector, ConnectorKind, Half, Setup, Sink, Source};
use azora_spec::Failure;
use azora_spec::wire::{Fields, Unknown};
use object_store::ObjectStore;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A kind of store with the server's surroundings.
#[derive(Debug)]
pub(crate) struct ObjectConnector {
    provider: Provider,
    setup: Setup,
}

/// An opened bucket.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// `s3://bucket`, for people.
    pub(crate) label: String,
    /// Host and port, for people.
    pub(crate) server: String,
    pub(crate) provider: Provider,
}

impl Bucket {
    /// An object or a prefix and its server, as failures name them.
    pub(crate) fn named(&self, key: &str) -> Named {
        Named { provider: self.provider, text: format!("'{}/{}' at {}", self.label, key.escape_debug(), self.server) }
    }
}

impl ObjectConnector {
    pub(crate) const fn new(provider: Provider, setup: Setup) -> Self {
        Self { provider, setup }
    }

    fn read<T>(
        &self,
        config: &Map<String, Value>,
        read: impl FnOnce(&mut Fields<'_>) -> Result<T, Failure>,
    ) -> Result<(Bucket, T), Failure> {
        let mut fields = Fields::config(config);
        let Opened { store, bucket, server } = self.provider.open(&mut fields, &self.setup)?;
        let read = read(&mut fields)?;
        fields.finish(Unknown::Refuse)?;
        let label = format!("{}://{bucket}", self.provider.name());
        Ok((Bucket { store, label, server, provider: self.provider }, read))
    }
}

#[async_trait]
impl Connector for ObjectConnector {
    fn name(&self) -> &str {
        self.provider.name()
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Both
    }

    fn config_schema(&self) -> Value {
        let mut properties = self.provider.properties();
        properties.extend(config::properties());
        for name in ["prefix", "path"] {
            properties.insert(name.to_owned(), json!({ "type": "string", "description": "another name for key" }));
        }
        properties
            .insert("partitionColumns".to_owned(), json!({ "type": ["string", "array"], "description": "another name for partitionBy" }));
        json!({ "type": "object", "required": [self.provider.bucket()], "additionalProperties": false, "properties": properties })
    }

    fn check(&self, half: Half, config: &Map<String, Value>) -> Vec<Failure> {
        let fault = match half {
            Half::Source => self.read(config, Reading::read).err(),
            Half::Sink => self.read(config, Writing::read).err(),
        };
        fault.into_iter().collect()
    }

    fn label(&self, config: &Map<String, Value>) -> String {
        let text = |name: &str| config.get(name).and_then(Value::as_str);
        let key = text("key").or_else(|| text("prefix")).or_else(|| text("path")).unwrap_or_default();
        format!("{}://{}/{}", self.provider.name(), text(self.provider.bucket()).unwrap_or_default(), key.trim_start_matches('/'))
    }

    async fn source(&self, config: &Map<String, Value>) -> Result<Arc<dyn Source>, Failure> {
        let (bucket, reading) = self.read(config, Reading::read)?;
        Ok(Arc::new(ObjectSource::open(bucket, reading).await?))
    }

    async fn sink(&self, config: &Map<String, Value>) -> Result<Arc<dyn Sink>, Failure> {
        let (bucket, writing) = self.read(config, Writing::read)?;
        Ok(Arc::new(ObjectSink::new(bucket, writing)))
    }
}
