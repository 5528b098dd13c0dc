//! The type of JSON values, found by looking at them, and arrays built of values that have it.

use arrow::array::{Array, ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListArray, NullArray, StringBuilder, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields};
use azora_connect::element;
use azora_connect::json::integer;
use azora_spec::{Code, Failure};
use datafusion::arrow;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// Longest array that may be a tuple.
const TUPLE_PARTS_MAX: usize = 16;

/// What is known of the type of some values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum JsonType {
    /// Nothing but nulls so far.
    Null,
    Boolean,
    Int64,
    Float64,
    Utf8,
    List(Box<JsonType>),
    /// Arrays of one length so far: a tuple of these parts, or, while they agree, a list.
    Array(Vec<JsonType>, Option<Box<JsonType>>),
    /// Arrays of one length whose parts differ, or are wanted as pairs. Only [`JsonType::settle`] makes it.
    Tuple(Vec<JsonType>),
    Struct(Shape),
    /// Values of several types. Only [`JsonType::of_any`] and [`JsonType::merge_any`] make it.
    Json,
}

/// Properties in the order in which they were first seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shape {
    pub(crate) fields: Vec<(String, JsonType)>,
    at: HashMap<String, usize>,
}

/// Two types that do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mixed {
    /// Property names from the element down to the value.
    pub(crate) path: Vec<String>,
    pub(crate) had: &'static str,
    pub(crate) got: &'static str,
}

impl Mixed {
    fn within(mut self, name: &str) -> Self {
        self.path.insert(0, name.to_owned());
        self
    }

    /// As the caller is told.
    pub(crate) fn failure(&self, row: u64) -> Failure {
        let place = if self.path.is_empty() { String::new() } else { format!(" in '{}'", self.path.join(".").escape_debug()) };
        Failure::new(Code::DataMixed, format!("row {row} has {}{place} where the rows before it have {}", self.got, self.had))
            .hint("all rows must have one type; integers and decimals mix, and null fits everything")
            .row(row)
    }
}

impl JsonType {
    /// The type of one value.
    pub(crate) fn of(value: &Value) -> Result<Self, Mixed> {
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_i64() => Self::Int64,
            Value::Number(_) => Self::Float64,
            Value::String(_) => Self::Utf8,
            Value::Array(items) => Self::of_array(items)?,
            Value::Object(object) => {
                let mut shape = Shape::default();
                for (name, value) in object {
                    let of = Self::of(value).map_err(|mixed| mixed.within(name))?;
                    shape.add(name, of)?;
                }
                Self::Struct(shape)
            }
        })
    }

    /// The type of one value; what is of several types is JSON.
    pub(crate) fn of_any(value: &Value) -> Self {
        match value {
            Value::Object(object) => {
                let mut shape = Shape::default();
                for (name, value) in object {
                    shape.add_any(name, Self::of_any(value));
                }
                Self::Struct(shape)
            }
            other => Self::of(other).unwrap_or(Self::Json),
        }
    }

    /// The type that takes values of both; where there is none, it is JSON.
    pub(crate) fn merge_any(self, other: Self) -> Self {
        match (self, other) {
            (Self::Json, _) | (_, Self::Json) => Self::Json,
            (Self::Struct(mut a), Self::Struct(b)) => {
                for (name, of) in b.fields {
                    a.add_any(&name, of);
                }
                Self::Struct(a)
            }
            (a, b) => a.merge(b).unwrap_or(Self::Json),
        }
    }

    fn of_array(items: &[Value]) -> Result<Self, Mixed> {
        if items.len() > TUPLE_PARTS_MAX {
            let one = items.iter().try_fold(Self::Null, |one, item| one.merge(Self::of(item)?))?;
            return Ok(Self::List(Box::new(one)));
        }
        let parts = items.iter().map(Self::of).collect::<Result<Vec<_>, _>>()?;
        let one = parts.iter().try_fold(Self::Null, |one, part| one.merge(part.clone()));
        Ok(Self::Array(parts, one.ok().map(Box::new)))
    }

    /// The type that takes values of both.
    pub(crate) fn merge(self, other: Self) -> Result<Self, Mixed> {
        match (self, other) {
            (Self::Null, other) | (other, Self::Null) => Ok(other),
            (Self::Int64, Self::Float64) | (Self::Float64, Self::Int64) => Ok(Self::Float64),
            (Self::List(a), Self::List(b)) => Ok(Self::List(Box::new(a.merge(*b)?))),
            (Self::Array(a, a_item), Self::Array(b, b_item)) => Self::merge_arrays((a, a_item), (b, b_item)),
            (Self::Array(_, Some(item)), Self::List(other)) | (Self::List(other), Self::Array(_, Some(item))) => {
                Ok(Self::List(Box::new(item.merge(*other)?)))
            }
            (Self::Struct(mut a), Self::Struct(b)) => {
                for (name, of) in b.fields {
                    a.add(&name, of)?;
                }
                Ok(Self::Struct(a))
            }
            (a, b) if a == b => Ok(a),
            (a, b) => Err(Mixed { path: Vec::new(), had: a.word(), got: b.word() }),
        }
    }

    fn merge_arrays((a, a_item): (Vec<Self>, Option<Box<Self>>), (b, b_item): (Vec<Self>, Option<Box<Self>>)) -> Result<Self, Mixed> {
        let item = match (a_item, b_item) {
            (Some(a), Some(b)) => a.merge(*b).map(Box::new),
            _ => Err(Mixed { path: Vec::new(), had: "an array of parts with types of their own", got: "an array of another kind" }),
        };
        if a.len() != b.len() {
            return item.map(Self::List);
        }
        let parts = a.into_iter().zip(b).enumerate().map(|(at, (a, b))| a.merge(b).map_err(|mixed| mixed.within(&at.to_string())));
        match (parts.collect::<Result<Vec<_>, _>>(), item) {
            (Ok(parts), item) => Ok(Self::Array(parts, item.ok())),
            (Err(_), Ok(item)) => Ok(Self::List(item)),
            (Err(mixed), Err(_)) => Err(mixed),
        }
    }

    /// Decides between lists and tuples. `pairs`: arrays of two at the top are tuples even where both parts agree.
    pub(crate) fn settle(self, pairs: bool) -> Self {
        let all = |parts: Vec<Self>| parts.into_iter().map(|part| part.settle(false)).collect();
        match self {
            Self::Array(parts, _) if pairs && parts.len() == 2 => Self::Tuple(all(parts)),
            Self::Array(_, Some(item)) | Self::List(item) => Self::List(Box::new(item.settle(false))),
            Self::Array(parts, None) | Self::Tuple(parts) => Self::Tuple(all(parts)),
            Self::Struct(mut shape) => {
                shape.fields = shape.fields.into_iter().map(|(name, of)| (name, of.settle(false))).collect();
                Self::Struct(shape)
            }
            other => other,
        }
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Int64 => "an integer",
            Self::Float64 => "a number",
            Self::Utf8 => "a string",
            Self::List(_) | Self::Array(_, Some(_)) => "an array",
            Self::Tuple(_) | Self::Array(_, None) => "an array of parts with types of their own",
            Self::Struct(_) => "an object",
            Self::Json => "values of several types",
        }
    }

    /// As a column.
    pub(crate) fn field(&self, name: &str) -> Field {
        match self {
            Self::Tuple(parts) | Self::Array(parts, None) => {
                let fields: Vec<Field> = parts.iter().map(|part| part.field("")).collect();
                element::tuple_field(name, &fields, true)
            }
            Self::Json => element::json_field(name),
            other => Field::new(name, other.data_type(), true),
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Null => DataType::Null,
            Self::Boolean => DataType::Boolean,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Utf8 | Self::Json => DataType::Utf8,
            Self::List(item) | Self::Array(_, Some(item)) => DataType::List(Arc::new(item.field("item"))),
            Self::Tuple(parts) | Self::Array(parts, None) => {
                let named = parts.iter().enumerate().map(|(at, part)| part.field(&element::part(at)));
                DataType::Struct(named.collect())
            }
            Self::Struct(shape) => DataType::Struct(shape.arrow_fields()),
        }
    }
}

impl Shape {
    fn add_any(&mut self, name: &str, of: JsonType) {
        match self.at.get(name).and_then(|at| self.fields.get_mut(*at)) {
            Some((_, known)) => *known = std::mem::replace(known, JsonType::Null).merge_any(of),
            None => {
                self.at.insert(name.to_owned(), self.fields.len());
                self.fields.push((name.to_owned(), of));
            }
        }
    }

    fn add(&mut self, name: &str, of: JsonType) -> Result<(), Mixed> {
        match self.at.get(name).and_then(|at| self.fields.get_mut(*at)) {
            Some((_, known)) => {
                let merged = std::mem::replace(known, JsonType::Null).merge(of).map_err(|mixed| mixed.within(name))?;
                *known = merged;
            }
            None => {
                self.at.insert(name.to_owned(), self.fields.len());
                self.fields.push((name.to_owned(), of));
            }
        }
        Ok(())
    }

    pub(crate) fn arrow_fields(&self) -> Fields {
        self.fields.iter().map(|(name, of)| of.field(name)).collect()
    }
}

/// A value that a field's type cannot take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) row: usize,
    /// Property names from the column down.
    pub(crate) path: Vec<String>,
    pub(crate) value: String,
    pub(crate) wanted: String,
}

/// An array of a field's type. Absent values are null; a value that does not fit is named.
pub(crate) fn array(field: &Field, values: &[Option<&Value>]) -> Result<ArrayRef, Misfit> {
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
            let mut builder = StringBuilder::new();
            for value in &values {
                builder.append_option(value.map(canonical));
            }
            Ok(Arc::new(builder.finish()))
        }
        DataType::Utf8 => primitive!(StringBuilder::new(), Value::as_str),
        DataType::List(item) => list(item, &values, &misfit),
        DataType::Struct(fields) if element::is_tuple(field) => tuple(fields, &values, &misfit),
        DataType::Struct(fields) => structure(field, fields, &values, &misfit),
        // Types that only a request's schema names (timestamps, narrow integers): by way of text.
        other => by_cast(other, &values, &misfit),
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
    let cast = arrow::compute::cast(&texts, to).map_err(|_| misfit(0, &Value::Null))?;
    let lost = (0..values.len()).find(|row| cast.is_null(*row) && texts.is_valid(*row));
    match lost {
        Some(row) => Err(misfit(row, values.get(row).copied().flatten().unwrap_or(&Value::Null))),
        None => Ok(cast),
    }
}

/// A value for a message, shortened.
pub(crate) fn shown(value: &Value) -> String {
    const CHARACTERS_MAX: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}
