//! Where a job's rows go.

use crate::limits::TTL_SECONDS_MAX;
use crate::wire::fields::{Fields, Unknown, expected, shown};
use crate::wire::input::{of_plugin, parse_name};
use crate::wire::suggest::meant;
use crate::{Code, Failure, FileFormat, Sink, WriteMode};
use serde_json::Value;
use std::time::Duration;

const MODES: &[&str] = &["error", "overwrite", "append", "ignore"];
/// Most columns whose values become folders.
const FOLDER_COLUMNS_MAX: usize = 16;

/// A sink: `{"type": "collect" | "dataset" | "file" | a file format | a connector, …}`, or just the type as a string where it
/// has no fields.
pub(super) fn read(value: &Value, pointer: String) -> Result<Sink, Failure> {
    match value {
        Value::String(text) if text == "collect" => return Ok(Sink::Collect),
        Value::String(_) => {
            let hint = r#"for example {"type":"parquet","path":"out/orders"} or {"type":"dataset","name":"orders"}"#;
            return Err(expected("an object with 'type'", value).at(pointer).hint(hint));
        }
        _ => {}
    }
    if let Some(config) = of_plugin(value) {
        return Ok(Sink::Connector { connector: "plugin".to_owned(), config });
    }
    let mut fields = Fields::of(value, pointer)?;
    let kind = fields.required_text("type")?;
    match kind {
        "collect" => {
            fields.finish(Unknown::Refuse)?;
            Ok(Sink::Collect)
        }
        "dataset" => dataset(fields),
        "file" | "files" | "filesystem" => {
            // As connectors are written, with a `config`; or flat.
            let mut fields = match fields.inner("config")? {
                Some(inner) => {
                    fields.finish(Unknown::Refuse)?;
                    inner
                }
                None => fields,
            };
            let format = fields.text("format")?.map(|text| format(text, fields.pointer("format"))).transpose()?;
            file(fields, format)
        }
        _ => match FileFormat::parse(kind) {
            Ok(format) => {
                let named = fields.text("format")?;
                if named.is_some_and(|text| FileFormat::parse(text).ok() != Some(format)) {
                    let message = format!("'format' contradicts the type '{kind}'");
                    return Err(Failure::new(Code::RequestField, message).at(fields.pointer("format")));
                }
                file(fields, Some(format))
            }
            Err(_) => connector(fields, kind),
        },
    }
}

/// A file sink whose type the caller's spelling says already, for example `saveAsTextFile`.
pub(super) fn file(mut fields: Fields<'_>, format: Option<FileFormat>) -> Result<Sink, Failure> {
    let sink = file_fields(&mut fields, format)?;
    fields.finish(Unknown::Refuse)?;
    Ok(sink)
}

/// Reads the members of a file sink.
pub(super) fn file_fields(fields: &mut Fields<'_>, format: Option<FileFormat>) -> Result<Sink, Failure> {
    let path = fields.required_text("path")?.to_owned();
    let format = match format.or_else(|| extension(&path)) {
        Some(format) => format,
        None => {
            let failure = fields.missing("format").hint("formats are json, ndjson, csv, text, parquet and arrow");
            return Err(failure);
        }
    };
    let compression = fields.text("compression")?.map(str::to_owned);
    let partition_by = partition_by(fields)?;
    Ok(Sink::File { path, format, compression, mode: mode(fields)?.unwrap_or(WriteMode::ErrorIfExists), partition_by })
}

/// Columns that become folders: one name or a list of them.
///
/// # Errors
/// [`Code::RequestField`] for too many of them and for one that is named twice.
pub fn partition_by(fields: &mut Fields<'_>) -> Result<Vec<String>, Failure> {
    let name = fields.name_of(&["partitionBy", "partitionColumns"])?;
    let pointer = fields.pointer(name);
    let columns = match fields.value(name) {
        Some(Value::String(text)) => vec![text.clone()],
        _ => fields.texts(name)?.unwrap_or_default(),
    };
    if columns.len() > FOLDER_COLUMNS_MAX {
        return Err(Failure::new(Code::RequestField, format!("at most {FOLDER_COLUMNS_MAX} columns become folders")).at(pointer));
    }
    match columns.iter().enumerate().find(|(at, name)| columns.iter().take(*at).any(|before| before == *name)) {
        Some((_, twice)) => Err(Failure::new(Code::RequestField, format!("'{}' is named twice", shown(twice))).at(pointer)),
        None => Ok(columns),
    }
}

/// Reads the members of a dataset sink; `name` and `dataset` are the same.
pub(super) fn dataset_fields(fields: &mut Fields<'_>) -> Result<Sink, Failure> {
    let name = fields.name_of(&["name", "dataset"])?;
    let pointer = fields.pointer(name);
    let name = parse_name(fields.required_text(name)?, pointer)?;
    Ok(Sink::Dataset { name, mode: mode(fields)?.unwrap_or(WriteMode::ErrorIfExists), ttl: ttl(fields)? })
}

fn dataset(mut fields: Fields<'_>) -> Result<Sink, Failure> {
    let sink = dataset_fields(&mut fields)?;
    fields.finish(Unknown::Refuse)?;
    Ok(sink)
}

fn connector(mut fields: Fields<'_>, kind: &str) -> Result<Sink, Failure> {
    let mut config = fields.object("config")?.unwrap_or_default();
    config.extend(fields.rest());
    Ok(Sink::Connector { connector: kind.to_lowercase(), config })
}

fn format(text: &str, pointer: String) -> Result<FileFormat, Failure> {
    FileFormat::parse(text).map_err(|failure| failure.at(pointer))
}

fn extension(path: &str) -> Option<FileFormat> {
    let name = path.rsplit('/').next()?;
    let (_, extension) = name.rsplit_once('.')?;
    FileFormat::parse(extension).ok()
}

/// How long a dataset lives, where the request says it.
pub(super) fn ttl(fields: &mut Fields<'_>) -> Result<Option<Duration>, Failure> {
    Ok(fields.integer("ttlSeconds", 1..=TTL_SECONDS_MAX)?.map(Duration::from_secs))
}

/// What happens to what is there already, where the request says it.
pub(super) fn mode(fields: &mut Fields<'_>) -> Result<Option<WriteMode>, Failure> {
    match fields.text("mode")? {
        None => Ok(None),
        Some("error" | "errorIfExists" | "errorifexists") => Ok(Some(WriteMode::ErrorIfExists)),
        Some("overwrite") => Ok(Some(WriteMode::Overwrite)),
        Some("append") => Ok(Some(WriteMode::Append)),
        Some("ignore") => Ok(Some(WriteMode::Ignore)),
        Some(other) => {
            let failure = expected("'error', 'overwrite', 'append' or 'ignore'", &Value::from(other)).at(fields.pointer("mode"));
            Err(Failure { hint: meant(other, MODES.iter().copied()), ..failure })
        }
    }
}
