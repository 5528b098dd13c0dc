//! Rows to fill a server with: nulls, nested values, odd texts, and one that is huge.

use crate::element::Element;
use crate::json;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, SchemaRef};
use serde_json::{Value, json};
use std::sync::Arc;

/// Bytes of the huge text.
pub const HUGE_BYTES: usize = 1 << 20;
/// Rows in all batches together.
pub const ROWS: usize = 23;

/// Columns that every database has.
#[must_use]
pub fn flat_schema() -> SchemaRef {
    Element::Object.schema(flat_fields())
}

/// The same, and a list and an object.
#[must_use]
pub fn nested_schema() -> SchemaRef {
    let mut fields = flat_fields();
    let item = Field::new("item", DataType::Utf8, true);
    fields.push(Field::new("tags", DataType::List(Arc::new(item)), true));
    let place = vec![Field::new("city", DataType::Utf8, true), Field::new("zip", DataType::Int64, true)];
    fields.push(Field::new("place", DataType::Struct(place.into()), true));
    Element::Object.schema(fields)
}

fn flat_fields() -> Vec<Field> {
    vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("price", DataType::Float64, true),
        Field::new("ok", DataType::Boolean, true),
    ]
}

/// Rows of [`flat_schema`] in three batches; `id` counts from 0 and is never null.
#[must_use]
pub fn flat() -> Vec<RecordBatch> {
    batches(&flat_schema())
}

/// Rows of [`nested_schema`] in three batches.
#[must_use]
pub fn nested() -> Vec<RecordBatch> {
    batches(&nested_schema())
}

/// The rows as JSON, with all members.
#[must_use]
pub fn values() -> Vec<Value> {
    (0..ROWS).map(value).collect()
}

fn value(id: usize) -> Value {
    let name = match id % 6 {
        0 => Value::Null,
        1 => json!("plain"),
        2 => json!("quote \" back \\ slash, comma; 'single' \t tab"),
        3 => json!("zażółć 😀 \u{202e}right"),
        4 => json!(""),
        _ if id == 11 => json!("x".repeat(HUGE_BYTES)),
        _ => json!("line\nbreak"),
    };
    let price = match id % 4 {
        0 => Value::Null,
        1 => json!(0.5),
        2 => json!(-1.25e-7),
        _ => json!(1.0e15),
    };
    let ok = match id % 3 {
        0 => Value::Null,
        other => json!(other == 1),
    };
    let tags = match id % 3 {
        0 => Value::Null,
        1 => json!([]),
        _ => json!(["a", null, "b"]),
    };
    let place = if id.is_multiple_of(2) { Value::Null } else { json!({"city": "Łódź", "zip": null}) };
    json!({"id": id, "name": name, "price": price, "ok": ok, "tags": tags, "place": place})
}

fn batches(schema: &SchemaRef) -> Vec<RecordBatch> {
    let values = values();
    let cut = [&values[..7], &values[7..8], &values[8..]];
    cut.iter().map(|values| json::batch(schema, values).unwrap_or_else(|_| RecordBatch::new_empty(Arc::clone(schema)))).collect()
}

#[cfg(test)]
mod tests {
    use super::{ROWS, flat, nested};

    #[test]
    fn the_sample_has_all_its_rows() {
        for batches in [flat(), nested()] {
            assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), ROWS);
        }
    }
}
