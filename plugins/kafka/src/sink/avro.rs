//! Rows as Avro data of the schema that the request tells. Columns find their fields by name; what does not fit is told.

use crate::config::AvroFraming;
use crate::source::avro::Avro;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, DictionaryArray, Int32Array, ListArray, RecordBatch, StringArray, StructArray,
    new_null_array,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow_avro::schema::{AVRO_ENUM_SYMBOLS_METADATA_KEY, FingerprintStrategy, SCHEMA_METADATA_KEY};
use arrow_avro::writer::format::{AvroBinaryFormat, AvroSoeFormat};
use arrow_avro::writer::{Encoder, WriterBuilder};
use azora_spec::{Code, Failure};
use std::collections::HashMap;
use std::sync::Arc;

/// What a request says of Avro values.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) schema: String,
    pub(crate) framing: AvroFraming,
    /// The number that a registry's framing has in front.
    pub(crate) schema_id: u32,
}

/// Turns rows of one schema into data.
#[derive(Debug)]
pub(crate) struct AvroEncoder {
    encoder: Encoder,
    schema: SchemaRef,
}

impl AvroEncoder {
    /// The names of the record's fields.
    pub(crate) fn names(wanted: &Wanted) -> Result<Vec<String>, Failure> {
        let read = Avro::new(&wanted.schema, AvroFraming::None).map_err(wrong)?;
        Ok(read.schema().fields().iter().map(|field| field.name().clone()).collect())
    }

    /// `rows` are the columns that become the record's fields.
    pub(crate) fn new(wanted: &Wanted, rows: &Fields) -> Result<Self, Failure> {
        let read = Avro::new(&wanted.schema, AvroFraming::None).map_err(wrong)?;
        let fields = read.schema().fields().clone();
        check(rows, &fields).map_err(|message| Failure::new(Code::ConnectorConfig, message).at("/avroSchema"))?;
        let text = HashMap::from([(SCHEMA_METADATA_KEY.to_owned(), wanted.schema.clone())]);
        let builder = WriterBuilder::new(Schema::new_with_metadata(fields, text));
        let made = match wanted.framing {
            AvroFraming::None => builder.build_encoder::<AvroBinaryFormat>(),
            AvroFraming::SingleObject => builder.with_fingerprint_strategy(FingerprintStrategy::Rabin).build_encoder::<AvroSoeFormat>(),
            AvroFraming::Registry => {
                builder.with_fingerprint_strategy(FingerprintStrategy::Id(wanted.schema_id)).build_encoder::<AvroSoeFormat>()
            }
        };
        let encoder = made.map_err(|error| wrong(error.to_string()))?;
        Ok(Self { schema: encoder.schema(), encoder })
    }

    /// One datum for each row.
    pub(crate) fn data(&mut self, fields: &Fields, columns: &[ArrayRef], rows: usize) -> Result<BinaryArray, Failure> {
        let invalid = |message: String| Failure::new(Code::DataInvalid, message);
        let fitted = fit_all(fields, columns, self.schema.fields(), rows).map_err(invalid)?;
        let internal = |reason: String| Failure::new(Code::Internal, format!("rows cannot be written as Avro: {reason}"));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), fitted).map_err(|error| internal(error.to_string()))?;
        self.encoder.encode(&batch).map_err(|error| invalid(error.to_string().chars().take(200).collect()))?;
        let encoded = self.encoder.flush();
        if encoded.len() != rows {
            return Err(internal(format!("{} data of {rows} rows", encoded.len())));
        }
        let mut data = BinaryBuilder::with_capacity(rows, encoded.bytes().len());
        encoded.iter().for_each(|datum| data.append_value(&datum));
        Ok(data.finish())
    }
}

fn wrong(reason: String) -> Failure {
    let reason: String = reason.chars().take(200).collect();
    Failure::new(Code::ConnectorConfig, format!("not an Avro schema of records that can be written: {reason}")).at("/avroSchema")
}

/// What is wrong with columns for fields, as far as names tell.
fn check(columns: &Fields, fields: &Fields) -> Result<(), String> {
    for column in columns {
        if fields.find(column.name()).is_none() {
            return Err(format!("the Avro schema has no field '{}'", column.name().escape_debug()));
        }
    }
    for field in fields {
        match columns.find(field.name()) {
            None if !field.is_nullable() => return Err(format!("the rows have no column '{}'", field.name().escape_debug())),
            Some((_, column)) => {
                if let (DataType::Struct(inner), DataType::Struct(wanted)) = (column.data_type(), field.data_type()) {
                    check(inner, wanted)?;
                }
            }
            None => {}
        }
    }
    Ok(())
}

/// Columns in the order and of the types of fields.
fn fit_all(names: &Fields, columns: &[ArrayRef], fields: &Fields, rows: usize) -> Result<Vec<ArrayRef>, String> {
    let fit_one = |field: &Arc<Field>| match names.find(field.name()).and_then(|(at, _)| columns.get(at)) {
        Some(column) => fit(column, field),
        None => Ok(new_null_array(field.data_type(), rows)),
    };
    fields.iter().map(fit_one).collect()
}

fn fit(column: &ArrayRef, field: &Arc<Field>) -> Result<ArrayRef, String> {
    let name = field.name().escape_debug();
    let fitted: ArrayRef = match (column.data_type(), field.data_type()) {
        (have, DataType::Dictionary(..)) if is_text(have) => Arc::new(symbols(column, field)?),
        (DataType::Struct(names), DataType::Struct(fields)) => {
            let inner = column.as_struct();
            let columns = fit_all(names, inner.columns(), fields, inner.len())?;
            let made = StructArray::try_new(fields.clone(), columns, inner.nulls().cloned());
            Arc::new(made.map_err(|error| format!("column '{name}': {error}"))?)
        }
        (DataType::List(_), DataType::List(item)) => {
            let list = column.as_list::<i32>();
            let items = fit(list.values(), item)?;
            let made = ListArray::try_new(Arc::clone(item), list.offsets().clone(), items, list.nulls().cloned());
            Arc::new(made.map_err(|error| format!("column '{name}': {error}"))?)
        }
        (have, want) if have == want => Arc::clone(column),
        (_, want) => {
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(column, want, &strict).map_err(|_| format!("column '{name}' holds what its Avro type does not"))?
        }
    };
    if !field.is_nullable() && fitted.null_count() > 0 {
        return Err(format!("column '{name}' is null in a row, and the Avro schema has no null there"));
    }
    Ok(fitted)
}

const fn is_text(of: &DataType) -> bool {
    matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Texts as numbers of an enum's symbols.
fn symbols(column: &ArrayRef, field: &Field) -> Result<DictionaryArray<arrow::datatypes::Int32Type>, String> {
    let name = field.name().escape_debug();
    let told = field.metadata().get(AVRO_ENUM_SYMBOLS_METADATA_KEY);
    let known: Vec<String> = told.and_then(|text| serde_json::from_str(text).ok()).ok_or_else(|| format!("'{name}' has no symbols"))?;
    let texts = cast(column, &DataType::Utf8).map_err(|error| error.to_string())?;
    let number = |text: Option<&str>| -> Result<Option<i32>, String> {
        let Some(text) = text else { return Ok(None) };
        let at = known.iter().position(|symbol| symbol == text);
        let at = at.and_then(|at| i32::try_from(at).ok());
        at.map(Some).ok_or_else(|| format!("column '{name}' holds a text that is none of the enum's symbols"))
    };
    let keys: Int32Array = texts.as_string::<i32>().iter().map(number).collect::<Result<Vec<_>, _>>()?.into();
    DictionaryArray::try_new(keys, Arc::new(StringArray::from(known))).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{AvroEncoder, Wanted};
    use crate::config::AvroFraming;
    use crate::source::avro::Avro;
    use azora_connect::json::{self, MixedTypes};
    use azora_spec::Failure;
    use serde_json::{Value, json};

    fn encode(schema: &Value, framing: AvroFraming, rows: &[Value]) -> Result<Vec<Vec<u8>>, Failure> {
        let columns = json::infer(rows, MixedTypes::Refuse).unwrap();
        let batch = json::batch(&columns, rows).unwrap();
        let wanted = Wanted { schema: schema.to_string(), framing, schema_id: 7 };
        let mut encoder = AvroEncoder::new(&wanted, columns.fields())?;
        let data = encoder.data(columns.fields(), batch.columns(), batch.num_rows())?;
        Ok(data.iter().map(|datum| datum.unwrap().to_vec()).collect())
    }

    fn schema() -> Value {
        json!({"type": "record", "name": "r", "fields": [
            {"name": "b", "type": ["null", "string"]}, {"name": "a", "type": "int"}, {"name": "x", "type": "double"},
            {"name": "e", "type": {"type": "enum", "name": "e", "symbols": ["OFF", "ON"]}},
            {"name": "s", "type": {"type": "record", "name": "s", "fields": [{"name": "n", "type": "long"}]}},
            {"name": "l", "type": {"type": "array", "items": "long"}},
            {"name": "gone", "type": ["null", "long"]}]})
    }

    #[test]
    fn rows_are_read_back_as_they_were() {
        let rows = [
            json!({"a": 1, "b": "x", "x": 1, "e": "ON", "s": {"n": 5}, "l": [1, 2]}),
            json!({"a": -3, "b": null, "x": 2, "e": "OFF", "s": {"n": 6}, "l": []}),
        ];
        let data = encode(&schema(), AvroFraming::None, &rows).unwrap();
        // A branch and its text, then the numbers in zigzag, the double, the symbol, the record, the list in its block.
        assert_eq!(data[0][..5], [2, 2, b'x', 2, 0]);
        let read = Avro::new(&schema().to_string(), AvroFraming::None).unwrap();
        let slices: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
        let decoded = read.decode(&slices).unwrap();
        assert!(decoded.rejected.is_empty());
        let texts = azora_connect::conformance::texts(&[decoded.batch]);
        let values: Vec<Value> = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        let with_gone = rows.map(|mut row| {
            row["gone"] = Value::Null;
            row["x"] = json!(row["x"].as_f64().unwrap());
            row
        });
        for (value, row) in values.iter().zip(&with_gone) {
            for (name, wanted) in row.as_object().unwrap() {
                let is_same = value[name] == *wanted || value[name].as_f64().is_some_and(|number| Some(number) == wanted.as_f64());
                assert!(is_same, "{name}: {value} {row}");
            }
        }
    }

    #[test]
    fn framings_stand_in_front() {
        let schema = json!({"type": "record", "name": "r", "fields": [{"name": "a", "type": "long"}]});
        let of = |framing| encode(&schema, framing, &[json!({"a": 3})]).unwrap().remove(0);
        assert_eq!(of(AvroFraming::None), [6]);
        assert_eq!(of(AvroFraming::Registry), [0, 0, 0, 0, 7, 6]);
        let single = of(AvroFraming::SingleObject);
        assert_eq!((single.len(), &single[..2], single[10]), (11, &[0xC3, 0x01][..], 6));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let fails = |row: Value, part: &str| {
            let failure = encode(&schema(), AvroFraming::None, &[row]).unwrap_err();
            assert!(failure.message.contains(part), "{failure}");
        };
        let whole = json!({"a": 1, "b": "x", "x": 1, "e": "ON", "s": {"n": 5}, "l": [1]});
        let with = |name: &str, value: Value| {
            let mut row = whole.clone();
            row[name] = value;
            row
        };
        fails(with("more", json!(1)), "no field 'more'");
        fails(with("a", json!(5_000_000_000_i64)), "column 'a' holds what its Avro type does not");
        fails(with("e", json!("MAYBE")), "none of the enum's symbols");
        fails(with("a", Value::Null), "column 'a' is null");
        fails(with("s", json!({"n": 1, "m": 2})), "no field 'm'");
        fails(json!({"b": "x"}), "the rows have no column 'a'");
        let failure = encode(&json!({"type": "nothing"}), AvroFraming::None, &[json!({"a": 1})]).unwrap_err();
        assert_eq!(failure.pointer.as_deref(), Some("/avroSchema"));
    }
}
