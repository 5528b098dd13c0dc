//! The connector itself: its name, its configuration as JSON Schema, and its two halves.

use crate::client;
use crate::config::{Reading, Writing};
use crate::groups::Claims;
use crate::sink::KafkaSink;
use crate::source::KafkaSource;
use async_trait::async_trait;
use azora_connect::{Connector, ConnectorKind, Half, Setup, Sink, Source};
use azora_spec::Failure;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Kafka, as the name `kafka` in requests.
#[derive(Debug)]
pub struct KafkaConnector {
    setup: Setup,
    brokers: Vec<String>,
    staging: PathBuf,
    claims: Claims,
}

impl KafkaConnector {
    /// A connector whose requests may leave out `brokers` where some are given here. Rows wait for their commit in files
    /// below `staging`, which must be on a disk that outlives the process.
    #[must_use]
    pub fn new(setup: Setup, brokers: Vec<String>, staging: PathBuf) -> Self {
        Self { setup, brokers, staging, claims: Claims::default() }
    }
}

/// The connectors of this crate; see [`KafkaConnector::new`]. `brokers` are separated by commas.
#[must_use]
pub fn connectors(setup: &Setup, brokers: Option<&str>, staging: PathBuf) -> Vec<Arc<dyn Connector>> {
    let brokers = brokers.into_iter().map(str::to_owned).collect();
    vec![Arc::new(KafkaConnector::new(setup.clone(), brokers, staging))]
}

#[async_trait]
impl Connector for KafkaConnector {
    fn name(&self) -> &str {
        "kafka"
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Both
    }

    fn config_schema(&self) -> Value {
        let secret = || json!({"type": ["string", "object"], "writeOnly": true, "description": "a text or {\"secret\": NAME}"});
        let texts = |about: &str| json!({"type": ["string", "array"], "items": {"type": "string"}, "description": about});
        let security = json!({
            "type": "object", "required": ["protocol"], "additionalProperties": false,
            "properties": {
                "protocol": {"enum": ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]},
                "mechanism": {"enum": ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]},
                "username": secret(), "password": secret(), "caPem": secret(), "certificatePem": secret(),
                "keyPem": secret(), "keyPassword": secret(), "checkHostname": {"type": "boolean"}
            }
        });
        json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "topic": texts("one topic; a source takes a list too"),
                "topics": texts("the same as topic; one of both is there"),
                "brokers": texts("HOST:PORT, or a list of them; default KAFKA_BROKERS of the server"),
                "bootstrapServers": texts("the same as brokers"),
                "security": security,
                "options": {"type": "object", "description": "a few options of librdkafka"},
                "connectTimeoutMs": {"type": "integer", "minimum": 100, "maximum": 120_000, "default": 10_000},
                "outageTimeoutMs": {"type": "integer", "minimum": 1000, "maximum": 600_000, "default": 30_000},
                "groupId": {"type": "string", "default": "azora-spark-group"},
                "commitOffsets": {"type": "boolean", "description": "move the group behind what was read when the job has succeeded; default where startOffsets is group"},
                "batchSize": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
                "format": {"enum": ["json", "avro", "text", "bytes"], "default": "json"},
                "avroSchema": {"type": ["string", "object", "array"], "description": "an Avro schema, as JSON or as text"},
                "avroFraming": {"enum": ["none", "registry", "single-object"], "default": "none"},
                "schemaId": {"type": "integer", "minimum": 0, "description": "of a sink: the schema's number in the framing 'registry'"},
                "rows": {"enum": ["messages", "values"], "default": "messages"},
                "metadata": {"type": "boolean"},
                "columns": {"type": "object", "description": "types by column, else they are inferred from a sample"},
                "sampleRows": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": 1000},
                "headers": {"type": "boolean", "default": false},
                "keyFormat": {"enum": ["text", "bytes"], "default": "text"},
                "startOffsets": {"type": ["string", "object"], "description": "earliest, latest, group, {timestamp: ms} or {partition: offset}", "default": "earliest"},
                "endOffsets": {"type": ["string", "object"], "description": "latest, {timestamp: ms} or {partition: offset}", "default": "latest"},
                "follow": {"type": "boolean", "default": false},
                "badRecords": {"enum": ["fail", "skip", "dead-letter"], "default": "fail"},
                "keyColumn": {"type": "string"},
                "valueColumn": {"type": "string"},
                "partitionColumn": {"type": "string"},
                "timestampColumn": {"type": "string"},
                "headersColumn": {"type": "string", "description": "of a sink: a column of objects, or of lists of {key, value} as sources have them"},
                "recordIds": {"type": "boolean", "default": true}
            }
        })
    }

    fn check(&self, half: Half, config: &Map<String, Value>) -> Vec<Failure> {
        let checked = match half {
            Half::Source => Reading::read(config, &self.setup, &self.brokers).map(|_| ()),
            Half::Sink => Writing::read(config, &self.setup, &self.brokers).map(|_| ()),
        };
        checked.err().into_iter().collect()
    }

    fn label(&self, config: &Map<String, Value>) -> String {
        let topic = config.get("topic").and_then(Value::as_str).unwrap_or_default();
        match config.get("brokers").or_else(|| config.get("bootstrapServers")) {
            Some(told) => {
                let first = told.get(0).and_then(Value::as_str).or_else(|| told.as_str()).unwrap_or_default();
                format!("kafka://{}/{topic}", first.split(',').next().unwrap_or_default())
            }
            None => format!("kafka://{}/{topic}", self.brokers.first().map_or("", String::as_str)),
        }
    }

    async fn source(&self, config: &Map<String, Value>) -> Result<Arc<dyn Source>, Failure> {
        let reading = Reading::read(config, &self.setup, &self.brokers)?;
        let entered = client::enter(&reading.cluster, &self.setup.network, &reading.topics).await?;
        Ok(Arc::new(KafkaSource::new(reading, entered, self.claims.clone()).await?))
    }

    async fn sink(&self, config: &Map<String, Value>) -> Result<Arc<dyn Sink>, Failure> {
        let writing = Writing::read(config, &self.setup, &self.brokers)?;
        Ok(Arc::new(KafkaSink::new(writing, self.setup.network.clone(), self.staging.clone())))
    }
}
