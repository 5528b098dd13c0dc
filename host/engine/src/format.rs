//! Rows as bytes, for answers and for files: JSON, NDJSON, CSV, lines of text, Parquet and Arrow IPC.

mod binary;
mod delimited;
mod json;

use crate::error::io_failure;
use crate::relation::Shape;
use crate::result::JobResult;
use azora_connect::compress::{Codec, Deflate};
use azora_connect::json::Elements;
use azora_spec::{Code, Failure, FileFormat};
use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::stream::{self, BoxStream, StreamExt};
use parking_lot::Mutex;
use serde_json::Value;
use std::io::{self, Write};
use std::sync::Arc;

/// Bytes that a stream collects before it gives them out.
const CHUNK_BYTES: usize = 64 << 10;

/// A format and its compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encoding {
    pub(crate) format: FileFormat,
    pub(crate) compression: Compression,
}

/// How bytes are compressed: inside of Parquet and Avro, around everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Snappy,
    Codec(Codec),
}

impl Compression {
    /// The codec of a word, or the format's usual one.
    pub(crate) fn parse(word: Option<&str>, format: FileFormat) -> Result<Self, Failure> {
        let is_inside = matches!(format, FileFormat::Parquet | FileFormat::Avro);
        let word = word.map(str::to_ascii_lowercase);
        let codec = word.as_deref().and_then(Codec::parse).filter(|_| format != FileFormat::Arrow);
        match (word.as_deref(), codec) {
            (None, _) if is_inside => Ok(Self::Snappy),
            (None | Some("none" | "uncompressed"), _) => Ok(Self::None),
            (Some("snappy"), _) if is_inside => Ok(Self::Snappy),
            (_, Some(codec)) if !is_inside || codec == Codec::Zstd => Ok(Self::Codec(codec)),
            (Some(other), _) => {
                let known = if is_inside { "snappy, zstd and none" } else { "gzip, bzip2, xz, zstd and none; none for Arrow" };
                let message = format!("{} cannot be compressed with '{}'", format.as_str(), other.escape_debug());
                Err(Failure::new(Code::RequestField, message).hint(format!("codecs are {known}")))
            }
        }
    }

    /// What the names of files in text formats get behind their ending.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::None | Self::Snappy => "",
            Self::Codec(codec) => codec.suffix(),
        }
    }
}

impl Encoding {
    /// The same, as seen in file names: Parquet and Avro compress inside.
    pub(crate) const fn suffix(self) -> &'static str {
        match self.format {
            FileFormat::Parquet | FileFormat::Avro => "",
            _ => self.compression.suffix(),
        }
    }
}

/// Turns batches of one schema into bytes of one file.
pub(crate) trait Encode: Send {
    /// Takes rows.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure>;
    /// Writes what is left and flushes.
    fn finish(self: Box<Self>) -> Result<(), Failure>;
}

/// An encoder that writes to `out`.
pub(crate) fn encoder<W: Write + Send + 'static>(encoding: Encoding, schema: &SchemaRef, out: W) -> Result<Box<dyn Encode>, Failure> {
    match encoding.format {
        FileFormat::Parquet => return binary::parquet(encoding.compression, schema, out),
        FileFormat::Avro => return binary::avro(encoding.compression, schema, out),
        _ => {}
    }
    let codec = match encoding.compression {
        Compression::None | Compression::Snappy => None,
        Compression::Codec(codec) => Some(codec),
    };
    let out: Box<dyn Finish> = Box::new(Deflate::new(codec, out).map_err(|error| io_failure(&error))?);
    match encoding.format {
        FileFormat::Parquet | FileFormat::Avro | FileFormat::Arrow => binary::arrow(schema, out),
        FileFormat::Csv => Ok(delimited::csv(schema, out)),
        FileFormat::Text => Ok(delimited::text(schema, out)),
        FileFormat::Json => Ok(json::array(schema, out)),
        FileFormat::Ndjson => Ok(json::lines(schema, out)),
    }
}

/// A writer that has something to write at its end.
pub(crate) trait Finish: Write + Send {
    fn finish(self: Box<Self>) -> io::Result<()>;
}

impl<W: Write + Send> Finish for Deflate<W> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        Self::finish(*self)
    }
}

/// The media type of a format.
#[must_use]
pub const fn media_type(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Json => "application/json",
        FileFormat::Ndjson => "application/x-ndjson",
        FileFormat::Csv => "text/csv; charset=utf-8",
        FileFormat::Text => "text/plain; charset=utf-8",
        FileFormat::Parquet => "application/vnd.apache.parquet",
        FileFormat::Arrow => "application/vnd.apache.arrow.stream",
        FileFormat::Avro => "application/vnd.apache.avro",
    }
}

/// The answer in a format, piece by piece: nothing is made before it is asked for. An answer that is one value is bare in
/// JSON and NDJSON, and a table of one row in the others.
///
/// # Errors
/// [`Code::RequestNotAcceptable`] where the answer is no table and the format is one.
pub fn stream(result: &JobResult, format: FileFormat) -> Result<BoxStream<'static, Result<Bytes, Failure>>, Failure> {
    let is_json = matches!(format, FileFormat::Json | FileFormat::Ndjson);
    match &result.shape {
        Shape::Value(value) if is_json => {
            let mut text = value.to_string();
            text.push_str(if format == FileFormat::Ndjson { "\n" } else { "" });
            return Ok(stream::iter([Ok(Bytes::from(text))]).boxed());
        }
        Shape::Value(_) => {
            let message = format!("the answer is no table, so it cannot be {}", format.as_str());
            return Err(Failure::new(Code::RequestNotAcceptable, message).hint("ask for application/json"));
        }
        Shape::Single if format == FileFormat::Json => {
            let result = result.clone();
            let value = async move { to_json(&result, usize::MAX).await.map(Bytes::from) };
            return Ok(stream::once(value).boxed());
        }
        Shape::Single | Shape::Rows => {}
    }
    let shared = Shared::default();
    let encoder = encoder(Encoding { format, compression: Compression::None }, &result.schema, shared.clone())?;
    let state = Streaming { batches: result.batches(), encoder: Some(encoder), shared };
    Ok(stream::try_unfold(state, |mut state| async move { Ok(state.next().await?.map(|bytes| (bytes, state))) }).boxed())
}

struct Streaming {
    batches: BoxStream<'static, Result<RecordBatch, Failure>>,
    encoder: Option<Box<dyn Encode>>,
    shared: Shared,
}

impl Streaming {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(encoder) = &mut self.encoder {
            match self.batches.next().await {
                Some(batch) => encoder.write(&batch?)?,
                None => {
                    if let Some(encoder) = self.encoder.take() {
                        encoder.finish()?;
                    }
                }
            }
            if self.shared.0.lock().len() >= CHUNK_BYTES {
                break;
            }
        }
        let bytes = std::mem::take(&mut *self.shared.0.lock());
        Ok((!bytes.is_empty()).then(|| bytes.into()))
    }
}

/// A buffer that an encoder fills and a stream empties.
#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The answer as JSON text: an array of elements, or the one value.
///
/// # Errors
/// [`Code::ResultTooLarge`] where the text is over the limit; whatever reading the result gave.
pub async fn to_json(result: &JobResult, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    if let Shape::Value(value) = &result.shape {
        return Ok(value.to_string().into_bytes());
    }
    let is_single = result.shape == Shape::Single;
    let mut text = Vec::new();
    let mut rows = 0;
    let mut batches = result.batches();
    if !is_single {
        text.push(b'[');
    }
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let batch = if is_single { batch.slice(0, batch.num_rows().min(1)) } else { batch };
        Elements::of(&batch, &result.schema).each(&mut text, |text| {
            if rows > 0 {
                text.push(b',');
            }
            rows += 1;
        });
        if text.len() > bytes_max {
            return Err(Failure::new(Code::ResultTooLarge, format!("the result is larger than {bytes_max} bytes as JSON"))
                .hint("take fewer rows, or run the job through /api/v1/jobs and fetch its result as a stream"));
        }
        if is_single && rows > 0 {
            break;
        }
    }
    match (is_single, rows) {
        (true, 0) => text.extend_from_slice(b"null"),
        (true, _) => {}
        (false, _) => text.push(b']'),
    }
    Ok(text)
}

/// As [`to_json`], parsed.
///
/// # Errors
/// Those of [`to_json`].
pub async fn to_json_value(result: &JobResult, bytes_max: usize) -> Result<Value, Failure> {
    let text = to_json(result, bytes_max).await?;
    serde_json::from_slice(&text).map_err(|_| crate::Error::Broken("JSON that this crate wrote").into())
}

#[cfg(test)]
mod tests;
