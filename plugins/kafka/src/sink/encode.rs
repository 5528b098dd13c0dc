//! Rows as messages: key, value, partition, time and headers of each.

use super::avro::{AvroEncoder, Wanted as AvroWanted};
use crate::config::Writing;
use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, Field, Fields, Int64Type, Schema, SchemaRef, TimeUnit};
use azora_connect::json;
use azora_spec::{Code, Failure};
use serde_json::Value;
use std::sync::Arc;

/// Most headers of a message.
const HEADERS_MAX: usize = 100;

/// Headers of a message, as they are staged in JSON: names, and values that may be null.
pub(crate) type Headers = Vec<(String, Option<String>)>;

/// Turns rows of one schema into messages.
#[derive(Debug)]
pub(crate) struct Encoder {
    schema: SchemaRef,
    key: Option<usize>,
    value: Option<usize>,
    partition: Option<usize>,
    timestamp: Option<usize>,
    headers: Option<usize>,
    avro: Option<Avro>,
}

/// Values as Avro data: of which columns of the rows, or of which one column's.
#[derive(Debug)]
struct Avro {
    encoder: AvroEncoder,
    columns: Vec<usize>,
    fields: Fields,
}

/// The columns of messages: key, value, partition, time, and headers as [`Headers`].
pub(crate) fn message_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("key", DataType::Binary, true),
        Field::new("value", DataType::Binary, true),
        Field::new("partition", DataType::Int64, true),
        Field::new("timestamp", DataType::Int64, true),
        Field::new("headers", DataType::Binary, true),
    ]))
}

impl Encoder {
    pub(crate) fn new(writing: &Writing, schema: &SchemaRef) -> Result<Self, Failure> {
        let find = |name: &Option<String>, field: &str| -> Result<Option<usize>, Failure> {
            let Some(name) = name else { return Ok(None) };
            schema.index_of(name).map(Some).map_err(|_| {
                let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).take(20).collect();
                Failure::new(Code::ConnectorConfig, format!("the rows have no column '{}'", name.escape_debug()))
                    .hint(format!("their columns are {}", names.join(", ")))
                    .at(format!("/{field}"))
            })
        };
        let encoder = Self {
            key: find(&writing.key_column, "keyColumn")?,
            value: find(&writing.value_column, "valueColumn")?,
            partition: find(&writing.partition_column, "partitionColumn")?,
            timestamp: find(&writing.timestamp_column, "timestampColumn")?,
            headers: find(&writing.headers_column, "headersColumn")?,
            schema: Arc::clone(schema),
            avro: None,
        };
        let avro = writing.avro.as_ref().map(|wanted| encoder.avro(wanted)).transpose()?;
        let encoder = Self { avro, ..encoder };
        for (column, name) in [(encoder.partition, "partitionColumn"), (encoder.timestamp, "timestampColumn")] {
            let of = column.map(|at| schema.field(at).data_type());
            if of.is_some_and(|of| !of.is_integer() && !matches!(of, DataType::Timestamp(..) | DataType::Null)) {
                return Err(Failure::new(Code::ConnectorConfig, "the column does not hold whole numbers").at(format!("/{name}")));
            }
        }
        Ok(encoder)
    }

    /// The columns that are said of a message beside its value are fields only where the schema has them.
    fn avro(&self, wanted: &AvroWanted) -> Result<Avro, Failure> {
        if let Some(at) = self.value {
            let DataType::Struct(fields) = self.schema.field(at).data_type() else {
                return Err(Failure::new(Code::ConnectorConfig, "an Avro record is made of a column of objects").at("/valueColumn"));
            };
            return Ok(Avro { encoder: AvroEncoder::new(wanted, fields)?, columns: Vec::new(), fields: fields.clone() });
        }
        let beside = [self.key, self.partition, self.timestamp, self.headers];
        let names = AvroEncoder::names(wanted)?;
        let is_field = |at: &usize| !beside.contains(&Some(*at)) || names.iter().any(|name| name == self.schema.field(*at).name());
        let columns: Vec<usize> = (0..self.schema.fields().len()).filter(is_field).collect();
        let fields: Fields = columns.iter().map(|at| self.schema.field(*at).clone()).collect();
        Ok(Avro { encoder: AvroEncoder::new(wanted, &fields)?, columns, fields })
    }

    /// Values that are null are null as messages, too: marks of deletion.
    fn data(&mut self, batch: &RecordBatch) -> Result<Option<ArrayRef>, Failure> {
        let Some(Avro { encoder, columns, fields }) = &mut self.avro else { return Ok(None) };
        let rows = batch.num_rows();
        let Some(at) = self.value else {
            let columns: Vec<ArrayRef> = columns.iter().map(|at| Arc::clone(batch.column(*at))).collect();
            return Ok(Some(Arc::new(encoder.data(fields, &columns, rows)?)));
        };
        let objects = batch.column(at).as_struct();
        let present: UInt32Array = (0..rows).filter(|row| objects.is_valid(*row)).filter_map(|row| u32::try_from(row).ok()).collect();
        let internal = |_| Failure::new(Code::Internal, "cannot make messages of rows");
        let columns =
            objects.columns().iter().map(|column| take(column, &present, None)).collect::<Result<Vec<_>, _>>().map_err(internal)?;
        let data = encoder.data(fields, &columns, present.len())?;
        let mut next = 0..present.len();
        let value = |row: usize| objects.is_valid(row).then(|| next.next()).flatten().map(|at| data.value(at));
        Ok(Some(Arc::new((0..rows).map(value).collect::<BinaryArray>())))
    }

    pub(crate) fn messages(&mut self, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
        let rows = batch.num_rows();
        let keys = match self.key {
            Some(at) => self.bytes(batch, at),
            None => arrow::array::new_null_array(&DataType::Binary, rows),
        };
        let values = match (self.data(batch)?, self.value) {
            (Some(data), _) => data,
            (None, Some(at)) => self.bytes(batch, at),
            (None, None) => whole(batch, &self.schema),
        };
        let (partitions, times) = (self.numbers(batch, self.partition)?, self.numbers(batch, self.timestamp)?);
        let columns = vec![keys, values, partitions, times, self.headers(batch)?];
        RecordBatch::try_new(message_schema(), columns).map_err(|_| Failure::new(Code::Internal, "cannot make messages of rows"))
    }

    /// Texts and bytes as they are, everything else as JSON.
    fn bytes(&self, batch: &RecordBatch, at: usize) -> ArrayRef {
        let column = batch.column(at);
        match column.data_type() {
            DataType::Binary => Arc::clone(column),
            DataType::Utf8 => Arc::new(BinaryArray::from(column.as_string::<i32>().clone())),
            _ => Arc::new(BinaryArray::from(json::texts(column, self.schema.field(at)))),
        }
    }

    /// Headers of each message, in the form in which they are staged.
    fn headers(&self, batch: &RecordBatch) -> Result<ArrayRef, Failure> {
        let Some(at) = self.headers else { return Ok(arrow::array::new_null_array(&DataType::Binary, batch.num_rows())) };
        let field = self.schema.field(at);
        let texts = json::texts(batch.column(at), field);
        let wrong = |reason: &str| Failure::new(Code::DataInvalid, format!("column '{}': {reason}", field.name().escape_debug()));
        let headers = texts.iter().map(|text| {
            let Some(text) = text else { return Ok(None) };
            let value = serde_json::from_str(text).map_err(|_| wrong("headers that cannot be read"))?;
            headers(&value)
                .and_then(|headers| serde_json::to_vec(&headers).map_err(|_| "headers that cannot be kept"))
                .map(Some)
                .map_err(wrong)
        });
        Ok(Arc::new(headers.collect::<Result<BinaryArray, _>>()?))
    }

    fn numbers(&self, batch: &RecordBatch, at: Option<usize>) -> Result<ArrayRef, Failure> {
        let Some(at) = at else { return Ok(Arc::new(Int64Array::new_null(batch.num_rows()))) };
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let column = batch.column(at);
        let cast = |column: &ArrayRef, of: &DataType| {
            cast_with_options(column, of, &strict).map_err(|_| {
                Failure::new(Code::DataInvalid, format!("column '{}' holds numbers that are too large", self.schema.field(at).name()))
            })
        };
        let column = match column.data_type() {
            DataType::Timestamp(_, zone) => cast(column, &DataType::Timestamp(TimeUnit::Millisecond, zone.clone()))?,
            _ => Arc::clone(column),
        };
        let numbers = cast(&column, &DataType::Int64)?;
        if numbers.as_primitive::<Int64Type>().iter().flatten().any(|number| number < 0) {
            return Err(Failure::new(Code::DataInvalid, format!("column '{}' holds negative numbers", self.schema.field(at).name())));
        }
        Ok(numbers)
    }
}

/// Headers of an object or of a list of `{key, value}`. What is no text goes as JSON.
fn headers(value: &Value) -> Result<Headers, &'static str> {
    const WRONG: &str = "headers are an object, or a list of objects with 'key' and 'value'";
    let of = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let headers: Headers = match value {
        Value::Null => Vec::new(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), of(value))).collect(),
        Value::Array(items) => {
            let header = |item: &Value| Some((item.get("key")?.as_str()?.to_owned(), of(item.get("value").unwrap_or(&Value::Null))));
            items.iter().map(header).collect::<Option<_>>().ok_or(WRONG)?
        }
        _ => return Err(WRONG),
    };
    if headers.len() > HEADERS_MAX {
        return Err("a message has more than 100 headers");
    }
    let is_odd = |name: &str| name.is_empty() || name.contains('\0');
    if headers.iter().any(|(name, _)| is_odd(name)) { Err("a header's name is empty, or has a zero byte") } else { Ok(headers) }
}

/// Every row as JSON.
fn whole(batch: &RecordBatch, schema: &SchemaRef) -> ArrayRef {
    let elements = json::Elements::of(batch, schema);
    let mut values = BinaryBuilder::with_capacity(batch.num_rows(), batch.num_rows() * 64);
    let mut text = Vec::new();
    for row in 0..batch.num_rows() {
        text.clear();
        elements.row(&mut text, row);
        values.append_value(&text);
    }
    Arc::new(values.finish())
}

#[cfg(test)]
mod tests {
    use super::headers;
    use serde_json::{Value, json};

    #[test]
    fn headers_of_both_forms() {
        let some = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        assert_eq!(headers(&json!({"a": "x", "b": 1})), Ok(vec![some("a", "x"), some("b", "1")]));
        let listed = json!([{"key": "a", "value": "x"}, {"key": "a", "value": null}, {"key": "b"}]);
        assert_eq!(headers(&listed), Ok(vec![some("a", "x"), ("a".to_owned(), None), ("b".to_owned(), None)]));
        assert_eq!(headers(&Value::Null), Ok(Vec::new()));
        for wrong in [json!("a"), json!([1]), json!([{"value": "x"}]), json!({"": "x"}), json!([{"key": "a\u{0}"}])] {
            assert!(headers(&wrong).is_err(), "{wrong}");
        }
        assert!(headers(&Value::Array(vec![json!({"key": "a"}); 101])).is_err());
    }
}
