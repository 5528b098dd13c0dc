//! Rows as bytes of one object.

use super::{Compression, Format};
use crate::error;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::writer::FileWriter;
use azora_connect::avro;
use azora_connect::compress::Deflate;
use azora_connect::element::{self, VALUE};
use azora_connect::json::{Elements, texts};
use azora_spec::{Code, Failure};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as Codec, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a row group in memory after which it is closed.
const GROUP_BYTES_MAX: usize = 64 << 20;

/// A buffer that an encoder fills and an upload empties.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Turns batches of one schema into bytes.
pub(crate) enum Encoder {
    Text { around: Deflate<Shared>, format: Format, schema: SchemaRef, has_rows: bool },
    Parquet(Box<ArrowWriter<Shared>>),
    Avro(Box<avro::Writer<Shared>>),
    Arrow(Box<FileWriter<Shared>>),
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoder")
    }
}

fn failed(_: impl std::fmt::Display) -> Failure {
    error::internal("rows could not be encoded")
}

impl Encoder {
    /// Refuses rows that a format cannot hold.
    pub(crate) fn check(format: Format, schema: &Schema) -> Result<(), Failure> {
        let refused = |message: &str| Err(Failure::new(Code::OperationInvalid, message).at("/format"));
        match (format, schema.fields().len()) {
            (Format::Text, 1) => Ok(()),
            (Format::Text, _) => refused("text holds rows of one column"),
            (Format::Csv, 0) => refused("csv cannot hold rows without columns"),
            _ => Ok(()),
        }
    }

    pub(crate) fn new(format: Format, compression: Compression, schema: &SchemaRef, out: Shared) -> Result<Self, Failure> {
        Self::check(format, schema)?;
        match format {
            Format::Parquet => {
                let codec = match compression {
                    Compression::Snappy => Codec::SNAPPY,
                    Compression::Codec(_) => Codec::ZSTD(ZstdLevel::default()),
                    Compression::None => Codec::UNCOMPRESSED,
                };
                let properties = WriterProperties::builder().set_compression(codec).build();
                let writer = ArrowWriter::try_new(out, Arc::clone(schema), Some(properties)).map_err(failed)?;
                Ok(Self::Parquet(Box::new(writer)))
            }
            Format::Avro => {
                let codec = match compression {
                    Compression::Snappy => avro::Codec::Snappy,
                    Compression::Codec(_) => avro::Codec::Zstd,
                    Compression::None => avro::Codec::None,
                };
                Ok(Self::Avro(Box::new(avro::Writer::new(schema, codec, out)?)))
            }
            Format::Arrow => Ok(Self::Arrow(Box::new(FileWriter::try_new(out, schema).map_err(failed)?))),
            Format::Json | Format::Ndjson | Format::Csv | Format::Text => {
                let mut around = Deflate::new(compression.codec(), out).map_err(failed)?;
                if format == Format::Csv {
                    around.write_all(&header(schema)).map_err(failed)?;
                }
                if format == Format::Json {
                    around.write_all(b"[").map_err(failed)?;
                }
                Ok(Self::Text { around, format, schema: Arc::clone(schema), has_rows: false })
            }
        }
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        match self {
            Self::Parquet(writer) => {
                writer.write(batch).map_err(failed)?;
                if writer.in_progress_size() > GROUP_BYTES_MAX { writer.flush().map_err(failed) } else { Ok(()) }
            }
            Self::Avro(writer) => writer.write(batch),
            Self::Arrow(writer) => writer.write(batch).map_err(failed),
            Self::Text { around, format, schema, has_rows } => {
                let bytes = match format {
                    Format::Csv => csv(schema, batch)?,
                    Format::Text => lines(batch),
                    Format::Json => json(schema, batch, if *has_rows { Some(b",\n") } else { None }, b",\n"),
                    _ => json(schema, batch, None, b"\n"),
                };
                *has_rows |= batch.num_rows() > 0;
                around.write_all(&bytes).map_err(failed)
            }
        }
    }

    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Parquet(writer) => writer.close().map(|_| ()).map_err(failed),
            Self::Avro(writer) => writer.finish().map(drop),
            Self::Arrow(mut writer) => writer.finish().map_err(failed),
            Self::Text { mut around, format, .. } => {
                if format == Format::Json {
                    around.write_all(b"]\n").map_err(failed)?;
                }
                around.finish().map_err(failed)
            }
        }
    }
}

/// Rows as JSON: between two of them for an array, behind each for lines.
fn json(schema: &SchemaRef, batch: &RecordBatch, before: Option<&[u8]>, between: &[u8]) -> Vec<u8> {
    let elements = Elements::of(batch, schema);
    let mut out = before.unwrap_or_default().to_vec();
    for row in 0..batch.num_rows() {
        elements.row(&mut out, row);
        if between == b"\n" || row + 1 < batch.num_rows() {
            out.extend_from_slice(between);
        }
    }
    if batch.num_rows() == 0 { Vec::new() } else { out }
}

fn lines(batch: &RecordBatch) -> Vec<u8> {
    let mut out = Vec::new();
    let Some(column) = batch.columns().first() else { return out };
    let texts = flat(column, &Field::new(VALUE, column.data_type().clone(), true));
    for row in 0..batch.num_rows() {
        out.extend_from_slice(texts.get(row).and_then(Option::as_deref).unwrap_or_default().as_bytes());
        out.push(b'\n');
    }
    out
}

/// Texts are themselves, everything else is what JSON makes of it.
fn flat(column: &ArrayRef, field: &Field) -> Vec<Option<String>> {
    use arrow::array::AsArray;
    match column.as_string_opt::<i32>() {
        Some(strings) => strings.iter().map(|text| text.map(str::to_owned)).collect(),
        None => texts(column, field).iter().map(|text| text.map(|text| text.trim_matches('"').to_owned())).collect(),
    }
}

fn quoted(out: &mut Vec<u8>, text: &str) {
    if text.contains(['"', ',', '\n', '\r']) {
        out.push(b'"');
        out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

fn header(schema: &Schema) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, field) in schema.fields().iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        quoted(&mut out, field.name());
    }
    out.push(b'\n');
    out
}

fn csv(schema: &Schema, batch: &RecordBatch) -> Result<Vec<u8>, Failure> {
    let column = |(column, field): (&ArrayRef, &Arc<Field>)| match field.data_type() {
        DataType::List(_) | DataType::Struct(_) => texts(column, field).iter().map(|text| text.map(str::to_owned)).collect(),
        _ if element::is_json(field) => texts(column, field).iter().map(|text| text.map(str::to_owned)).collect(),
        _ => flat(column, field),
    };
    let columns: Vec<Vec<Option<String>>> = batch.columns().iter().zip(schema.fields()).map(column).collect();
    let mut out = Vec::new();
    for row in 0..batch.num_rows() {
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            match column.get(row).and_then(Option::as_deref).unwrap_or_default() {
                // An empty line would be no row.
                "" if columns.len() == 1 => out.extend_from_slice(b"\"\""),
                text => quoted(&mut out, text),
            }
        }
        out.push(b'\n');
    }
    Ok(out)
}
