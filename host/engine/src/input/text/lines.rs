//! Lines of text: one row `{text}` each, without its end of line.

use super::{Decode, projected};
use azora_connect::element::Element;
use azora_spec::Failure;
use datafusion::arrow::array::{ArrayBuilder, ArrayRef, RecordBatch, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use std::sync::Arc;

pub(super) fn schema() -> SchemaRef {
    Element::Object.schema(vec![Field::new("text", DataType::Utf8, false)])
}

/// Collects lines.
#[derive(Debug)]
pub(super) struct Decoder {
    schema: SchemaRef,
    batch_rows: usize,
    lines: StringBuilder,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
}

impl Decoder {
    pub(super) fn new(schema: &SchemaRef, projection: Option<&[usize]>, batch_rows: usize) -> Result<Self, Failure> {
        let schema = projected(schema, projection)?;
        Ok(Self { schema, batch_rows: batch_rows.max(1), lines: StringBuilder::new(), partial: Vec::new() })
    }

    fn push(&mut self, line: &[u8]) -> Result<(), ()> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.lines.append_value(std::str::from_utf8(line).map_err(|_| ())?);
        Ok(())
    }
}

impl Decode for Decoder {
    fn take(&mut self, bytes: &[u8]) -> Result<usize, ()> {
        let mut taken = 0;
        while self.lines.len() < self.batch_rows {
            let rest = bytes.get(taken..).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.partial.extend_from_slice(rest);
                return Ok(bytes.len());
            };
            let line = rest.get(..end).unwrap_or_default();
            if self.partial.is_empty() {
                self.push(line)?;
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                self.push(&whole)?;
            }
            taken += end + 1;
        }
        Ok(taken)
    }

    fn records(&self) -> usize {
        self.lines.len()
    }

    fn is_inside(&self) -> bool {
        !self.partial.is_empty()
    }

    fn flush(&mut self, _: &[u8]) -> Result<Option<RecordBatch>, ()> {
        // Only at the end of the part is there a line without an end.
        if !self.partial.is_empty() && self.records() < self.batch_rows {
            let last = std::mem::take(&mut self.partial);
            self.push(&last)?;
        }
        if self.records() == 0 {
            return Ok(None);
        }
        let lines: ArrayRef = Arc::new(self.lines.finish());
        RecordBatch::try_new(Arc::clone(&self.schema), vec![lines]).map(Some).map_err(|_| ())
    }

    fn explain(&self, bytes: &[u8]) -> (u64, String) {
        let row = bytes.split(|byte| *byte == b'\n').position(|line| std::str::from_utf8(line).is_err());
        (row.unwrap_or(0) as u64, "the line is not UTF-8".to_owned())
    }
}
