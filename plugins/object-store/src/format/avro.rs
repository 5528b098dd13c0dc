//! Avro object container files, read as a whole.

use crate::error;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_avro::reader::{Reader, ReaderBuilder};
use azora_spec::Failure;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The batches of one file.
pub(crate) struct Batches {
    reader: Reader<Cursor<Vec<u8>>>,
    object: String,
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("object", &self.object).finish_non_exhaustive()
    }
}

impl Batches {
    pub(crate) fn open(bytes: Vec<u8>, batch_rows: usize, object: &str) -> Result<Self, Failure> {
        // The bytes are a stranger's: a panic of the decoder is a damaged file.
        let opened = catch_unwind(AssertUnwindSafe(|| ReaderBuilder::new().with_batch_size(batch_rows.max(1)).build(Cursor::new(bytes))));
        match opened {
            Ok(Ok(reader)) => Ok(Self { reader, object: object.to_owned() }),
            _ => Err(error::broken(object, "it is not a readable Avro file")),
        }
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }

    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>, Failure> {
        let reader = &mut self.reader;
        match catch_unwind(AssertUnwindSafe(|| reader.next())) {
            Ok(None) => Ok(None),
            Ok(Some(Ok(batch))) => Ok(Some(batch)),
            Ok(Some(Err(_))) | Err(_) => Err(error::broken(&self.object, "a block is damaged")),
        }
    }
}
