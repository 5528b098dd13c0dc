//! Arrow batches on their way into a guest: buffers are borrowed, slices start at 0, nothing is copied that need not be.

use crate::abi::FieldNode;
use crate::error::{Error, Result};
use crate::schema;
use arrow::array::{Array, ArrayData, ArrayRef, AsArray as _, OffsetSizeTrait, PrimitiveArray, RecordBatch};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float64Type, Int64Type, Schema};
use std::borrow::Cow;

/// A batch laid out for the boundary. It holds its buffers by reference count.
#[derive(Debug, Default)]
pub(crate) struct Lowered {
    pub(crate) nodes: Vec<FieldNode>,
    buffers: Vec<Buffer>,
}

impl Lowered {
    /// Lays out the columns of `batch`, which have the types of `schema` or ones that cast to them.
    pub(crate) fn of(batch: &RecordBatch, schema: &Schema) -> Result<Self> {
        if batch.num_columns() != schema.fields().len() {
            let reason = format!("it has {} columns and not {}", batch.num_columns(), schema.fields().len());
            return Err(Error::Input { reason });
        }
        let mut lowered = Self { nodes: Vec::with_capacity(batch.num_columns()), buffers: Vec::with_capacity(batch.num_columns() * 3) };
        for (column, field) in batch.columns().iter().zip(schema.fields()) {
            let column = cast(column, field.data_type())?;
            lowered.column(&column);
        }
        Ok(lowered)
    }

    /// The buffers, in the order of the WIT.
    pub(crate) fn slices(&self) -> Vec<&[u8]> {
        self.buffers.iter().map(Buffer::as_slice).collect()
    }

    /// Bytes of all buffers.
    pub(crate) fn bytes(&self) -> usize {
        self.buffers.iter().map(Buffer::len).sum()
    }

    fn column(&mut self, column: &ArrayRef) {
        match column.data_type() {
            DataType::Int64 => self.primitive(column.as_primitive::<Int64Type>()),
            DataType::Float64 => self.primitive(column.as_primitive::<Float64Type>()),
            _ => self.data(&column.to_data()),
        }
    }

    /// The short way of the commonest types: no `ArrayData` is made.
    fn primitive<T: ArrowPrimitiveType>(&mut self, column: &PrimitiveArray<T>) {
        self.node(column.len(), column.nulls());
        self.buffers.push(column.values().inner().clone());
    }

    fn node(&mut self, length: usize, nulls: Option<&NullBuffer>) {
        let null_count = nulls.map_or(0, NullBuffer::null_count);
        self.nodes.push(FieldNode { length: length as u64, null_count: null_count as u64 });
        match nulls {
            // `sliced` copies only where the bits do not start at a byte.
            Some(nulls) if null_count > 0 => self.buffers.push(nulls.inner().sliced()),
            _ => self.buffers.push(Buffer::default()),
        }
    }

    fn data(&mut self, data: &ArrayData) {
        if *data.data_type() == DataType::Null {
            self.nodes.push(FieldNode { length: data.len() as u64, null_count: data.len() as u64 });
            return;
        }
        self.node(data.len(), data.nulls());
        match data.data_type() {
            DataType::Boolean => {
                self.buffers.push(data.buffers().first().map_or_else(Buffer::default, |bits| bits.bit_slice(data.offset(), data.len())))
            }
            DataType::Utf8 | DataType::Binary => {
                let (start, end) = self.offsets::<i32>(data);
                self.buffers
                    .push(data.buffers().get(1).map_or_else(Buffer::default, |values| values.slice_with_length(start, end - start)));
            }
            DataType::LargeUtf8 | DataType::LargeBinary => {
                let (start, end) = self.offsets::<i64>(data);
                self.buffers
                    .push(data.buffers().get(1).map_or_else(Buffer::default, |values| values.slice_with_length(start, end - start)));
            }
            DataType::List(_) | DataType::Map(..) => {
                let (start, end) = self.offsets::<i32>(data);
                self.children(data, start, end - start);
            }
            DataType::LargeList(_) => {
                let (start, end) = self.offsets::<i64>(data);
                self.children(data, start, end - start);
            }
            DataType::FixedSizeList(_, size) => {
                let size = usize::try_from(*size).unwrap_or(0);
                self.children(data, data.offset() * size, data.len() * size);
            }
            // The children of struct data carry the parent's offset and length already.
            DataType::Struct(_) => data.child_data().iter().for_each(|child| self.data(child)),
            DataType::FixedSizeBinary(size) => self.fixed(data, usize::try_from(*size).unwrap_or(0)),
            other => self.fixed(data, other.primitive_width().unwrap_or(0)),
        }
    }

    fn fixed(&mut self, data: &ArrayData, width: usize) {
        let values = data
            .buffers()
            .first()
            .map_or_else(Buffer::default, |values| values.slice_with_length(data.offset() * width, data.len() * width));
        self.buffers.push(values);
    }

    fn children(&mut self, data: &ArrayData, start: usize, length: usize) {
        for child in data.child_data() {
            self.data(&child.slice(start, length));
        }
    }

    /// Pushes the offsets, rebased to 0 where a slice makes that necessary, and gives the range that they span.
    fn offsets<T: OffsetSizeTrait>(&mut self, data: &ArrayData) -> (usize, usize) {
        let Some(buffer) = data.buffers().first().filter(|buffer| !buffer.is_empty()) else {
            self.buffers.push(Buffer::from_vec(vec![T::default()]));
            return (0, 0);
        };
        let width = size_of::<T>();
        let slice = buffer.slice_with_length(data.offset() * width, (data.len() + 1) * width);
        let offsets = slice.typed_data::<T>();
        let (start, end) = match offsets {
            [start, .., end] => (*start, *end),
            [only] => (*only, *only),
            [] => (T::default(), T::default()),
        };
        if start == T::default() {
            self.buffers.push(slice);
        } else {
            self.buffers.push(Buffer::from_vec(offsets.iter().map(|offset| *offset - start).collect::<Vec<T>>()));
        }
        (start.as_usize(), end.as_usize())
    }
}

fn cast<'a>(column: &'a ArrayRef, data_type: &DataType) -> Result<Cow<'a, ArrayRef>> {
    if column.data_type() == data_type {
        return Ok(Cow::Borrowed(column));
    }
    // The one difference that is allowed is the one that `plain` makes.
    if schema::plain(column.data_type()).as_ref() != Some(data_type) {
        return Err(Error::Input { reason: format!("a column of type {} came where {data_type} is bound", column.data_type()) });
    }
    arrow::compute::cast(column, data_type)
        .map(Cow::Owned)
        .map_err(|error| Error::Input { reason: format!("a column of type {} has no plain form: {error}", column.data_type()) })
}

#[cfg(test)]
pub(crate) mod tests;
