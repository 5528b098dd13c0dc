//! The configuration of a file source, and from there to files that exist.

use crate::failure_of;
use crate::files::{Files, Found, list};
use crate::pins::FilePin;
use crate::relation::Relation;
use azora_connect::compress::Codec;
use azora_connect::element::{Element, VALUE};
use azora_spec::{Code, Failure, FileFormat};
use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::logical_expr::{cast, ident};
use serde_json::{Map, Value, json};
use std::time::UNIX_EPOCH;

/// What a request says about files.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    pub(crate) paths: Vec<String>,
    pub(crate) format: Option<FileFormat>,
    /// The columns to read, in order; all where absent.
    pub(crate) columns: Option<Vec<String>>,
    /// Types by column name.
    pub(crate) types: Vec<(String, DataType)>,
    pub(crate) delimiter: u8,
    pub(crate) has_header: bool,
    pub(crate) sample_rows: Option<usize>,
}

/// Fields that are understood; the last ones belong to `/ingest` and mean nothing here.
const FIELDS: [&str; 14] = [
    "path",
    "paths",
    "format",
    "columns",
    "types",
    "schema",
    "delimiter",
    "header",
    "sampleRows",
    "type",
    "parallelism",
    "batchSize",
    "enableStreaming",
    "encoding",
];

/// The members of a file source as JSON Schema.
pub(crate) fn schema() -> Value {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "path": { "type": "string", "description": "a file, a directory or a glob below a configured root" },
            "paths": texts,
            "format": { "enum": ["json", "ndjson", "csv", "text", "parquet", "arrow", "avro"] },
            "columns": texts,
            "types": { "type": ["array", "object"] },
            "schema": { "type": "object", "additionalProperties": { "type": "string" } },
            "delimiter": { "type": "string" },
            "header": { "type": "boolean" },
            "sampleRows": { "type": "integer", "minimum": 1, "maximum": 1_000_000 },
            "mode": { "enum": ["error", "overwrite", "append"], "description": "of a sink" },
            "compression": { "type": "string", "description": "of a sink" },
            "batchSize": { "type": "integer" }, "parallelism": { "type": "integer" },
            "enableStreaming": { "type": "boolean" }, "encoding": { "type": "string" }, "type": { "type": "string" },
        },
    })
}

impl Config {
    /// Reads a request's `source` or `config`.
    pub(crate) fn read(connector: &str, config: &Map<String, Value>) -> Result<Self, Failure> {
        if let Some(unknown) = config.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            return Err(wrong(unknown, format!("unknown field '{}'", unknown.escape_debug()))
                .hint("a file source has path, format, columns, types, schema, delimiter, header and sampleRows"));
        }
        let paths = match (config.get("path"), config.get("paths")) {
            (Some(Value::String(path)), None) => vec![path.clone()],
            (None, Some(paths)) => texts(paths).ok_or_else(|| wrong("paths", "'paths' is a list of texts".to_owned()))?,
            _ => return Err(wrong("path", "a file source needs 'path', a text".to_owned())),
        };
        let named = if connector == "file" { text(config, "format")? } else { Some(text(config, "format")?.unwrap_or(connector)) };
        let format = named.map(FileFormat::parse).transpose().map_err(|failure| failure.at("/format"))?;
        let columns = match config.get("columns") {
            None | Some(Value::Null) => None,
            Some(columns) => {
                let columns = texts(columns).ok_or_else(|| wrong("columns", "'columns' is a list of names".to_owned()))?;
                (!columns.is_empty()).then_some(columns)
            }
        };
        let delimiter = match text(config, "delimiter")?.unwrap_or(",").as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"') => *byte,
            _ if !matches!(format, Some(FileFormat::Csv) | None) => b',',
            _ => return Err(wrong("delimiter", "'delimiter' is one ASCII character".to_owned())),
        };
        if matches!(delimiter, b'\n' | b'\r') && format == Some(FileFormat::Csv) {
            return Err(wrong("delimiter", "'delimiter' is one ASCII character, not the end of a line".to_owned()));
        }
        let has_header = match config.get("header") {
            None | Some(Value::Null) => true,
            Some(Value::Bool(has)) => *has,
            Some(_) => return Err(wrong("header", "'header' is true or false".to_owned())),
        };
        let sample_rows = match config.get("sampleRows") {
            None | Some(Value::Null) => None,
            Some(rows) => match rows.as_u64() {
                Some(rows @ 1..=1_000_000) => Some(rows as usize),
                _ => return Err(wrong("sampleRows", "'sampleRows' is an integer from 1 to 1000000".to_owned())),
            },
        };
        let types = types(config, columns.as_deref())?;
        Ok(Self { paths, format, columns, types, delimiter, has_header, sample_rows })
    }

    /// The one format of the files: as configured, else by their extensions.
    pub(crate) fn format_of(&self, files: &[FilePin]) -> Result<FileFormat, Failure> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        let mut one: Option<FileFormat> = None;
        for file in files {
            let format = by_extension(&file.path).ok_or_else(|| {
                wrong("format", format!("the name '{}' does not tell a format", file.path.escape_debug()))
                    .hint("give 'format': json, ndjson, csv, text, parquet, arrow or avro")
            })?;
            if one.is_some_and(|one| one != format) {
                return Err(
                    wrong("format", "the files have more than one format".to_owned()).hint("give 'format', or a pattern such as *.csv")
                );
            }
            one = Some(format);
        }
        one.ok_or_else(|| wrong("format", "there is no file that tells a format".to_owned()))
    }

    /// The wanted columns as elements: one column is a scalar, several are an object.
    pub(crate) fn select(&self, relation: Relation) -> Result<Relation, Failure> {
        let Relation { frame, schema } = relation;
        let names: Vec<String> = match &self.columns {
            Some(columns) => columns.clone(),
            None if self.types.is_empty() => return Ok(Relation { frame, schema }),
            None => schema.fields().iter().map(|field| field.name().clone()).collect(),
        };
        let mut exprs = Vec::with_capacity(names.len());
        let mut fields = Vec::with_capacity(names.len());
        let is_scalar = self.columns.is_some() && names.len() == 1;
        for (at, name) in names.iter().enumerate() {
            let field = schema.field_with_name(name).map_err(|_| {
                let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).take(50).collect();
                wrong("columns", format!("there is no column '{}'", name.escape_debug()))
                    .at(format!("/columns/{at}"))
                    .hint(format!("columns are {}", known.join(", ")))
            })?;
            let wanted = self.types.iter().find(|(of, _)| of == name).map_or_else(|| field.data_type().clone(), |(_, of)| of.clone());
            let as_name = if is_scalar { VALUE } else { name };
            let mut expr = ident(name);
            if &wanted != field.data_type() {
                expr = cast(expr, wanted.clone());
            }
            exprs.push(expr.alias(as_name));
            fields.push(field.clone().with_name(as_name).with_data_type(wanted));
        }
        let unchanged = self.columns.is_none() && fields.iter().zip(schema.fields()).all(|(a, b)| a == b.as_ref());
        if unchanged {
            return Ok(Relation { frame, schema });
        }
        let element = match (is_scalar, &self.columns) {
            (true, _) => Element::Scalar,
            (false, None) => Element::of(&schema),
            (false, Some(_)) => Element::Object,
        };
        let frame = frame.select(exprs).map_err(failure_of)?;
        Ok(Relation { frame, schema: element.schema(fields) })
    }
}

/// The configured files that exist, with their sizes.
pub(crate) fn find(files: &Files, config: &Config, files_max: usize) -> Result<Vec<FilePin>, Failure> {
    let mut pins: Vec<FilePin> = Vec::new();
    for path in &config.paths {
        let found = list(files, path, files_max)?;
        pins.extend(found.into_iter().map(|Found { root, path, bytes, modified_ms }| FilePin { root, path, bytes, modified_ms }));
    }
    if pins.iter().any(|pin| Some(pin.root) != pins.first().map(|first| first.root)) {
        return Err(wrong("paths", "all files of one source lie below one root".to_owned()));
    }
    Ok(pins)
}

/// One file of which the caller knows the path, as it is.
pub(crate) fn pin(files: &Files, root: usize, path: &str) -> Result<FilePin, Failure> {
    let (bytes, modified_ms) = measure(&files.root(root)?.open_file(path)?)?;
    Ok(FilePin { root, path: path.to_owned(), bytes, modified_ms })
}

/// Opens a pinned file, if it is still the one that was planned with.
pub(crate) fn open(files: &Files, pin: &FilePin) -> Result<std::fs::File, Failure> {
    let file = files.root(pin.root)?.open_file(&pin.path)?;
    check(&file, pin)?;
    Ok(file)
}

/// Refuses a file that is not the one that was planned with any more.
pub(crate) fn check(file: &std::fs::File, pin: &FilePin) -> Result<(), Failure> {
    if measure(file)? == (pin.bytes, pin.modified_ms) {
        return Ok(());
    }
    Err(Failure::new(Code::DataInvalid, format!("'{}' was changed after the job had been planned", pin.path.escape_debug())))
}

fn measure(file: &std::fs::File) -> Result<(u64, i64), Failure> {
    let metadata = file.metadata().map_err(|error| crate::error::io_failure(&error))?;
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    Ok((metadata.len(), i64::try_from(modified.as_millis()).unwrap_or(i64::MAX)))
}

/// The format that a name tells, its compression aside.
pub(crate) fn by_extension(path: &str) -> Option<FileFormat> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let extension = Codec::of_name(&name).0.rsplit_once('.')?.1;
    match extension {
        "tsv" => None,
        "feather" => Some(FileFormat::Arrow),
        "log" => Some(FileFormat::Text),
        other => FileFormat::parse(other).ok(),
    }
}

fn types(config: &Map<String, Value>, columns: Option<&[String]>) -> Result<Vec<(String, DataType)>, Failure> {
    let one = |name: &str, value: &Value, pointer: String| {
        let of = value.as_str().and_then(data_type).ok_or_else(|| {
            wrong("types", format!("unknown type of column '{}'", name.escape_debug()))
                .at(pointer)
                .hint("types are int64, int32, float64, float32, boolean, utf8, timestamp, date and binary")
        })?;
        Ok((name.to_owned(), of))
    };
    let by_name = |field: &str, object: &Map<String, Value>| {
        object.iter().map(|(name, value)| one(name, value, format!("/{field}/{name}"))).collect::<Result<Vec<_>, _>>()
    };
    match (config.get("types"), config.get("schema")) {
        (None | Some(Value::Null), None | Some(Value::Null)) => Ok(Vec::new()),
        (Some(Value::Object(object)), None) => by_name("types", object),
        (None, Some(Value::Object(object))) => by_name("schema", object),
        (Some(Value::Array(list)), None) => {
            let columns = columns.unwrap_or_default();
            if columns.len() != list.len() {
                return Err(wrong("types", "'types' has one entry for each of 'columns'".to_owned()));
            }
            columns.iter().zip(list).enumerate().map(|(at, (name, value))| one(name, value, format!("/types/{at}"))).collect()
        }
        (Some(_), Some(_)) => Err(wrong("schema", "give 'types' or 'schema', not both".to_owned())),
        _ => Err(wrong("types", "'types' is a list of type names, or an object of column names and type names".to_owned())),
    }
}

/// The type of a word in a request's schema.
pub(crate) fn data_type(word: &str) -> Option<DataType> {
    Some(match word.to_ascii_lowercase().as_str() {
        "int64" | "bigint" | "long" | "integer" | "int" => DataType::Int64,
        "int32" => DataType::Int32,
        "float64" | "double" | "number" => DataType::Float64,
        "float32" | "float" => DataType::Float32,
        "boolean" | "bool" => DataType::Boolean,
        "utf8" | "string" | "text" => DataType::Utf8,
        "timestamp" | "datetime" => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        "date" => DataType::Date32,
        "binary" => DataType::Binary,
        _ => return None,
    })
}

/// A column of a type that a request names.
pub(crate) fn typed_field(name: &str, of: &DataType) -> Field {
    Field::new(name, of.clone(), true)
}

fn text<'a>(config: &'a Map<String, Value>, field: &str) -> Result<Option<&'a str>, Failure> {
    match config.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(field, format!("'{field}' is a text"))),
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn wrong(field: &str, message: String) -> Failure {
    Failure::new(Code::ConnectorConfig, message).at(format!("/{}", field.escape_debug()))
}
