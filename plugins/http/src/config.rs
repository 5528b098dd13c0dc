//! What a job says of an HTTP API, read once; the fields that existing callers know are the same.

use crate::auth::{self, Headers};
use crate::pace::Pace;
use crate::page::{self, Pages};
use arrow::datatypes::Fields as Columns;
use azora_connect::fetch::Request;
use azora_connect::network::Url;
use azora_connect::{Half, Setup, json};
use azora_spec::wire::{Fields, Unknown};
use azora_spec::{Code, Failure};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Bytes of one answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Repetitions of a request that does not say.
const RETRIES_DEFAULT: u64 = 4;
/// One exchange that does not say.
const TIME_DEFAULT: Duration = Duration::from_secs(30);
/// The first answer of a server, where nothing is said of times.
const CONNECT_TIME_DEFAULT: Duration = Duration::from_secs(10);
/// Rows of one request of a sink that does not say.
const BATCH_ROWS_DEFAULT: u64 = 500;

/// An API as a source or a sink.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) url: Url,
    pub(crate) method: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) pages: Pages,
    /// Where in the answer the rows are; the usual places where absent.
    pub(crate) rows: Option<String>,
    /// Columns that the job tells; inferred where absent.
    pub(crate) columns: Option<Columns>,
    pub(crate) sample_rows: usize,
    pub(crate) pace: Pace,
    /// Rows of one request of a sink.
    pub(crate) batch_rows: usize,
    pub(crate) key_header: String,
    pub(crate) is_lines: bool,
}

impl Config {
    pub(crate) fn read(setup: &Setup, half: Half, config: &Map<String, Value>) -> Result<Self, Failure> {
        let mut fields = Fields::config(config);
        let url = setup.network.check_url(fields.required_text("url")?, &["http", "https"])?;
        let method = fields.text("method")?.unwrap_or(if half == Half::Source { "GET" } else { "POST" }).to_ascii_uppercase();
        let allowed: &[&str] = if half == Half::Source { &["GET", "POST", "PUT"] } else { &["POST", "PUT", "PATCH"] };
        if !allowed.contains(&method.as_str()) {
            return Err(fields.wrong("method", format!("the method is one of {}", allowed.join(", "))));
        }
        let mut headers = auth::read(&mut fields, &setup.secrets)?;
        let pace = pace(&mut fields)?;
        let mut read = Self {
            url,
            method,
            headers: Headers::new(),
            body: Vec::new(),
            pages: Pages::read(&mut fields)?,
            rows: None,
            columns: None,
            sample_rows: json::SAMPLE_ROWS,
            pace,
            batch_rows: 0,
            key_header: String::new(),
            is_lines: false,
        };
        match half {
            Half::Source => {
                read.body = body(&mut fields, &mut headers)?;
                read.rows = fields.text("rows")?.map(page::pointer);
                read.columns = fields.object("columns")?.map(|columns| json::told(&columns, "/columns")).transpose()?;
                read.sample_rows = fields.size("sampleRows", 1..=100_000)?.unwrap_or(json::SAMPLE_ROWS);
                // Of callers of the old service; batches are the engine's business.
                let _ = fields.value("batchSize");
            }
            Half::Sink => {
                read.batch_rows = fields.size("batchRows", 1..=100_000)?.unwrap_or(BATCH_ROWS_DEFAULT as usize);
                read.key_header = fields.text("idempotencyHeader")?.unwrap_or("idempotency-key").to_ascii_lowercase();
                read.is_lines = fields.choice("format", &[("array", false), ("ndjson", true)])?.unwrap_or_default();
                let kind = if read.is_lines { "application/x-ndjson" } else { "application/json" };
                default_header(&mut headers, "content-type", kind);
            }
        }
        fields.finish(Unknown::Refuse)?;
        default_header(&mut headers, "accept", "application/json");
        read.headers = headers;
        // Whatever cannot be sent is said before anything is.
        read.request(read.url.clone(), &[], Vec::new())?;
        Ok(read)
    }

    /// A request of this configuration.
    pub(crate) fn request(&self, url: Url, more: &[(String, String)], body: Vec<u8>) -> Result<Request, Failure> {
        let own = self.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        let headers: Vec<(String, String)> = own.chain(more.iter().cloned()).collect();
        Request::new(&self.method, url.as_str(), &headers, body).map_err(|refusal| Failure::from(refusal).at("/headers"))
    }
}

fn default_header(headers: &mut Headers, name: &str, value: &str) {
    if headers.iter().all(|(known, _)| !known.eq_ignore_ascii_case(name)) {
        headers.push((name.to_owned(), azora_spec::Secret::new(value.to_owned())));
    }
}

fn body(fields: &mut Fields<'_>, headers: &mut Headers) -> Result<Vec<u8>, Failure> {
    match fields.value("body") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.clone().into_bytes()),
        Some(other) => {
            default_header(headers, "content-type", "application/json");
            serde_json::to_vec(other).map_err(|_| Failure::new(Code::ConnectorConfig, "the body cannot be sent").at("/body"))
        }
    }
}

fn pace(fields: &mut Fields<'_>) -> Result<Pace, Failure> {
    let per_second = fields.number("requestsPerSecond")?;
    if per_second.is_some_and(|rate| !(0.001..=10_000.0).contains(&rate)) {
        return Err(fields.wrong("requestsPerSecond", "a rate is a number from 0.001 to 10000"));
    }
    let retries = fields.integer("retries", 0..=20)?.unwrap_or(RETRIES_DEFAULT);
    let time_max = fields.milliseconds("timeoutMs", 100..=600_000)?;
    Ok(Pace {
        gap: per_second.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate)),
        retries: u32::try_from(retries).unwrap_or(u32::MAX),
        time_max: time_max.unwrap_or(TIME_DEFAULT),
        connect_time: fields.milliseconds("connectTimeoutMs", 100..=600_000)?.or(time_max).unwrap_or(CONNECT_TIME_DEFAULT),
        bytes_max: ANSWER_BYTES_MAX,
    })
}

/// The JSON Schema of both halves.
pub(crate) fn schema() -> Value {
    let mut properties = Map::new();
    for (name, value) in auth::schema() {
        properties.insert(name.to_owned(), value);
    }
    let rest = json!({
        "url": {"type": "string", "description": "http or https, without user and password"},
        "method": {"enum": ["GET", "POST", "PUT", "PATCH"]},
        "body": {"description": "of a source's requests: a text, or JSON"},
        "pagination": page::schema(),
        "rows": {"type": "string", "description": "where in the answer the rows are: data.items or /data/items; without it the answer's list, its 'data', or the answer itself"},
        "columns": {"type": "object", "description": "columns and their types; inferred from the first page without it"},
        "sampleRows": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": json::SAMPLE_ROWS},
        "requestsPerSecond": {"type": "number"},
        "retries": {"type": "integer", "minimum": 0, "maximum": 20, "default": RETRIES_DEFAULT},
        "timeoutMs": {"type": "integer", "minimum": 100, "maximum": 600_000, "default": 30_000},
        "connectTimeoutMs": {"type": "integer", "minimum": 100, "maximum": 600_000, "description": "how long a server is waited for that never answered, over all tries; without it timeoutMs where that is given, else 10000"},
        "batchRows": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": BATCH_ROWS_DEFAULT, "description": "rows of one request of a sink"},
        "idempotencyHeader": {"type": "string", "default": "idempotency-key"},
        "format": {"enum": ["array", "ndjson"], "default": "array"},
    });
    if let Value::Object(rest) = rest {
        properties.extend(rest);
    }
    json!({"type": "object", "required": ["url"], "additionalProperties": false, "properties": properties})
}
