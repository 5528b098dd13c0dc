//! A connector's sink, run on the threads that wait for networks while rows are computed on others.

use crate::Error;
use crate::input::wanting;
use async_trait::async_trait;
use azora_connect::{Receipt, Sink, Token, Writer, WriterId};
use azora_spec::{Failure, JobId};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use std::future::Future;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Any sink, elsewhere.
#[derive(Debug)]
pub(crate) struct NetworkSink {
    sink: Arc<dyn Sink>,
    label: String,
    io: Handle,
}

impl NetworkSink {
    /// `label` says what is written to; nothing where failures need not say it.
    pub(crate) const fn new(sink: Arc<dyn Sink>, label: String, io: Handle) -> Self {
        Self { sink, label, io }
    }
}

/// Runs a future over there. Dropping the answer does not stop it: a half-made call would leave a connection unusable.
async fn over<T: Send + 'static>(io: &Handle, work: impl Future<Output = T> + Send + 'static) -> Result<T, Failure> {
    io.spawn(work).await.map_err(|_| Error::Panicked.into())
}

#[async_trait]
impl Sink for NetworkSink {
    async fn check(&self) -> Result<(), Failure> {
        self.sink.check().await.map_err(|failure| wanting(failure, &self.label))
    }

    async fn open(&self, id: WriterId, schema: SchemaRef) -> Result<Box<dyn Writer>, Failure> {
        let sink = Arc::clone(&self.sink);
        let writer = over(&self.io, async move { sink.open(id, schema).await }).await?.map_err(|failure| wanting(failure, &self.label))?;
        Ok(Box::new(NetworkWriter { writer: Some(writer), io: self.io.clone() }))
    }

    async fn commit(&self, job: JobId, epoch: u64, schema: SchemaRef, tokens: &[Token]) -> Result<Receipt, Failure> {
        self.sink.commit(job, epoch, schema, tokens).await.map_err(|failure| wanting(failure, &self.label))
    }

    async fn abort(&self, job: JobId, epoch: u64, tokens: &[Token]) -> Result<(), Failure> {
        self.sink.abort(job, epoch, tokens).await
    }
}

#[derive(Debug)]
struct NetworkWriter {
    writer: Option<Box<dyn Writer>>,
    io: Handle,
}

#[async_trait]
impl Writer for NetworkWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        let mut writer = self.writer.take().ok_or(Error::Broken("a writer that failed is not used again"))?;
        let work = async move {
            let written = writer.write(batch).await;
            (writer, written)
        };
        let (writer, written) = over(&self.io, work).await?;
        self.writer = Some(writer);
        written
    }

    async fn prepare(mut self: Box<Self>) -> Result<Token, Failure> {
        let writer = self.writer.take().ok_or(Error::Broken("a writer that failed is not used again"))?;
        over(&self.io, async move { writer.prepare().await }).await?
    }
}
