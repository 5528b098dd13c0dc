//! Lists: `Vec<T>` of anything, and slices of numbers without a copy.

use super::{Item, Read};
use crate::array::Array;
use crate::failure::Result;
use crate::schema::{DataType, Field};
use crate::validity::Validity;
use std::borrow::Cow;

/// A column of lists.
#[derive(Debug)]
pub struct ListColumn<'a, C> {
    offsets: Cow<'a, [u32]>,
    items: C,
}

/// Nulls inside are welcome whatever the item's type: they make the list null.
fn list_of(item: DataType) -> DataType {
    DataType::List(Box::new(Field::new("item", item, true)))
}

fn item_type(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => Some(&item.data_type),
        _ => None,
    }
}

/// Rows that hold a list without a null that `T` cannot hold.
fn validity<'a, T: Read<'a>>(array: &Array<'a>) -> Validity<'a> {
    let rows = array.validity();
    let Ok(item) = array.item() else { return rows };
    let items = T::validity(&item);
    match array.offsets(item.len) {
        Ok(offsets) if !items.is_all() => rows.retain(|row| (offsets[row]..offsets[row + 1]).all(|at| items.is_valid(at as usize))),
        _ => rows,
    }
}

fn column<'a, T: Read<'a>>(array: &Array<'a>) -> Result<ListColumn<'a, T::Column>> {
    let item = array.item()?;
    Ok(ListColumn { offsets: array.offsets(item.len)?, items: T::column(&item)? })
}

impl<'a, T: Read<'a> + Item> Read<'a> for Vec<T> {
    type Column = ListColumn<'a, T::Column>;
    type View = (&'a [u32], T::View);

    fn data_type() -> DataType {
        list_of(T::data_type())
    }

    fn accepts(data_type: &DataType) -> bool {
        *data_type == DataType::Null || item_type(data_type).is_some_and(T::accepts)
    }

    fn column(array: &Array<'a>) -> Result<Self::Column> {
        column::<T>(array)
    }

    fn validity(array: &Array<'a>) -> Validity<'a> {
        validity::<T>(array)
    }

    fn may_miss(field: &Field) -> bool {
        field.nullable || field.data_type.children().iter().any(T::may_miss)
    }

    fn view(column: &'a Self::Column) -> Self::View {
        (&column.offsets, T::view(&column.items))
    }

    fn get((offsets, items): Self::View, row: usize) -> Self {
        let range = offsets[row]..offsets[row + 1];
        range.map(|at| T::get(items, at as usize)).collect()
    }
}

impl<T: Item> Item for Vec<T> {}

macro_rules! slices {
    ($($rust:ty),*) => {$(
        impl<'a> Read<'a> for &'a [$rust] {
            type Column = ListColumn<'a, Cow<'a, [$rust]>>;
            type View = (&'a [u32], &'a [$rust]);

            fn data_type() -> DataType {
                list_of(<$rust as Read>::data_type())
            }

            fn accepts(data_type: &DataType) -> bool {
                *data_type == DataType::Null || item_type(data_type).is_some_and(<$rust as Read>::accepts)
            }

            fn column(array: &Array<'a>) -> Result<Self::Column> {
                column::<$rust>(array)
            }

            fn validity(array: &Array<'a>) -> Validity<'a> {
                validity::<$rust>(array)
            }

            fn may_miss(field: &Field) -> bool {
                field.may_hold_null()
            }

            fn view(column: &'a Self::Column) -> Self::View {
                (&column.offsets, &column.items)
            }

            #[inline]
            fn get((offsets, items): Self::View, row: usize) -> Self {
                &items[offsets[row] as usize..offsets[row + 1] as usize]
            }
        }

        impl Item for &[$rust] {}
    )*};
}

slices!(i8, i16, i32, i64, u16, u32, u64, f32, f64);
