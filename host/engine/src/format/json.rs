//! Rows as JSON documents: one array, or one element a line. How an element is written is the business of `azora-connect`.

use super::{Encode, Finish};
use crate::error::io_failure;
use azora_connect::json::Elements;
use azora_spec::Failure;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// Text that is collected before it is written.
const BUFFER_BYTES: usize = 64 << 10;

/// One array of elements.
pub(super) fn array(schema: &SchemaRef, out: Box<dyn Finish>) -> Box<dyn Encode> {
    Box::new(Writer { schema: Arc::clone(schema), out, buffer: vec![b'['], is_array: true, has_rows: false })
}

/// One element a line.
pub(super) fn lines(schema: &SchemaRef, out: Box<dyn Finish>) -> Box<dyn Encode> {
    Box::new(Writer { schema: Arc::clone(schema), out, buffer: Vec::new(), is_array: false, has_rows: false })
}

struct Writer {
    schema: SchemaRef,
    out: Box<dyn Finish>,
    buffer: Vec<u8>,
    is_array: bool,
    has_rows: bool,
}

impl Encode for Writer {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let elements = Elements::of(batch, &self.schema);
        for row in 0..batch.num_rows() {
            if self.is_array && self.has_rows {
                self.buffer.extend_from_slice(b",\n");
            }
            self.has_rows = true;
            elements.row(&mut self.buffer, row);
            if !self.is_array {
                self.buffer.push(b'\n');
            }
            if self.buffer.len() >= BUFFER_BYTES {
                self.out.write_all(&self.buffer).map_err(|error| io_failure(&error))?;
                self.buffer.clear();
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Failure> {
        if self.is_array {
            self.buffer.extend_from_slice(b"]");
        }
        self.out.write_all(&self.buffer).map_err(|error| io_failure(&error))?;
        self.out.finish().map_err(|error| io_failure(&error))
    }
}
