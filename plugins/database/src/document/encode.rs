//! Rows as documents.

use crate::error::Error;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, DecimalType, Field, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMillisecondType,
    UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use azora_connect::element;
use mongodb::bson::{Binary, Bson, DateTime, Document, spec::BinarySubtype};

/// The rows of a batch; a value that no document holds is an error that names its column.
pub(super) fn documents(batch: &RecordBatch) -> Result<Vec<Document>, Error> {
    let mut documents = vec![Document::new(); batch.num_rows()];
    let schema = batch.schema();
    for (column, field) in batch.columns().iter().zip(schema.fields()) {
        let named = |reason: String| Error::Value { place: format!("column '{}'", field.name().escape_debug()), reason };
        for (document, value) in documents.iter_mut().zip(values(column, field).map_err(named)?) {
            document.insert(field.name().clone(), value);
        }
    }
    Ok(documents)
}

/// Every value of a column.
fn values(column: &ArrayRef, field: &Field) -> Result<Vec<Bson>, String> {
    let to = |of: &DataType| cast(column, of).map_err(|_| format!("{} has no value in a document", column.data_type()));
    let each = |array: &ArrayRef, read: &dyn Fn(usize) -> Result<Bson, String>| {
        (0..array.len()).map(|row| if array.is_null(row) { Ok(Bson::Null) } else { read(row) }).collect::<Result<Vec<_>, _>>()
    };
    match column.data_type() {
        DataType::Null => Ok(vec![Bson::Null; column.len()]),
        DataType::Boolean => each(column, &|row| Ok(Bson::Boolean(column.as_boolean().value(row)))),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 | DataType::Int32 => {
            let array = to(&DataType::Int32)?;
            each(&array, &|row| Ok(Bson::Int32(array.as_primitive::<Int32Type>().value(row))))
        }
        DataType::UInt64 => each(column, &|row| {
            let number = column.as_primitive::<UInt64Type>().value(row);
            i64::try_from(number).map(Bson::Int64).map_err(|_| format!("a document holds no {number}"))
        }),
        DataType::UInt32 | DataType::Int64 => {
            let array = to(&DataType::Int64)?;
            each(&array, &|row| Ok(Bson::Int64(array.as_primitive::<Int64Type>().value(row))))
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let array = to(&DataType::Float64)?;
            each(&array, &|row| Ok(Bson::Double(array.as_primitive::<Float64Type>().value(row))))
        }
        DataType::Utf8 if element::is_json(field) => each(column, &|row| {
            let text = column.as_string::<i32>().value(row);
            serde_json::from_str(text).map(plain).map_err(|_| "a text is not the JSON that it should be".to_owned())
        }),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let array = to(&DataType::Utf8)?;
            each(&array, &|row| Ok(Bson::String(array.as_string::<i32>().value(row).to_owned())))
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let array = to(&DataType::Binary)?;
            each(&array, &|row| {
                let bytes = array.as_binary::<i32>().value(row).to_vec();
                Ok(Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes }))
            })
        }
        DataType::Date32 => each(column, &|row| {
            let days = i64::from(column.as_primitive::<Date32Type>().value(row));
            Ok(Bson::DateTime(DateTime::from_millis(days * 86_400_000)))
        }),
        DataType::Timestamp(..) | DataType::Date64 => {
            let array = to(&DataType::Timestamp(TimeUnit::Millisecond, None))?;
            each(&array, &|row| Ok(Bson::DateTime(DateTime::from_millis(array.as_primitive::<TimestampMillisecondType>().value(row)))))
        }
        DataType::Decimal128(precision, scale) => each(column, &|row| {
            let text = Decimal128Type::format_decimal(column.as_primitive::<Decimal128Type>().value(row), *precision, *scale);
            text.parse().map(Bson::Decimal128).map_err(|_| format!("a document holds no {text}"))
        }),
        DataType::Dictionary(_, of) => values(&to(of)?, field),
        DataType::List(item) => {
            let lists = column.as_list::<i32>();
            each(column, &|row| values(&lists.value(row), item).map(Bson::Array))
        }
        DataType::Struct(fields) => {
            let parts = column.as_struct();
            let columns = parts.columns().iter().zip(fields).map(|(part, field)| values(part, field)).collect::<Result<Vec<_>, _>>()?;
            each(column, &|row| {
                let of = fields
                    .iter()
                    .zip(&columns)
                    .map(|(field, values)| (field.name().clone(), values.get(row).cloned().unwrap_or(Bson::Null)));
                Ok(if element::is_tuple(field) { Bson::Array(of.map(|(_, value)| value).collect()) } else { Bson::Document(of.collect()) })
            })
        }
        _ => {
            let formatter = ArrayFormatter::try_new(column.as_ref(), &FormatOptions::new()).map_err(|error| error.to_string())?;
            each(column, &|row| formatter.value(row).try_to_string().map(Bson::String).map_err(|error| error.to_string()))
        }
    }
}

/// JSON as it is: what looks like extended JSON is an object like any other.
fn plain(value: serde_json::Value) -> Bson {
    use serde_json::Value;
    match value {
        Value::Null => Bson::Null,
        Value::Bool(flag) => Bson::Boolean(flag),
        Value::Number(number) => number.as_i64().map_or_else(|| Bson::Double(number.as_f64().unwrap_or(f64::NAN)), Bson::Int64),
        Value::String(text) => Bson::String(text),
        Value::Array(items) => Bson::Array(items.into_iter().map(plain).collect()),
        Value::Object(object) => Bson::Document(object.into_iter().map(|(name, value)| (name, plain(value))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::documents;
    use crate::document::array::batch;
    use azora_connect::conformance::sample;

    #[test]
    fn rows_come_back_as_they_were() {
        for rows in sample::nested() {
            let schema = rows.schema();
            assert_eq!(batch(&schema, &documents(&rows).unwrap()).unwrap(), rows);
        }
    }
}
