//! Rows as messages: key, value, partition and time of each.

use crate::config::Writing;
use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, Int64Array, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use azora_connect::json;
use azora_spec::{Code, Failure};
use std::sync::Arc;

/// Turns rows of one schema into messages.
#[derive(Debug)]
pub(crate) struct Encoder {
    schema: SchemaRef,
    key: Option<usize>,
    value: Option<usize>,
    partition: Option<usize>,
    timestamp: Option<usize>,
}

/// The columns of messages: key, value, partition, time.
pub(crate) fn message_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("key", DataType::Binary, true),
        Field::new("value", DataType::Binary, true),
        Field::new("partition", DataType::Int64, true),
        Field::new("timestamp", DataType::Int64, true),
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
            schema: Arc::clone(schema),
        };
        for (column, name) in [(encoder.partition, "partitionColumn"), (encoder.timestamp, "timestampColumn")] {
            let of = column.map(|at| schema.field(at).data_type());
            if of.is_some_and(|of| !of.is_integer() && !matches!(of, DataType::Timestamp(..) | DataType::Null)) {
                return Err(Failure::new(Code::ConnectorConfig, "the column does not hold whole numbers").at(format!("/{name}")));
            }
        }
        Ok(encoder)
    }

    pub(crate) fn messages(&self, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
        let rows = batch.num_rows();
        let keys = match self.key {
            Some(at) => self.bytes(batch, at),
            None => arrow::array::new_null_array(&DataType::Binary, rows),
        };
        let values = match self.value {
            Some(at) => self.bytes(batch, at),
            None => whole(batch, &self.schema),
        };
        let columns = vec![keys, values, self.numbers(batch, self.partition)?, self.numbers(batch, self.timestamp)?];
        RecordBatch::try_new(message_schema(), columns).map_err(|_| Failure::new(Code::Internal, "cannot make messages of rows"))
    }

    /// Texts and bytes as they are, everything else as JSON.
    fn bytes(&self, batch: &RecordBatch, at: usize) -> ArrayRef {
        let column = batch.column(at);
        match column.data_type() {
            DataType::Binary => Arc::clone(column),
            DataType::Utf8 => Arc::new(arrow::array::BinaryArray::from(column.as_string::<i32>().clone())),
            _ => Arc::new(arrow::array::BinaryArray::from(json::texts(column, self.schema.field(at)))),
        }
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
