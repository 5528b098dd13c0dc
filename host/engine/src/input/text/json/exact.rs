//! Integers that are what the text says. Arrow's decoder cuts `1.5` to 1 in a column of integers without a word.
//!
//! Columns of 64-bit integers are read as doubles: one that is whole and below 2^53 is the number that the text says, as
//! JavaScript reads it, so that nearly every batch is parsed once. Only where some number is neither, or where integers lie
//! deeper and a number in the bytes has a fraction, the batch is parsed a second time with its integers as text.

use super::builder;
use azora_connect::element::Element;
use azora_connect::json::integer;
use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::reader;
use std::sync::Arc;

/// Watches over the columns with integers.
#[derive(Debug)]
pub(super) struct Exact {
    /// Reads the columns with integers alone, as text.
    texts: reader::Decoder,
    /// The place of each of these columns in the rows, and whether it is read as doubles.
    columns: Vec<(usize, bool)>,
}

impl Exact {
    /// Nothing where no column holds integers.
    pub(super) fn of(schema: &SchemaRef, element: Element, batch_rows: usize) -> Result<Option<Self>, ArrowError> {
        let held = |(at, field): (usize, &Arc<Field>)| {
            let text = field.as_ref().clone().with_data_type(integers_as_text(field.data_type())?);
            Some(((at, *field.data_type() == DataType::Int64), text))
        };
        let (columns, fields): (Vec<_>, Vec<_>) = schema.fields().iter().enumerate().filter_map(held).unzip();
        if columns.is_empty() {
            return Ok(None);
        }
        let texts = builder(Arc::new(Schema::new(fields)), element);
        let texts = texts.with_batch_size(batch_rows).with_coerce_primitive(true).build_decoder()?;
        Ok(Some(Self { texts, columns }))
    }

    /// The schema by which rows are read.
    pub(super) fn read_as(&self, schema: &SchemaRef) -> SchemaRef {
        let is_wide = |at: usize| self.columns.contains(&(at, true));
        let read = |(at, field): (usize, &Arc<Field>)| {
            if is_wide(at) { Arc::new(field.as_ref().clone().with_data_type(DataType::Float64)) } else { Arc::clone(field) }
        };
        Arc::new(Schema::new(schema.fields().iter().enumerate().map(read).collect::<Vec<_>>()))
    }

    /// The columns of a batch that was read so, as `schema` has them; nothing where a number is no integer. `bytes` are what
    /// it was read from.
    pub(super) fn columns(&mut self, batch: &RecordBatch, schema: &SchemaRef, bytes: &[u8]) -> Option<Vec<ArrayRef>> {
        let mut columns = batch.columns().to_vec();
        let mut is_certain = true;
        for (at, is_wide) in &self.columns {
            if *is_wide {
                match integer::of_doubles(columns.get(*at)?.as_primitive_opt::<Float64Type>()?) {
                    Some(integers) => *columns.get_mut(*at)? = Arc::new(integers),
                    None => is_certain = false,
                }
            }
        }
        let is_deep = self.columns.iter().any(|(_, is_wide)| !is_wide);
        if is_certain && !(is_deep && has_fractions(bytes)) {
            return Some(columns);
        }
        if self.texts.decode(bytes).ok()? != bytes.len() {
            return None;
        }
        let texts = self.texts.flush().ok()??;
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        for ((at, is_wide), text) in self.columns.iter().zip(texts.columns()) {
            let column = columns.get_mut(*at)?;
            if *is_wide {
                *column = Arc::new(integer::of_texts(text.as_string_opt::<i32>()?)?);
            } else {
                let exact = cast_with_options(text, schema.field(*at).data_type(), &strict).ok()?;
                if exact.to_data() != column.to_data() {
                    return None;
                }
            }
        }
        Some(columns)
    }
}

/// Whether some number may have a fraction or an exponent; texts that look so count too.
fn has_fractions(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| matches!(pair, [b'0'..=b'9', b'.' | b'e' | b'E']))
}

/// A type with every integer in it as text; nothing where it holds none.
fn integers_as_text(of: &DataType) -> Option<DataType> {
    match of {
        of if of.is_integer() => Some(DataType::Utf8),
        DataType::List(item) => {
            integers_as_text(item.data_type()).map(|of| DataType::List(Arc::new(item.as_ref().clone().with_data_type(of))))
        }
        DataType::Struct(fields) => {
            let text = |field: &Arc<Field>| integers_as_text(field.data_type()).map(|of| field.as_ref().clone().with_data_type(of));
            let inside: Vec<Field> = fields.iter().filter_map(text).collect();
            // Beside integers a struct may hold what must not be read as text, so all of it is read.
            let whole = || fields.iter().map(|field| text(field).unwrap_or_else(|| field.as_ref().clone())).collect::<Vec<_>>();
            (!inside.is_empty()).then(|| DataType::Struct(whole().into()))
        }
        _ => None,
    }
}
