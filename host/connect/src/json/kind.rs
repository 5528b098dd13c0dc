//! The type of JSON values, found by looking at them.

use crate::element;
use arrow::datatypes::{DataType, Field, Fields};
use azora_spec::{Code, Failure};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// Longest array that may be a tuple.
const TUPLE_PARTS_MAX: usize = 16;

/// What is known of the type of some values.
#[derive(Debug, Clone, PartialEq)]
pub enum JsonType {
    /// Nothing but nulls so far.
    Null,
    /// `true` and `false`.
    Boolean,
    /// Integers of 64 bits.
    Int64,
    /// Other numbers, and integers beside them.
    Float64,
    /// Texts.
    Utf8,
    /// Values of several types, kept as JSON texts. Only [`JsonType::merge_or_json`] makes it.
    Json,
    /// Arrays of one type of items.
    List(Box<JsonType>),
    /// Arrays of one length so far: a tuple of these parts, or, while they agree, a list.
    Array(Vec<JsonType>, Option<Box<JsonType>>),
    /// Arrays of one length whose parts differ, or are wanted as pairs. Only [`JsonType::settle`] makes it.
    Tuple(Vec<JsonType>),
    /// Objects.
    Struct(Shape),
}

/// Properties in the order in which they were first seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shape {
    /// Names and types.
    pub fields: Vec<(String, JsonType)>,
    at: HashMap<String, usize>,
}

/// Two types that do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mixed {
    /// Property names from the element down to the value.
    pub path: Vec<String>,
    /// What the values before had.
    pub had: &'static str,
    /// What this one has.
    pub got: &'static str,
}

impl Mixed {
    fn within(mut self, name: &str) -> Self {
        self.path.insert(0, name.to_owned());
        self
    }

    /// As the caller is told.
    #[must_use]
    pub fn failure(&self, row: u64) -> Failure {
        let place = if self.path.is_empty() { String::new() } else { format!(" in '{}'", self.path.join(".").escape_debug()) };
        Failure::new(Code::DataMixed, format!("row {row} has {}{place} where the rows before it have {}", self.got, self.had))
            .hint("all rows must have one type; integers and decimals mix, and null fits everything")
            .row(row)
    }

    /// The same of a row of a file or an object, which it names.
    #[must_use]
    pub fn failure_in(&self, place: &impl std::fmt::Display, row: u64) -> Failure {
        let failure = self.failure(row);
        Failure { message: format!("{place}: {}", failure.message), ..failure }
    }
}

impl JsonType {
    /// The type of one value.
    ///
    /// # Errors
    /// [`Mixed`] where a long array holds several types.
    pub fn of(value: &Value) -> Result<Self, Mixed> {
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

    fn of_array(items: &[Value]) -> Result<Self, Mixed> {
        if items.len() > TUPLE_PARTS_MAX {
            let one = items.iter().try_fold(Self::Null, |one, item| one.merge(Self::of(item)?))?;
            return Ok(Self::List(Box::new(one)));
        }
        let parts = items.iter().map(Self::of).collect::<Result<Vec<_>, _>>()?;
        let one = parts.iter().try_fold(Self::Null, |one, part| one.merge(part.clone()));
        Ok(Self::Array(parts, one.ok().map(Box::new)))
    }

    /// The same, where what does not go together becomes JSON text.
    #[must_use]
    pub fn of_or_json(value: &Value) -> Self {
        match value {
            Value::Object(object) => {
                let mut shape = Shape::default();
                for (name, value) in object {
                    shape.add_or_json(name, Self::of_or_json(value));
                }
                Self::Struct(shape)
            }
            Value::Array(_) => Self::of(value).unwrap_or(Self::Json),
            other => Self::of(other).unwrap_or(Self::Json),
        }
    }

    /// The type that takes values of both: JSON text where there is no other one. Objects are mixed property by property.
    #[must_use]
    pub fn merge_or_json(self, other: Self) -> Self {
        match (self, other) {
            (Self::Struct(mut a), Self::Struct(b)) => {
                for (name, of) in b.fields {
                    a.add_or_json(&name, of);
                }
                Self::Struct(a)
            }
            (a, b) => a.merge(b).unwrap_or(Self::Json),
        }
    }

    /// The type that takes values of both.
    ///
    /// # Errors
    /// [`Mixed`] where there is none.
    pub fn merge(self, other: Self) -> Result<Self, Mixed> {
        match (self, other) {
            (Self::Null, other) | (other, Self::Null) => Ok(other),
            (Self::Json, _) | (_, Self::Json) => Ok(Self::Json),
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
    #[must_use]
    pub fn settle(self, pairs: bool) -> Self {
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
            Self::Json => "values of several types",
            Self::List(_) | Self::Array(_, Some(_)) => "an array",
            Self::Tuple(_) | Self::Array(_, None) => "an array of parts with types of their own",
            Self::Struct(_) => "an object",
        }
    }

    /// As a column.
    #[must_use]
    pub fn field(&self, name: &str) -> Field {
        match self {
            Self::Json => element::json_field(name),
            Self::Tuple(parts) | Self::Array(parts, None) => {
                let fields: Vec<Field> = parts.iter().map(|part| part.field("")).collect();
                element::tuple_field(name, &fields, true)
            }
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

    fn add_or_json(&mut self, name: &str, of: JsonType) {
        match self.at.get(name).and_then(|at| self.fields.get_mut(*at)) {
            Some((_, known)) => *known = std::mem::replace(known, JsonType::Null).merge_or_json(of),
            None => {
                self.at.insert(name.to_owned(), self.fields.len());
                self.fields.push((name.to_owned(), of));
            }
        }
    }

    /// As columns.
    #[must_use]
    pub fn arrow_fields(&self) -> Fields {
        self.fields.iter().map(|(name, of)| of.field(name)).collect()
    }
}
