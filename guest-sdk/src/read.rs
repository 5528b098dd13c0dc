//! Values that a function may take: how each comes out of a column. Values that it may return are in `write.rs`.
//!
//! A null that a type cannot hold makes the value around it null: a row with a null in `x: f64` has no value for `x`,
//! and a `Vec<f64>` with a null in it is null as a whole. `Option<T>` takes the null.

mod list;
mod number;
mod text;
mod tuple;

use crate::array::Array;
use crate::failure::Result;
use crate::schema::{DataType, Field};
use crate::validity::Validity;

/// A type that a function can take as an argument.
///
/// Implemented for `bool`, the integers and floats, `&str` and `String`, `&[u8]` and `Vec<u8>` (binary), [`Timestamp`],
/// [`Date`], [`Decimal`], `Option<T>`, `Vec<T>` and slices of numbers (lists), tuples, and what derives `Row` (structs).
/// Integers and floats take every narrower column too, and floats every integer.
///
/// [`Timestamp`]: crate::Timestamp
/// [`Date`]: crate::Date
/// [`Decimal`]: crate::Decimal
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a plugin function",
    label = "not a type of a column",
    note = "use bool, integers, floats, &str, String, &[u8], Timestamp, Date, Decimal, Option<T>, Vec<T>, a tuple, or derive Row"
)]
pub trait Read<'a>: Sized {
    /// Whether the type itself holds nulls.
    const NULLABLE: bool = false;

    /// A column made ready. It owns what had to be copied or widened.
    type Column: 'a;

    /// What reading a row needs of the column, found once for all rows.
    type View: Copy + 'a;

    /// The column type that `describe` names.
    fn data_type() -> DataType;

    /// Whether a column of this type can be read.
    fn accepts(data_type: &DataType) -> bool;

    /// The parts of a row that it stands for where it is the only argument.
    fn row_fields() -> Option<Vec<Field>> {
        None
    }

    /// Whether finding where a row lies is so much work that it is better done for some rows before any is used.
    const AHEAD: bool = false;

    /// Makes a column ready.
    ///
    /// # Errors
    /// Values that the type cannot hold, with their row.
    fn column(array: &Array<'a>) -> Result<Self::Column>;

    /// The rows that have a value of this type.
    fn validity(array: &Array<'a>) -> Validity<'a> {
        array.validity()
    }

    /// Whether a column of that field can have rows without a value of this type.
    fn may_miss(field: &Field) -> bool {
        field.nullable
    }

    /// The view of a column.
    fn view(column: &'a Self::Column) -> Self::View;

    /// The value of a row; some value where the row is not valid.
    fn get(view: Self::View, row: usize) -> Self;
}

/// A type that may stand in a list. `u8` is none, so that `Vec<u8>` is binary and not a list.
#[diagnostic::on_unimplemented(message = "`{Self}` cannot be the element of a list column")]
pub trait Item {}

/// A column of `Option<T>`.
#[derive(Debug)]
pub struct OptionColumn<'a, C> {
    validity: Validity<'a>,
    inner: C,
}

impl<'a, T: Read<'a>> Read<'a> for Option<T> {
    const NULLABLE: bool = true;
    type Column = OptionColumn<'a, T::Column>;
    type View = (&'a Validity<'a>, T::View);

    fn data_type() -> DataType {
        T::data_type()
    }

    fn accepts(data_type: &DataType) -> bool {
        T::accepts(data_type)
    }

    fn column(array: &Array<'a>) -> Result<Self::Column> {
        Ok(OptionColumn { validity: T::validity(array), inner: T::column(array)? })
    }

    fn validity(array: &Array<'a>) -> Validity<'a> {
        Validity::all(array.len)
    }

    fn may_miss(_field: &Field) -> bool {
        false
    }

    fn view(column: &'a Self::Column) -> Self::View {
        (&column.validity, T::view(&column.inner))
    }

    #[inline]
    fn get((validity, inner): Self::View, row: usize) -> Self {
        validity.is_valid(row).then(|| T::get(inner, row))
    }
}

impl<T: Item> Item for Option<T> {}

#[cfg(test)]
mod tests;
