//! Parquet, Avro and Arrow IPC. The first and the last keep what an element is in the schema's metadata.

use super::{Compression, Encode, Finish};
use crate::error::{arrow_failure, io_failure};
use azora_connect::avro;
use azora_spec::{Code, Failure};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{self, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use std::io::Write;
use std::sync::Arc;

/// Most rows of a row group.
const GROUP_ROWS_MAX: usize = 512 << 10;
/// A row group is closed once it holds so many bytes in memory.
const GROUP_BYTES: usize = 32 << 20;
/// A column stops looking for values that repeat once those that it knows take so many bytes: looking costs more than
/// everything else about a column of different values, and the library's 1 MiB is 131,072 numbers.
const DICTIONARY_BYTES: usize = 256 << 10;

/// A Parquet file.
pub(super) fn parquet<W: Write + Send + 'static>(compression: Compression, schema: &SchemaRef, out: W) -> Result<Box<dyn Encode>, Failure> {
    let codec = match compression {
        Compression::None => basic::Compression::UNCOMPRESSED,
        Compression::Codec(_) => basic::Compression::ZSTD(ZstdLevel::default()),
        Compression::Snappy => basic::Compression::SNAPPY,
    };
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_created_by("azora-spark".to_owned())
        .build();
    let writer = ArrowWriter::try_new(out, Arc::clone(schema), Some(properties)).map_err(|error| failure(&error))?;
    Ok(Box::new(Parquet { writer }))
}

struct Parquet<W: Write + Send> {
    writer: ArrowWriter<W>,
}

impl<W: Write + Send> Encode for Parquet<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        self.writer.write(batch).map_err(|error| failure(&error))?;
        if self.writer.in_progress_size() >= GROUP_BYTES {
            self.writer.flush().map_err(|error| failure(&error))?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Failure> {
        let mut out = self.writer.into_inner().map_err(|error| failure(&error))?;
        out.flush().map_err(|error| io_failure(&error))
    }
}

fn failure(error: &ParquetError) -> Failure {
    if let ParquetError::External(inner) = error
        && let Some(error) = inner.downcast_ref::<std::io::Error>()
    {
        return io_failure(error);
    }
    tracing::warn!(%error, "Parquet cannot be written");
    Failure::new(Code::OperationInvalid, "these rows cannot be written as Parquet")
}

/// An Avro object container file.
pub(super) fn avro<W: Write + Send + 'static>(compression: Compression, schema: &SchemaRef, out: W) -> Result<Box<dyn Encode>, Failure> {
    let codec = match compression {
        Compression::None => avro::Codec::None,
        Compression::Codec(_) => avro::Codec::Zstd,
        Compression::Snappy => avro::Codec::Snappy,
    };
    Ok(Box::new(Avro { writer: avro::Writer::new(schema, codec, out)? }))
}

struct Avro<W: Write + Send> {
    writer: avro::Writer<W>,
}

impl<W: Write + Send> Encode for Avro<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        self.writer.write(batch)
    }

    fn finish(self: Box<Self>) -> Result<(), Failure> {
        self.writer.finish()?.flush().map_err(|error| io_failure(&error))
    }
}

/// An Arrow IPC stream.
pub(super) fn arrow(schema: &SchemaRef, out: Box<dyn Finish>) -> Result<Box<dyn Encode>, Failure> {
    let writer = StreamWriter::try_new(out, schema).map_err(|error| arrow_failure(&error))?;
    Ok(Box::new(Arrow { writer }))
}

struct Arrow {
    writer: StreamWriter<Box<dyn Finish>>,
}

impl Encode for Arrow {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        self.writer.write(batch).map_err(|error| arrow_failure(&error))
    }

    fn finish(self: Box<Self>) -> Result<(), Failure> {
        let out = self.writer.into_inner().map_err(|error| arrow_failure(&error))?;
        out.finish().map_err(|error| io_failure(&error))
    }
}
