//! What a request says of writing.

use super::{AvroFraming, Cluster, Format, reading};
use crate::sink::AvroWanted;
use azora_connect::Setup;
use azora_spec::Failure;
use azora_spec::wire::{Fields, Unknown};
use serde_json::{Map, Value};

/// A validated configuration of a sink.
#[derive(Debug, Clone)]
pub(crate) struct Writing {
    pub(crate) cluster: Cluster,
    pub(crate) topic: String,
    /// The column whose texts are the keys.
    pub(crate) key_column: Option<String>,
    /// The column that is the value; the whole row where none is named.
    pub(crate) value_column: Option<String>,
    /// The column with numbers of partitions.
    pub(crate) partition_column: Option<String>,
    /// The column with times in milliseconds.
    pub(crate) timestamp_column: Option<String>,
    /// The column with headers: objects of texts, or lists of objects with `key` and `value`, as they are read.
    pub(crate) headers_column: Option<String>,
    /// How values are written; as JSON where there is none.
    pub(crate) avro: Option<AvroWanted>,
    /// Whether every message says in a header which row of which job it is.
    pub(crate) has_record_ids: bool,
}

impl Writing {
    pub(crate) fn read(config: &Map<String, Value>, setup: &Setup, brokers: &[String]) -> Result<Self, Failure> {
        let mut fields = Fields::config(config);
        let topic = super::topic(&mut fields)?;
        let cluster = Cluster::read(&mut fields, setup, brokers)?;
        let avro = avro(&mut fields)?;
        let mut column = |name| fields.text(name).map(|text| text.map(str::to_owned));
        let read = Self {
            cluster,
            topic,
            key_column: column("keyColumn")?,
            value_column: column("valueColumn")?,
            partition_column: column("partitionColumn")?,
            timestamp_column: column("timestampColumn")?,
            headers_column: column("headersColumn")?,
            avro,
            has_record_ids: fields.flag("recordIds")?.unwrap_or(true),
        };
        fields.finish(Unknown::Refuse)?;
        Ok(read)
    }
}

fn avro(fields: &mut Fields<'_>) -> Result<Option<AvroWanted>, Failure> {
    let format = reading::format(fields)?;
    let schema_id = fields.integer("schemaId", 0..=u64::from(u32::MAX))?.and_then(|id| u32::try_from(id).ok());
    let Format::Avro { schema, framing } = format else {
        return match (format, schema_id) {
            (Format::Json, None) => Ok(None),
            (Format::Json, Some(_)) => Err(fields.wrong("schemaId", "'schemaId' belongs to the format 'avro'")),
            _ => Err(fields
                .wrong("format", "values are written as 'json' or 'avro'")
                .hint("texts and bytes of a 'valueColumn' are written as they are")),
        };
    };
    if schema_id.is_some() != (framing == AvroFraming::Registry) {
        let message = "'schemaId' is the number that the framing 'registry' has in front, and no other has one";
        return Err(if schema_id.is_some() { fields.wrong("schemaId", message) } else { fields.missing("schemaId").hint(message) });
    }
    Ok(Some(AvroWanted { schema, framing, schema_id: schema_id.unwrap_or_default() }))
}
