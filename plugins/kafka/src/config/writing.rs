//! What a request says of writing.

use super::Cluster;
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
    /// Whether every message says in a header which row of which job it is.
    pub(crate) has_record_ids: bool,
}

impl Writing {
    pub(crate) fn read(config: &Map<String, Value>, setup: &Setup, brokers: &[String]) -> Result<Self, Failure> {
        let mut fields = Fields::config(config);
        let topic = super::topic(&mut fields)?;
        let cluster = Cluster::read(&mut fields, setup, brokers)?;
        let mut column = |name| fields.text(name).map(|text| text.map(str::to_owned));
        let read = Self {
            cluster,
            topic,
            key_column: column("keyColumn")?,
            value_column: column("valueColumn")?,
            partition_column: column("partitionColumn")?,
            timestamp_column: column("timestampColumn")?,
            has_record_ids: fields.flag("recordIds")?.unwrap_or(true),
        };
        fields.finish(Unknown::Refuse)?;
        Ok(read)
    }
}
