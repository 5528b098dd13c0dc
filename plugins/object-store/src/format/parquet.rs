//! Parquet by ranges: the footer first, then the pages of the wanted columns.

use crate::error::{self, Named};
use crate::listing::{Object, path};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use azora_spec::Failure;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use object_store::{GetOptions, OBJECT_STORE_COALESCE_DEFAULT, ObjectStore, coalesce_ranges};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, RowFilter};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use std::ops::Range;
use std::sync::Arc;

/// Bytes of the end of a file that are fetched for its footer.
const FOOTER_BYTES: usize = 64 << 10;

/// One object, read by ranges as long as it is the one that was planned.
#[derive(Debug, Clone)]
pub(crate) struct Ranges {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) object: Object,
    pub(crate) named: Named,
}

impl Ranges {
    async fn bytes(&self, range: Range<u64>) -> parquet::errors::Result<Bytes> {
        // Lengths come from the file itself.
        if range.start > range.end || range.end > self.object.bytes {
            return Err(ParquetError::EOF("a range lies outside of the object".to_owned()));
        }
        let options = GetOptions { range: Some(range.clone().into()), if_match: self.object.etag.clone(), ..GetOptions::default() };
        let got = self.store.get_opts(&path(&self.object.key), options).await.map_err(external)?;
        let length = range.end - range.start;
        let bytes = got.bytes().await.map_err(external)?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(ParquetError::EOF("fewer bytes than asked for".to_owned())) }
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for Ranges {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move { self.bytes(range).await }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move {
            if ranges.iter().any(|range| range.start > range.end || range.end > self.object.bytes) {
                return Err(ParquetError::EOF("a range lies outside of the object".to_owned()));
            }
            // Not the store's own way: it would not ask for the object that was planned.
            coalesce_ranges(&ranges, |range| self.bytes(range), OBJECT_STORE_COALESCE_DEFAULT).await
        }
        .boxed()
    }

    fn get_metadata<'a>(&'a mut self, _: Option<&'a ArrowReaderOptions>) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let bytes = self.object.bytes;
            let reader = ParquetMetaDataReader::new().with_prefetch_hint(Some(FOOTER_BYTES));
            reader.load_and_finish(self, bytes).await.map(Arc::new)
        }
        .boxed()
    }
}

fn failure(object: &Named, error: &ParquetError) -> Failure {
    if let ParquetError::External(inner) = error
        && let Some(inner) = inner.downcast_ref::<object_store::Error>()
    {
        return error::store(inner, object);
    }
    error::broken(object, "it is not a readable Parquet file")
}

/// The columns of an object, and how many rows each of its groups has.
pub(crate) async fn footer(ranges: Ranges) -> Result<(SchemaRef, Vec<u64>), Failure> {
    let named = ranges.named.clone();
    let builder = ParquetRecordBatchStreamBuilder::new(ranges).await.map_err(|error| failure(&named, &error))?;
    let groups = builder.metadata().row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).collect();
    let schema = builder.schema();
    let fields: Vec<Field> = schema.fields().iter().map(|field| readable(field)).collect();
    Ok((Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())), groups))
}

/// Views and dictionaries are read as plain text and bytes: guests know no others.
pub(crate) fn readable(field: &Field) -> Field {
    let of = match field.data_type() {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, value) if matches!(value.as_ref(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => {
            DataType::Utf8
        }
        other => other.clone(),
    };
    field.clone().with_data_type(of).with_nullable(true)
}

/// Some row groups of one object being read.
pub(crate) struct Groups {
    stream: ParquetRecordBatchStream<Ranges>,
    wanted: SchemaRef,
    named: Named,
}

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Groups").field("named", &self.named).finish_non_exhaustive()
    }
}

impl Groups {
    /// Reads the columns of `wanted`, of the groups and rows that `kept` finds may be wanted, from some of these rows on.
    pub(crate) async fn open(
        ranges: Ranges,
        wanted: SchemaRef,
        kept: impl FnOnce(&ParquetMetaData, &Schema) -> (Vec<usize>, Option<RowFilter>),
        skip: usize,
        batch_rows: usize,
    ) -> Result<Self, Failure> {
        let named = ranges.named.clone();
        let builder = ParquetRecordBatchStreamBuilder::new(ranges).await.map_err(|error| failure(&named, &error))?;
        let (groups, filter) = kept(builder.metadata(), builder.schema());
        let roots: Vec<usize> = wanted.fields().iter().filter_map(|field| builder.schema().index_of(field.name()).ok()).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let builder = match filter {
            Some(filter) => builder.with_row_filter(filter),
            None => builder,
        };
        let stream = builder.with_projection(mask).with_row_groups(groups).with_offset(skip).with_batch_size(batch_rows.max(1)).build();
        Ok(Self { stream: stream.map_err(|error| failure(&named, &error))?, wanted, named })
    }

    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, Failure> {
        use futures::StreamExt;
        let Some(batch) = self.stream.next().await else { return Ok(None) };
        let batch = batch.map_err(|error| failure(&self.named, &error))?;
        let column = |field: &Arc<Field>| -> Result<ArrayRef, Failure> {
            let misfit = || {
                error::broken(
                    &self.named,
                    &format!("the column '{}' has another type than in the objects before it", field.name().escape_debug()),
                )
            };
            match batch.column_by_name(field.name()) {
                None => Ok(new_null_array(field.data_type(), batch.num_rows())),
                Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
                Some(column) if readable(&Field::new("", column.data_type().clone(), true)).data_type() == field.data_type() => {
                    cast(column, field.data_type()).map_err(|_| misfit())
                }
                Some(_) => Err(misfit()),
            }
        };
        let columns = self.wanted.fields().iter().map(column).collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.wanted), columns, &options)
            .map(Some)
            .map_err(|_| error::broken(&self.named, "its columns do not fit"))
    }
}
