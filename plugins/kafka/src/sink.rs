//! Writing to a topic, exactly once for readers of committed records.
//!
//! A transaction of Kafka does not outlive its producer, so it cannot be what `prepare` leaves behind. Rows are staged in
//! files instead, fsynced, and a commit sends all of them in one transaction. The same transaction moves the offset of a
//! consumer group that belongs to the job: where a commit is repeated, that offset says whether it happened. The producer's
//! transactional id is the job's too, so a repeated commit first fences the one before it and waits for what became of it.
//!
//! Limits: the transaction has to end within its time-out (`transaction.timeout.ms`, 10 minutes here), and the marker is
//! kept as long as the cluster keeps offsets (`offsets.retention.minutes`, 7 days by default). Staged files are on the
//! disk of the server that wrote them.

mod avro;
mod commit;
mod encode;
mod staging;

use crate::client::{blocking, enter};
use crate::config::Writing;
use crate::error::Error;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
pub(crate) use avro::Wanted as AvroWanted;
use azora_connect::{Policy, Receipt, Sink, Token, Writer, WriterId};
use azora_spec::{Failure, JobId};
use commit::Commit;
use encode::Encoder;
use staging::{Prepared, StageFile, Staging};
use std::path::PathBuf;
use std::sync::Arc;

/// The topic of one request.
#[derive(Debug)]
pub(crate) struct KafkaSink {
    writing: Arc<Writing>,
    network: Policy,
    staging: Staging,
}

impl KafkaSink {
    pub(crate) fn new(writing: Writing, network: Policy, staging: PathBuf) -> Self {
        Self { writing: Arc::new(writing), network, staging: Staging::new(staging) }
    }

    async fn commit_to(&self, job: JobId, epoch: u64) -> Result<Commit, Failure> {
        let topics = [self.writing.topic.clone()];
        let entered = enter(&self.writing.cluster, &self.network, &topics).await?;
        Ok(Commit { entered, writing: Arc::clone(&self.writing), staging: self.staging.clone(), job, epoch })
    }
}

#[async_trait]
impl Sink for KafkaSink {
    async fn check(&self) -> Result<(), Failure> {
        let topics = [self.writing.topic.clone()];
        enter(&self.writing.cluster, &self.network, &topics).await.map(|_| ())
    }

    async fn open(&self, id: WriterId, schema: SchemaRef) -> Result<Box<dyn Writer>, Failure> {
        let encoder = Encoder::new(&self.writing, &schema)?;
        let staging = self.staging.clone();
        let file = blocking(move || staging.create(id)).await??;
        Ok(Box::new(KafkaWriter { encoder, file: Some(file) }))
    }

    async fn commit(&self, job: JobId, epoch: u64, _: SchemaRef, tokens: &[Token]) -> Result<Receipt, Failure> {
        let prepared = tokens.iter().map(Prepared::of).collect::<Result<Vec<_>, _>>()?;
        let rows = prepared.iter().map(|part| part.rows).sum();
        let bytes = prepared.iter().map(|part| part.bytes).sum();
        let outputs = vec![format!("{}/{}", self.writing.cluster.label(), self.writing.topic)];
        if rows > 0 {
            let commit = self.commit_to(job, epoch).await?;
            blocking(move || commit.run(&prepared)).await??;
        }
        let staging = self.staging.clone();
        blocking(move || staging.remove(job, epoch)).await??;
        Ok(Receipt { rows, bytes, outputs })
    }

    async fn abort(&self, job: JobId, epoch: u64, _: &[Token]) -> Result<(), Failure> {
        let staging = self.staging.clone();
        let has_begun = blocking(move || staging.has_begun(job, epoch)).await?;
        // A transaction that a dead commit left open would hold up readers until its time-out.
        if has_begun {
            let commit = self.commit_to(job, epoch).await?;
            blocking(move || commit.fence()).await??;
        }
        let staging = self.staging.clone();
        Ok(blocking(move || staging.remove(job, epoch)).await??)
    }
}

/// One partition being staged.
#[derive(Debug)]
struct KafkaWriter {
    encoder: Encoder,
    /// None after a failure.
    file: Option<StageFile>,
}

#[async_trait]
impl Writer for KafkaWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut file = self.file.take().ok_or(Error::Ended)?;
        let messages = self.encoder.messages(&batch)?;
        let file = blocking(move || file.write(&messages).map(|()| file)).await??;
        self.file = Some(file);
        Ok(())
    }

    async fn prepare(mut self: Box<Self>) -> Result<Token, Failure> {
        let file = self.file.take().ok_or(Error::Ended)?;
        let prepared = blocking(move || file.finish()).await??;
        Ok(prepared.token())
    }
}
