//! Arrow types as JavaScript sees them, and the Arrow types that stand for those.
//!
//! | Arrow | in a lambda |
//! |---|---|
//! | integers | Int64; UInt64 beyond its range fails the job |
//! | floats, decimals | Float64 |
//! | strings, views and dictionaries of them | Utf8 |
//! | dates and timestamps | Timestamp, milliseconds |
//! | lists, structs | the same of their parts |
//! | JSON text of values of several types | nothing in compiled lambdas; the values themselves in interpreted ones |
//! | binary, times, durations, intervals, maps, unions | nothing: such a column passes by, but cannot be named |

use azora_connect::element;
use azora_expression::{Element, Field as JsField, Type};
use azora_spec::{Code, Failure};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use std::sync::Arc;

/// What a lambda sees of elements.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    /// As the typed compiler sees them; none where their type is no single one.
    pub(crate) element: Option<Element>,
    /// Columns whose type has no meaning in JavaScript.
    pub(crate) hidden: Vec<String>,
    /// Whether there are values of several types: only the interpreter takes them.
    pub(crate) is_mixed: bool,
}

/// What a lambda sees of elements of a schema.
pub(crate) fn element(schema: &Schema) -> Result<Columns, Failure> {
    let mut seen = Vec::new();
    let mut hidden = Vec::new();
    for field in schema.fields() {
        match js_field(field) {
            Some(field) => seen.push(field),
            None => hidden.push(field.name().clone()),
        }
    }
    let kind = element::Element::of(schema);
    let is_mixed = schema.fields().iter().any(|field| element::holds_json(field));
    if is_mixed && kind != element::Element::Object {
        return Ok(Columns { element: None, hidden: Vec::new(), is_mixed });
    }
    if kind != element::Element::Object && !hidden.is_empty() {
        let name = hidden.first().map(String::as_str).unwrap_or_default();
        let data_type = schema.field_with_name(name).map(|field| field.data_type().to_string()).unwrap_or_default();
        return Err(Failure::new(Code::LambdaType, format!("elements hold {data_type}, which has no meaning in JavaScript"))
            .hint("use a plugin for them, or cast the column where the data is read"));
    }
    let element = match (kind, seen.pop()) {
        (element::Element::Scalar, Some(field)) => Element::Scalar(JsField { name: element::VALUE.to_owned(), ..field }),
        (_, last) => {
            seen.extend(last);
            match kind {
                element::Element::Tuple => Element::Tuple(seen),
                element::Element::Object | element::Element::Scalar => Element::Object(seen),
            }
        }
    };
    Ok(Columns { element: Some(element), hidden, is_mixed })
}

/// A column as the interpreter sees it, if it does.
pub(super) fn interpreted(of: &Field) -> Option<Field> {
    if let Some(seen) = js_field(of) {
        return Some(field(&seen));
    }
    let (name, is_nullable) = (of.name().as_str(), of.is_nullable());
    match of.data_type() {
        DataType::Utf8 if element::is_json(of) => Some(element::json_field(name)),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(Field::new(name, DataType::List(Arc::new(interpreted(item)?.with_name("item"))), is_nullable))
        }
        DataType::Struct(fields) => {
            let parts = fields.iter().map(|part| interpreted(part)).collect::<Option<Vec<_>>>()?;
            Some(match element::is_tuple(of) {
                true => element::tuple_field(name, &parts, is_nullable),
                false => Field::new(name, DataType::Struct(parts.into()), is_nullable),
            })
        }
        _ => None,
    }
}

fn js_field(field: &Field) -> Option<JsField> {
    Some(JsField { name: field.name().clone(), ty: type_of(field)?, nullable: field.is_nullable() })
}

fn js_fields(fields: &Fields) -> Option<Vec<JsField>> {
    fields.iter().map(|field| js_field(field)).collect()
}

/// The type of a column in a lambda, if it has one.
pub(crate) fn type_of(field: &Field) -> Option<Type> {
    Some(match field.data_type() {
        DataType::Null => Type::Null,
        DataType::Boolean => Type::Boolean,
        data_type if data_type.is_integer() => Type::Int64,
        data_type if data_type.is_floating() => Type::Float64,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => Type::Float64,
        DataType::Utf8 if element::is_json(field) => return None,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Type::Utf8,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Type::Timestamp,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => Type::List(Box::new(js_field(item)?)),
        DataType::Struct(fields) if element::is_tuple(field) => Type::Tuple(js_fields(fields)?),
        DataType::Struct(fields) => Type::Struct(js_fields(fields)?),
        DataType::Dictionary(_, value) => type_of(&Field::new("", value.as_ref().clone(), true))?,
        _ => return None,
    })
}

/// A column that holds values of a lambda's type.
pub(super) fn field(field: &JsField) -> Field {
    let (name, is_nullable) = (field.name.as_str(), field.nullable);
    match &field.ty {
        Type::Null => Field::new(name, DataType::Null, true),
        Type::Boolean => Field::new(name, DataType::Boolean, is_nullable),
        Type::Int64 => Field::new(name, DataType::Int64, is_nullable),
        Type::Float64 => Field::new(name, DataType::Float64, is_nullable),
        Type::Utf8 => Field::new(name, DataType::Utf8, is_nullable),
        Type::Timestamp => Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::from("UTC"))), is_nullable),
        Type::List(item) => {
            let item = self::field(item).with_name("item");
            Field::new(name, DataType::List(Arc::new(item)), is_nullable)
        }
        Type::Struct(parts) => Field::new(name, DataType::Struct(parts.iter().map(self::field).collect()), is_nullable),
        Type::Tuple(parts) => element::tuple_field(name, &parts.iter().map(self::field).collect::<Vec<_>>(), is_nullable),
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, DataType, Element, Field, JsField, Schema, TimeUnit, Type, element, field, type_of};
    use azora_connect::element::scalar;
    use std::sync::Arc;

    #[test]
    fn types_have_a_meaning_or_none() {
        let check = |data_type: DataType, expect: Option<Type>| assert_eq!(type_of(&Field::new("c", data_type, true)), expect);
        check(DataType::UInt8, Some(Type::Int64));
        check(DataType::Float16, Some(Type::Float64));
        check(DataType::Decimal128(10, 2), Some(Type::Float64));
        check(DataType::Utf8View, Some(Type::Utf8));
        check(DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)), Some(Type::Utf8));
        check(DataType::Date32, Some(Type::Timestamp));
        check(DataType::Timestamp(TimeUnit::Nanosecond, None), Some(Type::Timestamp));
        check(DataType::Binary, None);
        check(DataType::List(Arc::new(Field::new("item", DataType::Binary, true))), None);
    }

    #[test]
    fn lambda_types_come_back_from_their_columns() {
        let part = |name: &str, ty: Type| JsField { name: name.to_owned(), ty, nullable: true };
        let pair = Type::Tuple(vec![part("_1", Type::Utf8), part("_2", Type::Timestamp)]);
        let whole = part("c", Type::Struct(vec![part("a", Type::List(Box::new(part("item", pair)))), part("b", Type::Null)]));
        assert_eq!(type_of(&field(&whole)), Some(whole.ty));
    }

    #[test]
    fn columns_without_a_meaning_are_hidden_from_objects_and_refused_alone() {
        let fields = vec![Field::new("id", DataType::Int32, false), Field::new("raw", DataType::Binary, true)];
        let columns = element(&Schema::new(fields)).unwrap();
        let expect = Element::Object(vec![JsField { name: "id".to_owned(), ty: Type::Int64, nullable: false }]);
        assert_eq!(columns.element, Some(expect));
        assert_eq!(columns.hidden, ["raw"]);
        let failure = element(&scalar(DataType::Binary, false)).unwrap_err();
        assert_eq!(failure.code, Code::LambdaType);
    }
}
