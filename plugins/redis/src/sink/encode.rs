//! Rows as the script takes them: a key and what goes there, as MessagePack.

use crate::config::{Kind, Target, Writing};
use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, SchemaRef};
use azora_connect::json;
use azora_spec::{Code, Failure};
use std::sync::Arc;

/// Most columns of a row that becomes a hash or an entry of a stream; the script passes all of them in one call.
const COLUMNS_MAX: usize = 1000;

/// Turns rows of one schema into keys and values.
#[derive(Debug)]
pub(crate) struct Encoder {
    schema: SchemaRef,
    kind: Kind,
    target: Target,
    key: Option<usize>,
    value: Option<usize>,
}

impl Encoder {
    pub(crate) fn new(writing: &Writing, schema: &SchemaRef) -> Result<Self, Failure> {
        let find = |name: &str, field: &str| {
            schema.index_of(name).map_err(|_| {
                let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).take(20).collect();
                Failure::new(Code::ConnectorConfig, format!("the rows have no column '{}'", name.escape_debug()))
                    .hint(format!("their columns are {}", names.join(", ")))
                    .at(format!("/{field}"))
            })
        };
        let key = match &writing.target {
            Target::Fixed(_) => None,
            Target::Column { column, .. } => Some(find(column, "keyColumn")?),
        };
        let value = writing.value_column.as_deref().map(|name| find(name, "valueColumn")).transpose()?;
        let is_wide = matches!(writing.kind, Kind::Hashes | Kind::Streams) && schema.fields().len() > COLUMNS_MAX;
        if is_wide {
            return Err(
                Failure::new(Code::ConnectorConfig, format!("a row with more than {COLUMNS_MAX} columns cannot be a hash")).at("/write")
            );
        }
        Ok(Self { schema: Arc::clone(schema), kind: writing.kind, target: writing.target.clone(), key, value })
    }

    pub(crate) fn rows(&self, batch: &RecordBatch) -> Result<Vec<Vec<u8>>, Failure> {
        let keys = self.key.map(|at| self.texts(batch, at));
        let fields: Vec<(usize, StringArray)> = match (self.kind, self.value) {
            (Kind::Strings | Kind::Lists, Some(at)) => vec![(at, self.texts(batch, at))],
            (Kind::Strings | Kind::Lists, None) => Vec::new(),
            (Kind::Hashes | Kind::Streams, _) => {
                (0..batch.num_columns()).filter(|at| Some(*at) != self.key).map(|at| (at, self.texts(batch, at))).collect()
            }
        };
        let whole = json::Elements::of(batch, &self.schema);
        let row = |row: usize| {
            let key = self.key(keys.as_ref(), row)?;
            let mut parts: Vec<Vec<u8>> = vec![key.into_bytes()];
            match (self.kind, fields.as_slice()) {
                (Kind::Strings | Kind::Lists, [(_, texts)]) => {
                    // A value that is null is the JSON text of it.
                    parts.push(if texts.is_valid(row) { texts.value(row).as_bytes().to_vec() } else { b"null".to_vec() });
                }
                (Kind::Strings | Kind::Lists, _) => {
                    let mut text = Vec::new();
                    whole.row(&mut text, row);
                    parts.push(text);
                }
                (Kind::Hashes | Kind::Streams, fields) => {
                    for (at, texts) in fields.iter().filter(|(_, texts)| texts.is_valid(row)) {
                        parts.push(self.schema.field(*at).name().as_bytes().to_vec());
                        parts.push(texts.value(row).as_bytes().to_vec());
                    }
                    if parts.len() == 1 {
                        let message = "a row has no values but its key, so it cannot be a hash or an entry of a stream";
                        return Err(Failure::new(Code::DataInvalid, message));
                    }
                }
            }
            Ok(packed(&parts))
        };
        (0..batch.num_rows()).map(row).collect()
    }

    fn key(&self, keys: Option<&StringArray>, row: usize) -> Result<String, Failure> {
        match (&self.target, keys) {
            (Target::Fixed(key), _) => Ok(key.clone()),
            (Target::Column { prefix, .. }, Some(keys)) if keys.is_valid(row) => Ok(format!("{prefix}{}", keys.value(row))),
            (Target::Column { column, .. }, _) => {
                Err(Failure::new(Code::DataInvalid, format!("column '{}' is null in a row, which then has no key", column.escape_debug())))
            }
        }
    }

    /// Texts as they are, everything else as JSON.
    fn texts(&self, batch: &RecordBatch, at: usize) -> StringArray {
        let (column, field): (_, &Field) = (batch.column(at), self.schema.field(at));
        if column.data_type() == &DataType::Utf8 { column.as_string::<i32>().clone() } else { json::texts(column, field) }
    }
}

/// An array of byte strings.
fn packed(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 5).sum::<usize>() + 5);
    bytes.push(0xdd);
    bytes.extend_from_slice(&u32::try_from(parts.len()).unwrap_or_default().to_be_bytes());
    for part in parts {
        bytes.push(0xdb);
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or_default().to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}
