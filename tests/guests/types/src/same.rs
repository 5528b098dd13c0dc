//! Functions that answer their argument, nulls included.

use azora_guest::prelude::*;

macro_rules! same {
    ($($name:ident: $ty:ty;)*) => {$(
        /// Answers its argument.
        #[map]
        pub fn $name(value: Option<$ty>) -> Option<$ty> {
            value
        }
    )*};
}

same! {
    same_bool: bool;
    same_i8: i8;
    same_i16: i16;
    same_i32: i32;
    same_i64: i64;
    same_u8: u8;
    same_u16: u16;
    same_u32: u32;
    same_u64: u64;
    same_f32: f32;
    same_f64: f64;
    same_str: &str;
    same_string: String;
    same_bytes: &[u8];
    same_binary: Vec<u8>;
    same_timestamp: Timestamp;
    same_date: Date;
    same_decimal: Decimal<20, 4>;
    same_list: Vec<i64>;
    same_texts: Vec<Option<String>>;
    same_flags: Vec<Option<bool>>;
    same_nested: Vec<Vec<Option<Inner>>>;
}

/// A struct in a struct.
#[derive(Row, Debug, Clone)]
pub struct Inner {
    /// A number.
    pub x: i32,
    /// A text.
    pub name: Option<String>,
}

/// A row with a struct and a list, and a column that is no Rust name.
#[derive(Row)]
pub struct Outer<'a> {
    /// Borrowed.
    pub text: Option<&'a str>,
    /// Nested.
    pub inner: Option<Inner>,
    /// A list.
    #[row(rename = "the list")]
    pub list: Vec<f64>,
    /// A keyword.
    pub r#type: bool,
}

/// Answers a slice of floats that is borrowed from the column.
#[map]
pub fn same_slice(value: &[f64]) -> Vec<f64> {
    value.to_vec()
}

/// Answers its row; the whole element is the argument.
#[map]
pub fn same_row(row: Outer<'_>) -> Outer<'_> {
    row
}

/// Answers a struct column, beside another argument.
#[map]
pub fn same_struct(value: Option<Inner>, at: i64) -> Option<(Option<Inner>, i64)> {
    Some((value, at))
}

/// Answers a pair the other way round.
#[map]
pub fn same_pair(pair: (String, Option<i64>)) -> (Option<i64>, String) {
    (pair.1, pair.0)
}
