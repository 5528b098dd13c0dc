//! The connector itself: its name, its configuration as JSON Schema, and its two halves.

use crate::config::{Reading, Writing};
use crate::sink::RedisSink;
use crate::source::RedisSource;
use async_trait::async_trait;
use azora_connect::network::Url;
use azora_connect::{Connector, ConnectorKind, Half, Setup, Sink, Source};
use azora_spec::wire::shown;
use azora_spec::{Code, Failure, Secret};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Redis, as the name `redis` in requests.
#[derive(Debug)]
pub struct RedisConnector {
    setup: Setup,
    url: Option<Secret>,
}

impl RedisConnector {
    /// A connector whose requests may leave out `redisUrl` where one is given here.
    #[must_use]
    pub const fn new(setup: Setup, url: Option<Secret>) -> Self {
        Self { setup, url }
    }
}

/// The connectors of this crate; see [`RedisConnector::new`].
#[must_use]
pub fn connectors(setup: &Setup, url: Option<&Secret>) -> Vec<Arc<dyn Connector>> {
    vec![Arc::new(RedisConnector::new(setup.clone(), url.cloned()))]
}

#[async_trait]
impl Connector for RedisConnector {
    fn name(&self) -> &str {
        "redis"
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Both
    }

    fn config_schema(&self) -> Value {
        let secret = |about: &str| json!({"type": ["string", "object"], "writeOnly": true, "description": about});
        let texts = |about: &str| json!({"type": ["string", "array"], "items": {"type": "string"}, "description": about});
        json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "redisUrl": secret("redis://HOST:PORT/DATABASE, or rediss:// over TLS; default REDIS_URL of the server"),
                "url": secret("the same as redisUrl"),
                "username": secret("a text or {\"secret\": NAME}"),
                "password": secret("a text or {\"secret\": NAME}"),
                "caPem": secret("certificates of the authority that vouches for the server; without it the public ones"),
                "certificatePem": secret("a client's certificate"),
                "keyPem": secret("its key"),
                "database": {"type": "integer", "minimum": 0, "maximum": 65_535},
                "connectTimeoutMs": {"type": "integer", "minimum": 100, "maximum": 120_000, "default": 10_000},
                "pattern": {"type": "string", "description": "keys that match, as SCAN has it; every key where nothing is named"},
                "keys": texts("one key, or a list of them"),
                "stream": texts("one stream, or a list of them"),
                "streams": texts("the same as stream"),
                "groupId": {"type": "string", "description": "entries that this group was not given yet, acknowledged when the job has succeeded"},
                "claimIdleMs": {"type": "integer", "minimum": 0, "maximum": 604_800_000, "default": 600_000, "description": "after how long entries that were given to another consumer are taken over"},
                "channel": texts("one channel to listen to, or a list of them"),
                "channels": texts("the same as channel"),
                "channelPatterns": texts("a pattern of channels to listen to, or a list of them"),
                "columns": {"type": "object", "description": "types by column of messages of channels; any JSON without it"},
                "maxRows": {"type": "integer", "minimum": 1, "description": "messages of channels, or entries of each stream for a group, after which reading ends"},
                "maxMs": {"type": "integer", "minimum": 1, "description": "how long channels are listened to"},
                "batchSize": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
                "sampleRows": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": 1000},
                "badRecords": {"enum": ["fail", "skip", "dead-letter"], "default": "fail"},
                "write": {"enum": ["strings", "hashes", "lists", "streams"], "default": "strings"},
                "key": {"type": "string", "description": "the list or stream that takes every row"},
                "keyColumn": {"type": "string"},
                "keyPrefix": {"type": "string"},
                "valueColumn": {"type": "string"},
                "ttlMs": {"type": "integer", "minimum": 1, "maximum": 4_294_967_295_u32}
            }
        })
    }

    fn check(&self, half: Half, config: &Map<String, Value>) -> Vec<Failure> {
        let checked = match half {
            Half::Source => Reading::read(config, &self.setup, self.url.as_ref()).map(|_| ()),
            Half::Sink => Writing::read(config, &self.setup, self.url.as_ref()).map(|_| ()),
        };
        checked.err().into_iter().collect()
    }

    fn label(&self, config: &Map<String, Value>) -> String {
        let told = config.get("redisUrl").or_else(|| config.get("url")).and_then(Value::as_str);
        let url = told.or_else(|| self.url.as_ref().map(Secret::expose)).and_then(|text| Url::parse(text).ok());
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        let scheme = url.as_ref().map_or("redis", Url::scheme);
        format!("{scheme}://{host}:{}", url.as_ref().and_then(Url::port).unwrap_or(6379))
    }

    async fn source(&self, config: &Map<String, Value>) -> Result<Arc<dyn Source>, Failure> {
        let reading = Reading::read(config, &self.setup, self.url.as_ref())?;
        let source = RedisSource::new(reading, self.setup.network.clone()).await;
        Ok(Arc::new(source.map_err(|failure| wanting(failure, config))?))
    }

    async fn sink(&self, config: &Map<String, Value>) -> Result<Arc<dyn Sink>, Failure> {
        let writing = Writing::read(config, &self.setup, self.url.as_ref())?;
        Ok(Arc::new(RedisSink::new(writing, self.setup.network.clone())))
    }
}

/// A failure to reach or to enter the server, with what is wanted there.
fn wanting(failure: Failure, config: &Map<String, Value>) -> Failure {
    const NAMES: [&str; 7] = ["stream", "streams", "channel", "channels", "channelPatterns", "pattern", "keys"];
    let text = |value: &Value| value.as_str().or_else(|| value.get(0)?.as_str()).map(shown);
    let wanted = NAMES.iter().filter_map(|name| config.get(*name)).find_map(text);
    match (failure.code, wanted) {
        (Code::ConnectorUnavailable | Code::ConnectorDenied, Some(wanted)) if !failure.message.contains(&wanted) => {
            Failure { message: format!("{} (for '{wanted}')", failure.message), ..failure }
        }
        _ => failure,
    }
}
