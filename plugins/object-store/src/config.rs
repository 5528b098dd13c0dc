//! What a request says about objects: which, of what format, and how to read or write them. Keys of stores are read by
//! `provider`.

use crate::format::{Compression, Format};
use arrow::datatypes::Fields as Columns;
use azora_connect::json::SAMPLE_ROWS;
use azora_connect::json::{self, MixedTypes};
use azora_spec::wire::{Fields, partition_by};
use azora_spec::{Failure, WriteMode};
use serde_json::{Map, Value, json};

/// Longest key, as S3 has it.
pub(crate) const KEY_BYTES_MAX: usize = 1024;

/// How objects are read.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// A key, a prefix that ends in `/`, or a pattern.
    pub(crate) key: String,
    pub(crate) format: Option<Format>,
    pub(crate) compression: Option<Compression>,
    /// Columns that the request tells.
    pub(crate) told: Columns,
    pub(crate) mixed: MixedTypes,
    pub(crate) sample_rows: usize,
    pub(crate) delimiter: u8,
    pub(crate) has_header: bool,
}

/// How objects are written.
#[derive(Debug, Clone)]
pub(crate) struct Writing {
    /// Where the parts go; it ends without `/`.
    pub(crate) prefix: String,
    pub(crate) format: Format,
    pub(crate) compression: Compression,
    pub(crate) mode: WriteMode,
    /// Columns whose values become folders.
    pub(crate) partition_by: Vec<String>,
}

/// Members that every store has, as JSON Schema.
pub(crate) fn properties() -> Map<String, Value> {
    let members = json!({
        "key": { "type": "string", "description": "an object, a prefix that ends in '/', or a pattern; of a sink: the prefix" },
        "format": { "enum": Format::NAMES },
        "compression": { "enum": Compression::NAMES },
        "schema": { "type": "object", "additionalProperties": { "type": "string" }, "description": "types by column" },
        "mixedTypes": { "enum": ["refuse", "json"] },
        "sampleRows": { "type": "integer", "minimum": 1, "maximum": 1_000_000 },
        "delimiter": { "type": "string" },
        "header": { "type": "boolean" },
        "mode": { "enum": ["error", "overwrite", "append", "ignore"], "description": "of a sink" },
        "partitionBy": { "type": ["string", "array"], "items": { "type": "string" }, "description": "of a sink: columns whose values become folders" },
        "parallelism": { "type": "integer" },
        "connectTimeoutMs": { "type": "integer", "minimum": 100, "maximum": 120_000, "default": 10_000, "description": "longest wait for a connection and for a server's first answer" },
    });
    members.as_object().cloned().unwrap_or_default()
}

fn key(fields: &mut Fields<'_>) -> Result<String, Failure> {
    let name = fields.name_of(&["key", "prefix", "path"])?;
    let key = fields.required_text(name)?.trim_start_matches('/').to_owned();
    let has_odd_part = key.split('/').any(|part| part == "." || part == "..");
    if key.len() > KEY_BYTES_MAX || has_odd_part || key.contains('\0') {
        return Err(fields.wrong(name, "a key has at most 1024 bytes and no part '.' or '..'"));
    }
    Ok(key)
}

fn format(fields: &mut Fields<'_>) -> Result<Option<Format>, Failure> {
    fields.choice("format", &Format::WORDS)
}

fn compression(fields: &mut Fields<'_>) -> Result<Option<Compression>, Failure> {
    let words = Compression::NAMES.map(|word| (word, Compression::parse(word)));
    fields.choice("compression", &words).map(Option::flatten)
}

impl Reading {
    pub(crate) fn read(fields: &mut Fields<'_>) -> Result<Self, Failure> {
        let delimiter = match fields.text("delimiter")?.map(str::as_bytes) {
            None => b',',
            Some([byte]) if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => *byte,
            Some(_) => return Err(fields.wrong("delimiter", "'delimiter' is one ASCII character")),
        };
        let told = match fields.object("schema")? {
            Some(columns) => json::told(&columns, &fields.pointer("schema"))?,
            None => Columns::empty(),
        };
        let mixed = fields.choice("mixedTypes", &[("refuse", MixedTypes::Refuse), ("json", MixedTypes::Json)])?;
        fields.value("parallelism");
        for name in ["mode", "partitionBy", "partitionColumns"] {
            fields.value(name);
        }
        Ok(Self {
            key: key(fields)?,
            format: format(fields)?,
            compression: compression(fields)?,
            told,
            mixed: mixed.unwrap_or(MixedTypes::Refuse),
            sample_rows: fields.size("sampleRows", 1..=1_000_000)?.unwrap_or(SAMPLE_ROWS),
            delimiter,
            has_header: fields.flag("header")?.unwrap_or(true),
        })
    }
}

impl Writing {
    pub(crate) fn read(fields: &mut Fields<'_>) -> Result<Self, Failure> {
        let key = key(fields)?;
        let prefix = key.trim_end_matches('/').to_owned();
        if prefix.is_empty() || prefix.contains(['*', '?', '[']) {
            return Err(fields.wrong("key", "a sink needs a prefix below which its parts go, without a pattern"));
        }
        let format = format(fields)?.ok_or_else(|| fields.missing("format").hint(format!("formats are {}", Format::NAMES.join(", "))))?;
        let given = compression(fields)?;
        let compression = format.compression(given).ok_or_else(|| fields.wrong("compression", "the format cannot be compressed so"))?;
        use WriteMode::{Append, ErrorIfExists, Ignore, Overwrite};
        let mode = fields.choice("mode", &[("error", ErrorIfExists), ("overwrite", Overwrite), ("append", Append), ("ignore", Ignore)])?;
        let partition_by = partition_by(fields)?;
        for name in ["schema", "mixedTypes", "sampleRows", "delimiter", "header", "parallelism"] {
            fields.value(name);
        }
        Ok(Self { prefix, format, compression, mode: mode.unwrap_or(ErrorIfExists), partition_by })
    }
}
