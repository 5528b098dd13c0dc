//! The words by which requests name the types of columns.

use crate::element;
use arrow::datatypes::{DataType, Field, TimeUnit};
use std::sync::Arc;

/// What to say where a word is not known.
pub const HINT: &str =
    "types are int64, int32, float64, float32, boolean, utf8, timestamp, date, binary, decimal(p,s), json and list<type>";
/// Deepest nesting of `list<…>`.
const DEPTH_MAX: usize = 8;

/// The type of a word.
#[must_use]
pub fn parse(word: &str) -> Option<DataType> {
    field("", word).map(|field| field.data_type().clone())
}

/// A column of the type of a word; `json` is a column of JSON texts.
#[must_use]
pub fn field(name: &str, word: &str) -> Option<Field> {
    nested(name, &word.trim().to_ascii_lowercase(), 0)
}

fn nested(name: &str, word: &str, depth: usize) -> Option<Field> {
    if word == "json" {
        return Some(element::json_field(name));
    }
    if let Some(inner) = word.strip_prefix("list<").and_then(|rest| rest.strip_suffix('>')) {
        let item = if depth < DEPTH_MAX { nested("item", inner.trim(), depth + 1)? } else { return None };
        return Some(Field::new(name, DataType::List(Arc::new(item)), true));
    }
    simple(word).map(|of| Field::new(name, of, true))
}

fn simple(word: &str) -> Option<DataType> {
    Some(match word {
        "int64" | "bigint" | "long" | "integer" | "int" => DataType::Int64,
        "int32" => DataType::Int32,
        "float64" | "double" | "number" => DataType::Float64,
        "float32" | "float" => DataType::Float32,
        "boolean" | "bool" => DataType::Boolean,
        "utf8" | "string" | "text" => DataType::Utf8,
        "timestamp" | "datetime" => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        "date" => DataType::Date32,
        "binary" => DataType::Binary,
        other => return decimal(other),
    })
}

/// `decimal(precision,scale)`, of 38 digits at most.
fn decimal(word: &str) -> Option<DataType> {
    let (precision, scale) = word.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
    let (precision, scale): (u8, u8) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    let is_valid = (1..=38).contains(&precision) && scale <= precision;
    is_valid.then(|| DataType::Decimal128(precision, i8::try_from(scale).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::{field, parse};
    use crate::element;
    use arrow::datatypes::DataType;

    #[test]
    fn words_name_types() {
        assert_eq!(parse("Long"), Some(DataType::Int64));
        assert_eq!(parse("decimal(10, 2)"), Some(DataType::Decimal128(10, 2)));
        assert_eq!(parse("decimal(2,10)"), None);
        assert!(matches!(parse("list<list<int64>>"), Some(DataType::List(_))));
        assert_eq!(parse("money"), None);
        assert_eq!(parse(&("list<".repeat(40) + "int64" + &">".repeat(40))), None);
        assert!(element::is_json(&field("a", "json").unwrap()));
    }
}
