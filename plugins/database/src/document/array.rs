//! Columns built of documents that have types. A value of another type is a misfit, named with its place, and never changed
//! into another one.

use super::kind::digits;
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, ListArray, NullArray,
    RecordBatch, RecordBatchOptions, StringBuilder, StructArray, TimestampMillisecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, SchemaRef};
use azora_connect::element;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mongodb::bson::{Bson, Document};
use serde_json::Value;
use std::sync::Arc;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// Longest piece of a value that a reason shows.
const SHOWN_CHARS_MAX: usize = 60;

/// A value that its column cannot take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    /// Member names from the row down.
    path: Vec<String>,
    value: String,
    wanted: String,
}

impl Misfit {
    pub(super) fn reason(&self) -> String {
        format!("'{}': {} is not {}", self.path.join("."), self.value, self.wanted)
    }
}

/// Documents as rows of a schema. Members that the schema lacks are left out, absent ones are null.
pub(super) fn batch(schema: &SchemaRef, rows: &[Document]) -> Result<RecordBatch, Misfit> {
    let column = |field: &Arc<Field>| array(field, &rows.iter().map(|row| row.get(field.name())).collect::<Vec<_>>());
    let columns = schema.fields().iter().map(column).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|error| Misfit {
        path: Vec::new(),
        value: error.to_string(),
        wanted: "columns of the schema".to_owned(),
    })
}

/// An array of a field's type.
fn array(field: &Field, values: &[Option<&Bson>]) -> Result<ArrayRef, Misfit> {
    let values: Vec<Option<&Bson>> =
        values.iter().map(|value| value.filter(|value| !matches!(value, Bson::Null | Bson::Undefined))).collect();
    let misfit = |value: &Bson| Misfit { path: vec![field.name().clone()], value: shown(value), wanted: field.data_type().to_string() };
    macro_rules! primitive {
        ($builder:expr, $read:expr) => {{
            let mut builder = $builder;
            for value in &values {
                match value {
                    None => builder.append_null(),
                    Some(value) => builder.append_value($read(*value).ok_or_else(|| misfit(value))?),
                }
            }
            Arc::new(builder.finish()) as ArrayRef
        }};
    }
    let array = match field.data_type() {
        DataType::Null => match values.iter().flatten().next() {
            Some(value) => return Err(misfit(value)),
            None => Arc::new(NullArray::new(values.len())),
        },
        DataType::Boolean => primitive!(BooleanBuilder::with_capacity(values.len()), Bson::as_bool),
        DataType::Int64 | DataType::Int32 => primitive!(Int64Builder::with_capacity(values.len()), |value: &Bson| {
            whole(value).filter(|number| field.data_type() == &DataType::Int64 || i32::try_from(*number).is_ok())
        }),
        DataType::Float64 | DataType::Float32 => primitive!(Float64Builder::with_capacity(values.len()), float),
        DataType::Utf8 if element::is_json(field) => {
            let text = |value: &Bson| Some(json(value).to_string());
            primitive!(StringBuilder::new(), text)
        }
        DataType::Utf8 => texts(&values, &misfit)?,
        DataType::Binary => primitive!(BinaryBuilder::new(), bytes),
        DataType::Date32 => primitive!(Date32Builder::with_capacity(values.len()), |value: &Bson| {
            let millis = millis(value)?;
            if millis.rem_euclid(DAY_MS) == 0 { i32::try_from(millis.div_euclid(DAY_MS)).ok() } else { None }
        }),
        DataType::Timestamp(_, zone) => {
            let of = DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, zone.clone());
            primitive!(TimestampMillisecondBuilder::with_capacity(values.len()).with_data_type(of), millis)
        }
        of @ DataType::Decimal128(precision, scale) => {
            primitive!(Decimal128Builder::with_capacity(values.len()).with_data_type(of.clone()), |value: &Bson| {
                let text = match value {
                    Bson::Decimal128(number) => number.to_string(),
                    other => whole(other)?.to_string(),
                };
                digits(&text)?.unscaled(*precision, *scale)
            })
        }
        DataType::List(item) => list(field, item, &values, &misfit)?,
        DataType::Struct(fields) => members(field, fields, &values, &misfit)?,
        _ => match values.iter().flatten().next() {
            Some(value) => return Err(misfit(value)),
            None => arrow::array::new_null_array(field.data_type(), values.len()),
        },
    };
    if array.data_type() == field.data_type() {
        return Ok(array);
    }
    // Narrower numbers and finer units of time, into which every value was seen to fit.
    cast(&array, field.data_type()).map_err(|error| Misfit {
        path: vec![field.name().clone()],
        value: error.to_string(),
        wanted: field.data_type().to_string(),
    })
}

type Blame<'a> = dyn Fn(&Bson) -> Misfit + 'a;

fn within(name: &str) -> impl Fn(Misfit) -> Misfit + '_ {
    move |mut inner| {
        inner.path.insert(0, name.to_owned());
        inner
    }
}

fn texts(values: &[Option<&Bson>], misfit: &Blame<'_>) -> Result<ArrayRef, Misfit> {
    let mut texts = StringBuilder::new();
    for value in values {
        match value {
            None => texts.append_null(),
            Some(Bson::String(text) | Bson::Symbol(text)) => texts.append_value(text),
            Some(Bson::ObjectId(id)) => texts.append_value(id.to_hex()),
            Some(other) => return Err(misfit(other)),
        }
    }
    Ok(Arc::new(texts.finish()))
}

fn list(field: &Field, item: &Arc<Field>, values: &[Option<&Bson>], misfit: &Blame<'_>) -> Result<ArrayRef, Misfit> {
    let (mut items, mut lengths) = (Vec::new(), Vec::with_capacity(values.len()));
    for value in values {
        let elements = match value {
            None => &[][..],
            Some(Bson::Array(elements)) => elements,
            Some(other) => return Err(misfit(other)),
        };
        items.extend(elements.iter().map(Some));
        lengths.push(elements.len());
    }
    let array = array(item, &items).map_err(within(field.name()))?;
    let nulls = NullBuffer::from_iter(values.iter().map(Option::is_some));
    Ok(Arc::new(ListArray::new(Arc::clone(item), OffsetBuffer::from_lengths(lengths), array, Some(nulls))))
}

fn members(field: &Field, fields: &Fields, values: &[Option<&Bson>], misfit: &Blame<'_>) -> Result<ArrayRef, Misfit> {
    let documents = values
        .iter()
        .map(|value| value.map(|value| value.as_document().ok_or_else(|| misfit(value))).transpose())
        .collect::<Result<Vec<Option<&Document>>, _>>()?;
    let column = |child: &Arc<Field>| {
        let of: Vec<Option<&Bson>> = documents.iter().map(|document| document.and_then(|document| document.get(child.name()))).collect();
        array(child, &of).map_err(within(field.name()))
    };
    let columns = fields.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let nulls = NullBuffer::from_iter(values.iter().map(Option::is_some));
    Ok(Arc::new(if fields.is_empty() {
        StructArray::new_empty_fields(values.len(), Some(nulls))
    } else {
        StructArray::new(fields.clone(), columns, Some(nulls))
    }))
}

fn whole(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(number) => Some((*number).into()),
        Bson::Int64(number) => Some(*number),
        _ => None,
    }
}

/// A number; a whole one beyond 2^53 would become another.
fn float(value: &Bson) -> Option<f64> {
    match value {
        Bson::Double(number) => Some(*number),
        other => whole(other).filter(|number| number.unsigned_abs() <= 1 << 53).map(|number| number as f64),
    }
}

fn bytes(value: &Bson) -> Option<&[u8]> {
    if let Bson::Binary(binary) = value { Some(&binary.bytes) } else { None }
}

fn millis(value: &Bson) -> Option<i64> {
    if let Bson::DateTime(at) = value { Some(at.timestamp_millis()) } else { None }
}

/// A value as JSON, as people would write it: ids and dates are texts.
pub(super) fn json(value: &Bson) -> Value {
    match value {
        Bson::Null | Bson::Undefined => Value::Null,
        Bson::Boolean(flag) => (*flag).into(),
        Bson::Int32(number) => (*number).into(),
        Bson::Int64(number) => (*number).into(),
        Bson::Double(number) => (*number).into(),
        Bson::String(text) | Bson::Symbol(text) => text.as_str().into(),
        Bson::ObjectId(id) => id.to_hex().into(),
        Bson::DateTime(at) => at.try_to_rfc3339_string().unwrap_or_else(|_| at.timestamp_millis().to_string()).into(),
        Bson::Decimal128(number) => number.to_string().into(),
        Bson::Binary(binary) => STANDARD.encode(&binary.bytes).into(),
        Bson::Array(items) => items.iter().map(json).collect(),
        Bson::Document(document) => document_json(document),
        other => other.to_string().into(),
    }
}

/// A document as JSON.
pub(super) fn document_json(document: &Document) -> Value {
    Value::Object(document.iter().map(|(name, value)| (name.clone(), json(value))).collect())
}

/// A value for a message.
pub(super) fn shown(value: &Bson) -> String {
    let text = json(value).to_string();
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::batch;
    use arrow::datatypes::{DataType, Field, Schema};
    use azora_connect::conformance::texts;
    use azora_connect::element;
    use mongodb::bson::{Binary, Bson, DateTime, doc, oid::ObjectId, spec::BinarySubtype};
    use std::sync::Arc;

    #[test]
    fn values_keep_their_meaning() {
        let columns = serde_json::json!({"id": "utf8", "n": "int64", "f": "float64", "d": "decimal(10,2)", "at": "timestamp", "day": "date", "raw": "binary", "l": "list<utf8>", "any": "json"});
        let schema = Arc::new(Schema::new(azora_connect::json::told(columns.as_object().unwrap(), "").unwrap()));
        let raw = Binary { subtype: BinarySubtype::Generic, bytes: vec![1] };
        let row = doc! {
            "id": ObjectId::parse_str("65a000000000000000000001").unwrap(), "n": 9_007_199_254_740_993_i64, "f": 7, "d": Bson::Decimal128("1.5".parse().unwrap()),
            "at": DateTime::from_millis(1500), "day": DateTime::from_millis(86_400_000), "raw": raw, "l": ["a", Bson::Null], "any": {"x": [1, "y"]}, "more": 1,
        };
        let row = texts(&[batch(&schema, &[row, doc! {}]).unwrap()]);
        let value: serde_json::Value = serde_json::from_str(&row[0]).unwrap();
        assert_eq!(value["id"], "65a000000000000000000001");
        assert_eq!(value["n"], 9_007_199_254_740_993_i64);
        assert_eq!((&value["day"], &value["any"]), (&"1970-01-02".into(), &serde_json::json!({"x": [1, "y"]})));
        assert!(row[0].contains("1.5") && row[0].contains("1970-01-01T00:00:01.5"), "{}", row[0]);
        assert!(value.get("more").is_none());
    }

    #[test]
    fn misfits_name_their_place() {
        let place = Field::new("place", DataType::Struct(vec![Field::new("zip", DataType::Int64, true)].into()), true);
        let schema = Arc::new(Schema::new(vec![place, element::json_field("x")]));
        let misfit = batch(&schema, &[doc! {"place": {"zip": "none"}}]).unwrap_err();
        assert_eq!(misfit.reason(), "'place.zip': \"none\" is not Int64");
        assert!(batch(&schema, &[doc! {"place": 7}]).is_err());
    }
}
