//! Writing rows as strings, hashes, lists or streams, at most once each.
//!
//! `prepare` leaves a list of rows in Redis, as safe as everything else that is kept there. A commit is one script: it
//! looks for its marker, checks that every row is still there and that no key holds another type, writes all, and leaves
//! the marker, which lives for seven days. While it runs the server answers nobody else, so a commit takes a bounded
//! number of rows.

mod encode;

use crate::client::Client;
use crate::config::{Kind, Writing};
use crate::error::Error;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use azora_connect::{Policy, Receipt, Sink, Token, Writer, WriterId};
use azora_spec::{Failure, JobId};
use encode::Encoder;
use redis::{cmd, pipe};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How all keys begin that sinks use for themselves.
pub(crate) const STAGING: &str = "azora:sink:";
/// Most rows of one commit.
const ROWS_MAX: u64 = 1_000_000;
/// How long staged rows and markers live.
const KEEP_SECONDS: i64 = 7 * 24 * 3600;
/// Rows in one command.
const TOGETHER: usize = 256;

/// Looks, checks, writes and marks. Nothing in it fails once it has begun to write.
const COMMIT: &str = include_str!("sink/commit.lua");

/// The keys of one request.
#[derive(Debug)]
pub(crate) struct RedisSink {
    writing: Arc<Writing>,
    network: Policy,
}

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
struct Prepared {
    partition: usize,
    attempt: u32,
    rows: u64,
    bytes: u64,
}

fn folder(job: JobId, epoch: u64) -> String {
    format!("{STAGING}{job}:{epoch}:")
}

fn stage(job: JobId, epoch: u64, partition: usize, attempt: u32) -> String {
    format!("{}rows:{partition}:{attempt}", folder(job, epoch))
}

impl RedisSink {
    pub(crate) fn new(writing: Writing, network: Policy) -> Self {
        Self { writing: Arc::new(writing), network }
    }

    async fn connect(&self) -> Result<Client, Failure> {
        Client::connect(&self.writing.server, &self.network).await
    }
}

#[async_trait]
impl Sink for RedisSink {
    async fn check(&self) -> Result<(), Failure> {
        let mut client = self.connect().await?;
        client.ask::<String>(&cmd("PING"), "asking whether it is there").await?;
        Ok(())
    }

    async fn open(&self, id: WriterId, schema: SchemaRef) -> Result<Box<dyn Writer>, Failure> {
        let encoder = Encoder::new(&self.writing, &schema)?;
        let key = stage(id.job, id.epoch, id.partition, id.attempt);
        let mut client = self.connect().await?;
        client.ask::<i64>(cmd("DEL").arg(&key), "staging rows").await?;
        let prepared = Prepared { partition: id.partition, attempt: id.attempt, rows: 0, bytes: 0 };
        Ok(Box::new(RedisWriter { client, encoder, key, prepared }))
    }

    async fn commit(&self, job: JobId, epoch: u64, _: SchemaRef, tokens: &[Token]) -> Result<Receipt, Failure> {
        let read = |token: &Token| serde_json::from_str(&token.0).map_err(|_| Error::Foreign("a token"));
        let prepared = tokens.iter().map(read).collect::<Result<Vec<Prepared>, _>>()?;
        let rows = prepared.iter().map(|part| part.rows).sum();
        let server = self.writing.server.label();
        if rows > ROWS_MAX {
            return Err(Error::TooManyRows { server, max: ROWS_MAX }.into());
        }
        let word = match self.writing.kind {
            Kind::Strings => "string",
            Kind::Hashes => "hash",
            Kind::Lists => "list",
            Kind::Streams => "stream",
        };
        let mut call = cmd("EVAL");
        call.arg(COMMIT).arg(1 + prepared.len()).arg(format!("{}done", folder(job, epoch)));
        for part in &prepared {
            call.arg(stage(job, epoch, part.partition, part.attempt));
        }
        call.arg(word).arg(self.writing.ttl.map_or(0, |ttl| ttl.as_millis() as u64)).arg(KEEP_SECONDS);
        for part in &prepared {
            call.arg(part.rows);
        }
        let mut client = self.connect().await?;
        client.ask::<i64>(&call, "committing rows").await?;
        self.abort(job, epoch, tokens).await?;
        let bytes = prepared.iter().map(|part| part.bytes).sum();
        Ok(Receipt { rows, bytes, outputs: vec![server] })
    }

    async fn abort(&self, job: JobId, epoch: u64, _: &[Token]) -> Result<(), Failure> {
        let mut client = self.connect().await?;
        let pattern = format!("{}rows:*", folder(job, epoch));
        let mut cursor: u64 = 0;
        loop {
            let scan = cmd("SCAN").arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(2000).to_owned();
            let (next, keys): (u64, Vec<String>) = client.ask(&scan, "removing staged rows").await?;
            if !keys.is_empty() {
                client.ask::<i64>(cmd("UNLINK").arg(keys), "removing staged rows").await?;
            }
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }
}

/// One partition being staged.
#[derive(Debug)]
struct RedisWriter {
    client: Client,
    encoder: Encoder,
    key: String,
    prepared: Prepared,
}

#[async_trait]
impl Writer for RedisWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        self.prepared.rows += batch.num_rows() as u64;
        if self.prepared.rows > ROWS_MAX {
            return Err(Error::TooManyRows { server: self.client.label.clone(), max: ROWS_MAX }.into());
        }
        let rows = self.encoder.rows(&batch)?;
        for chunk in rows.chunks(TOGETHER) {
            self.prepared.bytes += chunk.iter().map(Vec::len).sum::<usize>() as u64;
            let mut commands = pipe();
            commands.cmd("RPUSH").arg(&self.key).arg(chunk).ignore().cmd("EXPIRE").arg(&self.key).arg(KEEP_SECONDS).ignore();
            self.client.ask_all::<()>(&commands, "staging rows").await?;
        }
        Ok(())
    }

    async fn prepare(mut self: Box<Self>) -> Result<Token, Failure> {
        let staged: u64 = self.client.ask(cmd("LLEN").arg(&self.key), "staging rows").await?;
        if staged != self.prepared.rows {
            return Err(Error::StagedMissing { server: self.client.label.clone() }.into());
        }
        Ok(Token(serde_json::to_string(&self.prepared).unwrap_or_default()))
    }
}
