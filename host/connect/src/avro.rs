//! Avro object container files: their batches, and rows as such a file. What the columns of Avro's types are is
//! `arrow-avro`'s business.

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_avro::compression::CompressionCodec;
use arrow_avro::reader::{Reader, ReaderBuilder};
use arrow_avro::writer::format::AvroOcfFormat;
use arrow_avro::writer::{AvroWriter, WriterBuilder};
use azora_spec::{Code, Failure};
use std::io::{BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The batches of one file, read as they are asked for.
pub struct Batches<R: BufRead> {
    reader: Reader<R>,
    place: String,
}

impl<R: BufRead> std::fmt::Debug for Batches<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("place", &self.place).finish_non_exhaustive()
    }
}

impl<R: BufRead> Batches<R> {
    /// Reads the head of a file that failures call `place`.
    ///
    /// # Errors
    /// [`Code::FileFormat`] where it is no such file.
    pub fn open(input: R, batch_rows: usize, place: &str) -> Result<Self, Failure> {
        // The bytes are a stranger's: a panic of the decoder is a damaged file.
        let opened = catch_unwind(AssertUnwindSafe(|| ReaderBuilder::new().with_batch_size(batch_rows.max(1)).build(input)));
        match opened {
            Ok(Ok(reader)) => Ok(Self { reader, place: place.to_owned() }),
            _ => Err(broken(place, "it is not a readable Avro file")),
        }
    }

    /// Its columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// [`Code::FileFormat`] where a block is damaged.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, Failure> {
        let reader = &mut self.reader;
        match catch_unwind(AssertUnwindSafe(|| reader.next())) {
            Ok(None) => Ok(None),
            Ok(Some(Ok(batch))) => Ok(Some(batch)),
            Ok(Some(Err(_))) | Err(_) => Err(broken(&self.place, "a block is damaged")),
        }
    }
}

fn broken(place: &str, reason: &str) -> Failure {
    Failure::new(Code::FileFormat, format!("{place}: {reason}"))
}

/// How blocks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    None,
    /// As is usual.
    Snappy,
    /// Smaller, and slower to write.
    Zstd,
}

/// Writes rows of one schema.
#[derive(Debug)]
pub struct Writer<W: Write> {
    writer: AvroWriter<W>,
    schema: SchemaRef,
}

impl<W: Write> Writer<W> {
    /// Writes the head of a file.
    ///
    /// # Errors
    /// [`Code::OperationInvalid`] for columns that Avro does not have.
    pub fn new(schema: &Schema, codec: Codec, out: W) -> Result<Self, Failure> {
        let codec = match codec {
            Codec::None => None,
            Codec::Snappy => Some(CompressionCodec::Snappy),
            Codec::Zstd => Some(CompressionCodec::ZStandard),
        };
        // The schema's metadata would be taken for the Avro schema's own.
        let schema = Arc::new(Schema::new(schema.fields().clone()));
        let writer = WriterBuilder::new(schema.as_ref().clone()).with_compression(codec).build::<_, AvroOcfFormat>(out);
        let refused = |_| Failure::new(Code::OperationInvalid, "Avro cannot hold columns of these types").at("/format");
        Ok(Self { writer: writer.map_err(refused)?, schema })
    }

    /// Writes a block.
    ///
    /// # Errors
    /// Where the rows cannot be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), batch.columns().to_vec()).map_err(|_| unwritten())?;
        self.writer.write(&rows).map_err(|_| unwritten())
    }

    /// Writes the end and gives the output back.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(mut self) -> Result<W, Failure> {
        self.writer.finish().map_err(|_| unwritten())?;
        Ok(self.writer.into_inner())
    }
}

fn unwritten() -> Failure {
    Failure::new(Code::Internal, "rows could not be written as Avro")
}

#[cfg(test)]
mod tests {
    use super::{Batches, Codec, Writer};
    use arrow::array::{Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use azora_spec::Code;
    use std::sync::Arc;

    #[test]
    fn rows_come_back_and_damage_is_told() {
        let schema = Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, false)]);
        let columns = (Int64Array::from(vec![Some(1), None, Some(3)]), StringArray::from(vec!["x", "", "z"]));
        let rows = RecordBatch::try_new(Arc::new(schema.clone()), vec![Arc::new(columns.0), Arc::new(columns.1)]).unwrap();
        for codec in [Codec::None, Codec::Snappy, Codec::Zstd] {
            let mut writer = Writer::new(&schema, codec, Vec::new()).unwrap();
            writer.write(&rows).unwrap();
            let bytes = writer.finish().unwrap();
            let mut batches = Batches::open(bytes.as_slice(), 2, "'x.avro'").unwrap();
            let mut count = 0;
            while let Some(batch) = batches.next_batch().unwrap() {
                assert!(batch.num_rows() <= 2 && batch.schema().field(1).name() == "b");
                count += batch.num_rows();
            }
            assert_eq!(count, 3);
            for cut in 0..bytes.len() {
                let Ok(mut batches) = Batches::open(&bytes[..cut], 2, "'x.avro'") else { continue };
                while let Ok(Some(_)) = batches.next_batch() {}
            }
        }
        assert_eq!(Batches::open(&b"nonsense"[..], 2, "'x.avro'").unwrap_err().code, Code::FileFormat);
    }
}
