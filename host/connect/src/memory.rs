//! The reference connector: rows in memory, two-phase like the real ones. The conformance suite is tried on it first.

use crate::{Connector, ConnectorKind, Outcome, Position, ReadRequest, Reader, Source, Split};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use azora_spec::{Code, Failure};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// Named tables in memory, read by `{"table": name}`.
#[derive(Debug, Default)]
pub struct MemoryConnector {
    tables: HashMap<String, (SchemaRef, Arc<[RecordBatch]>)>,
}

impl MemoryConnector {
    /// Adds a table.
    pub fn insert(&mut self, name: &str, schema: SchemaRef, batches: Vec<RecordBatch>) {
        self.tables.insert(name.to_owned(), (schema, batches.into()));
    }
}

#[async_trait]
impl Connector for MemoryConnector {
    fn name(&self) -> &str {
        "memory"
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Source
    }

    fn config_schema(&self) -> Value {
        json!({"type": "object", "required": ["table"], "additionalProperties": false, "properties": {"table": {"type": "string"}}})
    }

    async fn source(&self, config: &Map<String, Value>) -> Result<Arc<dyn Source>, Failure> {
        let name = config.get("table").and_then(Value::as_str).unwrap_or_default();
        let (schema, batches) = self
            .tables
            .get(name)
            .cloned()
            .ok_or_else(|| Failure::new(Code::ConnectorConfig, format!("no table '{}'", name.escape_debug())).at("/table"))?;
        Ok(Arc::new(MemorySource { schema, batches }))
    }
}

#[derive(Debug)]
struct MemorySource {
    schema: SchemaRef,
    batches: Arc<[RecordBatch]>,
}

#[async_trait]
impl Source for MemorySource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    async fn plan(&self, _parallelism: usize) -> Result<Vec<Split>, Failure> {
        Ok(self
            .batches
            .iter()
            .enumerate()
            .map(|(at, batch)| Split { payload: at.to_string(), rows: Some(batch.num_rows() as u64) })
            .collect())
    }

    async fn open(&self, split: &Split, position: Option<&Position>, request: ReadRequest) -> Result<Box<dyn Reader>, Failure> {
        let invalid = || Failure::new(Code::Internal, "a split that this source did not make");
        let at: usize = split.payload.parse().map_err(|_| invalid())?;
        let batch = self.batches.get(at).ok_or_else(invalid)?.clone();
        let batch = match &request.projection {
            Some(columns) => batch.project(columns).map_err(|_| invalid())?,
            None => batch,
        };
        let row = match position {
            Some(Position(text)) => text.parse().map_err(|_| invalid())?,
            None => 0,
        };
        Ok(Box::new(MemoryReader { batch, row, request }))
    }
}

#[derive(Debug)]
struct MemoryReader {
    batch: RecordBatch,
    row: usize,
    request: ReadRequest,
}

#[async_trait]
impl Reader for MemoryReader {
    async fn read(&mut self) -> Result<Outcome, Failure> {
        let rows = self.batch.num_rows().saturating_sub(self.row).min(self.request.batch_rows.max(1));
        if rows == 0 {
            return Ok(Outcome::End);
        }
        let batch = self.batch.slice(self.row, rows);
        self.row += rows;
        Ok(Outcome::Batch(batch, Position(self.row.to_string())))
    }
}
