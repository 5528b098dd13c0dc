//! Elements as JSON text. A decimal that holds an integer has no fraction, NaN and infinities are null, tuples are
//! arrays, scalars are bare.

use super::{Encode, Finish};
use crate::error::io_failure;
use azora_connect::element::{self, Element};
use azora_spec::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray, UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit, TimestampMicrosecondType};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use std::io::Write;
use std::sync::Arc;

/// Text that is collected before it is written.
const BUFFER_BYTES: usize = 64 << 10;

/// The elements of one batch.
#[derive(Debug)]
pub(super) struct Elements {
    element: Element,
    /// The property names as JSON strings, with their colons.
    names: Vec<Vec<u8>>,
    columns: Vec<Column>,
    rows: usize,
}

impl Elements {
    pub(super) fn of(batch: &RecordBatch, schema: &SchemaRef) -> Self {
        let columns = batch.columns().iter().zip(schema.fields()).map(|(array, field)| Column::of(array, field));
        let names = schema.fields().iter().map(|field| name(field.name()));
        Self { element: Element::of(schema), names: names.collect(), columns: columns.collect(), rows: batch.num_rows() }
    }

    /// Writes every element; `between` comes in front of each.
    pub(super) fn each(&self, out: &mut Vec<u8>, mut between: impl FnMut(&mut Vec<u8>)) {
        for row in 0..self.rows {
            between(out);
            self.row(out, row);
        }
    }

    fn row(&self, out: &mut Vec<u8>, row: usize) {
        match (self.element, self.columns.as_slice()) {
            (Element::Scalar, [column]) => column.write(out, row),
            (Element::Tuple, columns) => tuple(out, columns, row),
            (Element::Object | Element::Scalar, columns) => object(out, &self.names, columns, row),
        }
    }
}

fn name(text: &str) -> Vec<u8> {
    let mut name = Vec::new();
    string(&mut name, text);
    name.push(b':');
    name
}

fn object(out: &mut Vec<u8>, names: &[Vec<u8>], columns: &[Column], row: usize) {
    out.push(b'{');
    for (at, (name, column)) in names.iter().zip(columns).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name);
        column.write(out, row);
    }
    out.push(b'}');
}

fn tuple(out: &mut Vec<u8>, columns: &[Column], row: usize) {
    out.push(b'[');
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        column.write(out, row);
    }
    out.push(b']');
}

/// An array that knows how its values are written.
#[derive(Debug)]
enum Column {
    Null,
    Boolean(BooleanArray),
    Int64(Int64Array),
    UInt64(UInt64Array),
    Float64(Float64Array),
    Utf8(StringArray),
    /// JSON that is written as it is.
    Json(StringArray),
    /// Microseconds.
    Timestamp(ArrayRef),
    /// Base64.
    Bytes(ArrayRef),
    /// The text that Arrow gives, as a number.
    Number(ArrayRef),
    /// The text that Arrow gives.
    Text(ArrayRef),
    List(ListArray, Box<Column>),
    Tuple(StructArray, Vec<Column>),
    Object(StructArray, Vec<Vec<u8>>, Vec<Column>),
}

impl Column {
    fn of(array: &ArrayRef, field: &Field) -> Self {
        let as_type = |to: &DataType| cast(array, to).unwrap_or_else(|_| Arc::clone(array));
        match array.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean(array.as_boolean().clone()),
            DataType::Int64 => Self::Int64(array.as_primitive().clone()),
            DataType::UInt64 => Self::UInt64(array.as_primitive().clone()),
            DataType::Float64 => Self::Float64(array.as_primitive().clone()),
            DataType::Utf8 if element::is_json(field) => Self::Json(array.as_string().clone()),
            DataType::Utf8 => Self::Utf8(array.as_string().clone()),
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => {
                Self::Int64(as_type(&DataType::Int64).as_primitive().clone())
            }
            DataType::Float16 | DataType::Float32 => Self::Float64(as_type(&DataType::Float64).as_primitive().clone()),
            DataType::LargeUtf8 | DataType::Utf8View => Self::Utf8(as_type(&DataType::Utf8).as_string().clone()),
            DataType::Dictionary(_, value) => Self::of(&as_type(value), field),
            DataType::Timestamp(_, _) => Self::Timestamp(as_type(&DataType::Timestamp(TimeUnit::Microsecond, None))),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Bytes(as_type(&DataType::Binary))
            }
            DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
                Self::Number(Arc::clone(array))
            }
            DataType::List(item) => {
                let list = array.as_list::<i32>().clone();
                let items = Self::of(list.values(), item);
                Self::List(list, Box::new(items))
            }
            DataType::LargeList(item) | DataType::FixedSizeList(item, _) | DataType::ListView(item) | DataType::LargeListView(item) => {
                let to = DataType::List(Arc::clone(item));
                match cast(array, &to) {
                    Ok(list) => Self::of(&list, field),
                    Err(_) => Self::Text(Arc::clone(array)),
                }
            }
            DataType::Struct(fields) => {
                let parts = array.as_struct();
                let columns = parts.columns().iter().zip(fields).map(|(array, field)| Self::of(array, field)).collect();
                if element::is_tuple(field) {
                    Self::Tuple(parts.clone(), columns)
                } else {
                    Self::Object(parts.clone(), fields.iter().map(|field| name(field.name())).collect(), columns)
                }
            }
            _ => Self::Text(Arc::clone(array)),
        }
    }

    fn write(&self, out: &mut Vec<u8>, row: usize) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match self {
            Self::Null => {}
            Self::Boolean(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            Self::Int64(array) => display(out, array.value(row)),
            Self::UInt64(array) => display(out, array.value(row)),
            Self::Float64(array) => float(out, array.value(row)),
            Self::Json(array) => out.extend_from_slice(array.value(row).as_bytes()),
            Self::Utf8(array) => string(out, array.value(row)),
            Self::Timestamp(array) => timestamp(out, array.as_primitive::<TimestampMicrosecondType>().value(row)),
            Self::Bytes(array) => {
                let text = array.as_binary_opt::<i32>().map(|array| STANDARD.encode(array.value(row))).unwrap_or_default();
                string(out, &text);
            }
            Self::Number(array) => out.extend_from_slice(shown(array, row).as_bytes()),
            Self::Text(array) => string(out, &shown(array, row)),
            Self::List(list, items) => {
                let range = list.value_offsets().get(row..row + 2).map_or(0..0, |ends| ends[0] as usize..ends[1] as usize);
                out.push(b'[');
                for (at, item) in range.enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    items.write(out, item);
                }
                out.push(b']');
            }
            Self::Tuple(_, columns) => tuple(out, columns, row),
            Self::Object(_, names, columns) => object(out, names, columns, row),
        }
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Null => true,
            Self::Boolean(array) => array.is_null(row),
            Self::Int64(array) => array.is_null(row),
            Self::UInt64(array) => array.is_null(row),
            Self::Float64(array) => array.is_null(row),
            Self::Utf8(array) | Self::Json(array) => array.is_null(row),
            Self::Timestamp(array) | Self::Bytes(array) | Self::Number(array) | Self::Text(array) => array.is_null(row),
            Self::List(array, _) => array.is_null(row),
            Self::Tuple(array, _) | Self::Object(array, _, _) => array.is_null(row),
        }
    }
}

fn display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing to memory does not fail.
    let _done = write!(out, "{value}").is_ok();
}

fn float(out: &mut Vec<u8>, value: f64) {
    // Integers up to here are exact, and printed without an exponent by JavaScript too.
    const EXACT: f64 = 1e21;
    if !value.is_finite() {
        out.extend_from_slice(b"null");
    } else if value == value.trunc() && value.abs() < EXACT {
        // Negative zero prints as 0, as in JSON.stringify.
        if value == 0.0 { out.push(b'0') } else { display(out, value) }
    } else {
        match serde_json::Number::from_f64(value) {
            Some(number) => display(out, number),
            None => out.extend_from_slice(b"null"),
        }
    }
}

fn timestamp(out: &mut Vec<u8>, microseconds: i64) {
    match DateTime::<Utc>::from_timestamp_micros(microseconds) {
        Some(at) => {
            let unit = if microseconds % 1000 == 0 { SecondsFormat::Millis } else { SecondsFormat::Micros };
            string(out, &at.to_rfc3339_opts(unit, true));
        }
        None => out.extend_from_slice(b"null"),
    }
}

fn shown(array: &ArrayRef, row: usize) -> String {
    ArrayFormatter::try_new(array.as_ref(), &FormatOptions::default()).map(|format| format.value(row).to_string()).unwrap_or_default()
}

/// A JSON string.
fn string(out: &mut Vec<u8>, text: &str) {
    let is_plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if is_plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing a string to memory does not fail.
        let _done = serde_json::to_writer(out, text).is_ok();
    }
}

/// Values of one column as JSON texts, for formats that cannot nest.
pub(super) fn texts(array: &ArrayRef, field: &Field) -> StringArray {
    let column = Column::of(array, field);
    let mut text = Vec::new();
    (0..array.len())
        .map(|row| {
            if column.is_null(row) {
                return None;
            }
            text.clear();
            column.write(&mut text, row);
            Some(String::from_utf8_lossy(&text).into_owned())
        })
        .collect()
}

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
