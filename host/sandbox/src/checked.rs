//! The only way guest data becomes Arrow. Every length, offset, bit and byte of text is checked before anything trusts
//! it; nothing here panics or allocates more than it was given, whatever comes in.

use crate::abi::{BatchOut, FieldNode, RowsKept};
use crate::error::Fault;
use crate::transform::Kept;
use arrow::array::{
    Array as _, ArrayRef, BooleanArray, Decimal128Array, FixedSizeBinaryArray, FixedSizeListArray, GenericByteArray, GenericListArray,
    MapArray, NullArray, OffsetSizeTrait, PrimitiveArray, RecordBatch, RecordBatchOptions, StructArray, UInt32Array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowNativeType, ArrowPrimitiveType, ByteArrayType, DataType, Date32Type, Date64Type, Decimal128Type, DecimalType as _,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Field, FieldRef, Float16Type,
    Float32Type, Float64Type, GenericBinaryType, GenericStringType, Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType,
    IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, SchemaRef, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use azora_spec::limits::GuestLimits;
use std::sync::Arc;
use std::vec::IntoIter;

type Checked<T> = Result<T, Fault>;

fn flaw(reason: impl Into<String>) -> Fault {
    Fault::Output { reason: reason.into() }
}

/// Bytes that a batch holds, and that its elements without bytes (nulls, empty structs) are charged at.
pub(crate) fn bytes(batch: &BatchOut) -> usize {
    batch.buffers.iter().map(Vec::len).sum()
}

/// A guest's batch as Arrow, if it is a valid batch of the schema and within the limits.
pub(crate) fn batch(schema: &SchemaRef, batch: BatchOut, limits: &GuestLimits) -> Checked<RecordBatch> {
    let total = bytes(&batch);
    let rows = usize::try_from(batch.rows).unwrap_or(usize::MAX);
    if rows > limits.output_rows_max {
        return Err(Fault::OutputLimit { limit: limits.output_rows_max, unit: "rows" });
    }
    if total > limits.output_bytes_max {
        return Err(Fault::OutputLimit { limit: limits.output_bytes_max, unit: "bytes" });
    }
    let mut parts = Parts {
        nodes: batch.nodes.into_iter(),
        buffers: batch.buffers.into_iter(),
        free_elements: limits.output_bytes_max.saturating_sub(total).max(rows),
    };
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let column = parts.column(field, Some(rows)).map_err(|fault| in_column(field, fault))?;
        if !field.is_nullable() && column.logical_null_count() > 0 {
            return Err(flaw(format!("nulls in column '{}', which has none by its schema", field.name().escape_debug())));
        }
        columns.push(column);
    }
    if parts.nodes.next().is_some() || parts.buffers.next().is_some() {
        return Err(flaw("more nodes or buffers than its schema has"));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|error| arrow(&error))
}

fn in_column(field: &Field, fault: Fault) -> Fault {
    match fault {
        Fault::Output { reason } => flaw(format!("{reason} in column '{}'", field.name().escape_debug())),
        other => other,
    }
}

/// Arrow's text may quote data, so it goes to the log only.
fn arrow(error: &ArrowError) -> Fault {
    tracing::debug!(error = %error, "guest data refused by arrow");
    flaw("data that breaks Arrow's columnar format")
}

/// Which of `rows` input rows the `made` output rows come from. `is_bound` says that columns pass, so that `all` must
/// keep the number of rows.
pub(crate) fn kept(kept: RowsKept, rows: usize, made: usize, is_bound: bool) -> Checked<Kept> {
    match kept {
        RowsKept::All if is_bound && made != rows => Err(flaw(format!("{made} rows for {rows}, and says that it kept all"))),
        RowsKept::All => Ok(Kept::All),
        RowsKept::Bitmap(bits) => {
            if bits.len() < rows.div_ceil(8) {
                return Err(flaw(format!("a bitmap of {} bytes for {rows} rows", bits.len())));
            }
            let bits = BooleanBuffer::new(Buffer::from_vec(bits), 0, rows);
            let count = bits.count_set_bits();
            if count != made {
                return Err(flaw(format!("a bitmap that keeps {count} rows beside {made} rows")));
            }
            Ok(Kept::Bitmap(bits))
        }
        RowsKept::Indices(indices) => {
            if indices.len() != made {
                return Err(flaw(format!("{} row indices beside {made} rows", indices.len())));
            }
            let largest = indices.iter().copied().max().map_or(0, |index| index as usize + 1);
            if largest > rows {
                return Err(flaw(format!("the index of row {} of a batch of {rows} rows", largest - 1)));
            }
            Ok(Kept::Indices(UInt32Array::from(indices)))
        }
    }
}

/// What is left of a batch while its columns are taken out.
struct Parts {
    nodes: IntoIter<FieldNode>,
    buffers: IntoIter<Vec<u8>>,
    /// Elements that cost the guest no byte cost it one of these.
    free_elements: usize,
}

impl Parts {
    fn buffer(&mut self) -> Checked<Buffer> {
        self.buffers.next().map(Buffer::from_vec).ok_or_else(|| flaw("too few buffers"))
    }

    /// Exactly `bytes` bytes from the front of the next buffer.
    fn values(&mut self, count: usize, width: usize) -> Checked<Buffer> {
        let buffer = self.buffer()?;
        let bytes = count.checked_mul(width).filter(|bytes| *bytes <= buffer.len());
        let bytes = bytes.ok_or_else(|| flaw(format!("{} bytes for {count} values", buffer.len())))?;
        Ok(if bytes == buffer.len() { buffer } else { buffer.slice_with_length(0, bytes) })
    }

    /// Values that need an alignment; they are copied only where the allocation does not have it.
    fn scalars<T: ArrowNativeType>(&mut self, count: usize) -> Checked<ScalarBuffer<T>> {
        let buffer = self.values(count, size_of::<T>())?;
        let is_aligned = buffer.as_ptr().align_offset(align_of::<T>()) == 0;
        let buffer = if is_aligned { buffer } else { Buffer::from(buffer.as_slice()) };
        Ok(ScalarBuffer::new(buffer, 0, count))
    }

    /// The next node's length and validity. `expected` is the length that its parent demands.
    fn node(&mut self, expected: Option<usize>) -> Checked<(usize, usize)> {
        let node = self.nodes.next().ok_or_else(|| flaw("too few nodes"))?;
        let length = usize::try_from(node.length).unwrap_or(usize::MAX);
        if expected.is_some_and(|expected| expected != length) {
            return Err(flaw(format!("a node of {length} values where {} are due", expected.unwrap_or(0))));
        }
        let null_count = usize::try_from(node.null_count).ok().filter(|count| *count <= length);
        Ok((length, null_count.ok_or_else(|| flaw("more nulls than values"))?))
    }

    fn nulls(&mut self, length: usize, null_count: usize) -> Checked<Option<NullBuffer>> {
        let bits = self.buffer()?;
        if bits.is_empty() {
            return if null_count == 0 { Ok(None) } else { Err(flaw("nulls without a validity bitmap")) };
        }
        if bits.len() < length.div_ceil(8) {
            return Err(flaw(format!("a validity bitmap of {} bytes for {length} values", bits.len())));
        }
        let nulls = NullBuffer::new(BooleanBuffer::new(bits, 0, length));
        if nulls.null_count() != null_count {
            return Err(flaw(format!("a validity bitmap of {} nulls beside a count of {null_count}", nulls.null_count())));
        }
        Ok(Some(nulls).filter(|_| null_count > 0))
    }

    /// `length` + 1 offsets, ascending, none beyond `end`. An empty column may leave them out.
    fn offsets<T: OffsetSizeTrait>(&mut self, length: usize) -> Checked<OffsetBuffer<T>> {
        if length == 0 {
            self.buffer()?;
            return Ok(OffsetBuffer::new_empty());
        }
        let count = length.checked_add(1).ok_or_else(|| flaw("too many offsets"))?;
        let offsets = self.scalars::<T>(count)?;
        let is_start_valid = offsets.first().is_some_and(|first| *first >= T::default());
        // Folded without an early end, so that it runs in vectors.
        let is_ascending = offsets.array_windows().fold(true, |is_ascending, [a, b]| is_ascending & (a <= b));
        if !is_start_valid || !is_ascending {
            return Err(flaw("offsets that are negative or descend"));
        }
        Ok(OffsetBuffer::new(offsets))
    }

    fn column(&mut self, field: &Field, expected: Option<usize>) -> Checked<ArrayRef> {
        let (length, null_count) = self.node(expected)?;
        if *field.data_type() == DataType::Null {
            self.charge(length)?;
            return Ok(Arc::new(NullArray::new(length)));
        }
        let nulls = self.nulls(length, null_count)?;
        match field.data_type() {
            DataType::Boolean => {
                let bits = self.values(length.div_ceil(8), 1)?;
                Ok(Arc::new(BooleanArray::new(BooleanBuffer::new(bits, 0, length), nulls)))
            }
            DataType::Utf8 => self.strings::<GenericStringType<i32>>(length, nulls),
            DataType::LargeUtf8 => self.strings::<GenericStringType<i64>>(length, nulls),
            DataType::Binary => self.strings::<GenericBinaryType<i32>>(length, nulls),
            DataType::LargeBinary => self.strings::<GenericBinaryType<i64>>(length, nulls),
            DataType::FixedSizeBinary(width) => {
                let values = self.values(length, usize::try_from(*width).unwrap_or(usize::MAX))?;
                made(FixedSizeBinaryArray::try_new(*width, values, nulls))
            }
            DataType::Decimal128(precision, scale) => self.decimals(*precision, *scale, length, nulls),
            DataType::List(item) => self.list::<i32>(item, length, nulls),
            DataType::LargeList(item) => self.list::<i64>(item, length, nulls),
            DataType::FixedSizeList(item, size) => {
                let items = usize::try_from(*size).ok().and_then(|size| size.checked_mul(length)).ok_or_else(|| flaw("too many values"))?;
                let values = self.column(item, Some(items))?;
                made(FixedSizeListArray::try_new(Arc::clone(item), *size, values, nulls))
            }
            DataType::Struct(fields) => {
                self.charge(if fields.is_empty() { length } else { 0 })?;
                let children = fields.iter().map(|child| self.column(child, Some(length))).collect::<Checked<Vec<_>>>()?;
                made(StructArray::try_new_with_length(fields.clone(), children, nulls, length))
            }
            DataType::Map(entries, is_sorted) => self.map(entries, *is_sorted, length, nulls),
            other => self.primitive(other, length, nulls),
        }
    }

    fn charge(&mut self, elements: usize) -> Checked<()> {
        let left = self.free_elements.checked_sub(elements);
        self.free_elements = left.ok_or_else(|| flaw("more empty values than its output limit has bytes"))?;
        Ok(())
    }

    fn strings<T: ByteArrayType>(&mut self, length: usize, nulls: Option<NullBuffer>) -> Checked<ArrayRef>
    where
        T::Offset: OffsetSizeTrait,
    {
        let offsets = self.offsets::<T::Offset>(length)?;
        let end = offsets.last().map_or(0, |end| end.as_usize());
        let values = self.values(end, 1)?;
        made(GenericByteArray::<T>::try_new(offsets, values, nulls))
    }

    fn decimals(&mut self, precision: u8, scale: i8, length: usize, nulls: Option<NullBuffer>) -> Checked<ArrayRef> {
        let values = self.scalars::<i128>(length)?;
        let array = Decimal128Array::try_new(values, nulls).and_then(|array| array.with_precision_and_scale(precision, scale));
        let array = array.map_err(|error| arrow(&error))?;
        // Arrow's own check of a whole array refuses every negative scale.
        if !array.iter().flatten().all(|value| Decimal128Type::is_valid_decimal_precision(value, precision)) {
            return Err(flaw("a decimal of more digits than its type has"));
        }
        Ok(Arc::new(array))
    }

    fn list<T: OffsetSizeTrait>(&mut self, item: &FieldRef, length: usize, nulls: Option<NullBuffer>) -> Checked<ArrayRef> {
        let offsets = self.offsets::<T>(length)?;
        let values = self.column(item, None)?;
        made(GenericListArray::<T>::try_new(Arc::clone(item), offsets, values, nulls))
    }

    fn map(&mut self, entries: &FieldRef, is_sorted: bool, length: usize, nulls: Option<NullBuffer>) -> Checked<ArrayRef> {
        let offsets = self.offsets::<i32>(length)?;
        let values = self.column(entries, None)?;
        let values = values.as_any().downcast_ref::<StructArray>().cloned().ok_or_else(|| flaw("a map without entries"))?;
        if values.nulls().is_some() {
            return Err(flaw("nulls among the entries of a map"));
        }
        made(MapArray::try_new(Arc::clone(entries), offsets, values, nulls, is_sorted))
    }

    fn primitive(&mut self, data_type: &DataType, length: usize, nulls: Option<NullBuffer>) -> Checked<ArrayRef> {
        match data_type {
            DataType::Int8 => self.scalar::<Int8Type>(data_type, length, nulls),
            DataType::Int16 => self.scalar::<Int16Type>(data_type, length, nulls),
            DataType::Int32 => self.scalar::<Int32Type>(data_type, length, nulls),
            DataType::Int64 => self.scalar::<Int64Type>(data_type, length, nulls),
            DataType::UInt8 => self.scalar::<UInt8Type>(data_type, length, nulls),
            DataType::UInt16 => self.scalar::<UInt16Type>(data_type, length, nulls),
            DataType::UInt32 => self.scalar::<UInt32Type>(data_type, length, nulls),
            DataType::UInt64 => self.scalar::<UInt64Type>(data_type, length, nulls),
            DataType::Float16 => self.scalar::<Float16Type>(data_type, length, nulls),
            DataType::Float32 => self.scalar::<Float32Type>(data_type, length, nulls),
            DataType::Float64 => self.scalar::<Float64Type>(data_type, length, nulls),
            DataType::Date32 => self.scalar::<Date32Type>(data_type, length, nulls),
            DataType::Date64 => self.scalar::<Date64Type>(data_type, length, nulls),
            DataType::Time32(TimeUnit::Second) => self.scalar::<Time32SecondType>(data_type, length, nulls),
            DataType::Time32(TimeUnit::Millisecond) => self.scalar::<Time32MillisecondType>(data_type, length, nulls),
            DataType::Time64(TimeUnit::Microsecond) => self.scalar::<Time64MicrosecondType>(data_type, length, nulls),
            DataType::Time64(TimeUnit::Nanosecond) => self.scalar::<Time64NanosecondType>(data_type, length, nulls),
            DataType::Timestamp(TimeUnit::Second, _) => self.scalar::<TimestampSecondType>(data_type, length, nulls),
            DataType::Timestamp(TimeUnit::Millisecond, _) => self.scalar::<TimestampMillisecondType>(data_type, length, nulls),
            DataType::Timestamp(TimeUnit::Microsecond, _) => self.scalar::<TimestampMicrosecondType>(data_type, length, nulls),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => self.scalar::<TimestampNanosecondType>(data_type, length, nulls),
            DataType::Duration(TimeUnit::Second) => self.scalar::<DurationSecondType>(data_type, length, nulls),
            DataType::Duration(TimeUnit::Millisecond) => self.scalar::<DurationMillisecondType>(data_type, length, nulls),
            DataType::Duration(TimeUnit::Microsecond) => self.scalar::<DurationMicrosecondType>(data_type, length, nulls),
            DataType::Duration(TimeUnit::Nanosecond) => self.scalar::<DurationNanosecondType>(data_type, length, nulls),
            DataType::Interval(IntervalUnit::YearMonth) => self.scalar::<IntervalYearMonthType>(data_type, length, nulls),
            DataType::Interval(IntervalUnit::DayTime) => self.scalar::<IntervalDayTimeType>(data_type, length, nulls),
            DataType::Interval(IntervalUnit::MonthDayNano) => self.scalar::<IntervalMonthDayNanoType>(data_type, length, nulls),
            _ => Err(flaw("a type that does not cross")),
        }
    }

    fn scalar<T: ArrowPrimitiveType>(&mut self, data_type: &DataType, length: usize, nulls: Option<NullBuffer>) -> Checked<ArrayRef> {
        let values = self.scalars::<T::Native>(length)?;
        let array = PrimitiveArray::<T>::try_new(values, nulls).map_err(|error| arrow(&error))?;
        // A time zone is part of the type, not of the values.
        Ok(if matches!(data_type, DataType::Timestamp(..)) { Arc::new(array.with_data_type(data_type.clone())) } else { Arc::new(array) })
    }
}

fn made<A: arrow::array::Array + 'static>(array: Result<A, ArrowError>) -> Checked<ArrayRef> {
    array.map(|array| Arc::new(array) as ArrayRef).map_err(|error| arrow(&error))
}

#[cfg(test)]
mod tests;
