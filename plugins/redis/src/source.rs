//! Reading keys, streams and channels, in splits that are ranges: of sorted keys, of one stream's ids, or of what a group's
//! consumer was given.
//!
//! The keys are found when a source is made, and again after a restart. A split read again gives the same rows as long as
//! nobody changes the keys in its range; Redis has no snapshots that could promise more.

mod channels;
mod groups;
mod keys;
mod streams;

use crate::client::Client;
use crate::config::{Channels, Reading, What};
use crate::error::Error;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Fields, SchemaRef};
use async_trait::async_trait;
use azora_connect::element::{self, Element, VALUE};
use azora_connect::json::{self, MixedTypes};
use azora_connect::{Finish, Outcome, Policy, Position, ReadRequest, Reader, Source, Split};
use azora_spec::{Code, Failure};
use channels::Listening;
use groups::{Share, Shared};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What one split covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Part {
    /// Keys from one to before another, and the time that their rows have.
    Keys { from: Option<String>, to: Option<String>, at_ms: i64 },
    /// Entries of a stream behind an id up to another.
    Stream { key: String, after: String, last: String },
    /// What a group is given of a stream.
    Share(Share),
    /// Everything that is said from its opening on.
    Channels,
}

impl Part {
    fn split(&self, rows: Option<u64>) -> Split {
        Split { payload: serde_json::to_string(self).unwrap_or_default(), rows }
    }
}

/// One thing that may become a row: where it is, for positions and people, and what it holds.
#[derive(Debug)]
struct Item {
    position: String,
    row: Result<Value, String>,
    bytes: usize,
}

/// The keys or streams of one request.
#[derive(Debug)]
pub(crate) struct RedisSource {
    reading: Arc<Reading>,
    network: Policy,
    /// Sorted; none for streams.
    keys: Arc<[Vec<u8>]>,
    schema: SchemaRef,
}

impl RedisSource {
    pub(crate) async fn new(reading: Reading, network: Policy) -> Result<Self, Failure> {
        let mut client = Client::connect(&reading.server, &network).await?;
        let keys: Arc<[Vec<u8>]> = match &reading.what {
            What::Pattern(pattern) => keys::find(&mut client, pattern.as_deref()).await?.into(),
            What::Keys(keys) => keys.iter().map(|key| key.clone().into_bytes()).collect(),
            What::Streams { .. } | What::Channels(_) => Arc::new([]),
        };
        if let What::Streams { names, group: Some(group) } = &reading.what {
            for name in names {
                streams::check_group(&mut client, name, &group.name).await?;
            }
        }
        let sample = match &reading.what {
            What::Streams { names, .. } => streams::sample(&mut client, names, reading.sample_rows).await?,
            What::Channels(_) => Vec::new(),
            _ => keys::sample(&mut client, &keys, reading.sample_rows).await?,
        };
        let value = match &reading.what {
            What::Channels(Channels { columns: Some(columns), .. }) => Field::new(VALUE, DataType::Struct(columns.clone()), true),
            // What will be said nobody knows.
            What::Channels(_) => element::json_field(VALUE),
            _ => value_field(&sample)?,
        };
        let fields = match &reading.what {
            What::Channels(_) => vec![text("channel"), number("timestamp"), value],
            What::Streams { .. } => vec![text("stream"), text("id"), number("timestamp"), value],
            _ => vec![text("key"), value, number("timestamp")],
        };
        let schema = Element::Object.schema(Fields::from(fields));
        Ok(Self { reading: Arc::new(reading), network, keys, schema })
    }
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn number(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

/// The column of values, by the values of a sample.
fn value_field(sample: &[Value]) -> Result<Field, Failure> {
    let elements = json::infer(sample, MixedTypes::Json)?;
    let fields: Vec<Field> = elements.fields().iter().map(|field| field.as_ref().clone()).collect();
    Ok(match (Element::of(&elements), fields.as_slice()) {
        (Element::Scalar, [field]) if field.data_type() != &DataType::Null => field.clone().with_name(VALUE).with_nullable(true),
        (Element::Scalar, _) => element::json_field(VALUE),
        (Element::Tuple, fields) => element::tuple_field(VALUE, fields, true),
        (Element::Object, []) => element::json_field(VALUE),
        (Element::Object, _) => Field::new(VALUE, DataType::Struct(fields.into()), true),
    })
}

#[async_trait]
impl Source for RedisSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn is_bounded(&self) -> bool {
        !matches!(&self.reading.what, What::Channels(Channels { rows_max: None, time_max: None, .. }))
    }

    async fn plan(&self, parallelism: usize) -> Result<Vec<Split>, Failure> {
        match &self.reading.what {
            What::Channels(_) => Ok(vec![Part::Channels.split(None)]),
            What::Streams { names, group: Some(group) } => Ok(names.iter().map(|name| Share::part(name, group).split(None)).collect()),
            What::Streams { names, group: None } => {
                let mut client = Client::connect(&self.reading.server, &self.network).await?;
                let mut splits = Vec::new();
                for name in names {
                    if let Some((part, rows)) = streams::part(&mut client, name).await? {
                        splits.push(part.split(Some(rows)));
                    }
                }
                Ok(splits)
            }
            _ => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Ok(keys::cut(&self.keys, parallelism, i64::try_from(since.as_millis()).unwrap_or_default()))
            }
        }
    }

    async fn open(&self, split: &Split, position: Option<&Position>, request: ReadRequest) -> Result<Box<dyn Reader>, Failure> {
        let part: Part = serde_json::from_str(&split.payload).map_err(|_| Error::Foreign("a split"))?;
        let width = self.schema.fields().len();
        if request.projection.iter().flatten().any(|column| *column >= width) {
            return Err(Error::Foreign("a projection").into());
        }
        let (mut client, listening) = match (&part, &self.reading.what) {
            (Part::Channels, What::Channels(channels)) => {
                let (listening, client) = Listening::new(&self.reading.server, &self.network, channels).await?;
                (client, Some(listening))
            }
            (Part::Channels, _) => return Err(Error::Foreign("a split").into()),
            _ => (Client::connect(&self.reading.server, &self.network).await?, None),
        };
        let after = position.map(|Position(text)| text.as_str());
        let cursor = match part {
            Part::Keys { from, to, at_ms } => Cursor::Keys(keys::Keys::new(Arc::clone(&self.keys), (from, to), at_ms, after)),
            Part::Stream { key, after: start, last } => {
                let after = after.unwrap_or(&start).to_owned();
                if !streams::is_id(&after) || !streams::is_id(&last) {
                    return Err(Error::Foreign("a position").into());
                }
                Cursor::Stream(streams::Stream { key, after, last, is_over: false })
            }
            Part::Share(share) => {
                let after = after.unwrap_or(streams::START).to_owned();
                if !streams::is_id(&after) {
                    return Err(Error::Foreign("a position").into());
                }
                share.deliver(&mut client).await?;
                Cursor::Share(Shared { share, after, is_over: false })
            }
            Part::Channels => Cursor::Channels(listening.ok_or(Error::Foreign("a split"))?),
        };
        let rows = self.reading.batch_rows.unwrap_or(usize::MAX).min(request.batch_rows).max(1);
        Ok(Box::new(RedisReader { client, cursor, pending: VecDeque::new(), rows, request, schema: Arc::clone(&self.schema) }))
    }

    async fn finished(&self, splits: &[Split], finish: Finish) -> Result<(), Failure> {
        let What::Streams { group: Some(_), .. } = &self.reading.what else { return Ok(()) };
        let mut client = Client::connect(&self.reading.server, &self.network).await?;
        for split in splits {
            if let Part::Share(share) = serde_json::from_str(&split.payload).map_err(|_| Error::Foreign("a split"))? {
                share.settle(&mut client, finish).await?;
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
enum Cursor {
    Keys(keys::Keys),
    Stream(streams::Stream),
    Share(Shared),
    Channels(Listening),
}

/// One split being read.
#[derive(Debug)]
struct RedisReader {
    client: Client,
    cursor: Cursor,
    /// Read and not yet handed out.
    pending: VecDeque<Item>,
    rows: usize,
    request: ReadRequest,
    schema: SchemaRef,
}

#[async_trait]
impl Reader for RedisReader {
    async fn read(&mut self) -> Result<Outcome, Failure> {
        while self.pending.is_empty() {
            let items = match &mut self.cursor {
                Cursor::Keys(keys) => keys.next(&mut self.client).await?,
                Cursor::Stream(stream) => stream.next(&mut self.client).await?,
                Cursor::Share(shared) => shared.next(&mut self.client).await?,
                Cursor::Channels(listening) => listening.next(&self.client).await?,
            };
            match items {
                Some(items) => self.pending.extend(items),
                None => return Ok(Outcome::End),
            }
        }
        let (mut values, mut places, mut bytes, mut position) = (Vec::new(), Vec::new(), 0, String::new());
        while let Some(item) = self.pending.front() {
            let is_full = values.len() >= self.rows || (!values.is_empty() && bytes + item.bytes > self.request.batch_bytes);
            if is_full {
                break;
            }
            let Some(item) = self.pending.pop_front() else { break };
            bytes += item.bytes;
            match item.row {
                Ok(row) => {
                    values.push(row);
                    places.push(item.position.clone());
                }
                Err(reason) => self.request.rejects.reject(&self.place(&item.position), &reason, &[])?,
            }
            position = item.position;
        }
        let batch = self.batch(values, &places)?;
        Ok(Outcome::Batch(batch, Position(position)))
    }
}

impl RedisReader {
    fn place(&self, position: &str) -> String {
        match &self.cursor {
            Cursor::Keys(_) => position.to_owned(),
            Cursor::Stream(stream) => format!("{}/{position}", stream.key),
            Cursor::Share(shared) => format!("{}/{position}", shared.share.key),
            Cursor::Channels(_) => format!("message {position}"),
        }
    }

    fn batch(&self, mut values: Vec<Value>, places: &[String]) -> Result<RecordBatch, Failure> {
        let batch = match json::batch(&self.schema, &values) {
            Ok(batch) => batch,
            Err(_) => {
                let mut good = Vec::with_capacity(values.len());
                for (value, place) in values.drain(..).zip(places) {
                    match json::batch(&self.schema, std::slice::from_ref(&value)) {
                        Ok(_) => good.push(value),
                        Err(misfit) => {
                            let held = value.get(VALUE).map(ToString::to_string).unwrap_or_default();
                            self.request.rejects.reject(&self.place(place), &misfit.reason(), held.as_bytes())?;
                        }
                    }
                }
                json::batch(&self.schema, &good).map_err(|misfit| misfit.failure())?
            }
        };
        let Some(columns) = &self.request.projection else { return Ok(batch) };
        let broken = |_| Failure::new(Code::Internal, "cannot project rows of Redis");
        let rows = batch.num_rows();
        let projected = batch.project(columns).map_err(broken)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let (schema, columns, _) = projected.into_parts();
        RecordBatch::try_new_with_options(schema, columns, &options).map_err(broken)
    }
}
