//! Requests that are not jobs: contexts, ingestion, data frames, streams, and trying a plugin.

use crate::limits::PARTITIONS_MAX;
use crate::wire::fields::{Fields, Unknown};
use crate::wire::{input, sink};
use crate::{Code, DatasetName, Failure, Input, WriteMode};
use serde_json::{Map, Value};
use std::time::Duration;

/// `POST /spark/init`. What is absent is resolved by whoever opens the context.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContextRequest {
    /// `appName`.
    pub app_name: Option<String>,
    /// `master`, for example `local[4]`.
    pub master: Option<String>,
    /// `executorMemory`, for example `2g`.
    pub executor_memory: Option<String>,
    /// `executorCores`.
    pub executor_cores: Option<u32>,
    /// `numExecutors`.
    pub num_executors: Option<u32>,
    /// `defaultParallelism`.
    pub default_parallelism: Option<u32>,
    /// `ingestionEngines`.
    pub ingestion_engines: Option<Vec<String>>,
    /// `enableStreaming`.
    pub enable_streaming: Option<bool>,
    /// `enableML`.
    pub enable_ml: Option<bool>,
}

/// Most cores, executors or partitions that a context may name.
const COUNT_MAX: u64 = PARTITIONS_MAX as u64;
/// Longest name of an application, in bytes.
const APP_NAME_BYTES_MAX: usize = 256;

impl ContextRequest {
    /// Reads it; unknown fields are ignored, as existing callers expect.
    ///
    /// # Errors
    /// [`Code::RequestField`].
    pub fn read(request: &Value) -> Result<Self, Failure> {
        let mut fields = Fields::of(request, "")?;
        let count = |fields: &mut Fields<'_>, name| -> Result<Option<u32>, Failure> {
            Ok(fields.integer(name, 1..=COUNT_MAX)?.and_then(|number| u32::try_from(number).ok()))
        };
        let text = |fields: &mut Fields<'_>, name| fields.text(name).map(|text| text.map(str::to_owned));
        let read = Self {
            app_name: text(&mut fields, "appName")?,
            master: text(&mut fields, "master")?,
            executor_memory: text(&mut fields, "executorMemory")?,
            executor_cores: count(&mut fields, "executorCores")?,
            num_executors: count(&mut fields, "numExecutors")?,
            default_parallelism: count(&mut fields, "defaultParallelism")?,
            ingestion_engines: fields.texts("ingestionEngines")?,
            enable_streaming: fields.flag("enableStreaming")?,
            enable_ml: fields.flag("enableML")?,
        };
        if read.app_name.as_ref().is_some_and(|name| name.len() > APP_NAME_BYTES_MAX) {
            return Err(Failure::new(Code::RequestField, format!("the name has more than {APP_NAME_BYTES_MAX} bytes")).at("/appName"));
        }
        Ok(read)
    }
}

/// `POST /ingest`.
#[derive(Debug, Clone, PartialEq)]
pub struct IngestRequest {
    /// The connector; `file` for every spelling and format of it.
    pub connector: String,
    /// Its configuration, without what this request says itself.
    pub config: Map<String, Value>,
    /// Partitions to read with, from the body or from `config`.
    pub parallelism: Option<usize>,
    /// The dataset to make (`dataset` or `name`); a fresh name where absent.
    pub dataset: Option<DatasetName>,
    /// What happens to a dataset of that name that is there already; it is replaced where the request does not say.
    pub mode: WriteMode,
    /// How long the dataset lives.
    pub ttl: Option<Duration>,
}

impl IngestRequest {
    /// Reads it; unknown fields beside `config` are ignored, as existing callers expect.
    ///
    /// # Errors
    /// [`Code::RequestField`].
    pub fn read(request: &Value) -> Result<Self, Failure> {
        let mut fields = Fields::of(request, "")?;
        let kind = fields.required_text("type")?;
        let mut config = fields.object("config")?.unwrap_or_default();
        let mut parallelism = fields.size("parallelism", 1..=COUNT_MAX)?;
        if let Some(value) = fields.value("config") {
            let mut inner = Fields::of(value, "/config")?;
            parallelism = inner.size("parallelism", 1..=COUNT_MAX)?.or(parallelism);
        }
        config.shift_remove("parallelism");
        if let Some(batch_size) = fields.value("batchSize") {
            config.entry("batchSize").or_insert_with(|| batch_size.clone());
        }
        let name = fields.name_of(&["dataset", "name"])?;
        let pointer = fields.pointer(name);
        let dataset = fields.text(name)?.map(|text| input::parse_name(text, pointer)).transpose()?;
        let mode = sink::mode(&mut fields)?.unwrap_or(WriteMode::Overwrite);
        let (connector, mut config) = input::connector(kind, config);
        if connector == "file" || connector == "plugin" {
            // Files and plugins are read in batches that the engine chooses.
            config.shift_remove("batchSize");
        }
        Ok(Self { connector, config, parallelism, dataset, mode, ttl: sink::ttl(&mut fields)? })
    }
}

/// `POST /dataframe/create`.
#[derive(Debug, Clone, PartialEq)]
pub struct DataFrameRequest {
    /// Its rows.
    pub data: Vec<Value>,
    /// The dataset to make (`dataset` or `name`); a fresh name where absent.
    pub dataset: Option<DatasetName>,
    /// What happens to a dataset of that name that is there already; it is replaced where the request does not say.
    pub mode: WriteMode,
}

impl DataFrameRequest {
    /// Reads it; unknown fields are ignored, as existing callers expect.
    ///
    /// # Errors
    /// [`Code::RequestField`].
    pub fn read(request: &Value) -> Result<Self, Failure> {
        let mut fields = Fields::of(request, "")?;
        let data = fields.array("data")?.ok_or_else(|| fields.missing("data").hint(r#"for example {"data":[{"a":1},{"a":2}]}"#))?.to_vec();
        let name = fields.name_of(&["dataset", "name"])?;
        let pointer = fields.pointer(name);
        let dataset = fields.text(name)?.map(|text| input::parse_name(text, pointer)).transpose()?;
        Ok(Self { data, dataset, mode: sink::mode(&mut fields)?.unwrap_or(WriteMode::Overwrite) })
    }
}

/// `POST /streaming/start`.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamingRequest {
    /// Time between two batches.
    pub batch_interval_ms: u64,
    /// Where rows come from.
    pub source: Input,
}

impl StreamingRequest {
    /// Reads it; unknown fields are ignored, as existing callers expect.
    ///
    /// # Errors
    /// [`Code::RequestField`].
    pub fn read(request: &Value) -> Result<Self, Failure> {
        let mut fields = Fields::of(request, "")?;
        let batch_interval_ms = fields.integer("batchInterval", 1..=86_400_000)?.unwrap_or(1000);
        let pointer = fields.pointer("source");
        let source = fields.value("source").ok_or_else(|| fields.missing("source"))?;
        Ok(Self { batch_interval_ms, source: input::source(source, pointer)? })
    }
}

/// `POST /api/v1/plugins/{name}/try`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TryRequest {
    /// The function; the plugin's only one where absent.
    pub function: Option<String>,
    /// Its configuration.
    pub config: Map<String, Value>,
    /// Rows to try it on.
    pub rows: Vec<Value>,
    /// Columns that are its arguments.
    pub columns: Option<Vec<String>>,
}

impl TryRequest {
    /// Most rows of a trial.
    pub const ROWS_MAX: usize = 1000;

    /// Reads it; `data` may stand for `rows`.
    ///
    /// # Errors
    /// [`Code::RequestField`].
    pub fn read(request: &Value) -> Result<Self, Failure> {
        let mut fields = Fields::of(request, "")?;
        let name = fields.name_of(&["rows", "data"])?;
        let rows = fields.array(name)?.ok_or_else(|| fields.missing("rows"))?;
        if rows.len() > Self::ROWS_MAX {
            let message = format!("a trial takes at most {} rows, got {}", Self::ROWS_MAX, rows.len());
            return Err(Failure::new(Code::RequestField, message).at(fields.pointer(name)).hint("submit a job for more"));
        }
        let read = Self {
            function: fields.text("function")?.map(str::to_owned),
            config: fields.object("config")?.unwrap_or_default(),
            rows: rows.to_vec(),
            columns: fields.texts("columns")?,
        };
        fields.finish(Unknown::Refuse)?;
        Ok(read)
    }
}
