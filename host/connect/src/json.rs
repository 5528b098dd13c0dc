//! JSON and Arrow columns: types found by looking at values, columns built of them, and back to text. Whose records these
//! are (messages, documents, answers) is the connector's business.
//!
//! A schema is inferred from a bounded sample and strict afterwards: a value that does not fit is named with its row and
//! its column, never changed into another one.

mod array;
mod decode;
mod encode;
pub mod integer;
mod kind;

pub use array::{Misfit, array, shown};
pub use decode::{Decoded, Decoder, Rows};
pub use encode::{Elements, texts};
pub use kind::{JsonType, Mixed, Shape};

use crate::element::{self, Element, VALUE};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Fields, SchemaRef};
use azora_spec::{Code, Failure};
use serde_json::Value;
use std::sync::Arc;

/// Records that are looked at to infer a schema, where nobody says how many.
pub const SAMPLE_ROWS: usize = 1000;
/// Most bytes of records that are looked at to infer a schema.
pub const SAMPLE_BYTES_MAX: usize = 16 << 20;

/// What becomes of properties whose values have no one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MixedTypes {
    /// The sample is refused.
    Refuse,
    /// Their column holds JSON texts.
    Json,
}

/// The type of sampled values, as a schema of elements. Without values: one column of nulls.
///
/// # Errors
/// [`Code::DataMixed`] where values have no one type and that is not allowed; it names row and property.
pub fn infer<'a>(values: impl IntoIterator<Item = &'a Value>, mixed: MixedTypes) -> Result<SchemaRef, Failure> {
    infer_of(values, mixed, |row, mixed| mixed.failure(row as u64))
}

/// The same, with a failure of the caller's for the number of the value that does not fit.
///
/// # Errors
/// What `failure` makes of it.
pub fn infer_of<'a>(
    values: impl IntoIterator<Item = &'a Value>,
    mixed: MixedTypes,
    failure: impl Fn(usize, &Mixed) -> Failure,
) -> Result<SchemaRef, Failure> {
    let mut of = JsonType::Null;
    let mut has_null = false;
    for (row, value) in values.into_iter().enumerate() {
        has_null |= value.is_null();
        of = match mixed {
            MixedTypes::Refuse => JsonType::of(value).and_then(|next| of.merge(next)).map_err(|mixed| failure(row, &mixed))?,
            MixedTypes::Json => of.merge_or_json(JsonType::of_or_json(value)),
        };
    }
    Ok(schema_of(of.settle(false), has_null))
}

/// The schema of elements of a settled type. Where some elements are null, objects and tuples are one column.
#[must_use]
pub fn schema_of(of: JsonType, has_null: bool) -> SchemaRef {
    match of {
        JsonType::Struct(shape) if !has_null => Element::Object.schema(shape.arrow_fields()),
        JsonType::Tuple(parts) if !has_null => {
            let parts: Vec<Field> = parts.iter().map(|part| part.field("")).collect();
            element::tuple(&parts)
        }
        other => Element::Scalar.schema(vec![other.field(VALUE)]),
    }
}

/// Values as rows of a schema of elements. Properties that the schema lacks are left out, absent ones are null.
///
/// # Errors
/// [`Misfit`] for the first value that does not fit.
pub fn batch(schema: &SchemaRef, values: &[Value]) -> Result<RecordBatch, Misfit> {
    let element = Element::of(schema);
    let is_row = |value: &Value| match element {
        Element::Scalar => true,
        Element::Object => value.is_object(),
        Element::Tuple => value.as_array().is_some_and(|parts| parts.len() == schema.fields().len()),
    };
    if let Some((row, other)) = values.iter().enumerate().find(|(_, value)| !is_row(value)) {
        let wanted = if element == Element::Object { "an object" } else { "an array with one value for each column" };
        return Err(Misfit { row, path: Vec::new(), value: shown(other), wanted: wanted.to_owned() });
    }
    let part = |(at, field): (usize, &Arc<Field>)| -> Result<ArrayRef, Misfit> {
        let of: Vec<Option<&Value>> = values
            .iter()
            .map(|value| match element {
                Element::Scalar => Some(value),
                Element::Object => value.get(field.name()),
                Element::Tuple => value.get(at),
            })
            .collect();
        array(field, &of)
    };
    let columns = schema.fields().iter().enumerate().map(part).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(values.len()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|error| Misfit {
        row: 0,
        path: Vec::new(),
        value: error.to_string(),
        wanted: "rows of the schema".to_owned(),
    })
}

/// Columns told by a request: `{"price": "float64", "tags": "list<utf8>", "raw": "json"}`, in its order.
///
/// # Errors
/// [`Code::ConnectorConfig`] with the column's pointer below `pointer`.
pub fn told(columns: &serde_json::Map<String, Value>, pointer: &str) -> Result<Fields, Failure> {
    let field = |(name, value): (&String, &Value)| {
        value.as_str().and_then(|word| crate::types::field(name, word)).ok_or_else(|| {
            let escaped = name.replace('~', "~0").replace('/', "~1");
            Failure::new(Code::ConnectorConfig, format!("unknown type of column '{}'", name.escape_debug()))
                .hint(crate::types::HINT)
                .at(format!("{pointer}/{escaped}"))
        })
    };
    columns.iter().map(field).collect()
}

impl Misfit {
    /// As one sentence without the row, for a reason.
    #[must_use]
    pub fn reason(&self) -> String {
        let place = if self.path.is_empty() { String::new() } else { format!("'{}': ", self.path.join(".").escape_debug()) };
        format!("{place}{} is not {}", self.value, self.wanted)
    }

    /// As the caller is told.
    #[must_use]
    pub fn failure(&self) -> Failure {
        Failure::new(Code::RecordBad, format!("row {}, {}", self.row, self.reason())).row(self.row as u64)
    }
}

#[cfg(test)]
mod tests;
