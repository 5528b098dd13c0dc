//! Integers that are what the text says. Arrow's decoder cuts `1.5` to 1 in a column of integers without a word.
//!
//! 64-bit integers are read as doubles, those in lists and objects too: one that is whole and below 2^53 is the number that
//! the text says, as JavaScript reads it, so that nearly every batch is parsed once. Only where some number is neither, or
//! where a column has narrower integers and a number in the bytes has a fraction, the batch is parsed a second time with its
//! integers as text.

use super::builder;
use azora_connect::element::Element;
use azora_connect::json::integer;
use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, Int64Array, ListArray, RecordBatch, StructArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::reader;
use std::sync::Arc;

/// Watches over the columns with integers.
#[derive(Debug)]
pub(super) struct Exact {
    /// Reads the columns with integers alone, as text.
    texts: reader::Decoder,
    /// The place of each of these columns in the rows, and the type by which it is read where that has doubles.
    columns: Vec<(usize, Option<DataType>)>,
}

impl Exact {
    /// Nothing where no column holds integers.
    pub(super) fn of(schema: &SchemaRef, element: Element, batch_rows: usize) -> Result<Option<Self>, ArrowError> {
        let held = |(at, field): (usize, &Arc<Field>)| {
            let text = field.as_ref().clone().with_data_type(integers_as_text(field.data_type())?);
            Some(((at, integers_as_doubles(field.data_type())), text))
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
        let mut fields = schema.fields().to_vec();
        for (at, read_as) in &self.columns {
            if let (Some(field), Some(of)) = (fields.get_mut(*at), read_as) {
                *field = Arc::new(field.as_ref().clone().with_data_type(of.clone()));
            }
        }
        Arc::new(Schema::new(fields))
    }

    /// The columns of a batch that was read so, as `schema` has them; nothing where a number is no integer. `bytes` are what
    /// it was read from.
    pub(super) fn columns(&mut self, batch: &RecordBatch, schema: &SchemaRef, bytes: &[u8]) -> Option<Vec<ArrayRef>> {
        let mut columns = batch.columns().to_vec();
        let mut is_certain = true;
        for (at, _) in self.columns.iter().filter(|(_, read_as)| read_as.is_some()) {
            let column = columns.get_mut(*at)?;
            match restored(column, schema.field(*at).data_type(), &|doubles| integer::of_doubles(doubles.as_primitive_opt()?)) {
                Some(integers) => *column = integers,
                None => is_certain = false,
            }
        }
        let has_narrow = self.columns.iter().any(|(_, read_as)| read_as.is_none());
        if is_certain && !(has_narrow && has_fractions(bytes)) {
            return Some(columns);
        }
        if self.texts.decode(bytes).ok()? != bytes.len() {
            return None;
        }
        let texts = self.texts.flush().ok()??;
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        for ((at, read_as), text) in self.columns.iter().zip(texts.columns()) {
            let (column, of) = (columns.get_mut(*at)?, schema.field(*at).data_type());
            if read_as.is_some() {
                *column = restored(text, of, &|texts| integer::of_texts(texts.as_string_opt()?))?;
            } else if cast_with_options(text, of, &strict).ok()?.to_data() != column.to_data() {
                return None;
            }
        }
        Some(columns)
    }
}

/// Whether some number may have a fraction or an exponent; texts that look so count too.
fn has_fractions(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| matches!(pair, [b'0'..=b'9', b'.' | b'e' | b'E']))
}

/// A type with its 64-bit integers as doubles; nothing where it has none, or narrower ones.
fn integers_as_doubles(of: &DataType) -> Option<DataType> {
    let inside = |field: &Arc<Field>| integers_as_doubles(field.data_type()).map(|of| Arc::new(field.as_ref().clone().with_data_type(of)));
    match of {
        DataType::Int64 => Some(DataType::Float64),
        DataType::List(item) => inside(item).map(DataType::List),
        DataType::Struct(fields) => {
            let read: Vec<Option<Arc<Field>>> = fields.iter().map(inside).collect();
            // What has none stays as it is; what has others as well is read as text.
            let has_others =
                |(field, read): (&Arc<Field>, &Option<Arc<Field>>)| read.is_none() && integers_as_text(field.data_type()).is_some();
            if read.iter().all(Option::is_none) || fields.iter().zip(&read).any(has_others) {
                return None;
            }
            Some(DataType::Struct(fields.iter().zip(read).map(|(field, read)| read.unwrap_or_else(|| Arc::clone(field))).collect()))
        }
        _ => None,
    }
}

/// An array in which 64-bit integers were read as something else, as what it is; nothing where one of them is none.
fn restored(array: &ArrayRef, of: &DataType, integers: &dyn Fn(&ArrayRef) -> Option<Int64Array>) -> Option<ArrayRef> {
    match of {
        DataType::Int64 => integers(array).map(|integers| Arc::new(integers) as ArrayRef),
        DataType::List(item) => {
            let list = array.as_list_opt::<i32>()?;
            let items = restored(list.values(), item.data_type(), integers)?;
            let list = ListArray::try_new(Arc::clone(item), list.offsets().clone(), items, list.nulls().cloned()).ok()?;
            Some(Arc::new(list))
        }
        DataType::Struct(fields) if !fields.is_empty() => {
            let parts = array.as_struct_opt()?;
            let columns = parts.columns().iter().zip(fields).map(|(column, field)| restored(column, field.data_type(), integers));
            let whole = StructArray::try_new(fields.clone(), columns.collect::<Option<_>>()?, parts.nulls().cloned()).ok()?;
            Some(Arc::new(whole))
        }
        _ => Some(Arc::clone(array)),
    }
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
