//! Many small JSON records to one batch: Arrow's own decoder, made strict, and the records that do not fit told apart.

use super::{Misfit, batch, integer};
use crate::element::{self, Element};
use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use arrow::json::reader;
use serde_json::Value;
use std::ops::Range;
use std::sync::Arc;

/// Takes records one by one and answers them as columns of one schema.
///
/// The fast way is Arrow's tape decoder. It is more lenient than a schema: it cuts `1.5` to 1 in a column of integers, so
/// that these are read as doubles and, where that does not say which integer it was, as text; and it takes two values in
/// one record. That is noticed here, and then, as for every other fault, records are looked at alone.
#[derive(Debug)]
pub struct Decoder {
    schema: SchemaRef,
    element: Element,
    /// The schema without metadata and with integers as doubles, which Arrow's decoder reads into; none where it cannot.
    fast: Option<SchemaRef>,
    /// The same with every integer as text, so that none is cut.
    exact: Option<SchemaRef>,
    /// Whether there are integers inside of lists or structs, which are not read as doubles.
    has_deep_integers: bool,
    bytes: Vec<u8>,
    records: Vec<Range<usize>>,
}

/// What became of the records since the last flush.
#[derive(Debug)]
pub struct Decoded {
    /// Those that fit, in order.
    pub batch: RecordBatch,
    /// For every row of the batch, which of the records it was.
    pub rows: Rows,
    /// Those that do not fit: their number among the records, the record, and why.
    pub rejected: Vec<(usize, Vec<u8>, String)>,
}

/// Which records became rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// All of them.
    All,
    /// These, in order.
    Some(Vec<usize>),
}

impl Decoder {
    /// A decoder to rows of a schema of elements. Properties that the schema lacks are left out.
    #[must_use]
    pub fn new(schema: SchemaRef) -> Self {
        let element = Element::of(&schema);
        let is_special = element == Element::Tuple || schema.fields().is_empty() || schema.fields().iter().any(|field| is_special(field));
        let holds = |field: &Arc<Field>| has_integers(field.data_type());
        let exact = (!is_special && schema.fields().iter().any(holds)).then(|| Arc::new(Schema::new(integers_as_text(schema.fields()))));
        let fast = (!is_special).then(|| Arc::new(Schema::new(schema.fields().iter().map(as_double).collect::<Vec<_>>())));
        let has_deep_integers = fast.as_ref().is_some_and(|fast| fast.fields().iter().any(holds));
        Self { schema, element, fast, exact, has_deep_integers, bytes: Vec::new(), records: Vec::new() }
    }

    /// The rows' schema.
    #[must_use]
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Takes one record: the text of one JSON value.
    pub fn push(&mut self, record: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record);
        self.records.push(start..self.bytes.len());
        self.bytes.push(b'\n');
    }

    /// Records taken since the last flush.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of the records taken since the last flush.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The records as rows.
    pub fn flush(&mut self) -> Decoded {
        let decoded = match self.all() {
            Some(batch) => Decoded { batch, rows: Rows::All, rejected: Vec::new() },
            None => self.one_by_one(),
        };
        self.bytes.clear();
        self.records.clear();
        decoded
    }

    fn record(&self, at: usize) -> &[u8] {
        self.records.get(at).and_then(|range| self.bytes.get(range.clone())).unwrap_or_default()
    }

    fn all(&self) -> Option<RecordBatch> {
        // In any case: read as text, a number would pass for a text.
        let fast = self.tape(self.fast.as_ref()?)?;
        let is_exact = !self.has_deep_integers || !has_fractions(&self.bytes);
        let made = is_exact.then(|| self.whole(&fast)).flatten();
        made.or_else(|| self.whole(&self.tape(self.exact.as_ref()?)?))
    }

    /// Every record by Arrow's decoder; nothing where one of them is not exactly one value of its type.
    fn tape(&self, schema: &SchemaRef) -> Option<RecordBatch> {
        let mut decoder = decoder(schema, self.element, self.records.len() + 1, !Arc::ptr_eq(schema, self.fast.as_ref()?)).ok()?;
        for (at, range) in self.records.iter().enumerate() {
            // With the line's end, so that a number is over.
            let bytes = self.bytes.get(range.start..=range.end)?;
            let is_one = decoder.decode(bytes).ok()? == bytes.len() && decoder.len() == at + 1 && !decoder.has_partial_record();
            if !is_one {
                return None;
            }
        }
        match decoder.flush().ok()? {
            Some(batch) => Some(batch),
            None => Some(RecordBatch::new_empty(Arc::clone(schema))),
        }
    }

    /// The columns under the schema that was asked for.
    fn whole(&self, batch: &RecordBatch) -> Option<RecordBatch> {
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let column = |(column, field): (&ArrayRef, &Arc<Field>)| -> Option<ArrayRef> {
            match (column.data_type(), field.data_type()) {
                (from, to) if from == to => Some(Arc::clone(column)),
                (DataType::Float64, DataType::Int64) => Some(Arc::new(integer::of_doubles(column.as_primitive())?)),
                (DataType::Utf8, DataType::Int64) => Some(Arc::new(integer::of_texts(column.as_string())?)),
                (_, to) => cast_with_options(column, to, &strict).ok(),
            }
        };
        let columns = batch.columns().iter().zip(self.schema.fields()).map(column).collect::<Option<_>>()?;
        self.finish(columns, batch.num_rows())
    }

    fn finish(&self, columns: Vec<ArrayRef>, rows: usize) -> Option<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).ok()
    }

    fn one_by_one(&self) -> Decoded {
        let mut rows = Vec::new();
        let mut values = Vec::new();
        let mut rejected = Vec::new();
        for at in 0..self.records.len() {
            match self.value(self.record(at)) {
                Ok(value) => {
                    rows.push(at);
                    values.push(value);
                }
                Err(reason) => rejected.push((at, self.record(at).to_vec(), reason)),
            }
        }
        let batch = batch(&self.schema, &values).unwrap_or_else(|_| RecordBatch::new_empty(Arc::clone(&self.schema)));
        Decoded { batch, rows: if rejected.is_empty() { Rows::All } else { Rows::Some(rows) }, rejected }
    }

    fn value(&self, record: &[u8]) -> Result<Value, String> {
        let value: Value = serde_json::from_slice(record).map_err(|error| {
            if record.iter().all(u8::is_ascii_whitespace) { "the record is empty".to_owned() } else { format!("not valid JSON: {error}") }
        })?;
        batch(&self.schema, std::slice::from_ref(&value)).map_err(|misfit: Misfit| misfit.reason())?;
        Ok(value)
    }
}

fn decoder(schema: &SchemaRef, element: Element, rows_max: usize, numbers_as_text: bool) -> Result<reader::Decoder, ArrowError> {
    let builder = match (element, schema.fields().first()) {
        (Element::Scalar, Some(field)) => ReaderBuilder::new_with_field(Arc::clone(field)),
        _ => ReaderBuilder::new(Arc::clone(schema)),
    };
    builder.with_batch_size(rows_max).with_coerce_primitive(numbers_as_text).build_decoder()
}

/// Whether Arrow's decoder reads such a field otherwise than we do.
fn is_special(field: &Field) -> bool {
    element::is_tuple(field)
        || element::is_json(field)
        || match field.data_type() {
            DataType::List(item) => is_special(item),
            DataType::Struct(fields) => fields.is_empty() || fields.iter().any(|field| is_special(field)),
            DataType::Null | DataType::Boolean | DataType::Utf8 | DataType::Float64 | DataType::Int64 => false,
            _ => true,
        }
}

fn has_integers(of: &DataType) -> bool {
    match of {
        DataType::Int64 => true,
        DataType::List(item) => has_integers(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_integers(field.data_type())),
        _ => false,
    }
}

/// A column of integers as one of doubles.
fn as_double(field: &Arc<Field>) -> Arc<Field> {
    match field.data_type() {
        DataType::Int64 => Arc::new(field.as_ref().clone().with_data_type(DataType::Float64)),
        _ => Arc::clone(field),
    }
}

fn integers_as_text(fields: &Fields) -> Fields {
    let inside = |field: &Arc<Field>| field.as_ref().clone().with_data_type(integer_as_text(field.data_type()));
    fields.iter().map(inside).collect()
}

fn integer_as_text(of: &DataType) -> DataType {
    match of {
        DataType::Int64 => DataType::Utf8,
        DataType::List(item) => DataType::List(Arc::new(item.as_ref().clone().with_data_type(integer_as_text(item.data_type())))),
        DataType::Struct(fields) => DataType::Struct(integers_as_text(fields)),
        other => other.clone(),
    }
}

/// Whether some number may have a fraction or an exponent; texts that look so count too.
fn has_fractions(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| matches!(pair, [b'0'..=b'9', b'.' | b'e' | b'E']))
}
