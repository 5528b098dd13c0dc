//! What a request says of reading.

use super::{Cluster, check_topic};
use azora_connect::{Setup, json};
use azora_spec::Failure;
use azora_spec::wire::{Fields, Unknown};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Most topics of one source.
const TOPICS_MAX: usize = 64;
/// Largest Avro schema.
const AVRO_BYTES_MAX: usize = 256 << 10;
/// The consumer group where none is named.
const GROUP: &str = "azora-spark-group";
/// Longest name of a group.
const GROUP_BYTES_MAX: usize = 255;

/// A validated configuration of a source.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) cluster: Cluster,
    pub(crate) topics: Vec<String>,
    pub(crate) group: String,
    /// Whether the group stands behind what was read once the job has succeeded.
    pub(crate) is_committed: bool,
    pub(crate) batch_rows: Option<usize>,
    pub(crate) format: Format,
    pub(crate) shape: Shape,
    /// Columns of the values where the request tells them.
    pub(crate) columns: Option<arrow::datatypes::Fields>,
    pub(crate) has_headers: bool,
    /// Whether keys are bytes and not texts.
    pub(crate) has_binary_keys: bool,
    pub(crate) start: Start,
    pub(crate) end: End,
    /// Whether the source never ends.
    pub(crate) is_followed: bool,
    pub(crate) sample_rows: usize,
}

/// What the bytes of a value are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Avro { schema: String, framing: AvroFraming },
    Text,
    Bytes,
}

/// What stands in front of an Avro datum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AvroFraming {
    /// Nothing.
    None,
    /// The five bytes of schema registries: zero and the number of a schema, which is not looked at.
    Registry,
    /// The ten bytes of Avro's single-object encoding; the fingerprint has to be the schema's.
    SingleObject,
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// topic, partition, offset, timestamp, key, headers, and the value in one column.
    Messages,
    /// The value's own columns; with those of the message behind them where asked.
    Values { has_metadata: bool },
}

/// Where reading starts in each partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    Earliest,
    Latest,
    /// Where the group stands.
    Group,
    Time(i64),
    Offsets(Offsets),
}

/// Where reading ends in each partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Latest,
    Time(i64),
    Offsets(Offsets),
}

/// Offsets by topic and partition; of other partitions nothing is said.
pub(crate) type Offsets = BTreeMap<(String, i32), i64>;

impl Reading {
    pub(crate) fn read(config: &Map<String, Value>, setup: &Setup, brokers: &[String]) -> Result<Self, Failure> {
        let mut fields = Fields::config(config);
        let topics = topics(&mut fields)?;
        let cluster = Cluster::read(&mut fields, setup, brokers)?;
        let group = fields.text("groupId")?.unwrap_or(GROUP).to_owned();
        if group.is_empty() || group.len() > GROUP_BYTES_MAX || group.contains('\0') {
            return Err(fields.wrong("groupId", format!("the name of a group has 1 to {GROUP_BYTES_MAX} bytes")));
        }
        let format = format(&mut fields)?;
        let start = start(&mut fields, &topics)?;
        let read = Self {
            group,
            is_committed: fields.flag("commitOffsets")?.unwrap_or(start == Start::Group),
            batch_rows: fields.size("batchSize", 1..=1_000_000)?,
            shape: shape(&mut fields)?,
            columns: columns(&mut fields, &format)?,
            has_headers: fields.flag("headers")?.unwrap_or(false),
            has_binary_keys: fields.choice("keyFormat", &[("text", false), ("bytes", true)])?.unwrap_or(false),
            start,
            end: end(&mut fields, &topics)?,
            is_followed: fields.flag("follow")?.unwrap_or(false),
            sample_rows: fields.size("sampleRows", 1..=100_000)?.unwrap_or(json::SAMPLE_ROWS),
            cluster,
            topics,
            format,
        };
        // Whoever runs the job reads this one.
        fields.value("badRecords");
        if read.is_followed && fields.has("endOffsets") {
            return Err(fields.wrong("endOffsets", "a source that is followed has no end"));
        }
        fields.finish(Unknown::Refuse)?;
        Ok(read)
    }
}

fn topics(fields: &mut Fields<'_>) -> Result<Vec<String>, Failure> {
    let name = fields.name_of(&["topic", "topics"])?;
    let mut topics = fields.text_or_texts(name)?.ok_or_else(|| fields.missing("topic"))?;
    for topic in &topics {
        check_topic(fields, name, topic)?;
    }
    topics.sort_unstable();
    topics.dedup();
    if topics.is_empty() || topics.len() > TOPICS_MAX {
        return Err(fields.wrong(name, format!("name 1 to {TOPICS_MAX} topics")));
    }
    Ok(topics)
}

pub(super) fn format(fields: &mut Fields<'_>) -> Result<Format, Failure> {
    let words = [("json", 0), ("avro", 1), ("text", 2), ("bytes", 3)];
    let word = fields.choice("format", &words)?.unwrap_or(0);
    let framings = [("none", AvroFraming::None), ("registry", AvroFraming::Registry), ("single-object", AvroFraming::SingleObject)];
    let framing = fields.choice("avroFraming", &framings)?;
    let schema = match fields.value("avroSchema") {
        None => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    if word != 1 && (framing.is_some() || schema.is_some()) {
        let name = if schema.is_some() { "avroSchema" } else { "avroFraming" };
        return Err(fields.wrong(name, format!("'{name}' belongs to the format 'avro'")));
    }
    Ok(match word {
        0 => Format::Json,
        2 => Format::Text,
        3 => Format::Bytes,
        _ => {
            let schema = schema.ok_or_else(|| fields.missing("avroSchema"))?;
            if schema.len() > AVRO_BYTES_MAX {
                return Err(fields.wrong("avroSchema", format!("the schema is larger than {AVRO_BYTES_MAX} bytes")));
            }
            Format::Avro { schema, framing: framing.unwrap_or(AvroFraming::None) }
        }
    })
}

fn shape(fields: &mut Fields<'_>) -> Result<Shape, Failure> {
    let is_values = fields.choice("rows", &[("messages", false), ("values", true)])?.unwrap_or(false);
    let has_metadata = fields.flag("metadata")?;
    match (is_values, has_metadata) {
        (true, has_metadata) => Ok(Shape::Values { has_metadata: has_metadata.unwrap_or(false) }),
        (false, None | Some(true)) => Ok(Shape::Messages),
        (false, Some(false)) => Err(fields.wrong("metadata", "rows of messages have their metadata").hint("set \"rows\": \"values\"")),
    }
}

fn columns(fields: &mut Fields<'_>, format: &Format) -> Result<Option<arrow::datatypes::Fields>, Failure> {
    let Some(told) = fields.object("columns")? else { return Ok(None) };
    if *format != Format::Json {
        return Err(fields.wrong("columns", "columns are told for the format 'json' only"));
    }
    if told.is_empty() {
        return Err(fields.wrong("columns", "no column is told"));
    }
    json::told(&told, &fields.pointer("columns")).map(Some)
}

fn start(fields: &mut Fields<'_>, topics: &[String]) -> Result<Start, Failure> {
    const HINT: &str = "use 'earliest', 'latest', 'group', {\"timestamp\": MILLISECONDS} or {\"PARTITION\": OFFSET}";
    match fields.value("startOffsets") {
        None => Ok(Start::Earliest),
        Some(Value::String(word)) => match word.as_str() {
            "earliest" => Ok(Start::Earliest),
            "latest" => Ok(Start::Latest),
            "group" => Ok(Start::Group),
            _ => Err(fields.wrong("startOffsets", "unknown start").hint(HINT)),
        },
        Some(Value::Object(map)) => Ok(match time(map) {
            Some(at) => Start::Time(at),
            None => Start::Offsets(offsets(fields, "startOffsets", map, topics)?),
        }),
        Some(_) => Err(fields.wrong("startOffsets", "expected a word or an object").hint(HINT)),
    }
}

fn end(fields: &mut Fields<'_>, topics: &[String]) -> Result<End, Failure> {
    const HINT: &str = "use 'latest', {\"timestamp\": MILLISECONDS} or {\"PARTITION\": OFFSET}";
    match fields.value("endOffsets") {
        None => Ok(End::Latest),
        Some(Value::String(word)) if word == "latest" => Ok(End::Latest),
        Some(Value::Object(map)) => Ok(match time(map) {
            Some(at) => End::Time(at),
            None => End::Offsets(offsets(fields, "endOffsets", map, topics)?),
        }),
        Some(_) => Err(fields.wrong("endOffsets", "unknown end").hint(HINT)),
    }
}

fn time(map: &Map<String, Value>) -> Option<i64> {
    if map.len() == 1 { map.get("timestamp")?.as_i64().filter(|at| *at >= 0) } else { None }
}

/// `{"0": 12}` for the one topic, or `{"topic": {"0": 12}}`.
fn offsets(fields: &Fields<'_>, name: &'static str, map: &Map<String, Value>, topics: &[String]) -> Result<Offsets, Failure> {
    let mut offsets = Offsets::new();
    for (key, value) in map {
        match (value, topics) {
            (Value::Object(inner), _) if topics.contains(key) => {
                for (partition, offset) in inner {
                    let at = format!("{}/{key}/{partition}", fields.pointer(name));
                    let (partition, offset) = partition_offset(partition, offset).ok_or_else(|| not_an_offset(fields, name, at))?;
                    offsets.insert((key.clone(), partition), offset);
                }
            }
            (value, [topic]) => {
                let at = format!("{}/{}", fields.pointer(name), key.replace('~', "~0").replace('/', "~1"));
                let (partition, offset) = partition_offset(key, value).ok_or_else(|| not_an_offset(fields, name, at))?;
                offsets.insert((topic.clone(), partition), offset);
            }
            _ => return Err(fields.wrong(name, "several topics need an object of offsets for each of them")),
        }
    }
    Ok(offsets)
}

fn partition_offset(partition: &str, offset: &Value) -> Option<(i32, i64)> {
    let partition: i32 = partition.parse().ok().filter(|number| *number >= 0)?;
    Some((partition, offset.as_i64().filter(|offset| *offset >= 0)?))
}

fn not_an_offset(fields: &Fields<'_>, name: &'static str, at: String) -> Failure {
    fields.wrong(name, "expected the number of a partition and an offset of at least 0").at(at)
}
