//! Columns being built of the values that rows have.

use super::kind::Fitted;
use crate::error::Error;
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, TimeUnit};
use azora_connect::json;
use serde_json::Value;
use std::sync::Arc;

/// A column of one field.
#[derive(Debug)]
pub(super) struct Column {
    field: Field,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Micros(TimestampMicrosecondBuilder),
    Decimal(Decimal128Builder),
    Json(Vec<Option<Value>>),
}

impl Column {
    pub(super) fn new(field: &Field) -> Self {
        let values = match field.data_type() {
            DataType::Boolean => Values::Bool(BooleanBuilder::new()),
            DataType::Int64 | DataType::Int32 | DataType::Date32 => Values::Int(Int64Builder::new()),
            DataType::Float64 | DataType::Float32 => Values::Float(Float64Builder::new()),
            DataType::Utf8 if !azora_connect::element::is_json(field) => Values::Text(StringBuilder::new()),
            DataType::Binary => Values::Bytes(BinaryBuilder::new()),
            DataType::Timestamp(_, zone) => {
                let of = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
                Values::Micros(TimestampMicrosecondBuilder::new().with_data_type(of))
            }
            of @ DataType::Decimal128(..) => Values::Decimal(Decimal128Builder::new().with_data_type(of.clone())),
            _ => Values::Json(Vec::new()),
        };
        Self { field: field.clone(), values }
    }

    /// Appends a value; gives about the bytes that it takes.
    pub(super) fn push(&mut self, value: Fitted<'_>) -> Result<usize, Error> {
        let bytes = match &value {
            Fitted::Text(text) => text.len() + 4,
            Fitted::Bytes(bytes) => bytes.len() + 4,
            Fitted::Decimal(_) => 16,
            Fitted::Json(value) => value.as_str().map_or(64, str::len),
            _ => 8,
        };
        match (&mut self.values, value) {
            (Values::Bool(to), Fitted::Bool(flag)) => to.append_value(flag),
            (Values::Int(to), Fitted::Int(number)) => to.append_value(number),
            (Values::Float(to), Fitted::Float(number)) => to.append_value(number),
            (Values::Text(to), Fitted::Text(text)) => to.append_value(text),
            (Values::Bytes(to), Fitted::Bytes(bytes)) => to.append_value(bytes),
            (Values::Micros(to), Fitted::Int(number)) => to.append_value(number),
            (Values::Decimal(to), Fitted::Decimal(number)) => to.append_value(number),
            (Values::Json(to), Fitted::Json(value)) => to.push(Some(value)),
            (Values::Bool(to), Fitted::Null) => to.append_null(),
            (Values::Int(to), Fitted::Null) => to.append_null(),
            (Values::Float(to), Fitted::Null) => to.append_null(),
            (Values::Text(to), Fitted::Null) => to.append_null(),
            (Values::Bytes(to), Fitted::Null) => to.append_null(),
            (Values::Micros(to), Fitted::Null) => to.append_null(),
            (Values::Decimal(to), Fitted::Null) => to.append_null(),
            (Values::Json(to), Fitted::Null) => to.push(None),
            _ => return Err(Error::Broken("a value of its column's kind")),
        }
        Ok(bytes)
    }

    /// What was appended; the column begins anew.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, Error> {
        let array: ArrayRef = match &mut self.values {
            Values::Bool(from) => Arc::new(from.finish()),
            Values::Int(from) => Arc::new(from.finish()),
            Values::Float(from) => Arc::new(from.finish()),
            Values::Text(from) => Arc::new(from.finish()),
            Values::Bytes(from) => Arc::new(from.finish()),
            Values::Micros(from) => Arc::new(from.finish()),
            Values::Decimal(from) => Arc::new(from.finish()),
            Values::Json(from) => {
                let values = std::mem::take(from);
                let values: Vec<Option<&Value>> = values.iter().map(Option::as_ref).collect();
                json::array(&self.field, &values)
                    .map_err(|misfit| Error::Value { place: format!("row {} of a batch", misfit.row), reason: misfit.reason() })?
            }
        };
        match (array.data_type(), self.field.data_type()) {
            (same, of) if same == of => Ok(array),
            // Values were checked to fit; dates come by way of their number of days.
            (DataType::Int64, DataType::Date32) => {
                cast(&array, &DataType::Int32).and_then(|days| cast(&days, &DataType::Date32)).map_err(|_| Error::Broken("dates"))
            }
            (_, of) => cast(&array, of).map_err(|_| Error::Broken("a column of its type")),
        }
    }
}
