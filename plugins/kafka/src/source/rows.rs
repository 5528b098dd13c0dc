//! From chunks of records to the columns of the source.

use super::avro::Avro;
use super::chunk::{Chunk, header_type};
use super::fetch::Part;
use crate::config::{Format, Reading, Shape};
use crate::error::Error;
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray, StructArray, UInt32Array,
};
use arrow::compute::{filter_record_batch, take};
use arrow::datatypes::{DataType, Field, Fields, SchemaRef};
use azora_connect::element::{self, Element, VALUE};
use azora_connect::json::{Decoder, Rows as Which};
use azora_connect::{ReadRequest, Rejects};
use azora_spec::{Code, Failure};
use std::collections::HashSet;
use std::sync::Arc;

/// Why a record of rows of values is none.
const TOMBSTONE: &str = "the record has no value (a tombstone)";

/// Which columns a source has, and where each comes from.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    schema: SchemaRef,
    /// How many columns of the schema are the value's.
    value_columns: usize,
    /// Where they begin.
    value_at: usize,
    values: Values,
    is_messages: bool,
    has_binary_keys: bool,
    has_metadata: bool,
    has_headers: bool,
}

/// How values become columns.
#[derive(Debug, Clone)]
enum Values {
    /// By a schema of elements.
    Json(SchemaRef),
    Avro(Box<Avro>),
    Text,
    Bytes,
}

impl Layout {
    /// Whether a sample has to be looked at.
    pub(crate) fn needs_sample(reading: &Reading) -> bool {
        reading.format == Format::Json && reading.columns.is_none()
    }

    /// `of_sample` is the schema of elements of the sample where one is needed.
    pub(crate) fn new(reading: &Reading, of_sample: Option<SchemaRef>) -> Result<Self, Failure> {
        let is_messages = reading.shape == Shape::Messages;
        let (values, value) = match &reading.format {
            Format::Json => {
                let told = reading.columns.clone().map(|columns| Element::Object.schema(columns));
                let elements = told.or(of_sample).unwrap_or_else(|| Element::Object.schema(Fields::empty()));
                // What has no types yet, and what has none, is text.
                let is_open = elements.fields().iter().all(|field| field.data_type() == &DataType::Null);
                let elements = if is_open { Element::Scalar.schema(vec![element::json_field(VALUE)]) } else { elements };
                let elements = if is_messages { Element::Scalar.schema(vec![as_one(&elements)]) } else { elements };
                (Values::Json(Arc::clone(&elements)), elements)
            }
            Format::Avro { schema, framing } => {
                let avro = Avro::new(schema, *framing).map_err(|reason| {
                    let reason: String = reason.chars().take(200).collect();
                    Failure::new(Code::ConnectorConfig, format!("not an Avro schema of records: {reason}")).at("/avroSchema")
                })?;
                let fields = Element::Object.schema(avro.schema().fields().clone());
                // Bad records are null in every column until they are taken out.
                let open = || avro.schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
                let value = if is_messages { vec![as_one(&fields)] } else { open().collect() };
                let value = if is_messages { Element::Scalar } else { Element::Object }.schema(value);
                (Values::Avro(Box::new(avro)), value)
            }
            Format::Text => (Values::Text, element::scalar(DataType::Utf8, true)),
            Format::Bytes => (Values::Bytes, element::scalar(DataType::Binary, true)),
        };
        let has_metadata = matches!(reading.shape, Shape::Values { has_metadata: true });
        let has_headers = reading.has_headers && (is_messages || has_metadata);
        let mut layout = Self {
            schema: Arc::clone(&value),
            value_columns: value.fields().len(),
            value_at: 0,
            values,
            is_messages,
            has_binary_keys: reading.has_binary_keys,
            has_metadata,
            has_headers,
        };
        if is_messages || has_metadata {
            let mut around = layout.metadata_fields();
            let fields = value.fields().iter().map(|field| field.as_ref().clone());
            let fields: Vec<Field> = if is_messages {
                layout.value_at = around.len();
                around.extend(fields);
                around
            } else {
                fields.chain(around).collect()
            };
            let names: HashSet<&str> = fields.iter().map(|field| field.name().as_str()).collect();
            if names.len() != fields.len() {
                let message = "a column of the values has the name of a column of the metadata";
                return Err(Failure::new(Code::ConnectorConfig, message).hint("set \"rows\": \"messages\"").at("/metadata"));
            }
            layout.schema = Element::Object.schema(fields);
        }
        Ok(layout)
    }

    pub(crate) const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether rows have what is said of a message beside its value.
    pub(crate) const fn has_around(&self) -> bool {
        self.is_messages || self.has_metadata
    }

    fn metadata_fields(&self) -> Vec<Field> {
        let key = if self.has_binary_keys { DataType::Binary } else { DataType::Utf8 };
        let of = [
            ("topic", DataType::Utf8),
            ("partition", DataType::Int64),
            ("offset", DataType::Int64),
            ("timestamp", DataType::Int64),
            ("key", key),
        ];
        let prefix = if self.is_messages { "" } else { "_" };
        let headers = self.has_headers.then(|| ("headers", header_type()));
        of.into_iter().chain(headers).map(|(name, of)| Field::new(format!("{prefix}{name}"), of, true)).collect()
    }
}

/// Elements as one column.
fn as_one(elements: &SchemaRef) -> Field {
    let fields: Vec<Field> = elements.fields().iter().map(|field| field.as_ref().clone()).collect();
    match (Element::of(elements), fields.as_slice()) {
        (Element::Scalar, [field]) => field.clone().with_name(VALUE).with_nullable(true),
        (Element::Tuple, fields) => element::tuple_field(VALUE, fields, true),
        _ => Field::new(VALUE, DataType::Struct(fields.into()), true),
    }
}

/// Builds the rows of one split.
#[derive(Debug)]
pub(crate) struct Rows {
    layout: Layout,
    decoder: Option<Decoder>,
    topic: String,
    partition: i32,
    projection: Option<Vec<usize>>,
    rejects: Rejects,
}

/// The value's columns, as long as the chunk; bad ones are null and marked.
struct Built {
    columns: Vec<ArrayRef>,
    bad: Vec<(usize, String)>,
}

impl Rows {
    pub(crate) fn new(layout: &Layout, part: &Part, request: &ReadRequest) -> Result<Self, Failure> {
        let width = layout.schema.fields().len();
        if request.projection.iter().flatten().any(|column| *column >= width) {
            return Err(Error::Foreign("a projection").into());
        }
        let decoder = if let Values::Json(elements) = &layout.values { Some(Decoder::new(Arc::clone(elements))) } else { None };
        Ok(Self {
            layout: layout.clone(),
            decoder,
            topic: part.topic.clone(),
            partition: part.partition,
            projection: request.projection.clone(),
            rejects: request.rejects.clone(),
        })
    }

    /// The rows of a chunk without its bad records, which are handed over. Values are decoded even where no column of
    /// them is wanted, so that the number of rows does not depend on that.
    pub(crate) fn batch(&mut self, chunk: Chunk) -> Result<RecordBatch, Failure> {
        let rows = chunk.offsets.len();
        let (around, mut bad) = match &chunk.around {
            Some((timestamps, keys)) => {
                let (keys, bad) = self.keys(keys);
                (Some((Arc::clone(timestamps), keys)), bad)
            }
            None => (None, Vec::new()),
        };
        let built = self.values(&chunk.values).map_err(|reason| self.broken(&reason))?;
        bad.extend(built.bad);
        let mut is_good = vec![true; rows];
        bad.sort_by_key(|(at, _)| *at);
        for (at, reason) in bad {
            if let Some(good @ true) = is_good.get_mut(at) {
                *good = false;
                let offset = chunk.offsets.get(at).copied().unwrap_or_default();
                let payload = if chunk.values.is_null(at) { &[][..] } else { chunk.values.value(at) };
                self.rejects.reject(&format!("{}/{}/{offset}", self.topic, self.partition), &reason, payload)?;
            }
        }
        let columns = self.columns(&chunk, around, built.columns);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.layout.schema), columns, &options)
            .map_err(|error| self.broken(&error.to_string()))?;
        let batch = match &self.projection {
            Some(columns) => batch.project(columns).map_err(|error| self.broken(&error.to_string()))?,
            None => batch,
        };
        if is_good.iter().all(|good| *good) {
            return Ok(batch);
        }
        filter_record_batch(&batch, &BooleanArray::from(is_good)).map_err(|error| self.broken(&error.to_string()))
    }

    fn broken(&self, reason: &str) -> Failure {
        let reason: String = reason.chars().take(200).collect();
        Failure::new(Code::Internal, format!("cannot make rows of {}/{}: {reason}", self.topic, self.partition))
    }

    fn keys(&self, keys: &BinaryArray) -> (ArrayRef, Vec<(usize, String)>) {
        if self.layout.has_binary_keys {
            return (Arc::new(keys.clone()), Vec::new());
        }
        let reason = "the key is not UTF-8; \"keyFormat\": \"bytes\" takes it";
        let (texts, bad) = texts(keys, reason);
        (Arc::new(texts), bad)
    }

    fn columns(&self, chunk: &Chunk, around: Option<(ArrayRef, ArrayRef)>, values: Vec<ArrayRef>) -> Vec<ArrayRef> {
        let Some((timestamps, keys)) = around else { return values };
        let rows = chunk.offsets.len();
        let topic = std::iter::repeat_n(self.topic.as_str(), rows);
        let mut around: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(topic)),
            Arc::new(Int64Array::from_value(i64::from(self.partition), rows)),
            Arc::new(Int64Array::from(chunk.offsets.clone())),
            timestamps,
            keys,
        ];
        if self.layout.has_headers {
            around.extend(chunk.headers.clone());
        }
        if self.layout.value_at > 0 { around.into_iter().chain(values).collect() } else { values.into_iter().chain(around).collect() }
    }

    fn values(&mut self, values: &BinaryArray) -> Result<Built, String> {
        let is_messages = self.layout.is_messages;
        match (&self.layout.values, &mut self.decoder) {
            (Values::Bytes, _) => Ok(Built { columns: vec![Arc::new(values.clone())], bad: Vec::new() }),
            (Values::Text, _) => {
                let (texts, bad) = texts(values, "the value is not UTF-8; the format 'bytes' takes it");
                Ok(Built { columns: vec![Arc::new(texts)], bad })
            }
            (Values::Json(_), Some(decoder)) => json(decoder, values, is_messages),
            (Values::Json(_), None) => Err("no decoder".to_owned()),
            (Values::Avro(avro), _) => datums(avro, values, is_messages, self.layout.value_columns),
        }
    }
}

/// Texts without a copy where all of them are UTF-8.
fn texts(bytes: &BinaryArray, reason: &str) -> (StringArray, Vec<(usize, String)>) {
    match StringArray::try_from_binary(bytes.clone()) {
        Ok(texts) => (texts, Vec::new()),
        Err(_) => {
            let text = |bytes| std::str::from_utf8(bytes).ok();
            let of: Vec<Option<Option<&str>>> = bytes.iter().map(|bytes| bytes.map(text)).collect();
            let bad = of.iter().enumerate().filter(|(_, text)| **text == Some(None)).map(|(at, _)| (at, reason.to_owned()));
            (of.iter().map(|text| text.flatten()).collect(), bad.collect())
        }
    }
}

fn json(decoder: &mut Decoder, values: &BinaryArray, is_messages: bool) -> Result<Built, String> {
    let mut bad = Vec::new();
    for (at, value) in values.iter().enumerate() {
        match value {
            Some(value) => decoder.push(value),
            None => {
                decoder.push(b"null");
                if !is_messages {
                    bad.push((at, TOMBSTONE.to_owned()));
                }
            }
        }
    }
    let decoded = decoder.flush();
    bad.extend(decoded.rejected.into_iter().map(|(at, _, reason)| (at, reason)));
    let columns = match decoded.rows {
        Which::All => decoded.batch.columns().to_vec(),
        Which::Some(rows) => spread(decoded.batch.columns(), &rows, values.len())?,
    };
    Ok(Built { columns, bad })
}

fn datums(avro: &Avro, values: &BinaryArray, is_messages: bool, width: usize) -> Result<Built, String> {
    let present: Vec<usize> = (0..values.len()).filter(|at| values.is_valid(*at)).collect();
    let data: Vec<&[u8]> = present.iter().map(|at| values.value(*at)).collect();
    let decoded = avro.decode(&data)?;
    let place = |at: &usize| present.get(*at).copied().unwrap_or_default();
    let mut bad: Vec<(usize, String)> = decoded.rejected.iter().map(|(at, reason)| (place(at), reason.clone())).collect();
    if !is_messages {
        bad.extend((0..values.len()).filter(|at| values.is_null(*at)).map(|at| (at, TOMBSTONE.to_owned())));
    }
    let rows: Vec<usize> = decoded.rows.iter().map(place).collect();
    let columns: Vec<ArrayRef> =
        if is_messages { vec![Arc::new(StructArray::from(decoded.batch)) as ArrayRef] } else { decoded.batch.columns().to_vec() };
    debug_assert_eq!(columns.len(), width);
    let columns = if rows.len() == values.len() { columns } else { spread(&columns, &rows, values.len())? };
    Ok(Built { columns, bad })
}

/// Rows at their places among `len`, null between them.
fn spread(columns: &[ArrayRef], rows: &[usize], len: usize) -> Result<Vec<ArrayRef>, String> {
    let mut from = vec![None; len];
    for (at, row) in rows.iter().enumerate() {
        if let Some(place) = from.get_mut(*row) {
            *place = u32::try_from(at).ok();
        }
    }
    let from = UInt32Array::from(from);
    columns.iter().map(|column| take(column, &from, None).map_err(|error| error.to_string())).collect()
}
