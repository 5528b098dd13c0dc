//! A function's configuration: what a job says once for all rows.

use crate::failure::{Failure, Result};
use crate::json::{Json, quote};

/// A type that a parameter marked `#[config]` refers to. Derive it for a struct, or write it by hand.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a configuration", note = "derive Config for it, or take `&Json`")]
pub trait Config: Sized {
    /// Reads it; `{}` where the job gives none.
    ///
    /// # Errors
    /// [`Failure::invalid_input`] that names the key.
    fn read(json: &Json) -> Result<Self>;

    /// Its JSON Schema, against which the host checks a job before it runs; empty for none.
    fn schema() -> String;
}

impl Config for Json {
    fn read(json: &Json) -> Result<Self> {
        Ok(json.clone())
    }

    fn schema() -> String {
        String::new()
    }
}

/// The type of a field of a configuration.
#[diagnostic::on_unimplemented(message = "`{Self}` cannot be a field of a configuration")]
pub trait ConfigValue: Sized {
    /// Reads it; none where it is of another kind.
    fn read(json: &Json) -> Option<Self>;

    /// Its JSON Schema without braces.
    fn schema() -> String;

    /// What it is where the job leaves it out.
    fn missing() -> Option<Self> {
        None
    }
}

macro_rules! integers {
    ($($rust:ty),*) => {$(
        impl ConfigValue for $rust {
            fn read(json: &Json) -> Option<Self> {
                match json {
                    Json::Integer(integer) => Self::try_from(*integer).ok(),
                    _ => None,
                }
            }

            fn schema() -> String {
                format!("\"type\": \"integer\", \"minimum\": {}, \"maximum\": {}", <$rust>::MIN, <$rust>::MAX)
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32);

impl ConfigValue for f64 {
    fn read(json: &Json) -> Option<Self> {
        match json {
            Json::Integer(integer) => Some(*integer as Self),
            Json::Float(float) => Some(*float),
            _ => None,
        }
    }

    fn schema() -> String {
        "\"type\": \"number\"".to_owned()
    }
}

impl ConfigValue for bool {
    fn read(json: &Json) -> Option<Self> {
        match json {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    fn schema() -> String {
        "\"type\": \"boolean\"".to_owned()
    }
}

impl ConfigValue for String {
    fn read(json: &Json) -> Option<Self> {
        match json {
            Json::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn schema() -> String {
        "\"type\": \"string\"".to_owned()
    }
}

impl<T: ConfigValue> ConfigValue for Vec<T> {
    fn read(json: &Json) -> Option<Self> {
        match json {
            Json::List(items) => items.iter().map(T::read).collect(),
            _ => None,
        }
    }

    fn schema() -> String {
        format!("\"type\": \"array\", \"items\": {{{}}}", T::schema())
    }
}

impl<T: ConfigValue> ConfigValue for Option<T> {
    fn read(json: &Json) -> Option<Self> {
        match json {
            Json::Null => Some(None),
            other => T::read(other).map(Some),
        }
    }

    fn schema() -> String {
        format!("\"anyOf\": [{{{}}}, {{\"type\": \"null\"}}]", T::schema())
    }

    fn missing() -> Option<Self> {
        Some(None)
    }
}

/// Parses a job's text and reads it.
///
/// # Errors
/// Those of [`Config::read`], and where it is no JSON.
pub fn read<C: Config>(text: &str) -> Result<C> {
    C::read(&Json::parse(if text.trim().is_empty() { "{}" } else { text })?)
}

/// Reads one field; `default` where it is left out.
///
/// # Errors
/// Where it is missing without a default, or of another kind.
pub fn field<T: ConfigValue>(json: &Json, key: &str, default: Option<T>) -> Result<T> {
    match json.get(key) {
        Some(value) => T::read(value).ok_or_else(|| Failure::invalid_input(format!("config '{key}' does not take {}", value.kind()))),
        None => default.or_else(T::missing).ok_or_else(|| Failure::invalid_input(format!("config '{key}' is missing"))),
    }
}

/// One property for [`object_schema`].
#[must_use]
pub fn property_schema<T: ConfigValue>(key: &str, doc: &str, has_default: bool) -> (String, Option<String>) {
    let doc = if doc.is_empty() { String::new() } else { format!(", \"description\": {}", quote(doc)) };
    let is_required = !has_default && T::missing().is_none();
    (format!("{}: {{{}{doc}}}", quote(key), T::schema()), is_required.then(|| quote(key)))
}

/// The JSON Schema of an object with these properties and no others.
#[must_use]
pub fn object_schema(properties: &[(String, Option<String>)]) -> String {
    let list = |parts: Vec<&str>| parts.join(", ");
    let all = list(properties.iter().map(|(property, _)| property.as_str()).collect());
    let required = list(properties.iter().filter_map(|(_, key)| key.as_deref()).collect());
    format!("{{\"type\": \"object\", \"properties\": {{{all}}}, \"required\": [{required}], \"additionalProperties\": false}}")
}
