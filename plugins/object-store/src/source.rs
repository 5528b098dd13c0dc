//! Objects as a source: one schema over all of them, one split for each, or for groups of rows of large Parquet files.

use crate::config::Reading;
use crate::connector::Bucket;
use crate::error::{self, Named};
use crate::format::parquet::{self, Ranges};
use crate::format::records::{Chunks, Records, document};
use crate::format::{Compression, Format, csv};
use crate::listing::{self, Object, path};
use crate::reader::ObjectReader;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use azora_connect::compress::Inflate;
use azora_connect::element::{ELEMENT_KEY, Element};
use azora_connect::ipc::Messages;
use azora_connect::json::{self, Mixed, SAMPLE_BYTES_MAX};
use azora_connect::{Position, ReadRequest, Reader, Source, Split};
use azora_connect::{avro, hive};
use azora_spec::{Code, Failure};
use futures::StreamExt;
use object_store::{GetOptions, ObjectStore};
use serde::{Deserialize, Serialize};
use serde_json::{Deserializer, Value};
use std::io::Cursor;
use std::sync::Arc;

/// Objects that are looked at to find a schema.
const SAMPLE_OBJECTS_MAX: usize = 10;
/// Most columns of a source.
const COLUMNS_MAX: usize = 10_000;

/// The objects of one key.
#[derive(Debug)]
pub(crate) struct ObjectSource {
    pub(crate) shared: Arc<Shared>,
}

/// What readers need.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) bucket: Bucket,
    pub(crate) reading: Reading,
    pub(crate) format: Format,
    objects: Vec<Object>,
    pub(crate) base: String,
    /// Columns that are in the objects.
    pub(crate) inner: SchemaRef,
    /// Columns that are in the names of folders, behind the others.
    pub(crate) folders: Vec<Field>,
    pub(crate) schema: SchemaRef,
}

/// A value of the sample, and where it stands.
#[derive(Debug)]
struct Sampled {
    key: String,
    record: u64,
    value: Value,
}

/// A part of an object. Without groups: all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    pub(crate) object: Object,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) groups: Option<(usize, usize)>,
}

impl ObjectSource {
    /// Finds the objects and their columns.
    pub(crate) async fn open(bucket: Bucket, reading: Reading) -> Result<Self, Failure> {
        let found = listing::find(&bucket, &reading.key).await?;
        let format = format_of(&reading, &found.objects)?;
        let folders = hive::columns(found.objects.iter().map(|object| object.key.as_str()), &found.base)?;
        let mut shared = Shared {
            bucket,
            reading,
            format,
            objects: found.objects,
            base: found.base,
            inner: Arc::new(Schema::empty()),
            folders,
            schema: Arc::new(Schema::empty()),
        };
        shared.inner = shared.columns().await?;
        shared.schema = shared.whole()?;
        Ok(Self { shared: Arc::new(shared) })
    }
}

/// The one format of the objects: as told, else by their keys.
fn format_of(reading: &Reading, objects: &[Object]) -> Result<Format, Failure> {
    if let Some(format) = reading.format {
        return Ok(format);
    }
    let wrong = |message: String| {
        Failure::new(Code::ConnectorConfig, message).at("/format").hint(format!("give 'format': {}", Format::NAMES.join(", ")))
    };
    let mut one = None;
    for object in objects {
        let format =
            Format::of_key(&object.key).ok_or_else(|| wrong(format!("the key '{}' does not tell a format", object.key.escape_debug())))?;
        if one.is_some_and(|one| one != format) {
            return Err(wrong("the objects have more than one format".to_owned()));
        }
        one = Some(format);
    }
    one.ok_or_else(|| wrong("there is no object that tells a format".to_owned()))
}

impl Shared {
    /// The bytes of an object, as long as it is the one that was planned.
    pub(crate) async fn chunks(&self, object: &Object) -> Result<Chunks, Failure> {
        let options = GetOptions { if_match: object.etag.clone(), ..GetOptions::default() };
        let what = self.bucket.named(&object.key);
        let got = self.bucket.store.get_opts(&path(&object.key), options).await.map_err(|error| error::store(&error, &what))?;
        Ok(got.into_stream().boxed())
    }

    pub(crate) fn inflate(&self, object: &Object) -> Result<Inflate, Failure> {
        let around = Compression::around(&object.key, self.reading.compression, self.format);
        Inflate::new(around, object.bytes).map_err(|_| error::internal("no decompressor"))
    }

    pub(crate) async fn records(&self, object: &Object) -> Result<Records, Failure> {
        let has_quotes = self.format == Format::Csv;
        Ok(Records::new(self.chunks(object).await?, self.inflate(object)?, has_quotes, self.bucket.named(&object.key)))
    }

    pub(crate) async fn document(&self, object: &Object) -> Result<Vec<u8>, Failure> {
        document(self.chunks(object).await?, self.inflate(object)?, &self.bucket.named(&object.key)).await
    }

    pub(crate) async fn arrow(&self, object: &Object) -> Result<Messages<Cursor<Vec<u8>>>, Failure> {
        let bytes = self.document(object).await?;
        let length = bytes.len() as u64;
        Messages::open(Cursor::new(bytes), length, &self.bucket.named(&object.key).to_string())
    }

    pub(crate) fn ranges(&self, object: &Object) -> Ranges {
        Ranges { store: Arc::clone(&self.bucket.store), object: object.clone(), named: self.bucket.named(&object.key) }
    }

    /// The character between values.
    pub(crate) fn delimiter(&self) -> u8 {
        let is_tabs = self.objects.first().is_some_and(|object| object.key.contains(".tsv"));
        if is_tabs { b'\t' } else { self.reading.delimiter }
    }

    async fn columns(&self) -> Result<SchemaRef, Failure> {
        let Some(first) = self.objects.first() else {
            return Ok(Element::Object.schema(self.reading.told.clone()));
        };
        match self.format {
            Format::Text => Ok(Element::Object.schema(vec![Field::new("text", DataType::Utf8, true)])),
            Format::Parquet => Ok(parquet::footer(self.ranges(first)).await?.0),
            Format::Avro => {
                let batches = avro::Batches::open(Cursor::new(self.document(first).await?), 1, &self.bucket.named(&first.key).to_string())?;
                Ok(Arc::new(Schema::new(batches.schema().fields().clone())))
            }
            Format::Arrow => {
                let of_file = self.arrow(first).await?.schema()?;
                let fields: Vec<Field> = of_file.fields().iter().map(|field| parquet::readable(field)).collect();
                Ok(Arc::new(Schema::new_with_metadata(fields, of_file.metadata().clone())))
            }
            Format::Csv => self.csv_columns(first).await,
            Format::Json | Format::Ndjson if !self.reading.told.is_empty() => Ok(Element::Object.schema(self.reading.told.clone())),
            Format::Json | Format::Ndjson => {
                let sample = self.sample().await?;
                let failure = |at: usize, mixed: &Mixed| match sample.get(at) {
                    Some(of) => mixed.failure_in(&self.bucket.named(&of.key), of.record),
                    None => mixed.failure(at as u64),
                };
                json::infer_of(sample.iter().map(|of| &of.value), self.reading.mixed, failure).map_err(|failure| failure.at("/key"))
            }
        }
    }

    async fn csv_columns(&self, first: &Object) -> Result<SchemaRef, Failure> {
        let mut records = self.records(first).await?;
        let broken = |reason: &str| error::broken(&self.bucket.named(&first.key), reason);
        let mut rows = Vec::new();
        let mut bytes = 0;
        while rows.len() <= self.reading.sample_rows && bytes < SAMPLE_BYTES_MAX {
            let Some(record) = records.next().await? else { break };
            bytes += record.len();
            if !record.is_empty() {
                let record = record.strip_prefix(b"\xEF\xBB\xBF").filter(|_| rows.is_empty()).unwrap_or(record);
                rows.push(csv::cells(record, self.delimiter()).map_err(|reason| broken(&reason))?);
            }
        }
        let Some(head) = rows.first().cloned() else { return Err(broken("it has no rows")) };
        let (names, sample) = match self.reading.has_header {
            true => (head, rows.get(1..).unwrap_or_default()),
            false => ((1..=head.len()).map(|at| format!("column_{at}")).collect(), rows.as_slice()),
        };
        csv::infer(&names, sample, &self.reading.told).map(|fields| Element::Object.schema(fields)).map_err(|reason| broken(&reason))
    }

    /// The first values of the first objects.
    async fn sample(&self) -> Result<Vec<Sampled>, Failure> {
        let mut sample: Vec<Sampled> = Vec::new();
        let mut bytes = 0;
        for object in self.objects.iter().take(SAMPLE_OBJECTS_MAX) {
            if self.format == Format::Json {
                let left = self.reading.sample_rows - sample.len();
                let values = values(&self.document(object).await?, &self.bucket.named(&object.key))?;
                let sampled = |(record, value): (u64, Value)| Sampled { key: object.key.clone(), record, value };
                sample.extend((0..).zip(values).take(left).map(sampled));
            } else {
                let mut records = self.records(object).await?;
                let mut number = 0;
                while sample.len() < self.reading.sample_rows && bytes < SAMPLE_BYTES_MAX {
                    let Some(record) = records.next().await? else { break };
                    bytes += record.len();
                    // What is not JSON is the business of reading, where it may be allowed.
                    if let Ok(value) = serde_json::from_slice(record) {
                        sample.push(Sampled { key: object.key.clone(), record: number, value });
                    }
                    number += 1;
                }
            }
            if sample.len() >= self.reading.sample_rows || bytes >= SAMPLE_BYTES_MAX {
                break;
            }
        }
        Ok(sample)
    }

    /// The columns of the objects and those of their folders.
    fn whole(&self) -> Result<SchemaRef, Failure> {
        if self.inner.fields().len() + self.folders.len() > COLUMNS_MAX {
            return Err(Failure::new(Code::DataInvalid, format!("the rows have more than {COLUMNS_MAX} columns")));
        }
        if self.folders.is_empty() {
            return Ok(Arc::clone(&self.inner));
        }
        if Element::of(&self.inner) != Element::Object {
            return Err(error::broken(&self.bucket.named(&self.reading.key), "folders name columns, but the rows are no objects"));
        }
        let mut fields: Vec<Field> = self.inner.fields().iter().map(|field| field.as_ref().clone()).collect();
        for folder in &self.folders {
            if fields.iter().any(|field| field.name() == folder.name()) {
                return Err(error::broken(
                    &self.bucket.named(&self.reading.key),
                    &format!("'{}' is a column of the rows and of the folders", folder.name().escape_debug()),
                ));
            }
            fields.push(folder.clone());
        }
        let mut metadata = self.inner.metadata().clone();
        metadata.insert(ELEMENT_KEY.to_owned(), Element::Object.as_str().to_owned());
        Ok(Arc::new(Schema::new_with_metadata(fields, metadata)))
    }

    async fn splits(&self, parallelism: usize) -> Result<Vec<Split>, Failure> {
        let mut splits = Vec::new();
        let mut add = |part: Part, rows: u64| -> Result<(), Failure> {
            let payload = serde_json::to_string(&part).map_err(|_| error::internal("a split cannot be written"))?;
            splits.push(Split { payload, rows: Some(rows.max(1)) });
            Ok(())
        };
        let pieces = parallelism.max(1).div_ceil(self.objects.len().max(1));
        for object in &self.objects {
            if self.format != Format::Parquet || pieces == 1 {
                add(Part { object: object.clone(), groups: None }, object.bytes / 64)?;
                continue;
            }
            let (_, groups) = parquet::footer(self.ranges(object)).await?;
            let pieces = pieces.min(groups.len()).max(1);
            for piece in 0..pieces {
                let (from, to) = (piece * groups.len() / pieces, (piece + 1) * groups.len() / pieces);
                let rows = groups.get(from..to).unwrap_or_default().iter().sum();
                add(Part { object: object.clone(), groups: Some((from, to)) }, rows)?;
            }
        }
        Ok(splits)
    }
}

/// The values of a JSON document: the items of an array, or values one behind the other.
pub(crate) fn values(bytes: &[u8], object: &Named) -> Result<Vec<Value>, Failure> {
    let broken =
        |error: serde_json::Error| error::broken(object, &format!("not valid JSON in line {}, column {}", error.line(), error.column()));
    let is_array = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if is_array {
        return serde_json::from_slice(bytes).map_err(broken);
    }
    Deserializer::from_slice(bytes).into_iter::<Value>().collect::<Result<_, _>>().map_err(broken)
}

#[async_trait]
impl Source for ObjectSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.shared.schema)
    }

    fn takes_conditions(&self) -> bool {
        self.shared.format == Format::Parquet || !self.shared.folders.is_empty()
    }

    async fn plan(&self, parallelism: usize) -> Result<Vec<Split>, Failure> {
        self.shared.splits(parallelism).await
    }

    async fn open(&self, split: &Split, position: Option<&Position>, request: ReadRequest) -> Result<Box<dyn Reader>, Failure> {
        let part: Part = serde_json::from_str(&split.payload).map_err(|_| error::internal("a split that this source did not make"))?;
        let skip = match position {
            Some(Position(text)) => text.parse().map_err(|_| error::internal("a position that this source did not make"))?,
            None => 0,
        };
        Ok(Box::new(ObjectReader::open(Arc::clone(&self.shared), part, skip, request).await?))
    }
}
