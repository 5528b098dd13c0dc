//! Text and binary values. Everything that reading a row relies on is checked once for the whole column.
#![expect(unsafe_code, reason = "rows are cut from text whose UTF-8 and offsets were checked when the column was made ready")]

use super::{Item, Read};
use crate::array::Array;
use crate::failure::{Failure, Result};
use crate::schema::DataType;
use std::borrow::Cow;

/// A column of text.
#[derive(Debug)]
pub struct TextColumn<'a> {
    /// They ascend, end within the text, and stand on boundaries of characters.
    offsets: Cow<'a, [u32]>,
    text: &'a str,
}

/// The rows of a column of text.
#[derive(Debug, Clone, Copy)]
pub struct TextView<'a> {
    offsets: &'a [u32],
    text: &'a str,
}

impl<'a> TextColumn<'a> {
    /// Nothing where the bytes are not UTF-8, or a row ends inside of a character. `offsets` ascend and end within the
    /// bytes.
    fn new(offsets: Cow<'a, [u32]>, bytes: &'a [u8]) -> Option<Self> {
        let bytes = &bytes[..offsets.last().map_or(0, |&last| last as usize)];
        if is_ascii(bytes) {
            // SAFETY: ASCII is UTF-8.
            return Some(Self { offsets, text: unsafe { str::from_utf8_unchecked(bytes) } });
        }
        let text = str::from_utf8(bytes).ok()?;
        let are_boundaries = offsets.iter().all(|&offset| text.is_char_boundary(offset as usize));
        are_boundaries.then_some(Self { offsets, text })
    }

    fn view(&'a self) -> TextView<'a> {
        TextView { offsets: &self.offsets, text: self.text }
    }
}

impl<'a> TextView<'a> {
    #[inline]
    fn get(self, row: usize) -> &'a str {
        assert!(row < self.offsets.len().saturating_sub(1), "there is no such row");
        // SAFETY: there are two offsets from `row` on, by the line above.
        let (start, end) = unsafe { (*self.offsets.get_unchecked(row), *self.offsets.get_unchecked(row + 1)) };
        // SAFETY: `TextColumn::new` found the offsets ascending, within the text, and on boundaries of its characters.
        unsafe { self.text.get_unchecked(start as usize..end as usize) }
    }
}

/// Whether all of it is ASCII, looked at in pieces that become vectors.
#[inline(never)]
fn is_ascii(bytes: &[u8]) -> bool {
    let (pieces, rest) = bytes.as_chunks::<64>();
    let mut all = [0_u8; 64];
    for piece in pieces {
        for (all, byte) in all.iter_mut().zip(piece) {
            *all |= byte;
        }
    }
    all.iter().chain(rest).fold(0, |all, byte| all | byte).is_ascii()
}

/// A column of binary values.
#[derive(Debug)]
pub struct BinaryColumn<'a> {
    offsets: Cow<'a, [u32]>,
    bytes: &'a [u8],
}

impl<'a> Read<'a> for &'a str {
    const AHEAD: bool = true;
    type Column = TextColumn<'a>;
    type View = TextView<'a>;

    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn accepts(data_type: &DataType) -> bool {
        matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Null)
    }

    fn column(array: &Array<'a>) -> Result<Self::Column> {
        if *array.data_type() == DataType::Null {
            return Ok(TextColumn { offsets: Cow::Owned(vec![0; array.len + 1]), text: "" });
        }
        let offsets = array.offsets(array.tail().len())?;
        TextColumn::new(offsets, array.tail()).ok_or_else(|| Failure::internal(format!("column '{}' is not UTF-8", array.field.name)))
    }

    fn view(column: &'a Self::Column) -> Self::View {
        column.view()
    }

    #[inline]
    fn get(view: Self::View, row: usize) -> Self {
        view.get(row)
    }
}

impl<'a> Read<'a> for String {
    type Column = TextColumn<'a>;
    type View = TextView<'a>;

    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn accepts(data_type: &DataType) -> bool {
        <&str>::accepts(data_type)
    }

    fn column(array: &Array<'a>) -> Result<Self::Column> {
        <&str>::column(array)
    }

    fn view(column: &'a Self::Column) -> Self::View {
        column.view()
    }

    fn get(view: Self::View, row: usize) -> Self {
        view.get(row).to_owned()
    }
}

impl<'a> Read<'a> for &'a [u8] {
    const AHEAD: bool = true;
    type Column = BinaryColumn<'a>;
    type View = (&'a [u32], &'a [u8]);

    fn data_type() -> DataType {
        DataType::Binary
    }

    fn accepts(data_type: &DataType) -> bool {
        matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) | DataType::Null)
    }

    fn column(array: &Array<'a>) -> Result<Self::Column> {
        let bytes = match array.data_type() {
            DataType::FixedSizeBinary(_) => array.bytes(),
            DataType::Null => return Ok(BinaryColumn { offsets: Cow::Owned(vec![0; array.len + 1]), bytes: &[] }),
            _ => array.tail(),
        };
        Ok(BinaryColumn { offsets: array.offsets(bytes.len())?, bytes })
    }

    fn view(column: &'a Self::Column) -> Self::View {
        (&column.offsets, column.bytes)
    }

    #[inline]
    fn get((offsets, bytes): Self::View, row: usize) -> Self {
        &bytes[offsets[row] as usize..offsets[row + 1] as usize]
    }
}

impl<'a> Read<'a> for Vec<u8> {
    type Column = BinaryColumn<'a>;
    type View = (&'a [u32], &'a [u8]);

    fn data_type() -> DataType {
        DataType::Binary
    }

    fn accepts(data_type: &DataType) -> bool {
        <&[u8]>::accepts(data_type)
    }

    fn column(array: &Array<'a>) -> Result<Self::Column> {
        <&[u8]>::column(array)
    }

    fn view(column: &'a Self::Column) -> Self::View {
        <&[u8]>::view(column)
    }

    fn get(view: Self::View, row: usize) -> Self {
        <&[u8]>::get(view, row).to_vec()
    }
}

impl Item for &str {}
impl Item for String {}
impl Item for &[u8] {}
impl Item for Vec<u8> {}
