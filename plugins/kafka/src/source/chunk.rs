//! Records as they come, in columns of bytes.

use super::fetch::Limits;
use arrow::array::{ArrayRef, BinaryArray, BinaryBuilder, Int64Builder, ListBuilder, StringBuilder, StructBuilder};
use arrow::datatypes::{DataType, Field, Fields};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use std::sync::Arc;

/// Records of one partition, in order.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) offsets: Vec<i64>,
    pub(crate) values: BinaryArray,
    /// Times and keys, where they are wanted.
    pub(crate) around: Option<(ArrayRef, BinaryArray)>,
    pub(crate) headers: Option<ArrayRef>,
    /// The offset to go on with.
    pub(crate) next: i64,
}

/// A chunk that is being filled.
#[derive(Debug)]
pub(crate) struct Filling {
    offsets: Vec<i64>,
    values: BinaryBuilder,
    around: Option<(Int64Builder, BinaryBuilder)>,
    headers: Option<ListBuilder<StructBuilder>>,
    bytes: usize,
}

impl Filling {
    pub(crate) fn new(limits: Limits, bytes: usize) -> Self {
        let rows = limits.rows.min(16_384);
        Self {
            offsets: Vec::with_capacity(rows),
            values: BinaryBuilder::with_capacity(rows, bytes),
            around: limits.has_around.then(|| (Int64Builder::with_capacity(rows), BinaryBuilder::with_capacity(rows, 0))),
            headers: limits.has_headers.then(|| ListBuilder::new(StructBuilder::from_fields(header_fields(), 0)).with_field(header_item())),
            bytes: 0,
        }
    }

    pub(crate) fn push(&mut self, message: &BorrowedMessage<'_>) {
        let value = message.payload();
        self.bytes += value.map_or(0, <[u8]>::len) + 16;
        self.offsets.push(message.offset());
        self.values.append_option(value);
        if let Some((timestamps, keys)) = &mut self.around {
            let key = message.key();
            self.bytes += key.map_or(0, <[u8]>::len);
            timestamps.append_option(message.timestamp().to_millis());
            keys.append_option(key);
        }
        if let Some(list) = &mut self.headers {
            let headers = message.headers().into_iter().flat_map(Headers::iter);
            for header in headers {
                let entry = list.values();
                if let Some(name) = entry.field_builder::<StringBuilder>(0) {
                    name.append_value(header.key);
                }
                if let Some(value) = entry.field_builder::<StringBuilder>(1) {
                    value.append_option(header.value.map(String::from_utf8_lossy));
                }
                entry.append(true);
                self.bytes += header.key.len() + header.value.map_or(0, <[u8]>::len);
            }
            list.append(true);
        }
    }

    pub(crate) const fn rows(&self) -> usize {
        self.offsets.len()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn finish(mut self, next: i64) -> Chunk {
        Chunk {
            offsets: self.offsets,
            values: self.values.finish(),
            around: self.around.map(|(mut timestamps, mut keys)| (Arc::new(timestamps.finish()) as ArrayRef, keys.finish())),
            headers: self.headers.map(|mut list| Arc::new(list.finish()) as ArrayRef),
            next,
        }
    }
}

/// The type of the column of headers. Values that are no UTF-8 have replacement characters.
pub(crate) fn header_type() -> DataType {
    DataType::List(Arc::new(header_item()))
}

fn header_item() -> Field {
    Field::new("item", DataType::Struct(header_fields()), true)
}

fn header_fields() -> Fields {
    vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)].into()
}
