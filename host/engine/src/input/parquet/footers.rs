//! Footers of Parquet files: columns, places of the rows, and what is known of the values without reading them. Kept for
//! the files that were read last, as they were then. How files become a table is not decided here.

use super::readable;
use crate::files::Files;
use crate::pins::FilePin;
use azora_spec::{Code, Failure};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::Statistics;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use lru::LruCache;
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::{ARROW_SCHEMA_META_KEY, encode_arrow_schema};
use parquet::file::metadata::{FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataBuilder};
use std::fmt;
use std::sync::Arc;

/// Most memory of all footers that are kept.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// What one file says of itself.
#[derive(Debug)]
pub(crate) struct Footer {
    /// Its own words, with the Arrow schema that is read in place of its writer's.
    pub(super) metadata: Arc<ParquetMetaData>,
    /// The columns, as their writer meant them: the Arrow schema is kept by writers such as this engine's own and pyarrow,
    /// and with it comes what an element is.
    pub(super) schema: SchemaRef,
    /// The columns as the engine reads them.
    pub(super) readable: SchemaRef,
    /// Of the readable columns.
    pub(super) statistics: Arc<Statistics>,
}

impl Footer {
    fn read(files: &Files, pin: &FilePin) -> Result<Self, Failure> {
        let file = crate::input::file::open(files, pin)?;
        let broken = |reason: &str| {
            tracing::info!(reason, "a Parquet footer cannot be read");
            Failure::new(Code::FileFormat, format!("'{}' is not a readable Parquet file", pin.path.escape_debug())).at("/path")
        };
        let read = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|error| broken(&error.to_string()))?;
        let metadata = Arc::clone(read.metadata());
        let fields: Vec<Field> = read.schema().fields().iter().map(|field| readable(field)).collect();
        let readable: SchemaRef = Arc::new(Schema::new(fields));
        let statistics = Arc::new(statistics(&metadata, &readable));
        let is_as_written = read.schema().fields() == readable.fields();
        let metadata = if is_as_written { metadata } else { Arc::new(meant(&metadata, &readable)) };
        Ok(Self { metadata, schema: Arc::clone(read.schema()), readable, statistics })
    }

    /// The statistics for a table's columns, which may be more than the file's.
    pub(super) fn statistics_of(&self, table: &SchemaRef) -> Arc<Statistics> {
        if table.fields() == self.readable.fields() { Arc::clone(&self.statistics) } else { Arc::new(statistics(&self.metadata, table)) }
    }

    /// Memory, roughly: names of columns occur in the schemas, too, and extremes in the statistics.
    fn bytes(&self) -> usize {
        2 * self.metadata.memory_size()
    }
}

/// The footer of a file that was written with other Arrow types of the same values. Readers decode into the types that stand
/// there; with the writer's, texts would be made as views or dictionaries first and copied out of them then.
fn meant(metadata: &ParquetMetaData, schema: &Schema) -> ParquetMetaData {
    let of_file = metadata.file_metadata();
    let mut words = of_file.key_value_metadata().cloned().unwrap_or_default();
    words.retain(|word| word.key != ARROW_SCHEMA_META_KEY);
    words.push(KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), encode_arrow_schema(schema)));
    let meant = FileMetaData::new(
        of_file.version(),
        of_file.num_rows(),
        of_file.created_by().map(str::to_owned),
        Some(words),
        of_file.schema_descr_ptr(),
        of_file.column_orders().cloned(),
    );
    ParquetMetaDataBuilder::new(meant)
        .set_row_groups(metadata.row_groups().to_vec())
        .set_column_index(metadata.column_index().cloned())
        .set_offset_index(metadata.offset_index().cloned())
        .build()
}

fn statistics(metadata: &ParquetMetaData, schema: &SchemaRef) -> Statistics {
    let Ok(mut statistics) = DFParquetMetadata::statistics_from_parquet_metadata(metadata, schema) else {
        return Statistics::new_unknown(schema);
    };
    for (column, field) in statistics.column_statistics.iter_mut().zip(schema.fields()) {
        // Writers leave NaN out, and nothing says whether there was one: the extremes must not become an answer.
        if field.data_type().is_floating() {
            column.min_value = std::mem::take(&mut column.min_value).to_inexact();
            column.max_value = std::mem::take(&mut column.max_value).to_inexact();
        }
    }
    statistics
}

/// The footers that are kept, by what the files were.
pub(crate) struct Footers(Mutex<Kept>);

struct Kept {
    by_pin: LruCache<FilePin, Arc<Footer>>,
    bytes: usize,
}

impl fmt::Debug for Footers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Footers").field("bytes", &self.0.lock().bytes).finish_non_exhaustive()
    }
}

impl Default for Footers {
    fn default() -> Self {
        Self(Mutex::new(Kept { by_pin: LruCache::unbounded(), bytes: 0 }))
    }
}

impl Footers {
    /// The footer of a file that is still what it was when it was pinned. Blocks.
    pub(crate) fn of(&self, files: &Files, pin: &FilePin) -> Result<Arc<Footer>, Failure> {
        let kept = self.0.lock().by_pin.get(pin).cloned();
        if let Some(footer) = kept {
            crate::input::file::open(files, pin)?;
            return Ok(footer);
        }
        let footer = Arc::new(Footer::read(files, pin)?);
        self.0.lock().keep(pin.clone(), &footer);
        Ok(footer)
    }
}

impl Kept {
    fn keep(&mut self, pin: FilePin, footer: &Arc<Footer>) {
        self.bytes += footer.bytes();
        if let Some((_, before)) = self.by_pin.push(pin, Arc::clone(footer)) {
            self.bytes = self.bytes.saturating_sub(before.bytes());
        }
        while self.bytes > KEPT_BYTES_MAX
            && let Some((_, oldest)) = self.by_pin.pop_lru()
        {
            self.bytes = self.bytes.saturating_sub(oldest.bytes());
        }
    }
}
