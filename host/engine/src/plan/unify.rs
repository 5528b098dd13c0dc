//! The type that takes the values of two inputs, where there is one: integers and decimals are numbers, null fits
//! everything, and objects have the properties of both. How values get there is `node::Fit`'s.

use azora_connect::element;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use std::sync::Arc;

/// A field that takes the values of both, under the left one's name.
pub(super) fn unify(left: &Field, right: &Field) -> Option<Field> {
    let is_nullable = left.is_nullable() || right.is_nullable();
    let of =
        |data_type: DataType, dressed: &Field| Field::new(left.name(), data_type, is_nullable).with_metadata(dressed.metadata().clone());
    if element::is_json(left) != element::is_json(right) && ![left, right].iter().any(|field| field.data_type() == &DataType::Null) {
        // A text is no JSON.
        return None;
    }
    Some(match (left.data_type(), right.data_type()) {
        (DataType::Null, other) => of(other.clone(), right).with_nullable(true),
        (other, DataType::Null) => of(other.clone(), left).with_nullable(true),
        (DataType::Dictionary(_, value), _) => return unify(&plain(left, value), right),
        (_, DataType::Dictionary(_, value)) => return unify(left, &plain(right, value)),
        (DataType::Struct(a), DataType::Struct(b)) => {
            of(DataType::Struct(structs(a, b, element::is_tuple(left), element::is_tuple(right))?), left)
        }
        (a, b) if list_item(a).is_some() || list_item(b).is_some() => {
            let item = unify(list_item(a)?, list_item(b)?)?.with_name("item");
            of(DataType::List(Arc::new(item)), left)
        }
        (a, b) => of(scalars(a, b)?, left),
    })
}

fn plain(field: &Field, value: &DataType) -> Field {
    Field::new(field.name(), value.clone(), field.is_nullable())
}

fn structs(left: &Fields, right: &Fields, is_left_tuple: bool, is_right_tuple: bool) -> Option<Fields> {
    if is_left_tuple != is_right_tuple || (is_left_tuple && left.len() != right.len()) {
        return None;
    }
    let mut fields: Vec<FieldRef> = Vec::with_capacity(left.len());
    for field in left {
        fields.push(match right.iter().find(|other| other.name() == field.name()) {
            Some(other) => Arc::new(unify(field, other)?),
            None => Arc::new(field.as_ref().clone().with_nullable(true)),
        });
    }
    let only_right = right.iter().filter(|field| !left.iter().any(|known| known.name() == field.name()));
    fields.extend(only_right.map(|field| Arc::new(field.as_ref().clone().with_nullable(true))));
    Some(fields.into())
}

fn list_item(data_type: &DataType) -> Option<&Field> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) | DataType::ListView(item) => Some(item),
        _ => None,
    }
}

fn scalars(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::{Binary, BinaryView, Date32, Date64, Float64, Int64, LargeBinary, LargeUtf8, Timestamp, Utf8, Utf8View};
    let is_number = |of: &DataType| of.is_integer() || of.is_floating();
    Some(match (left, right) {
        (a, b) if a == b => a.clone(),
        (a, b) if a.is_integer() && b.is_integer() => Int64,
        (a, b) if is_number(a) && is_number(b) => Float64,
        (DataType::Decimal128(p, s), DataType::Decimal128(q, t)) => {
            let scale = (*s).max(*t);
            let whole = (i16::from(*p) - i16::from(*s)).max(i16::from(*q) - i16::from(*t));
            DataType::Decimal128(u8::try_from(whole + i16::from(scale)).ok().filter(|precision| *precision <= 38)?, scale)
        }
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => {
            if matches!(left, LargeUtf8) || matches!(right, LargeUtf8) {
                LargeUtf8
            } else {
                Utf8
            }
        }
        (Binary | LargeBinary | BinaryView, Binary | LargeBinary | BinaryView) => LargeBinary,
        (Date32 | Date64, Date32 | Date64) => Date64,
        (Timestamp(a, zone), Timestamp(b, other)) if zone == other => Timestamp(finer(*a, *b), zone.clone()),
        _ => return None,
    })
}

fn finer(left: TimeUnit, right: TimeUnit) -> TimeUnit {
    left.max(right)
}

/// What values of a field are, for people.
pub(super) fn words(field: &Field) -> String {
    match field.data_type() {
        DataType::Null => "null".to_owned(),
        DataType::Boolean => "booleans".to_owned(),
        data_type if data_type.is_integer() => "integers".to_owned(),
        data_type if data_type.is_numeric() => "numbers".to_owned(),
        _ if element::is_json(field) => "of several types".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "strings".to_owned(),
        DataType::Dictionary(_, value) => words(&plain(field, value)),
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => "dates".to_owned(),
        DataType::Struct(parts) if element::is_tuple(field) => format!("tuples of {}", parts.len()),
        DataType::Struct(_) => "objects".to_owned(),
        data_type => match list_item(data_type) {
            Some(item) => format!("lists of {}", words(item)),
            None => format!("of type {data_type}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{DataType, Field, TimeUnit, unify};
    use azora_connect::element;
    use std::sync::Arc;

    fn check(left: DataType, right: DataType, wanted: Option<DataType>) {
        let field = |data_type| Field::new("x", data_type, true);
        for (a, b) in [(left.clone(), right.clone()), (right, left)] {
            let found = unify(&field(a.clone()), &field(b.clone())).map(|field| field.data_type().clone());
            assert_eq!(found, wanted, "{a} and {b}");
        }
    }

    #[test]
    fn numbers_and_texts_meet_but_not_each_other() {
        check(DataType::Int64, DataType::Float64, Some(DataType::Float64));
        check(DataType::Int32, DataType::Int64, Some(DataType::Int64));
        check(DataType::Null, DataType::Utf8, Some(DataType::Utf8));
        check(DataType::Utf8View, DataType::Utf8, Some(DataType::Utf8));
        check(DataType::Int64, DataType::Utf8, None);
        check(DataType::Boolean, DataType::Int64, None);
        check(DataType::Decimal128(10, 2), DataType::Decimal128(12, 6), Some(DataType::Decimal128(14, 6)));
        let time = |unit| DataType::Timestamp(unit, None);
        check(time(TimeUnit::Second), time(TimeUnit::Microsecond), Some(time(TimeUnit::Microsecond)));
        let list = |of| DataType::List(Arc::new(Field::new("item", of, true)));
        check(list(DataType::Int64), list(DataType::Float64), Some(list(DataType::Float64)));
        check(list(DataType::Int64), DataType::Int64, None);
    }

    #[test]
    fn objects_have_the_properties_of_both_and_tuples_as_many() {
        let part = |name: &str, of| Field::new(name, of, false);
        let object = |parts: Vec<Field>| Field::new("x", DataType::Struct(parts.into()), false);
        let both = unify(&object(vec![part("a", DataType::Int64)]), &object(vec![part("b", DataType::Utf8)])).unwrap();
        let wanted = vec![part("a", DataType::Int64).with_nullable(true), part("b", DataType::Utf8).with_nullable(true)];
        assert_eq!(both, object(wanted));
        let tuple = |count| element::tuple_field("x", &vec![part("", DataType::Int64); count], false);
        assert_eq!(unify(&tuple(2), &tuple(2)), Some(tuple(2)));
        assert_eq!(unify(&tuple(2), &tuple(3)), None);
        assert_eq!(unify(&tuple(2), &object(vec![part("a", DataType::Int64)])), None);
    }
}
