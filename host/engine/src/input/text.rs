//! Text files (CSV, JSON, lines) as a source: types are told by the request or inferred from the head of the first
//! files, big files are cut at the ends of records, and a value that does not fit is named by row and column.

mod blocks;
mod csv;
mod json;
mod lines;
mod sift;

use super::file::{self, Config};
use super::folders::OfFiles;
use crate::Options;
use crate::files::Files;
use crate::pins::FilePin;
use async_trait::async_trait;
use azora_connect::{Outcome, Position, ReadRequest, Reader, Source, Split};
use azora_spec::{Code, Failure, FileFormat, OnError};
use blocks::Blocks;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Files below this size are read by one partition.
const CUT_BYTES_MIN: u64 = 4 << 20;
/// Most bytes of the head of the files that are looked at to find types.
const SAMPLE_BYTES_MAX: usize = 16 << 20;
/// A batch is given out early once it was made of so many bytes.
const BATCH_BYTES: usize = 8 << 20;
/// Most bytes of one batch, where records are so long that it could not be given out earlier.
const BATCH_BYTES_MAX: usize = 128 << 20;

/// How to read text files.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    format: FileFormat,
    columns: Option<Vec<String>>,
    types: Vec<(String, DataType)>,
    delimiter: u8,
    has_header: bool,
    sample_rows: usize,
    record_bytes_max: usize,
    bad_records: OnError,
}

impl Settings {
    pub(crate) fn new(config: &Config, format: FileFormat, options: &Options) -> Self {
        Self {
            format,
            columns: config.columns.clone(),
            types: config.types.clone(),
            delimiter: if config.paths.iter().all(|path| path.ends_with(".tsv")) { b'\t' } else { config.delimiter },
            has_header: config.has_header,
            sample_rows: config.sample_rows.unwrap_or(options.sample_rows),
            record_bytes_max: options.record_bytes_max,
            bad_records: OnError::Fail,
        }
    }

    /// The same, with what happens to records that are no rows.
    pub(crate) fn with_bad_records(self, policy: OnError) -> Self {
        Self { bad_records: policy, ..self }
    }

    /// The same over files whose folders name these columns: they are not looked for in the files.
    pub(crate) fn without(mut self, folders: &[Field]) -> Self {
        let is_own = |name: &str| !folders.iter().any(|folder| folder.name() == name);
        self.types.retain(|(name, _)| is_own(name));
        if let Some(columns) = &mut self.columns {
            columns.retain(|name| is_own(name));
        }
        self.columns = self.columns.filter(|columns| !columns.is_empty());
        self
    }

    /// Whether records that are no rows are left out.
    fn is_tolerant(&self) -> bool {
        self.bad_records != OnError::Fail
    }

    /// The type that the request gives a column.
    fn told(&self, name: &str) -> Option<&DataType> {
        self.types.iter().find(|(of, _)| of == name).map(|(_, of)| of)
    }

    fn is_json(&self) -> bool {
        matches!(self.format, FileFormat::Json | FileFormat::Ndjson)
    }

    /// Whether the request tells the type of every column that it wants, so that nothing has to be inferred.
    fn tells_all(&self) -> Option<&[String]> {
        self.columns.as_deref().filter(|columns| columns.iter().all(|name| self.told(name).is_some()))
    }
}

/// Text files of one schema.
#[derive(Debug)]
pub(crate) struct TextSource {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: Arc<Files>,
    pins: Vec<FilePin>,
    settings: Settings,
    schema: SchemaRef,
}

/// A part of one file. Without an end: up to the file's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    file: usize,
    start: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<u64>,
}

impl TextSource {
    /// Finds the schema. The work is returned, to be done where waiting is allowed.
    pub(crate) fn new(
        files: Arc<Files>,
        pins: Vec<FilePin>,
        settings: Settings,
    ) -> impl FnOnce() -> Result<Self, Failure> + Send + 'static {
        move || {
            let mut inner = Inner { files, pins, settings, schema: Arc::new(Schema::empty()) };
            inner.schema = match inner.settings.format {
                FileFormat::Csv => csv::schema(&inner)?,
                FileFormat::Text => lines::schema(),
                _ => json::schema(&inner)?,
            };
            Ok(Self { inner: Arc::new(inner) })
        }
    }
}

impl Inner {
    fn blocks(&self, part: &Part) -> Result<Blocks, Failure> {
        let pin = self.pins.get(part.file).ok_or_else(|| Failure::new(Code::Internal, "a split names no file"))?;
        Blocks::open(file::open(&self.files, pin)?, &pin.path, part.start, part.end)
    }

    fn path(&self, file: usize) -> &str {
        self.pins.get(file).map_or("", |pin| &pin.path)
    }

    /// What reads records into the wanted columns.
    fn decoder(&self, request: &ReadRequest, has_header: bool) -> Result<Box<dyn Decode>, Failure> {
        let projection = request.projection.as_deref();
        Ok(match self.settings.format {
            FileFormat::Csv => Box::new(csv::Decoder::new(self, has_header, projection, request.batch_rows)?),
            FileFormat::Text => Box::new(lines::Decoder::new(&self.schema, projection, request.batch_rows)?),
            _ => json::decoder(self, projection, request.batch_rows)?,
        })
    }

    /// A failure at a row of a file, counted from 0 over the whole file.
    fn at_row(&self, part: &Part, row_of_part: u64, message: &str) -> Failure {
        let before = self.rows_before(part).unwrap_or(0);
        let row = before + row_of_part;
        Failure::new(Code::DataInvalid, format!("'{}', row {row}: {message}", self.path(part.file).escape_debug())).row(row)
    }

    /// Records in front of a part. Only asked after an error: it reads all of them.
    fn rows_before(&self, part: &Part) -> Result<u64, Failure> {
        if part.start == 0 {
            return Ok(0);
        }
        let mut blocks = self.blocks(&Part { file: part.file, start: 0, end: Some(part.start) })?;
        let mut rows = 0;
        let mut is_quoted = false;
        while let Some(block) = blocks.next()? {
            for byte in block {
                match byte {
                    b'"' if self.settings.format == FileFormat::Csv => is_quoted = !is_quoted,
                    b'\n' if !is_quoted => rows += 1,
                    _ => {}
                }
            }
        }
        Ok(if self.settings.format == FileFormat::Csv && self.settings.has_header { u64::saturating_sub(rows, 1) } else { rows })
    }

    /// Cuts one file. Every cut is at the end of a record, or anywhere where records are lines.
    fn parts(&self, file: usize, bytes_each: u64) -> Result<Vec<Part>, Failure> {
        let whole = Part { file, start: 0, end: None };
        let Some(pin) = self.pins.get(file) else { return Ok(Vec::new()) };
        if pin.bytes < 2 * CUT_BYTES_MIN || pin.bytes <= bytes_each || blocks::is_compressed(&pin.path) {
            return Ok(vec![whole]);
        }
        let targets = (1..pin.bytes.div_ceil(bytes_each)).map(|at| at * bytes_each);
        let cuts: Vec<u64> = match self.settings.format {
            FileFormat::Csv => csv::cuts(self.blocks(&whole)?, targets)?,
            FileFormat::Text | FileFormat::Ndjson => targets.collect(),
            _ if json::is_array(&mut self.blocks(&whole)?)? => return Ok(vec![whole]),
            _ => targets.collect(),
        };
        let starts = std::iter::once(0).chain(cuts.iter().copied());
        let ends = cuts.iter().copied().map(Some).chain(std::iter::once(None));
        Ok(starts.zip(ends).map(|(start, end)| Part { file, start, end }).collect())
    }
}

impl OfFiles for TextSource {
    fn file_of(&self, split: &Split) -> Option<usize> {
        serde_json::from_str::<Part>(&split.payload).ok().map(|part| part.file)
    }
}

#[async_trait]
impl Source for TextSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.inner.schema)
    }

    async fn plan(&self, parallelism: usize) -> Result<Vec<Split>, Failure> {
        let inner = Arc::clone(&self.inner);
        let work = move || {
            let bytes: u64 = inner.pins.iter().map(|pin| pin.bytes).sum();
            let bytes_each = bytes.div_ceil(parallelism.max(1) as u64).max(CUT_BYTES_MIN);
            let mut splits = Vec::new();
            for file in 0..inner.pins.len() {
                let size = inner.pins.get(file).map_or(0, |pin| pin.bytes);
                for part in inner.parts(file, bytes_each)? {
                    let bytes = part.end.unwrap_or(size.max(part.start)) - part.start;
                    let payload = serde_json::to_string(&part).map_err(|_| Failure::new(Code::Internal, "a split cannot be written"))?;
                    // A rough guess at rows is enough to balance partitions.
                    splits.push(Split { payload, rows: Some(bytes / 64 + 1) });
                }
            }
            Ok(splits)
        };
        super::blocking(work).await
    }

    async fn open(&self, split: &Split, _: Option<&Position>, request: ReadRequest) -> Result<Box<dyn Reader>, Failure> {
        let part: Part =
            serde_json::from_str(&split.payload).map_err(|_| Failure::new(Code::Internal, "a split that this source did not make"))?;
        Ok(Box::new(TextReader::new(Arc::clone(&self.inner), part, request)?))
    }
}

/// Turns bytes of records into batches.
trait Decode: Send + std::fmt::Debug {
    /// Takes bytes from the front and says how many; fewer than given once a batch is full.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, ()>;
    /// Complete records that wait to be flushed.
    fn records(&self) -> usize;
    /// Whether the bytes taken end inside a record.
    fn is_inside(&self) -> bool;
    /// The records taken so far, which were `bytes`.
    fn flush(&mut self, bytes: &[u8]) -> Result<Option<RecordBatch>, ()>;
    /// What is wrong with these bytes, which begin with a record: its number among them and the reason.
    fn explain(&self, bytes: &[u8]) -> (u64, String);
}

/// One part of one file being read.
#[derive(Debug)]
struct TextReader {
    inner: Arc<Inner>,
    part: Part,
    blocks: Blocks,
    /// Bytes of the batch at hand, kept to say what is wrong with them, and those that are still to be decoded.
    block: Vec<u8>,
    /// Where the batch at hand begins, and up to where it is decoded.
    start: usize,
    at: usize,
    is_end: bool,
    is_closed: bool,
    decode: Box<dyn Decode>,
    flatten: Option<json::Flatten>,
    /// Bytes since a record ended.
    unfinished: usize,
    rows: u64,
    /// Set where no column is wanted, only the number of rows.
    bare: Option<SchemaRef>,
    /// What to read, with the columns that are decoded.
    request: ReadRequest,
    /// Whether the header of the file is still to come.
    is_headed: bool,
    /// Records of the file in front of the part, once somebody has asked.
    before: Option<u64>,
    /// Rows of a region with bad records in it.
    ready: VecDeque<RecordBatch>,
}

impl TextReader {
    fn new(inner: Arc<Inner>, part: Part, mut request: ReadRequest) -> Result<Self, Failure> {
        // The readers below cannot read "no column": they read the first one, and it is dropped.
        let is_bare = request.projection.as_ref().is_some_and(Vec::is_empty) && !inner.schema.fields().is_empty();
        if is_bare {
            request.projection = Some(vec![0]);
        }
        let bare = is_bare.then(|| Arc::new(Schema::empty()));
        let mut blocks = inner.blocks(&part)?;
        let mut flatten = None;
        if inner.settings.format == FileFormat::Json && part.start == 0 && json::is_array(&mut blocks)? {
            flatten = Some(json::Flatten::default());
        }
        let is_headed = inner.settings.format == FileFormat::Csv && inner.settings.has_header && part.start == 0;
        let decode = inner.decoder(&request, is_headed)?;
        Ok(Self {
            inner,
            part,
            blocks,
            block: Vec::new(),
            start: 0,
            at: 0,
            is_end: false,
            is_closed: false,
            decode,
            flatten,
            unfinished: 0,
            rows: 0,
            bare,
            request,
            is_headed,
            before: None,
            ready: VecDeque::new(),
        })
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, Failure> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            if self.at == self.block.len() && !self.is_end {
                self.fill()?;
            }
            let rest = self.next_bytes();
            let records = self.decode.records();
            let length = rest.len();
            let bytes = self.at..self.at + length;
            let Ok(taken) = self.decode.take(self.block.get(bytes).unwrap_or_default()) else {
                if self.inner.settings.is_tolerant() {
                    self.sift()?;
                    continue;
                }
                return Err(self.blame(self.block.len()));
            };
            self.at += taken;
            let pending = self.at - self.start;
            self.unfinished = if self.decode.records() > records || taken == 0 { 0 } else { self.unfinished + taken };
            if self.unfinished > self.inner.settings.record_bytes_max {
                let message = format!("the record is longer than {} bytes", self.inner.settings.record_bytes_max);
                return Err(self.inner.at_row(&self.part, self.rows + self.decode.records() as u64, &message));
            }
            if pending > BATCH_BYTES_MAX {
                return Err(self.inner.at_row(&self.part, self.rows, "records are too long to be read in batches"));
            }
            let is_full = taken == 0 && length > 0;
            let is_large = pending >= BATCH_BYTES && !self.decode.is_inside();
            let is_over = self.is_end && self.at == self.block.len();
            if is_full || is_large || is_over {
                let batch = match self.decode.flush(self.block.get(self.start..self.at).unwrap_or_default()) {
                    Ok(None) if is_over && self.decode.is_inside() => Err(()),
                    batch => batch,
                };
                let batch = match batch {
                    Ok(batch) => batch,
                    Err(()) if self.inner.settings.is_tolerant() => {
                        self.sift()?;
                        continue;
                    }
                    Err(()) => return Err(self.blame(self.at)),
                };
                self.is_headed &= pending == 0;
                self.start = self.at;
                match batch {
                    Some(batch) => {
                        self.rows += batch.num_rows() as u64;
                        return Ok(Some(batch));
                    }
                    None if is_over => return Ok(None),
                    None => {}
                }
            }
        }
    }

    /// What to decode next: all that is there, or, to close a large batch, up to the end of the line.
    fn next_bytes(&self) -> &[u8] {
        let rest = self.block.get(self.at..).unwrap_or_default();
        match memchr::memchr(b'\n', rest) {
            Some(end) if self.at - self.start >= BATCH_BYTES => rest.get(..=end).unwrap_or(rest),
            _ => rest,
        }
    }

    /// Appends what comes next.
    fn fill(&mut self) -> Result<(), Failure> {
        self.block.drain(..self.start);
        self.at -= std::mem::take(&mut self.start);
        let from = self.block.len();
        match self.blocks.next()? {
            Some(block) => {
                self.block.extend_from_slice(block);
                if let (Some(flatten), Some(new)) = (&mut self.flatten, self.block.get_mut(from..)) {
                    flatten.step(new).map_err(|message| self.inner.at_row(&self.part, self.rows, message))?;
                }
            }
            None if self.inner.settings.is_json() && !self.is_closed => {
                // A number at the very end would go on otherwise.
                self.block.push(b'\n');
                self.is_closed = true;
            }
            None => {
                self.is_end = true;
                if self.flatten.as_ref().is_some_and(|flatten| !flatten.is_closed()) {
                    let path = self.inner.path(self.part.file).escape_debug().to_string();
                    return Err(Failure::new(Code::FileFormat, format!("'{path}' ends inside its JSON array")).at("/path"));
                }
            }
        }
        Ok(())
    }

    /// What is wrong with the batch at hand, which ends here.
    fn blame(&self, end: usize) -> Failure {
        let (row, message) = self.decode.explain(self.block.get(self.start..end).unwrap_or_default());
        self.inner.at_row(&self.part, self.rows + row, &message)
    }
}

#[async_trait]
impl Reader for TextReader {
    async fn read(&mut self) -> Result<Outcome, Failure> {
        let Some(batch) = self.next()? else { return Ok(Outcome::End) };
        let batch = match &self.bare {
            None => batch,
            Some(schema) => {
                let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                RecordBatch::try_new_with_options(Arc::clone(schema), Vec::new(), &options)
                    .map_err(|error| crate::error::arrow_failure(&error))?
            }
        };
        Ok(Outcome::Batch(batch, Position(self.rows.to_string())))
    }
}

/// The schema of the columns that are wanted.
fn projected(schema: &SchemaRef, projection: Option<&[usize]>) -> Result<SchemaRef, Failure> {
    match projection {
        None => Ok(Arc::clone(schema)),
        Some(columns) => schema.project(columns).map(Arc::new).map_err(|error| crate::error::arrow_failure(&error)),
    }
}

#[cfg(test)]
mod tests;
