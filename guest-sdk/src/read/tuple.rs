//! Tuples: structs whose fields are `_1`, `_2`, ….

use super::{Item, Read};
use crate::array::Array;
use crate::failure::Result;
use crate::schema::{DataType, Field};
use crate::validity::Validity;

macro_rules! tuples {
    ($(($($part:ident $at:tt $name:literal),+);)*) => {$(
        impl<'a, $($part: Read<'a>),+> Read<'a> for ($($part,)+) {
            type Column = ($($part::Column,)+);
            type View = ($($part::View,)+);

            fn data_type() -> DataType {
                DataType::Struct(vec![$(Field::new($name, $part::data_type(), true)),+])
            }

            fn accepts(data_type: &DataType) -> bool {
                let DataType::Struct(fields) = data_type else { return *data_type == DataType::Null };
                $(fields.iter().any(|field| field.name == $name && $part::accepts(&field.data_type)))&&+
            }

            fn row_fields() -> Option<Vec<Field>> {
                Some(Self::data_type().children().to_vec())
            }

            fn column(array: &Array<'a>) -> Result<Self::Column> {
                Ok(($($part::column(&array.child($name)?)?,)+))
            }

            fn validity(array: &Array<'a>) -> Validity<'a> {
                let validity = array.validity();
                $(let validity = match array.child($name) {
                    Ok(child) => validity.and(&$part::validity(&child)),
                    Err(_) => validity,
                };)+
                validity
            }

            fn may_miss(field: &Field) -> bool {
                let parts = field.data_type.children();
                field.nullable $(|| parts.iter().any(|part| part.name == $name && $part::may_miss(part)))+
            }

            fn view(column: &'a Self::Column) -> Self::View {
                ($($part::view(&column.$at),)+)
            }

            #[inline]
            fn get(view: Self::View, row: usize) -> Self {
                ($($part::get(view.$at, row),)+)
            }
        }

        impl<$($part),+> Item for ($($part,)+) {}
    )*};
}

tuples! {
    (A 0 "_1", B 1 "_2");
    (A 0 "_1", B 1 "_2", C 2 "_3");
    (A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4");
    (A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4", E 4 "_5");
    (A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4", E 4 "_5", F 5 "_6");
}
