//! CSV (RFC 4180, nested values as JSON) and lines of text (strings as they are, everything else as JSON).

use super::{Encode, Finish};
use crate::error::{arrow_failure, io_failure};
use azora_connect::element::Element;
use azora_connect::json::{Elements, texts};
use azora_spec::Failure;
use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::csv::{Writer, WriterBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::io::Write;
use std::sync::Arc;

/// CSV with a header.
pub(super) fn csv(schema: &SchemaRef, out: Box<dyn Finish>) -> Box<dyn Encode> {
    let flat = schema.fields().iter().map(|field| if is_plain(field.data_type()) { field.as_ref().clone() } else { as_text(field) });
    let flat = Arc::new(Schema::new(flat.collect::<Vec<_>>()));
    let writer = WriterBuilder::new().with_header(true).build(out);
    Box::new(Csv { schema: Arc::clone(schema), flat, writer, has_header: false })
}

struct Csv {
    schema: SchemaRef,
    flat: SchemaRef,
    writer: Writer<Box<dyn Finish>>,
    has_header: bool,
}

impl Encode for Csv {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let columns = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(column, field)| if is_plain(field.data_type()) { Arc::clone(column) } else { unquoted(column, field) });
        let batch = RecordBatch::try_new(Arc::clone(&self.flat), columns.collect()).map_err(|error| arrow_failure(&error))?;
        self.has_header = true;
        self.writer.write(&batch).map_err(|error| arrow_failure(&error))
    }

    fn finish(mut self: Box<Self>) -> Result<(), Failure> {
        if !self.has_header {
            let none = RecordBatch::new_empty(Arc::clone(&self.flat));
            self.writer.write(&none).map_err(|error| arrow_failure(&error))?;
        }
        self.writer.into_inner().finish().map_err(|error| io_failure(&error))
    }
}

fn as_text(field: &Field) -> Field {
    Field::new(field.name(), DataType::Utf8, true)
}

/// Types that CSV shows as JSON does not: without quotes around them.
fn is_plain(of: &DataType) -> bool {
    matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean | DataType::Null) || of.is_integer()
}

/// JSON texts; those of strings without their quotes.
fn unquoted(column: &ArrayRef, field: &Field) -> ArrayRef {
    let texts = texts(column, field);
    let bare = |text: &str| match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(inner) if !field.data_type().is_nested() => inner.to_owned(),
        _ if text == "null" => String::new(),
        _ => text.to_owned(),
    };
    Arc::new(texts.iter().map(|text| text.map(bare)).collect::<StringArray>())
}

/// One line an element.
pub(super) fn text(schema: &SchemaRef, out: Box<dyn Finish>) -> Box<dyn Encode> {
    let strings = match (schema.fields().as_ref(), Element::of(schema)) {
        // What reading lines gives: an object of one property.
        ([only], Element::Scalar | Element::Object) => only.data_type() == &DataType::Utf8,
        _ => false,
    };
    Box::new(Text { schema: Arc::clone(schema), out, strings, buffer: Vec::new() })
}

struct Text {
    schema: SchemaRef,
    out: Box<dyn Finish>,
    strings: bool,
    buffer: Vec<u8>,
}

impl Encode for Text {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        self.buffer.clear();
        if self.strings
            && let Some(strings) = batch.columns().first().and_then(|column| column.as_string_opt::<i32>())
        {
            for text in strings {
                self.buffer.extend_from_slice(text.unwrap_or("null").as_bytes());
                self.buffer.push(b'\n');
            }
        } else {
            let mut is_first = true;
            Elements::of(batch, &self.schema).each(&mut self.buffer, |buffer| {
                if !std::mem::take(&mut is_first) {
                    buffer.push(b'\n');
                }
            });
            if !is_first {
                self.buffer.push(b'\n');
            }
        }
        self.out.write_all(&self.buffer).map_err(|error| io_failure(&error))
    }

    fn finish(self: Box<Self>) -> Result<(), Failure> {
        self.out.finish().map_err(|error| io_failure(&error))
    }
}
