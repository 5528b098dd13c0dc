//! Text and binary values.

use super::{Item, Read};
use crate::array::Array;
use crate::failure::{Failure, Result};
use crate::schema::DataType;
use std::borrow::Cow;

/// A column of text.
#[derive(Debug)]
pub struct TextColumn<'a> {
    offsets: Cow<'a, [u32]>,
    text: &'a str,
}

/// A column of binary values.
#[derive(Debug)]
pub struct BinaryColumn<'a> {
    offsets: Cow<'a, [u32]>,
    bytes: &'a [u8],
}

impl<'a> Read<'a> for &'a str {
    type Column = TextColumn<'a>;
    type View = (&'a [u32], &'a str);

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
        // One check of the whole buffer; a row is then only checked for standing on character boundaries.
        let end = offsets.last().map_or(0, |&last| last as usize);
        let text =
            str::from_utf8(&array.tail()[..end]).map_err(|_| Failure::internal(format!("column '{}' is not UTF-8", array.field.name)))?;
        Ok(TextColumn { offsets, text })
    }

    fn view(column: &'a Self::Column) -> Self::View {
        (&column.offsets, column.text)
    }

    #[inline]
    fn get((offsets, text): Self::View, row: usize) -> Self {
        text.get(offsets[row] as usize..offsets[row + 1] as usize).unwrap_or_default()
    }
}

impl<'a> Read<'a> for String {
    type Column = TextColumn<'a>;
    type View = (&'a [u32], &'a str);

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
        <&str>::view(column)
    }

    fn get(view: Self::View, row: usize) -> Self {
        <&str>::get(view, row).to_owned()
    }
}

impl<'a> Read<'a> for &'a [u8] {
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
