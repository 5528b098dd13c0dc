//! Avro object container files as a source: one split a file.

use super::file;
use super::folders::OfFiles;
use super::whole::{BLOCK_BYTES, Whole};
use crate::error::arrow_failure;
use crate::files::Files;
use crate::pins::FilePin;
use async_trait::async_trait;
use azora_connect::avro::Batches;
use azora_connect::{Outcome, Position, ReadRequest, Reader, Source, Split};
use azora_spec::Failure;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

/// Files of one schema.
#[derive(Debug)]
pub(crate) struct AvroSource(Whole);

impl AvroSource {
    /// Reads the heads. The work is returned, to be done where waiting is allowed.
    pub(crate) fn new(files: Arc<Files>, pins: Vec<FilePin>) -> impl FnOnce() -> Result<Self, Failure> + Send + 'static {
        move || Whole::new(files, pins, |files, pin| Ok(open(files, pin, 1)?.schema())).map(Self)
    }
}

fn open(files: &Files, pin: &FilePin, batch_rows: usize) -> Result<Batches<BufReader<File>>, Failure> {
    let input = BufReader::with_capacity(BLOCK_BYTES, file::open(files, pin)?);
    Batches::open(input, batch_rows, &format!("'{}'", pin.path.escape_debug())).map_err(|failure| failure.at("/path"))
}

impl OfFiles for AvroSource {
    fn file_of(&self, split: &Split) -> Option<usize> {
        Whole::file_of(split)
    }
}

#[async_trait]
impl Source for AvroSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    async fn plan(&self, _: usize) -> Result<Vec<Split>, Failure> {
        Ok(self.0.plan())
    }

    async fn open(&self, split: &Split, _: Option<&Position>, request: ReadRequest) -> Result<Box<dyn Reader>, Failure> {
        let batches = open(&self.0.files, self.0.pin(split)?, request.batch_rows)?;
        Ok(Box::new(AvroReader { batches, projection: request.projection, rows: 0 }))
    }
}

#[derive(Debug)]
struct AvroReader {
    batches: Batches<BufReader<File>>,
    projection: Option<Vec<usize>>,
    rows: u64,
}

impl AvroReader {
    fn next(&mut self) -> Result<Option<RecordBatch>, Failure> {
        let Some(batch) = self.batches.next_batch()? else { return Ok(None) };
        self.rows += batch.num_rows() as u64;
        match &self.projection {
            Some(columns) => batch.project(columns).map(Some).map_err(|error| arrow_failure(&error)),
            None => Ok(Some(batch)),
        }
    }
}

#[async_trait]
impl Reader for AvroReader {
    async fn read(&mut self) -> Result<Outcome, Failure> {
        Ok(self.next()?.map_or(Outcome::End, |batch| Outcome::Batch(batch, Position(self.rows.to_string()))))
    }
}
