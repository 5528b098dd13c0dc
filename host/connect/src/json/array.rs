//! Arrays built of JSON values that have a type.

use super::integer;
use crate::element;
use arrow::array::{
    Array, ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListArray, NullArray, StringArray, StringBuilder, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A value that a field's type cannot take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Counted from 0.
    pub row: usize,
    /// Property names from the column down.
    pub path: Vec<String>,
    /// The value, shortened.
    pub value: String,
    /// What was wanted.
    pub wanted: String,
}

/// An array of a field's type. Absent values are null; a value that does not fit is named.
///
/// # Errors
/// [`Misfit`] for the first value that does not fit.
pub fn array(field: &Field, values: &[Option<&Value>]) -> Result<ArrayRef, Misfit> {
    let values: Vec<Option<&Value>> = values.iter().map(|value| value.filter(|value| !value.is_null())).collect();
    let misfit = |row: usize, value: &Value| Misfit {
        row,
        path: vec![field.name().clone()],
        value: shown(value),
        wanted: field.data_type().to_string(),
    };
    macro_rules! primitive {
        ($builder:expr, $read:expr) => {{
            let mut builder = $builder;
            for (row, value) in values.iter().enumerate() {
                match value {
                    None => builder.append_null(),
                    Some(value) => builder.append_value($read(*value).ok_or_else(|| misfit(row, value))?),
                }
            }
            Ok(Arc::new(builder.finish()))
        }};
    }
    match field.data_type() {
        DataType::Null => match values.iter().enumerate().find_map(|(row, value)| value.map(|value| (row, value))) {
            Some((row, value)) => Err(misfit(row, value)),
            None => Ok(Arc::new(NullArray::new(values.len()))),
        },
        DataType::Boolean => primitive!(BooleanBuilder::with_capacity(values.len()), Value::as_bool),
        DataType::Int64 => primitive!(Int64Builder::with_capacity(values.len()), integer::of_value),
        DataType::Float64 => primitive!(Float64Builder::with_capacity(values.len()), Value::as_f64),
        DataType::Utf8 if element::is_json(field) => {
            let texts: StringArray = values.iter().map(|value| value.map(canonical)).collect();
            Ok(Arc::new(texts))
        }
        DataType::Utf8 => primitive!(StringBuilder::new(), Value::as_str),
        DataType::List(item) => list(item, &values, &misfit),
        DataType::Struct(fields) if element::is_tuple(field) => tuple(fields, &values, &misfit),
        DataType::Struct(fields) => structure(field, fields, &values, &misfit),
        // Types that only a request's schema names (timestamps, narrow integers): by way of text.
        other => by_cast(other, &values, &misfit),
    }
}

type Blame<'a> = dyn Fn(usize, &Value) -> Misfit + 'a;

fn list(item: &Arc<Field>, values: &[Option<&Value>], misfit: &Blame<'_>) -> Result<ArrayRef, Misfit> {
    let mut items = Vec::new();
    let mut lengths = Vec::with_capacity(values.len());
    let mut rows = Vec::new();
    for (row, value) in values.iter().enumerate() {
        let elements = match value {
            None => &[][..],
            Some(Value::Array(elements)) => elements,
            Some(other) => return Err(misfit(row, other)),
        };
        items.extend(elements.iter().map(Some));
        rows.extend(std::iter::repeat_n(row, elements.len()));
        lengths.push(elements.len());
    }
    let array = array(item, &items).map_err(|inner| Misfit { row: rows.get(inner.row).copied().unwrap_or(0), ..inner })?;
    let nulls = NullBuffer::from_iter(values.iter().map(Option::is_some));
    Ok(Arc::new(ListArray::new(Arc::clone(item), OffsetBuffer::from_lengths(lengths), array, Some(nulls))))
}

fn tuple(fields: &Fields, values: &[Option<&Value>], misfit: &Blame<'_>) -> Result<ArrayRef, Misfit> {
    for (row, value) in values.iter().enumerate() {
        if let Some(value) = value
            && value.as_array().is_none_or(|parts| parts.len() != fields.len())
        {
            return Err(misfit(row, value));
        }
    }
    let part = |at: usize| values.iter().map(|value| value.and_then(|value| value.get(at))).collect::<Vec<_>>();
    let columns = fields.iter().enumerate().map(|(at, field)| array(field, &part(at))).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(structs(fields, columns, values)))
}

fn structure(field: &Field, fields: &Fields, values: &[Option<&Value>], misfit: &Blame<'_>) -> Result<ArrayRef, Misfit> {
    let objects = values
        .iter()
        .enumerate()
        .map(|(row, value)| value.map(|value| value.as_object().ok_or_else(|| misfit(row, value))).transpose())
        .collect::<Result<Vec<Option<&Map<String, Value>>>, _>>()?;
    let mut columns = Vec::with_capacity(fields.len());
    for child in fields {
        let of: Vec<Option<&Value>> = objects.iter().map(|object| object.and_then(|object| object.get(child.name()))).collect();
        let column = array(child, &of).map_err(|mut inner| {
            inner.path.insert(0, field.name().clone());
            inner
        })?;
        columns.push(column);
    }
    Ok(Arc::new(structs(fields, columns, values)))
}

fn structs(fields: &Fields, columns: Vec<ArrayRef>, values: &[Option<&Value>]) -> StructArray {
    let nulls = NullBuffer::from_iter(values.iter().map(Option::is_some));
    if fields.is_empty() {
        StructArray::new_empty_fields(values.len(), Some(nulls))
    } else {
        StructArray::new(fields.clone(), columns, Some(nulls))
    }
}

/// A value as `JSON.stringify` writes it, so that equal values are equal texts.
fn canonical(value: &Value) -> String {
    /// Integers below it are written without an exponent by JavaScript.
    const EXACT: f64 = 1e21;
    match value {
        Value::Number(number) if !number.is_i64() => match number.as_f64() {
            Some(number) if number == number.trunc() && number.abs() < EXACT => format!("{}", number + 0.0),
            _ => value.to_string(),
        },
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{}:{}", Value::String(name.clone()), canonical(value));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

fn by_cast(to: &DataType, values: &[Option<&Value>], misfit: &Blame<'_>) -> Result<ArrayRef, Misfit> {
    let mut texts = StringBuilder::new();
    for value in values {
        match value {
            None => texts.append_null(),
            Some(Value::String(text)) => texts.append_value(text),
            Some(other) => texts.append_value(other.to_string()),
        }
    }
    let texts = texts.finish();
    // A cast that Arrow does not have fits no value.
    let cast = arrow::compute::cast(&texts, to).ok();
    let is_lost = |row: &usize| texts.is_valid(*row) && cast.as_ref().is_none_or(|cast| cast.is_null(*row));
    match (0..values.len()).find(is_lost) {
        Some(row) => Err(misfit(row, values.get(row).copied().flatten().unwrap_or(&Value::Null))),
        None => Ok(cast.unwrap_or_else(|| arrow::array::new_null_array(to, values.len()))),
    }
}

/// A value for a message, shortened.
#[must_use]
pub fn shown(value: &Value) -> String {
    const CHARACTERS_MAX: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}
