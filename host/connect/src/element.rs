//! How one element of an RDD lies in Arrow columns.
//!
//! | element | columns | schema metadata `azora:element` |
//! |---|---|---|
//! | scalar or list | one, named `value` | `scalar` |
//! | object | one per property | `object`, or none |
//! | tuple `[a, b]` | `_1`, `_2`, … | `tuple` |
//!
//! A tuple inside an element is a struct with children `_1`, `_2`, … whose field has the metadata `azora:tuple` = `true`.
//!
//! Values of several types share a column of text whose field has the metadata `azora:json` = `true`: it holds JSON, as
//! `JSON.stringify` writes it. Such values compare by that text.

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use std::collections::HashMap;
use std::sync::Arc;

/// Key of the schema's metadata.
pub const ELEMENT_KEY: &str = "azora:element";
/// Key of a struct field's metadata.
pub const TUPLE_KEY: &str = "azora:tuple";
/// Key of a text field's metadata, where the texts are JSON.
pub const JSON_KEY: &str = "azora:json";
/// The one column of a scalar element.
pub const VALUE: &str = "value";

/// The kind of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// One column, `value`.
    Scalar,
    /// One column per property.
    Object,
    /// Columns `_1`, `_2`, ….
    Tuple,
}

impl Element {
    /// What a schema says of itself.
    #[must_use]
    pub fn of(schema: &Schema) -> Self {
        match schema.metadata().get(ELEMENT_KEY).map(String::as_str) {
            Some("scalar") => Self::Scalar,
            Some("tuple") => Self::Tuple,
            _ => Self::Object,
        }
    }

    /// The word in the metadata.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Object => "object",
            Self::Tuple => "tuple",
        }
    }

    /// A schema of this kind. Other metadata is not kept.
    #[must_use]
    pub fn schema(self, fields: impl Into<Fields>) -> SchemaRef {
        Arc::new(Schema::new_with_metadata(fields, HashMap::from([(ELEMENT_KEY.to_owned(), self.as_str().to_owned())])))
    }
}

/// The schema of scalar elements of a type.
#[must_use]
pub fn scalar(data_type: DataType, is_nullable: bool) -> SchemaRef {
    Element::Scalar.schema(vec![Field::new(VALUE, data_type, is_nullable)])
}

/// The schema of tuples; fields are renamed to `_1`, `_2`, ….
#[must_use]
pub fn tuple(fields: &[Field]) -> SchemaRef {
    Element::Tuple.schema(numbered(fields))
}

/// A field that holds a tuple.
#[must_use]
pub fn tuple_field(name: &str, fields: &[Field], is_nullable: bool) -> Field {
    Field::new(name, DataType::Struct(numbered(fields)), is_nullable)
        .with_metadata(HashMap::from([(TUPLE_KEY.to_owned(), "true".to_owned())]))
}

/// Whether a field holds a tuple.
#[must_use]
pub fn is_tuple(field: &Field) -> bool {
    field.metadata().get(TUPLE_KEY).is_some_and(|text| text == "true")
}

/// A field of JSON text: each value may be of another type, and null is a value as in any other column.
#[must_use]
pub fn json_field(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true).with_metadata(HashMap::from([(JSON_KEY.to_owned(), "true".to_owned())]))
}

/// Whether a field holds JSON text.
#[must_use]
pub fn is_json(field: &Field) -> bool {
    field.data_type() == &DataType::Utf8 && field.metadata().get(JSON_KEY).is_some_and(|text| text == "true")
}

/// Whether a field or a part of it holds JSON text.
#[must_use]
pub fn holds_json(field: &Field) -> bool {
    match field.data_type() {
        DataType::Struct(fields) => fields.iter().any(|part| holds_json(part)),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => holds_json(item),
        _ => is_json(field),
    }
}

/// The column name of a tuple's n-th part, counted from 0.
#[must_use]
pub fn part(at: usize) -> String {
    format!("_{}", at + 1)
}

fn numbered(fields: &[Field]) -> Fields {
    fields.iter().enumerate().map(|(at, field)| field.clone().with_name(part(at))).collect()
}
