//! Booleans, integers and floats.

use super::{Item, Read};
use crate::array::Array;
use crate::failure::Result;
use crate::schema::DataType;
use std::borrow::Cow;

/// A column of booleans.
#[derive(Debug)]
pub struct BitColumn<'a> {
    bits: &'a [u8],
}

impl<'a> Read<'a> for bool {
    type Column = BitColumn<'a>;
    type View = &'a [u8];

    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn accepts(data_type: &DataType) -> bool {
        matches!(data_type, DataType::Boolean | DataType::Null)
    }

    fn column(array: &Array<'a>) -> Result<Self::Column> {
        Ok(BitColumn { bits: array.bytes() })
    }

    fn view(column: &'a Self::Column) -> Self::View {
        column.bits
    }

    #[inline]
    fn get(bits: Self::View, row: usize) -> Self {
        bits.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1)
    }
}

impl Item for bool {}

// Each line: the type, its column type, the column types that are widened without loss (integers to floats as `as` does).
macro_rules! numbers {
    ($($rust:ty = $own:ident <- [$($from:ident: $source:ty),*];)*) => {$(
        impl<'a> Read<'a> for $rust {
            type Column = Cow<'a, [$rust]>;
            type View = &'a [$rust];

            fn data_type() -> DataType {
                DataType::$own
            }

            fn accepts(data_type: &DataType) -> bool {
                matches!(data_type, DataType::$own | DataType::Null $(| DataType::$from)*)
            }

            fn column(array: &Array<'a>) -> Result<Self::Column> {
                Ok(match array.data_type() {
                    $(DataType::$from => array.values::<$source>().iter().map(|&value| value as $rust).collect(),)*
                    DataType::Null => Cow::Owned(vec![<$rust>::default(); array.len]),
                    _ => array.values(),
                })
            }

            fn view(column: &'a Self::Column) -> Self::View {
                column
            }

            #[inline]
            fn get(values: Self::View, row: usize) -> Self {
                values[row]
            }
        }
    )*};
}

numbers! {
    i8 = Int8 <- [];
    i16 = Int16 <- [Int8: i8, UInt8: u8];
    i32 = Int32 <- [Int8: i8, Int16: i16, UInt8: u8, UInt16: u16];
    i64 = Int64 <- [Int8: i8, Int16: i16, Int32: i32, UInt8: u8, UInt16: u16, UInt32: u32];
    u8 = UInt8 <- [];
    u16 = UInt16 <- [UInt8: u8];
    u32 = UInt32 <- [UInt8: u8, UInt16: u16];
    u64 = UInt64 <- [UInt8: u8, UInt16: u16, UInt32: u32];
    f32 = Float32 <- [Int8: i8, Int16: i16, UInt8: u8, UInt16: u16];
    f64 = Float64 <- [Float32: f32, Int8: i8, Int16: i16, Int32: i32, Int64: i64, UInt8: u8, UInt16: u16, UInt32: u32, UInt64: u64];
}

macro_rules! items {
    ($($rust:ty),*) => {$(impl Item for $rust {})*};
}

items!(i8, i16, i32, i64, u16, u32, u64, f32, f64);
