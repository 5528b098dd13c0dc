//! The connectors `websocket` and `socket`: records as they come. They end by a number of rows, after a time, or where the
//! other side closes; without a bound they have no end, and are not for jobs.
//!
//! What was said once is not said again: a split that is read anew gives new records, so a job over such a source that is
//! taken up after a crash has other rows than it had.

use crate::auth;
use crate::feed::{Feed, Place};
use arrow::datatypes::{DataType, Field, Fields as Columns, SchemaRef};
use async_trait::async_trait;
use azora_connect::element::{Element, VALUE};
use azora_connect::json::{self, Decoder, MixedTypes};
use azora_connect::{Connector, ConnectorKind, Half, Outcome, Position, ReadRequest, Reader, Setup, Source, Split};
use azora_spec::wire::{Fields, Unknown};
use azora_spec::{Code, Failure};
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

/// Bytes of one record that does not say.
const RECORD_BYTES_DEFAULT: usize = 1 << 20;
/// Reaching a server, its greeting included, where the request does not say.
const CONNECT_TIME_DEFAULT: Duration = Duration::from_secs(10);
/// How long records are waited for before those that are there are given.
const GATHER_TIME: Duration = Duration::from_millis(100);
/// Records from which a schema is inferred, and how long they are waited for.
const SAMPLE_ROWS_DEFAULT: usize = 10;
const SAMPLE_TIME: Duration = Duration::from_secs(5);

/// The only split.
const SPLIT: &str = "all";

/// Either of the two.
#[derive(Debug)]
pub(crate) struct StreamConnector {
    setup: Setup,
    is_web: bool,
}

#[derive(Debug)]
struct Config {
    place: Place,
    is_json: bool,
    columns: Option<Columns>,
    rows_max: Option<u64>,
    time_max: Option<Duration>,
    connect_time: Duration,
    sample_rows: usize,
    record_bytes_max: usize,
}

impl StreamConnector {
    pub(crate) fn web(setup: &Setup) -> Self {
        Self { setup: setup.clone(), is_web: true }
    }

    pub(crate) fn lines(setup: &Setup) -> Self {
        Self { setup: setup.clone(), is_web: false }
    }

    fn read(&self, config: &Map<String, Value>) -> Result<Config, Failure> {
        let mut fields = Fields::config(config);
        let subscribe = match fields.value("subscribe") {
            None => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        let place = if self.is_web {
            let url = self.setup.network.check_url(fields.required_text("url")?, &["ws", "wss"])?;
            Place::Web { url, headers: auth::read(&mut fields, &self.setup.secrets)?, subscribe }
        } else {
            let host = fields.text("host")?.unwrap_or("localhost").to_owned();
            let port = fields.integer("port", 1..=65_535)?.and_then(|port| u16::try_from(port).ok()).unwrap_or(9999);
            self.setup.network.check_host(&host, port).map_err(|failure| failure.at("/host"))?;
            let delimiter = match fields.text("delimiter")?.unwrap_or("\n").as_bytes() {
                [byte] => *byte,
                _ => return Err(fields.wrong("delimiter", "a delimiter is one ASCII character")),
            };
            Place::Lines { host, port, delimiter, subscribe }
        };
        let is_json = fields.choice("format", &[("json", true), ("text", false)])?.unwrap_or(self.is_web);
        let columns = fields.object("columns")?.map(|columns| json::told(&columns, "/columns")).transpose()?;
        let read = Config {
            place,
            is_json,
            columns,
            rows_max: fields.integer("maxRows", 1..=u64::MAX)?,
            time_max: fields.milliseconds("maxMs", 1..=24 * 3_600_000)?,
            connect_time: fields.milliseconds("connectTimeoutMs", 100..=120_000)?.unwrap_or(CONNECT_TIME_DEFAULT),
            sample_rows: fields.size("sampleRows", 1..=100_000)?.unwrap_or(SAMPLE_ROWS_DEFAULT),
            record_bytes_max: fields.size("maxRecordBytes", 1..=(64 << 20))?.unwrap_or(RECORD_BYTES_DEFAULT),
        };
        let _ = fields.value("batchSize");
        fields.finish(Unknown::Refuse)?;
        if !read.is_json && read.columns.is_some() {
            return Err(Failure::new(Code::ConnectorConfig, "text has one column, 'value'").at("/columns"));
        }
        Ok(read)
    }
}

#[async_trait]
impl Connector for StreamConnector {
    fn name(&self) -> &str {
        if self.is_web { "websocket" } else { "socket" }
    }

    fn aliases(&self) -> &[&str] {
        if self.is_web { &["ws", "wss"] } else { &["tcp"] }
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Source
    }

    fn config_schema(&self) -> Value {
        let mut properties = Map::new();
        if self.is_web {
            properties.insert("url".to_owned(), json!({"type": "string", "description": "ws or wss"}));
            properties.extend(auth::schema().map(|(name, schema)| (name.to_owned(), schema)));
        } else {
            properties.insert("host".to_owned(), json!({"type": "string", "default": "localhost"}));
            properties.insert("port".to_owned(), json!({"type": "integer", "minimum": 1, "maximum": 65_535, "default": 9999}));
            properties.insert("delimiter".to_owned(), json!({"type": "string", "default": "\n"}));
        }
        let rest = json!({
            "subscribe": {"description": "said once after connecting: a text, or JSON"},
            "format": {"enum": ["json", "text"], "default": if self.is_web { "json" } else { "text" }},
            "columns": {"type": "object", "description": "columns and their types; inferred from the first records without it"},
            "maxRows": {"type": "integer", "minimum": 1}, "maxMs": {"type": "integer", "minimum": 1, "maximum": 86_400_000},
            "connectTimeoutMs": {"type": "integer", "minimum": 100, "maximum": 120_000, "default": 10_000, "description": "longest wait for a connection and its greeting"},
            "sampleRows": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": SAMPLE_ROWS_DEFAULT},
            "maxRecordBytes": {"type": "integer", "minimum": 1, "maximum": 64 << 20, "default": RECORD_BYTES_DEFAULT},
        });
        if let Value::Object(rest) = rest {
            properties.extend(rest);
        }
        let required: &[&str] = if self.is_web { &["url"] } else { &[] };
        json!({"type": "object", "required": required, "additionalProperties": false, "properties": properties})
    }

    fn check(&self, _: Half, config: &Map<String, Value>) -> Vec<Failure> {
        self.read(config).err().into_iter().collect()
    }

    fn label(&self, config: &Map<String, Value>) -> String {
        match self.read(config).map(|config| config.place) {
            Ok(place @ Place::Web { .. }) => format!("websocket://{}", place.named()),
            Ok(Place::Lines { host, port, .. }) => format!("socket://{host}:{port}"),
            Err(_) => format!("{}://", self.name()),
        }
    }

    async fn source(&self, config: &Map<String, Value>) -> Result<Arc<dyn Source>, Failure> {
        let config = self.read(config)?;
        let mut sampled = None;
        let schema = match (&config.columns, config.is_json) {
            (Some(columns), _) => Element::Object.schema(columns.clone()),
            (None, false) => Element::Scalar.schema(vec![Field::new(VALUE, DataType::Utf8, true)]),
            (None, true) => {
                let taken = sample(&config, &self.setup).await?;
                let values: Vec<Value> = taken.records.iter().filter_map(|record| serde_json::from_slice(record).ok()).collect();
                sampled = Some(taken);
                json::infer(&values, MixedTypes::Json)?
            }
        };
        Ok(Arc::new(StreamSource { config: Arc::new(config), setup: self.setup.clone(), schema, sampled: Mutex::new(sampled) }))
    }
}

/// A connection that is open already, with the records that told the schema.
#[derive(Debug)]
struct Sampled {
    feed: Option<Feed>,
    records: VecDeque<Vec<u8>>,
}

async fn sample(config: &Config, setup: &Setup) -> Result<Sampled, Failure> {
    let mut feed = config.place.open(&setup.network, config.connect_time, config.record_bytes_max).await?;
    let mut records = VecDeque::new();
    let wanted = config.rows_max.map_or(config.sample_rows, |rows| config.sample_rows.min(usize::try_from(rows).unwrap_or(usize::MAX)));
    let until = Instant::now() + config.time_max.map_or(SAMPLE_TIME, |time| time.min(SAMPLE_TIME));
    while records.len() < wanted {
        match timeout_at(until, feed.next()).await {
            Ok(Ok(Some(record))) => records.push_back(record),
            Ok(Ok(None)) => return Ok(Sampled { feed: None, records }),
            Ok(Err(end)) => return Err(config.place.ended(&end)),
            Err(_) => break,
        }
    }
    Ok(Sampled { feed: Some(feed), records })
}

#[derive(Debug)]
struct StreamSource {
    config: Arc<Config>,
    setup: Setup,
    schema: SchemaRef,
    sampled: Mutex<Option<Sampled>>,
}

#[async_trait]
impl Source for StreamSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn is_bounded(&self) -> bool {
        self.config.rows_max.is_some() || self.config.time_max.is_some()
    }

    async fn plan(&self, _: usize) -> Result<Vec<Split>, Failure> {
        Ok(vec![Split { payload: SPLIT.to_owned(), rows: self.config.rows_max }])
    }

    async fn open(&self, split: &Split, position: Option<&Position>, request: ReadRequest) -> Result<Box<dyn Reader>, Failure> {
        if split.payload != SPLIT {
            return Err(Failure::new(Code::Internal, "a split that this source did not make"));
        }
        let given = match position {
            Some(position) => position.0.parse().map_err(|_| Failure::new(Code::Internal, "a position that this source did not make"))?,
            None => 0,
        };
        let sampled = match self.sampled.lock().await.take() {
            Some(sampled) => sampled,
            None => Sampled {
                feed: Some(self.config.place.open(&self.setup.network, self.config.connect_time, self.config.record_bytes_max).await?),
                records: VecDeque::new(),
            },
        };
        Ok(Box::new(StreamReader {
            until: self.config.time_max.map(|time| Instant::now() + time),
            config: Arc::clone(&self.config),
            decoder: Decoder::new(Arc::clone(&self.schema)),
            request,
            given,
            sampled,
        }))
    }
}

#[derive(Debug)]
struct StreamReader {
    config: Arc<Config>,
    decoder: Decoder,
    request: ReadRequest,
    given: u64,
    until: Option<Instant>,
    sampled: Sampled,
}

impl StreamReader {
    fn left(&self) -> u64 {
        self.config.rows_max.map_or(u64::MAX, |rows| rows.saturating_sub(self.given + self.decoder.len() as u64))
    }

    fn push(&mut self, record: Vec<u8>) {
        if self.config.is_json {
            self.decoder.push(&record);
        } else {
            let text = Value::String(String::from_utf8_lossy(&record).into_owned());
            self.decoder.push(text.to_string().as_bytes());
        }
    }

    /// Records until a batch is full, nothing comes for a moment, or the end; whether it is the end.
    async fn gather(&mut self) -> Result<bool, Failure> {
        let mut moment: Option<Instant> = None;
        while self.decoder.len() < self.request.batch_rows.max(1) && self.decoder.bytes() < self.request.batch_bytes.max(1) {
            if self.left() == 0 {
                return Ok(true);
            }
            if let Some(record) = self.sampled.records.pop_front() {
                self.push(record);
                continue;
            }
            let Some(feed) = &mut self.sampled.feed else { return Ok(true) };
            let wait = *moment.get_or_insert_with(|| Instant::now() + GATHER_TIME);
            match timeout_at(self.until.map_or(wait, |until| until.min(wait)), feed.next()).await {
                Ok(Ok(Some(record))) => self.push(record),
                Ok(Ok(None)) => self.sampled.feed = None,
                Ok(Err(end)) => return Err(self.config.place.ended(&end)),
                Err(_) => return Ok(self.until.is_some_and(|until| Instant::now() >= until)),
            }
        }
        Ok(false)
    }
}

#[async_trait]
impl Reader for StreamReader {
    async fn read(&mut self) -> Result<Outcome, Failure> {
        let has_ended = self.gather().await?;
        if self.decoder.is_empty() {
            return Ok(if has_ended { Outcome::End } else { Outcome::Idle(Duration::from_millis(1)) });
        }
        let first = self.given;
        self.given += self.decoder.len() as u64;
        let decoded = self.decoder.flush();
        for (at, record, reason) in &decoded.rejected {
            self.request.rejects.reject(&format!("{}, record {}", self.config.place.named(), first + *at as u64), reason, record)?;
        }
        let batch = match &self.request.projection {
            Some(columns) => decoded.batch.project(columns).map_err(|_| Failure::new(Code::Internal, "columns that are not there"))?,
            None => decoded.batch,
        };
        Ok(Outcome::Batch(batch, Position(self.given.to_string())))
    }
}
