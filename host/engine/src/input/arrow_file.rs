//! Arrow IPC files and streams below the configured roots. What their bytes may be is read by `azora_connect::ipc`.

#[cfg(test)]
mod tests;

use super::file;
use super::folders::OfFiles;
use super::whole::{BLOCK_BYTES, Whole};
use crate::error::{arrow_failure, io_failure};
use crate::files::Files;
use crate::pins::FilePin;
use async_trait::async_trait;
use azora_connect::ipc::Messages;
use azora_connect::{Outcome, Position, ReadRequest, Reader, Source, Split};
use azora_spec::Failure;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

/// IPC files of one schema.
#[derive(Debug)]
pub(crate) struct ArrowSource(Whole);

impl ArrowSource {
    /// Reads the schemas. The work is returned, to be done where waiting is allowed.
    pub(crate) fn new(files: Arc<Files>, pins: Vec<FilePin>) -> impl FnOnce() -> Result<Self, Failure> + Send + 'static {
        move || Whole::new(files, pins, |files, pin| messages(files, pin)?.schema().map_err(|failure| failure.at("/path"))).map(Self)
    }
}

impl OfFiles for ArrowSource {
    fn file_of(&self, split: &Split) -> Option<usize> {
        Whole::file_of(split)
    }
}

#[async_trait]
impl Source for ArrowSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    async fn plan(&self, _: usize) -> Result<Vec<Split>, Failure> {
        Ok(self.0.plan())
    }

    async fn open(&self, split: &Split, _: Option<&Position>, request: ReadRequest) -> Result<Box<dyn Reader>, Failure> {
        let pin = self.0.pin(split)?;
        let messages = messages(&self.0.files, pin)?;
        Ok(Box::new(ArrowReader { messages, request, whole: None, rows: 0 }))
    }
}

fn messages(files: &Files, pin: &FilePin) -> Result<Messages<BufReader<File>>, Failure> {
    let file = file::open(files, pin)?;
    let bytes = file.metadata().map_err(|error| io_failure(&error))?.len();
    let place = format!("'{}'", pin.path.escape_debug());
    Messages::open(BufReader::with_capacity(BLOCK_BYTES, file), bytes, &place).map_err(|failure| failure.at("/path"))
}

#[derive(Debug)]
struct ArrowReader {
    messages: Messages<BufReader<File>>,
    request: ReadRequest,
    /// The rest of a batch that was larger than asked for.
    whole: Option<RecordBatch>,
    rows: u64,
}

#[async_trait]
impl Reader for ArrowReader {
    async fn read(&mut self) -> Result<Outcome, Failure> {
        let batch = match self.whole.take() {
            Some(batch) => batch,
            None => match self.messages.batch().map_err(|failure| failure.at("/path"))? {
                Some(batch) => batch,
                None => return Ok(Outcome::End),
            },
        };
        let rows = batch.num_rows().min(self.request.batch_rows.max(1));
        if rows < batch.num_rows() {
            self.whole = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        let mut batch = batch.slice(0, rows);
        if let Some(columns) = &self.request.projection {
            batch = batch.project(columns).map_err(|error| arrow_failure(&error))?;
        }
        self.rows += rows as u64;
        Ok(Outcome::Batch(batch, Position(self.rows.to_string())))
    }
}
