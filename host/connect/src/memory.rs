//! The reference connector: rows in memory, two-phase like the real ones. The conformance suite is tried on it first.

use crate::source::rows_within;
use crate::{Connector, ConnectorKind, Outcome, Position, ReadRequest, Reader, Receipt, Sink, Source, Split, Token, Writer, WriterId};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use azora_spec::wire::{Fields, Unknown, shown};
use azora_spec::{Code, Failure, JobId};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Named tables in memory: `{"table": name}`. A sink makes its table.
#[derive(Debug, Default, Clone)]
pub struct MemoryConnector {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    tables: HashMap<String, (SchemaRef, Vec<RecordBatch>)>,
    /// Rows that are prepared, by table and token.
    staged: HashMap<(String, String), Vec<RecordBatch>>,
    /// Jobs and epochs that are committed to a table.
    committed: HashSet<(String, JobId, u64)>,
}

impl MemoryConnector {
    /// Adds a table.
    pub fn insert(&self, name: &str, schema: SchemaRef, batches: Vec<RecordBatch>) {
        self.lock().tables.insert(name.to_owned(), (schema, batches));
    }

    /// The rows of a table that a reader would see.
    #[must_use]
    pub fn rows(&self, name: &str) -> Vec<RecordBatch> {
        self.lock().tables.get(name).map(|(_, batches)| batches.clone()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn table(config: &Map<String, Value>) -> Result<String, Failure> {
    let mut fields = Fields::config(config);
    let name = fields.required_text("table")?.to_owned();
    fields.finish(Unknown::Refuse)?;
    Ok(name)
}

#[async_trait]
impl Connector for MemoryConnector {
    fn name(&self) -> &str {
        "memory"
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Both
    }

    fn config_schema(&self) -> Value {
        json!({"type": "object", "required": ["table"], "additionalProperties": false, "properties": {"table": {"type": "string"}}})
    }

    async fn source(&self, config: &Map<String, Value>) -> Result<Arc<dyn Source>, Failure> {
        let name = table(config)?;
        let (schema, batches) = self
            .lock()
            .tables
            .get(&name)
            .cloned()
            .ok_or_else(|| Failure::new(Code::ConnectorMissing, format!("no table '{}'", shown(&name))).at("/table"))?;
        Ok(Arc::new(MemorySource { schema, batches: batches.into() }))
    }

    async fn sink(&self, config: &Map<String, Value>) -> Result<Arc<dyn Sink>, Failure> {
        Ok(Arc::new(MemorySink { connector: self.clone(), table: table(config)? }))
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
        let rows = rows_within(&self.batch, self.row, self.request.batch_rows, self.request.batch_bytes);
        if rows == 0 {
            return Ok(Outcome::End);
        }
        let batch = self.batch.slice(self.row, rows);
        self.row += rows;
        Ok(Outcome::Batch(batch, Position(self.row.to_string())))
    }
}

#[derive(Debug)]
struct MemorySink {
    connector: MemoryConnector,
    table: String,
}

#[async_trait]
impl Sink for MemorySink {
    async fn check(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn open(&self, id: WriterId, _: SchemaRef) -> Result<Box<dyn Writer>, Failure> {
        Ok(Box::new(MemoryWriter { connector: self.connector.clone(), table: self.table.clone(), id, batches: Vec::new() }))
    }

    async fn commit(&self, job: JobId, epoch: u64, schema: SchemaRef, tokens: &[Token]) -> Result<Receipt, Failure> {
        let mut shared = self.connector.lock();
        let mut receipt = Receipt { outputs: vec![format!("memory://{}", self.table)], ..Receipt::default() };
        let is_first = !shared.committed.contains(&(self.table.clone(), job, epoch));
        let mut batches = Vec::new();
        for token in tokens {
            let (_, rows) = token.0.rsplit_once(':').ok_or_else(damaged)?;
            receipt.rows += rows.parse::<u64>().map_err(|_| damaged())?;
            if is_first {
                batches.extend(shared.staged.remove(&(self.table.clone(), token.0.clone())).ok_or_else(damaged)?);
            }
        }
        if is_first {
            shared.committed.insert((self.table.clone(), job, epoch));
            shared.tables.entry(self.table.clone()).or_insert_with(|| (schema, Vec::new())).1.extend(batches);
            forget(&mut shared, &self.table, job, epoch);
        }
        Ok(receipt)
    }

    async fn abort(&self, job: JobId, epoch: u64, _: &[Token]) -> Result<(), Failure> {
        forget(&mut self.connector.lock(), &self.table, job, epoch);
        Ok(())
    }
}

fn damaged() -> Failure {
    Failure::new(Code::Internal, "a token that this sink did not make, or that was aborted")
}

fn forget(shared: &mut Shared, table: &str, job: JobId, epoch: u64) {
    let prefix = format!("{job}:{epoch}:");
    shared.staged.retain(|(of, token), _| of != table || !token.starts_with(&prefix));
}

#[derive(Debug)]
struct MemoryWriter {
    connector: MemoryConnector,
    table: String,
    id: WriterId,
    batches: Vec<RecordBatch>,
}

#[async_trait]
impl Writer for MemoryWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        self.batches.push(batch);
        Ok(())
    }

    async fn prepare(self: Box<Self>) -> Result<Token, Failure> {
        let WriterId { job, partition, attempt, epoch } = self.id;
        let rows: usize = self.batches.iter().map(RecordBatch::num_rows).sum();
        let token = format!("{job}:{epoch}:{partition}:{attempt}:{rows}");
        self.connector.lock().staged.insert((self.table, token.clone()), self.batches);
        Ok(Token(token))
    }
}

#[cfg(test)]
mod tests;
