//! One split being read. A position counts records of the object, good and bad ones, or rows where there are no bad ones.

use crate::error::{self, Named};
use crate::format::parquet::{Groups, readable};
use crate::format::records::Records;
use crate::format::{Format, csv};
use crate::prune;
use crate::source::{Part, Shared, values};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use azora_connect::avro::Batches;
use azora_connect::hive;
use azora_connect::ipc::Messages;
use azora_connect::json::Decoder;
use azora_connect::{Condition, Outcome, Position, ReadRequest, Reader, rows_within};
use azora_spec::Failure;
use std::io::Cursor;
use std::sync::Arc;

/// Groups of rows that no file has more of.
const ALL_GROUPS: usize = usize::MAX;

#[derive(Debug)]
pub(crate) struct ObjectReader {
    shared: Arc<Shared>,
    request: ReadRequest,
    key: String,
    /// Values of the folders' columns.
    folders: Vec<Option<String>>,
    body: Body,
    /// Records or rows given out so far, or passed over.
    at: u64,
}

#[derive(Debug)]
enum Body {
    Lines(Box<Records>),
    Values(std::vec::IntoIter<Vec<u8>>),
    /// Nothing of the object is wanted.
    Nothing,
    Parquet(Box<Groups>, Rest),
    Avro(Box<Batches<Cursor<Vec<u8>>>>, Rest),
    Arrow(Box<Messages<Cursor<Vec<u8>>>>, Rest),
}

impl Body {
    /// The next batch of those that are read whole.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, Failure> {
        match self {
            Self::Avro(batches, _) => batches.next_batch(),
            Self::Arrow(messages, _) => messages.batch(),
            Self::Lines(_) | Self::Values(_) | Self::Nothing | Self::Parquet(..) => Ok(None),
        }
    }

    const fn has_rest(&self) -> bool {
        matches!(self, Self::Avro(_, Rest(Some(_))) | Self::Arrow(_, Rest(Some(_))))
    }
}

/// The rest of a batch that was larger than asked for.
#[derive(Debug, Default)]
struct Rest(Option<(RecordBatch, usize)>);

impl Rest {
    fn take(&mut self, rows_max: usize, bytes_max: usize) -> Option<RecordBatch> {
        let (batch, from) = self.0.take()?;
        let rows = rows_within(&batch, from, rows_max, bytes_max);
        if from + rows < batch.num_rows() {
            self.0 = Some((batch.clone(), from + rows));
        }
        Some(batch.slice(from, rows))
    }
}

impl ObjectReader {
    pub(crate) async fn open(shared: Arc<Shared>, part: Part, skip: u64, request: ReadRequest) -> Result<Self, Failure> {
        let key = part.object.key.clone();
        let folders: Vec<Option<String>> = hive::pairs(&key, &shared.base).into_iter().map(|(_, value)| value).collect();
        let is_wanted = request.conditions.iter().all(|condition| is_wanted(&shared, &folders, condition));
        let rows_skipped = usize::try_from(skip).map_err(|_| error::internal("a position that this source did not make"))?;
        let body = match shared.format {
            _ if !is_wanted => Body::Nothing,
            Format::Json => {
                let of_object = values(&shared.document(&part.object).await?, &shared.bucket.named(&key))?;
                Body::Values(of_object.into_iter().map(|value| value.to_string().into_bytes()).collect::<Vec<_>>().into_iter())
            }
            Format::Ndjson | Format::Csv | Format::Text => Body::Lines(Box::new(shared.records(&part.object).await?)),
            Format::Parquet => {
                let groups = part.groups.map_or(0..ALL_GROUPS, |(from, to)| from..to);
                let wanted = wanted(&shared, &request);
                let (of, conditions, asked) = (&shared.inner, &request.conditions, Arc::clone(&wanted));
                let kept = |metadata: &_, schema: &Schema| {
                    let groups = prune::groups(metadata, schema, of, conditions, groups);
                    (groups, prune::filter(metadata, schema, of, conditions, &asked))
                };
                let opened = Groups::open(shared.ranges(&part.object), wanted, kept, rows_skipped, request.batch_rows).await?;
                Body::Parquet(Box::new(opened), Rest::default())
            }
            Format::Avro => {
                let batches = Batches::open(
                    Cursor::new(shared.document(&part.object).await?),
                    request.batch_rows,
                    &shared.bucket.named(&key).to_string(),
                )?;
                Body::Avro(Box::new(batches), Rest::default())
            }
            Format::Arrow => Body::Arrow(Box::new(shared.arrow(&part.object).await?), Rest::default()),
        };
        let mut reader = Self { shared, request, key, folders, body, at: 0 };
        reader.skip(skip).await?;
        Ok(reader)
    }

    /// Passes over what was given out before.
    async fn skip(&mut self, skip: u64) -> Result<(), Failure> {
        let is_header = |shared: &Shared| shared.format == Format::Csv && shared.reading.has_header;
        match &mut self.body {
            Body::Lines(records) => {
                if is_header(&self.shared) {
                    records.next().await?;
                }
                while self.at < skip && records.next().await?.is_some() {
                    self.at += 1;
                }
            }
            Body::Values(values) => {
                while self.at < skip && values.next().is_some() {
                    self.at += 1;
                }
            }
            Body::Nothing | Body::Parquet(..) => self.at = skip,
            Body::Avro(..) | Body::Arrow(..) => {
                while self.at < skip {
                    let Some(batch) = self.body.next_batch()? else { break };
                    let passed = batch.num_rows().min(usize::try_from(skip - self.at).unwrap_or(usize::MAX));
                    self.at += passed as u64;
                    if let (Body::Avro(_, rest) | Body::Arrow(_, rest), true) = (&mut self.body, passed < batch.num_rows()) {
                        rest.0 = Some((batch, passed));
                    }
                }
            }
        }
        Ok(())
    }

    /// The next rows of the columns that are in the object; none at its end. They may be empty.
    async fn rows(&mut self) -> Result<Option<RecordBatch>, Failure> {
        let (rows_max, bytes_max) = (self.request.batch_rows.max(1), self.request.batch_bytes);
        match &mut self.body {
            Body::Nothing => Ok(None),
            Body::Parquet(groups, rest) => {
                if rest.0.is_none() {
                    rest.0 = groups.next().await?.map(|batch| (batch, 0));
                }
                let batch = rest.take(rows_max, bytes_max);
                self.at += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
                Ok(batch)
            }
            Body::Avro(..) | Body::Arrow(..) => {
                let next = if self.body.has_rest() { None } else { self.body.next_batch()? };
                let (Body::Avro(_, rest) | Body::Arrow(_, rest)) = &mut self.body else { return Ok(None) };
                rest.0 = next.map(|batch| (batch, 0)).or_else(|| rest.0.take());
                let Some(batch) = rest.take(rows_max, bytes_max) else { return Ok(None) };
                self.at += batch.num_rows() as u64;
                fitted(&batch, &self.shared.inner, &self.shared.bucket.named(&self.key)).map(Some)
            }
            Body::Lines(_) | Body::Values(_) => {
                let records = self.records(rows_max, bytes_max).await?;
                if records.is_empty() { Ok(None) } else { self.decoded(&records).map(Some) }
            }
        }
    }

    async fn records(&mut self, rows_max: usize, bytes_max: usize) -> Result<Vec<Vec<u8>>, Failure> {
        let mut records: Vec<Vec<u8>> = Vec::new();
        let mut bytes = 0;
        while records.len() < rows_max && bytes < bytes_max {
            let record = match &mut self.body {
                Body::Lines(lines) => lines.next().await?.map(<[u8]>::to_vec),
                Body::Values(values) => values.next(),
                Body::Nothing | Body::Parquet(..) | Body::Avro(..) | Body::Arrow(..) => None,
            };
            let Some(record) = record else { break };
            bytes += record.len();
            records.push(record);
        }
        Ok(records)
    }

    /// Records as rows; those that are none are handed to the request.
    fn decoded(&mut self, records: &[Vec<u8>]) -> Result<RecordBatch, Failure> {
        let first = self.at;
        self.at += records.len() as u64;
        let inner = &self.shared.inner;
        let reject = |number: usize, reason: &str, record: &[u8]| {
            let place =
                format!("{}/{} at {}, record {}", self.shared.bucket.label, self.key, self.shared.bucket.server, first + number as u64);
            self.request.rejects.reject(&place, reason, record)
        };
        match self.shared.format {
            Format::Text => {
                let texts = records.iter().map(|record| std::str::from_utf8(record).ok());
                for (number, record) in records.iter().enumerate().filter(|(_, record)| std::str::from_utf8(record).is_err()) {
                    reject(number, "it is not UTF-8", record)?;
                }
                let texts: ArrayRef = Arc::new(texts.flatten().map(Some).collect::<StringArray>());
                RecordBatch::try_new(Arc::clone(inner), vec![texts]).map_err(|_| error::internal("lines are text"))
            }
            Format::Csv => {
                // An empty line is no row; its number counts all the same.
                let numbered: Vec<(usize, &Vec<u8>)> = records.iter().enumerate().filter(|(_, record)| !record.is_empty()).collect();
                let texts: Vec<Vec<u8>> = numbered.iter().map(|(_, record)| (*record).clone()).collect();
                let rows = csv::rows(inner, &texts, self.shared.delimiter());
                for (at, reason) in &rows.rejected {
                    if let Some((number, record)) = numbered.get(*at) {
                        reject(*number, reason, record)?;
                    }
                }
                Ok(rows.batch)
            }
            _ => {
                let mut decoder = Decoder::new(Arc::clone(inner));
                let numbers: Vec<usize> =
                    (0..records.len()).filter(|at| records.get(*at).is_some_and(|record| !is_blank(record))).collect();
                numbers.iter().filter_map(|at| records.get(*at)).for_each(|record| decoder.push(record));
                let decoded = decoder.flush();
                for (at, record, reason) in &decoded.rejected {
                    reject(numbers.get(*at).copied().unwrap_or(*at), reason, record)?;
                }
                Ok(decoded.batch)
            }
        }
    }

    /// The wanted columns in the wanted order, those of the folders among them.
    fn finish(&self, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
        let rows = batch.num_rows();
        let schema = &self.shared.schema;
        let indices: Vec<usize> = self.request.projection.clone().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let inner = self.shared.inner.fields().len();
        let column = |index: &usize| -> Result<ArrayRef, Failure> {
            let field = schema.fields().get(*index).ok_or_else(|| error::internal("a projection names a column that is not there"))?;
            if *index >= inner {
                let value = self.folders.get(*index - inner).and_then(Option::as_deref);
                return Ok(hive::array(field, value, rows));
            }
            batch.column_by_name(field.name()).cloned().ok_or_else(|| error::internal("a column was not read"))
        };
        let columns = indices.iter().map(column).collect::<Result<_, _>>()?;
        let fields: Vec<Field> =
            indices.iter().filter_map(|index| schema.fields().get(*index)).map(|field| field.as_ref().clone()).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(schema, columns, &options).map_err(|_| error::internal("columns do not fit their schema"))
    }
}

fn is_blank(record: &[u8]) -> bool {
    record.iter().all(u8::is_ascii_whitespace)
}

/// Whether rows in an object's folders may fulfil a condition.
fn is_wanted(shared: &Shared, folders: &[Option<String>], condition: &Condition) -> bool {
    let Some(at) = condition.column.checked_sub(shared.inner.fields().len()) else { return true };
    match (shared.folders.get(at), folders.get(at)) {
        (Some(field), Some(value)) => prune::folder(field, value.as_deref(), condition),
        _ => true,
    }
}

/// The wanted columns that are in the objects.
fn wanted(shared: &Shared, request: &ReadRequest) -> SchemaRef {
    let is_wanted = |at: usize| request.projection.as_ref().is_none_or(|columns| columns.contains(&at));
    let fields: Vec<Field> =
        shared.inner.fields().iter().enumerate().filter(|(at, _)| is_wanted(*at)).map(|(_, field)| field.as_ref().clone()).collect();
    Arc::new(Schema::new(fields))
}

/// The columns of a batch under the schema of the first object.
fn fitted(batch: &RecordBatch, schema: &SchemaRef, object: &Named) -> Result<RecordBatch, Failure> {
    let misfit = || error::broken(object, "its columns are not those of the objects before it");
    let column = |field: &Arc<Field>| {
        let column = batch.column_by_name(field.name())?;
        let plain = readable(&Field::new("", column.data_type().clone(), true));
        if plain.data_type() == field.data_type() { cast(column, field.data_type()).ok() } else { None }
    };
    let columns = schema.fields().iter().map(column).collect::<Option<Vec<_>>>().ok_or_else(misfit)?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|_| misfit())
}

#[async_trait]
impl Reader for ObjectReader {
    async fn read(&mut self) -> Result<Outcome, Failure> {
        match self.rows().await? {
            None => Ok(Outcome::End),
            Some(batch) => Ok(Outcome::Batch(self.finish(&batch)?, Position(self.at.to_string()))),
        }
    }
}
