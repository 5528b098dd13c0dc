//! Columns of a batch as they come in: borrowed buffers, checked for length. What a function sees of them is in
//! `read.rs`.

use crate::bindings::azora::plugin::batch_types as wire;
use crate::failure::{Failure, Result};
use crate::schema::{DataType, Field};
use crate::validity::Validity;
use crate::write::CHUNK;
use bytemuck::AnyBitPattern;
use std::borrow::Cow;

/// One column, or a part of a nested one.
#[derive(Debug, Clone)]
pub struct Array<'a> {
    pub(crate) field: &'a Field,
    pub(crate) len: usize,
    nulls: Option<&'a [u8]>,
    buffers: [&'a [u8]; 2],
    pub(crate) children: Vec<Self>,
}

/// The columns of one call.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    /// Number of rows, also where there is no column.
    pub(crate) rows: usize,
    /// The columns in the plan's order.
    pub(crate) columns: Vec<Array<'a>>,
}

/// Stands for the parts of a nested column whose type is not known because all its rows are null.
static NULLS: Field = Field { name: String::new(), data_type: DataType::Null, nullable: true, metadata: Vec::new() };

/// How a type lies in buffers, the validity bitmap aside.
enum Layout {
    Nothing,
    Bits,
    Width(usize),
    Offsets { width: usize, has_values: bool },
    Children,
}

fn layout(data_type: &DataType) -> Layout {
    match data_type {
        DataType::Null => Layout::Nothing,
        DataType::Boolean => Layout::Bits,
        DataType::Int8 | DataType::UInt8 => Layout::Width(1),
        DataType::Int16 | DataType::UInt16 | DataType::Float16 => Layout::Width(2),
        DataType::Int32 | DataType::UInt32 | DataType::Float32 | DataType::Date32 | DataType::Time32(_) => Layout::Width(4),
        DataType::Int64 | DataType::UInt64 | DataType::Float64 | DataType::Date64 | DataType::Time64(_) => Layout::Width(8),
        DataType::Timestamp { .. } | DataType::Duration(_) => Layout::Width(8),
        DataType::Interval(crate::schema::IntervalUnit::YearMonth) => Layout::Width(4),
        DataType::Interval(crate::schema::IntervalUnit::DayTime) => Layout::Width(8),
        DataType::Interval(crate::schema::IntervalUnit::MonthDayNano) | DataType::Decimal128 { .. } => Layout::Width(16),
        DataType::FixedSizeBinary(width) => Layout::Width(*width as usize),
        DataType::Utf8 | DataType::Binary => Layout::Offsets { width: 4, has_values: true },
        DataType::LargeUtf8 | DataType::LargeBinary => Layout::Offsets { width: 8, has_values: true },
        DataType::List(_) | DataType::Map(..) => Layout::Offsets { width: 4, has_values: false },
        DataType::LargeList(_) => Layout::Offsets { width: 8, has_values: false },
        DataType::Struct(_) | DataType::FixedSizeList(..) => Layout::Children,
    }
}

struct Cursor<'a> {
    nodes: std::slice::Iter<'a, wire::FieldNode>,
    buffers: std::slice::Iter<'a, Vec<u8>>,
}

impl<'a> Batch<'a> {
    /// Takes a batch of these columns apart.
    ///
    /// # Errors
    /// An internal failure where the batch is not of that schema or a buffer is too short.
    pub(crate) fn new(batch: &'a wire::RecordBatch, fields: &'a [Field]) -> Result<Self> {
        let mut cursor = Cursor { nodes: batch.nodes.iter(), buffers: batch.buffers.iter() };
        let rows = usize::try_from(batch.rows).map_err(|_| Failure::unsupported("batch has too many rows"))?;
        let columns = fields.iter().map(|field| cursor.array(field)).collect::<Result<Vec<_>>>()?;
        match columns.iter().find(|column| column.len != rows) {
            Some(column) => Err(Failure::internal(format!("column '{}' has {} rows in a batch of {rows}", column.field.name, column.len))),
            None => Ok(Self { rows, columns }),
        }
    }
}

impl Batch<'_> {
    /// The columns at these places, in this order.
    pub(crate) fn select(mut self, needs: &[usize]) -> Result<Self> {
        let chosen = needs.iter().map(|&at| self.columns.get(at).cloned());
        self.columns = chosen.collect::<Option<_>>().ok_or_else(|| Failure::internal("batch has too few columns"))?;
        Ok(self)
    }
}

impl<'a> Cursor<'a> {
    fn buffer(&mut self, field: &Field) -> Result<&'a [u8]> {
        let buffer = self.buffers.next().ok_or_else(|| Failure::internal(format!("buffers end at column '{}'", field.name)))?;
        Ok(buffer.as_slice())
    }

    fn array(&mut self, field: &'a Field) -> Result<Array<'a>> {
        let short = || Failure::internal(format!("a buffer of column '{}' is too short", field.name));
        let node = self.nodes.next().ok_or_else(|| Failure::internal(format!("nodes end at column '{}'", field.name)))?;
        let len = usize::try_from(node.length).map_err(|_| Failure::unsupported("column has too many rows"))?;
        let layout = layout(&field.data_type);
        let mut nulls = None;
        if !matches!(layout, Layout::Nothing) {
            let bits = self.buffer(field)?;
            if node.null_count > 0 {
                nulls = Some(bits.get(..len.div_ceil(8)).ok_or_else(short)?);
            }
        }
        let mut buffers: [&[u8]; 2] = [&[], &[]];
        match layout {
            Layout::Nothing | Layout::Children => {}
            Layout::Bits => buffers[0] = self.buffer(field)?.get(..len.div_ceil(8)).ok_or_else(short)?,
            Layout::Width(width) => {
                let size = len.checked_mul(width).ok_or_else(short)?;
                buffers[0] = self.buffer(field)?.get(..size).ok_or_else(short)?;
            }
            Layout::Offsets { width, has_values } => {
                let offsets = self.buffer(field)?;
                // Arrow allows an empty offsets buffer where there is no row.
                if len > 0 || !offsets.is_empty() {
                    buffers[0] = offsets.get(..(len + 1) * width).ok_or_else(short)?;
                }
                if has_values {
                    buffers[1] = self.buffer(field)?;
                }
            }
        }
        let children = field.data_type.children().iter().map(|child| self.array(child)).collect::<Result<Vec<_>>>()?;
        let array = Array { field, len, nulls, buffers, children };
        array.check_children()?;
        Ok(array)
    }
}

impl<'a> Array<'a> {
    /// The whole row as one struct; nothing about it is null but its parts.
    pub(crate) fn of_columns(field: &'a Field, rows: usize, columns: &[Self]) -> Self {
        Self { field, len: rows, nulls: None, buffers: [&[], &[]], children: columns.to_vec() }
    }

    fn check_children(&self) -> Result<()> {
        let needed = match &self.field.data_type {
            DataType::Struct(_) => self.len,
            DataType::FixedSizeList(_, width) => self.len.saturating_mul(*width as usize),
            _ => return Ok(()),
        };
        match self.children.iter().find(|child| child.len < needed) {
            Some(_) => Err(Failure::internal(format!("a part of column '{}' is too short", self.field.name))),
            None => Ok(()),
        }
    }

    /// Its type.
    #[must_use]
    pub fn data_type(&self) -> &'a DataType {
        &self.field.data_type
    }

    /// Which rows hold a value.
    #[must_use]
    pub fn validity(&self) -> Validity<'a> {
        match self.field.data_type {
            DataType::Null => Validity::none(self.len),
            _ => Validity::new(self.len, self.nulls.map(Cow::Borrowed)),
        }
    }

    /// Its first buffer after the validity: values, bits or offsets.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.buffers[0]
    }

    /// Its values where the first buffer holds offsets.
    pub(crate) fn tail(&self) -> &'a [u8] {
        self.buffers[1]
    }

    /// The first buffer as numbers; copied only where memory is not aligned for them.
    pub(crate) fn values<T: AnyBitPattern>(&self) -> Cow<'a, [T]> {
        cast(self.bytes())
    }

    /// Where each row starts and ends in the values or the child, in elements. Always one more than rows, each within
    /// `limit`.
    pub(crate) fn offsets(&self, limit: usize) -> Result<Cow<'a, [u32]>> {
        let broken = || Failure::internal(format!("the offsets of column '{}' are wrong", self.field.name));
        let offsets: Cow<'a, [u32]> = match &self.field.data_type {
            DataType::FixedSizeList(_, width) | DataType::FixedSizeBinary(width) => (0..=self.len as u32).map(|at| at * width).collect(),
            DataType::Null => Cow::Owned(vec![0; self.len + 1]),
            _ if self.bytes().is_empty() => Cow::Borrowed(&[0]),
            DataType::LargeUtf8 | DataType::LargeBinary | DataType::LargeList(_) => {
                let wide = self.values::<i64>();
                wide.iter().map(|&at| u32::try_from(at).map_err(|_| broken())).collect::<Result<_>>()?
            }
            // Offsets are never negative, so that the bits are those of a u32.
            _ => self.values::<u32>(),
        };
        match offsets.last() {
            Some(&last) if is_ascending(&offsets) && last as usize <= limit => Ok(offsets),
            _ => Err(broken()),
        }
    }

    /// The part of a struct that is named so.
    ///
    /// # Errors
    /// [`Failure::invalid_input`] where there is none.
    pub fn child(&self, name: &str) -> Result<Self> {
        if self.field.data_type == DataType::Null {
            return Ok(Self::of_columns(&NULLS, self.len, &[]));
        }
        let found = self.children.iter().find(|child| child.field.name == name);
        found.cloned().ok_or_else(|| Failure::invalid_input(format!("'{}' has no field '{name}'", self.field.name)))
    }

    /// The elements of a list.
    pub(crate) fn item(&self) -> Result<Self> {
        if self.field.data_type == DataType::Null {
            return Ok(Self::of_columns(&NULLS, 0, &[]));
        }
        self.children.first().cloned().ok_or_else(|| Failure::internal(format!("column '{}' is no list", self.field.name)))
    }
}

/// Whether no offset is below the one before it. The union of all differences is looked at in the end: over pieces whose
/// size is known that becomes vectors, and the sandbox looks at its clock once for each.
#[inline(never)]
fn is_ascending(offsets: &[u32]) -> bool {
    let (starts, ends) = (&offsets[..offsets.len().saturating_sub(1)], offsets.get(1..).unwrap_or_default());
    let ((starts, last_starts), (ends, last_ends)) = (starts.as_chunks::<CHUNK>(), ends.as_chunks::<CHUNK>());
    let falls = |starts: &[u32], ends: &[u32]| starts.iter().zip(ends).fold(0, |all, (start, end)| all | (start.max(end) ^ end));
    let all = starts.iter().zip(ends).fold(0, |all, (starts, ends)| all | falls(starts, ends));
    all | falls(last_starts, last_ends) == 0
}

fn cast<T: AnyBitPattern>(bytes: &[u8]) -> Cow<'_, [T]> {
    // The canonical ABI promises 1-byte alignment for lists of bytes; the allocator gives 8, and i128 wants 16.
    match bytemuck::try_cast_slice(bytes) {
        Ok(values) => Cow::Borrowed(values),
        Err(_) => {
            let whole = bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned);
            Cow::Owned(whole.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unaligned_bytes_are_copied() {
        let bytes: Vec<u8> = std::iter::once(9).chain(7_i64.to_le_bytes()).chain((-1_i64).to_le_bytes()).collect();
        let aligned = bytes.as_ptr().align_offset(8);
        let shifted = if aligned == 1 { &[&[0_u8; 1][..], &bytes[1..]].concat()[1..] } else { &bytes[1..].to_vec()[..] };
        assert_eq!(cast::<i64>(shifted).as_ref(), [7, -1]);
        assert_eq!(cast::<i64>(&bytes[1..]).as_ref(), [7, -1]);
    }

    #[test]
    fn one_offset_that_descends_is_seen_wherever_it_is() {
        assert!(is_ascending(&[]) && is_ascending(&[7]));
        for last in [1, 31, 32, 33, 64, 100] {
            let offsets: Vec<u32> = (0..=last).map(|at| at * 3).collect();
            assert!(is_ascending(&offsets), "{last} rows");
            for at in 0..last as usize {
                let mut offsets = offsets.clone();
                offsets[at] = offsets[at + 1] + 1;
                assert!(!is_ascending(&offsets), "row {at} of {last}");
            }
        }
    }

    #[test]
    fn short_buffers_are_refused() {
        let field = Field::new("x", DataType::Int64, true);
        let batch =
            wire::RecordBatch { rows: 2, nodes: vec![wire::FieldNode { length: 2, null_count: 0 }], buffers: vec![vec![], vec![0; 15]] };
        let failure = Batch::new(&batch, std::slice::from_ref(&field)).unwrap_err();
        assert_eq!(failure.message, "a buffer of column 'x' is too short");
    }
}
