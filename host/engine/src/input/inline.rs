//! Rows in the request: JSON values become one Arrow batch, then partitions.

use azora_connect::element::{self, Element, VALUE};
use azora_connect::json::{JsonType, Mixed, array, shown};
use azora_spec::{Code, ColumnType, Combination, Failure, Operation, limits};
use chrono::DateTime;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use serde_json::Value;
use std::sync::Arc;

/// The rows as elements of one type. The batch's own schema has no metadata of its own; the one beside it says what an
/// element is. `pairs`: arrays of two become tuples even where both parts have one type.
pub(crate) fn batch(values: &[Value], pairs: bool) -> Result<(SchemaRef, RecordBatch), Failure> {
    if let Some(integers) = integers(values) {
        let schema = element::scalar(integers.data_type().clone(), true);
        return finish(schema, vec![integers], values.len());
    }
    let of = type_of(values).unwrap_or_else(|_| any_type_of(values)).settle(pairs);
    let whole: Vec<Option<&Value>> = values.iter().map(Some).collect();
    let column = |field: &Field, values: &[Option<&Value>]| {
        array(field, values).map_err(|misfit| {
            Failure::new(Code::DataMixed, format!("row {}: {} is not {}", misfit.row, misfit.value, misfit.wanted)).row(misfit.row as u64)
        })
    };
    let has_null = values.iter().any(Value::is_null);
    match of {
        JsonType::Struct(shape) if !has_null => {
            let fields = shape.arrow_fields();
            let part = |name: &str| values.iter().map(|value| value.get(name)).collect::<Vec<_>>();
            let columns = fields.iter().map(|field| column(field, &part(field.name()))).collect::<Result<_, _>>()?;
            finish(Element::Object.schema(fields), columns, values.len())
        }
        JsonType::Tuple(parts) if !has_null => {
            let fields: Fields = parts.iter().enumerate().map(|(at, part)| part.field(&element::part(at))).collect();
            let part = |at: usize| values.iter().map(|value| value.get(at)).collect::<Vec<_>>();
            let columns = fields.iter().enumerate().map(|(at, field)| column(field, &part(at))).collect::<Result<_, _>>()?;
            finish(Element::Tuple.schema(fields), columns, values.len())
        }
        other => {
            let field = other.field(VALUE);
            let columns = vec![column(&field, &whole)?];
            finish(Element::Scalar.schema(vec![field]), columns, values.len())
        }
    }
}

/// Columns of texts that are all moments, date and time with a zone as RFC 3339 has them, become timestamps. A column that
/// would lose something, a fraction of a millisecond, stays text.
pub(crate) fn with_timestamps((schema, batch): (SchemaRef, RecordBatch)) -> Result<(SchemaRef, RecordBatch), Failure> {
    if Element::of(&schema) != Element::Object {
        return Ok((schema, batch));
    }
    let (mut fields, mut columns) = (schema.fields().to_vec(), batch.columns().to_vec());
    for (field, column) in fields.iter_mut().zip(&mut columns) {
        let Some(texts) = column.as_string_opt::<i32>() else { continue };
        if texts.null_count() < texts.len() && texts.iter().flatten().all(is_moment) {
            let of = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
            *column = cast(column, &of).map_err(|error| crate::error::arrow_failure(&error))?;
            *field = Arc::new(field.as_ref().clone().with_data_type(of));
        }
    }
    finish(Element::Object.schema(fields), columns, batch.num_rows())
}

/// `2026-11-26T15:20:35.123+01:00`, and nothing shorter or finer.
fn is_moment(text: &str) -> bool {
    let shape = b"0000-00-00T00:00:00";
    let Some((head, tail)) = text.as_bytes().split_at_checked(shape.len()) else { return false };
    let fits = |text: &[u8], shape: &[u8]| {
        text.len() == shape.len() && text.iter().zip(shape).all(|(byte, of)| if *of == b'0' { byte.is_ascii_digit() } else { byte == of })
    };
    let zone = match tail.split_first() {
        Some((b'.', rest)) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=3).contains(&digits) {
                return false;
            }
            rest.get(digits..).unwrap_or_default()
        }
        _ => tail,
    };
    let is_zone = zone == b"Z" || fits(zone, b"+00:00") || fits(zone, b"-00:00");
    // The calendar has the last word: there is no 30th of February.
    is_zone && fits(head, shape) && DateTime::parse_from_rfc3339(text).is_ok()
}

/// Rows that are objects, as columns of given types; those of other names are left out. A value of another type is named by
/// its row and column.
pub(crate) fn typed(values: &[Value], columns: &[ColumnType]) -> Result<(SchemaRef, RecordBatch), Failure> {
    if let Some(row) = values.iter().position(|value| !value.is_object()) {
        return Err(Failure::new(Code::DataInvalid, format!("row {row} is not an object, and a schema names columns"))
            .at(format!("/data/{row}"))
            .row(row as u64));
    }
    let (mut fields, mut arrays) = (Vec::with_capacity(columns.len()), Vec::with_capacity(columns.len()));
    for column in columns {
        let (field, array) = typed_column(values, column)?;
        fields.push(field);
        arrays.push(array);
    }
    finish(Element::Object.schema(fields), arrays, values.len())
}

fn typed_column(values: &[Value], column: &ColumnType) -> Result<(Field, ArrayRef), Failure> {
    let of: Vec<Option<&Value>> = values.iter().map(|value| value.get(&column.name).filter(|value| !value.is_null())).collect();
    let misfit = |row: usize, what: String| {
        Failure::new(Code::DataInvalid, format!("row {row}, column '{}': {what}", column.name.escape_debug()))
            .at(format!("/data/{row}/{}", column.name.replace('~', "~0").replace('/', "~1")))
            .row(row as u64)
    };
    if !column.is_nullable
        && let Some(row) = of.iter().position(Option::is_none)
    {
        return Err(misfit(row, "there is no value, and the column takes no null".to_owned()));
    }
    let field = match super::file::data_type(&column.type_word) {
        Some(data_type) => Field::new(&column.name, data_type, column.is_nullable),
        None => {
            let is_kind = |value: &Value| if column.type_word == "array" { value.is_array() } else { value.is_object() };
            let other = of.iter().enumerate().find_map(|(row, value)| value.filter(|value| !is_kind(value)).map(|value| (row, value)));
            if let Some((row, value)) = other {
                return Err(misfit(row, format!("{} is no {}", shown(value), column.type_word)));
            }
            let given: Vec<Value> = of.iter().map(|value| value.cloned().unwrap_or_default()).collect();
            type_of(&given).unwrap_or_else(|_| any_type_of(&given)).settle(false).field(&column.name)
        }
    };
    let made = array(&field, &of).map_err(|wrong| {
        let value = of.get(wrong.row).copied().flatten().map_or_else(|| wrong.value.clone(), shown);
        misfit(wrong.row, format!("{value} is no {}", column.type_word))
    })?;
    Ok((field, made))
}

/// The one type of all rows.
fn type_of(values: &[Value]) -> Result<JsonType, Mixed> {
    values.iter().try_fold(JsonType::Null, |of, value| of.merge(JsonType::of(value)?))
}

/// The type of rows that have several: what differs is JSON.
fn any_type_of(values: &[Value]) -> JsonType {
    values.iter().fold(JsonType::Null, |of, value| of.merge_or_json(JsonType::of_or_json(value)))
}

/// The usual small case without any detour.
fn integers(values: &[Value]) -> Option<ArrayRef> {
    let integers = values.iter().map(Value::as_i64).collect::<Option<Vec<i64>>>()?;
    (!integers.is_empty()).then(|| Arc::new(Int64Array::from(integers)) as ArrayRef)
}

fn finish(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<(SchemaRef, RecordBatch), Failure> {
    let bare = Arc::new(Schema::new(schema.fields().clone()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(bare, columns, &options).map_err(|error| crate::error::arrow_failure(&error))?;
    Ok((schema, batch))
}

/// Cuts rows into so many partitions of equal size, in order, each in batches of the usual size.
pub(crate) fn split(batch: &RecordBatch, partitions: usize) -> Vec<Vec<RecordBatch>> {
    let rows = batch.num_rows();
    let partitions = partitions.max(1);
    let bound = |at: usize| (at as u128 * rows as u128 / partitions as u128) as usize;
    let slices = |from: usize, to: usize| {
        (from..to).step_by(limits::BATCH_ROWS).map(|at| batch.slice(at, limits::BATCH_ROWS.min(to - at))).collect::<Vec<_>>()
    };
    (0..partitions).map(|at| slices(bound(at), bound(at + 1))).collect()
}

/// Whether the operations take the inline elements themselves as pairs, so that `[1, 2]` is one.
pub(crate) fn wants_pairs<'a>(operations: impl IntoIterator<Item = &'a Operation>) -> bool {
    for operation in operations {
        match operation {
            Operation::MapValues(_)
            | Operation::Keys
            | Operation::Values
            | Operation::ReduceByKey { key: None, .. }
            | Operation::GroupByKey
            | Operation::AggregateByKey { .. }
            | Operation::AggregateByKeyWith(_)
            | Operation::CountByKey
            | Operation::SortByKey(_) => return true,
            Operation::Combine { how, .. } if how.is_by_key() => return true,
            // Elements of both sides go on as they are.
            Operation::Combine { how: Combination::Union | Combination::Intersection | Combination::Subtract, .. } => {}
            Operation::Filter(_)
            | Operation::Distinct
            | Operation::SortBy { .. }
            | Operation::Sample { .. }
            | Operation::Cache(_)
            | Operation::Unpersist(_)
            | Operation::Repartition(_)
            | Operation::Coalesce(_) => {}
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests;
