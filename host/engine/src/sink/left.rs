//! What a job with the mode `ignore` writes to where its target is there already: nothing.

use super::part::{PartToken, token};
use async_trait::async_trait;
use azora_connect::{Receipt, Sink, Token, Writer, WriterId};
use azora_spec::{Failure, JobId};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

/// Leaves what is there.
#[derive(Debug)]
pub(super) struct LeftSink;

#[derive(Debug)]
struct LeftWriter;

#[async_trait]
impl Sink for LeftSink {
    async fn check(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn open(&self, _: WriterId, _: SchemaRef) -> Result<Box<dyn Writer>, Failure> {
        Ok(Box::new(LeftWriter))
    }

    async fn commit(&self, _: JobId, _: u64, _: SchemaRef, _: &[Token]) -> Result<Receipt, Failure> {
        Ok(Receipt::default())
    }

    async fn abort(&self, _: JobId, _: u64, _: &[Token]) -> Result<(), Failure> {
        Ok(())
    }
}

#[async_trait]
impl Writer for LeftWriter {
    async fn write(&mut self, _: RecordBatch) -> Result<(), Failure> {
        Ok(())
    }

    async fn prepare(self: Box<Self>) -> Result<Token, Failure> {
        token(&PartToken::EMPTY)
    }
}
