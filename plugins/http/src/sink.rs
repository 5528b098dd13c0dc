//! An API as a sink: rows in requests of a fixed size, sent as they come.
//!
//! **At least once.** What was sent cannot be taken back, so there is no second phase: an abort leaves it where it is, and a
//! partition that is written again is sent again. Each request carries the same key then, so that a server that looks at
//! keys takes it once.

use crate::config::Config;
use crate::pace::Sender;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use azora_connect::json::Elements;
use azora_connect::{Receipt, Sink, Token, Writer, WriterId};
use azora_spec::{Code, Failure, JobId};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct ApiSink {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    sender: Sender,
}

impl ApiSink {
    pub(crate) fn new(config: Config, sender: Sender) -> Self {
        Self { inner: Arc::new(Inner { config, sender }) }
    }
}

#[async_trait]
impl Sink for ApiSink {
    /// An API has nothing that could be looked at without effect.
    async fn check(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn open(&self, id: WriterId, schema: SchemaRef) -> Result<Box<dyn Writer>, Failure> {
        let inner = Arc::clone(&self.inner);
        Ok(Box::new(ApiWriter { inner, id, schema, waiting: Vec::new(), rows_waiting: 0, requests: 0, rows: 0, bytes: 0 }))
    }

    async fn commit(&self, _: JobId, _: u64, _: SchemaRef, tokens: &[Token]) -> Result<Receipt, Failure> {
        let url = &self.inner.config.url;
        let port = url.port_or_known_default().unwrap_or_default();
        let output = format!("{}:{port}{}", url.host_str().unwrap_or_default(), url.path());
        let mut receipt = Receipt { outputs: vec![output], ..Receipt::default() };
        for token in tokens {
            let damaged = || Failure::new(Code::Internal, "the token of an API's partition is damaged");
            let (rows, bytes) = token.0.split_once(' ').ok_or_else(damaged)?;
            receipt.rows += rows.parse::<u64>().map_err(|_| damaged())?;
            receipt.bytes += bytes.parse::<u64>().map_err(|_| damaged())?;
        }
        Ok(receipt)
    }

    async fn abort(&self, _: JobId, _: u64, _: &[Token]) -> Result<(), Failure> {
        Ok(())
    }
}

#[derive(Debug)]
struct ApiWriter {
    inner: Arc<Inner>,
    id: WriterId,
    schema: SchemaRef,
    /// Rows that do not fill a request yet.
    waiting: Vec<RecordBatch>,
    rows_waiting: usize,
    requests: u64,
    rows: u64,
    bytes: u64,
}

impl ApiWriter {
    /// Sends full requests; all that is left where `is_last`. How rows came in batches makes no difference to requests, so
    /// that a partition that is written again makes the same ones.
    async fn send(&mut self, is_last: bool) -> Result<(), Failure> {
        let size = self.inner.config.batch_rows;
        if self.rows_waiting == 0 || self.rows_waiting < size && !is_last {
            return Ok(());
        }
        let all = concat_batches(&self.schema, &self.waiting).map_err(|_| Failure::new(Code::Internal, "batches of one schema"))?;
        self.waiting.clear();
        let mut at = 0;
        while all.num_rows() - at >= size || is_last && at < all.num_rows() {
            let rows = size.min(all.num_rows() - at);
            self.request(&all.slice(at, rows)).await?;
            at += rows;
        }
        self.rows_waiting = all.num_rows() - at;
        if self.rows_waiting > 0 {
            self.waiting.push(all.slice(at, self.rows_waiting));
        }
        Ok(())
    }

    async fn request(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        let config = &self.inner.config;
        let mut body = Vec::new();
        let elements = Elements::of(rows, &self.schema);
        for row in 0..rows.num_rows() {
            if !config.is_lines {
                body.push(if row == 0 { b'[' } else { b',' });
            }
            elements.row(&mut body, row);
            if config.is_lines {
                body.push(b'\n');
            }
        }
        if !config.is_lines {
            body.push(b']');
        }
        let key = format!("{}-{}-{}-{}", self.id.job, self.id.epoch, self.id.partition, self.requests);
        let bytes = body.len() as u64;
        let request = config.request(config.url.clone(), &[(config.key_header.clone(), key)], body)?;
        self.inner.sender.send(&request).await?;
        self.requests += 1;
        self.rows += rows.num_rows() as u64;
        self.bytes += bytes;
        Ok(())
    }
}

#[async_trait]
impl Writer for ApiWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        let batch = batch.with_schema(Arc::clone(&self.schema)).map_err(|_| Failure::new(Code::Internal, "rows of another schema"))?;
        self.rows_waiting += batch.num_rows();
        self.waiting.push(batch);
        self.send(false).await
    }

    async fn prepare(mut self: Box<Self>) -> Result<Token, Failure> {
        self.send(true).await?;
        Ok(Token(format!("{} {}", self.rows, self.bytes)))
    }
}
