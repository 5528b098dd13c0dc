//! Parquet files as a table: DataFusion's own reader, over a fixed list of files in a fixed order, with what their footers
//! say of the values. How the bytes are read lies in `reader`, how long footers are kept in `footers`, which texts are read
//! without copying them in `views`.

mod footers;
mod reader;
mod views;

pub(crate) use footers::Footers;
pub(crate) use views::late_texts;

use super::folders::Folders;
use crate::files::{DATA_ROOT, Files};
use crate::pins::FilePin;
use async_trait::async_trait;
use azora_connect::element::{ELEMENT_KEY, Element};
use azora_spec::{Code, Failure};
use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileGroupPartitioner, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use footers::Footer;
use object_store::ObjectMeta;
use object_store::path::Path;
use reader::PinnedReaders;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Files below this size are not cut into ranges.
const CUT_BYTES_MIN: usize = 4 << 20;

/// The files of one source, all below one root and of one schema.
#[derive(Debug)]
pub(crate) struct ParquetTable {
    url: ObjectStoreUrl,
    schema: SchemaRef,
    /// The same, with what of it is in the files and what in their folders.
    columns: TableSchema,
    element: Element,
    files: Vec<PartitionedFile>,
    statistics: Statistics,
    readers: Arc<PinnedReaders>,
}

impl ParquetTable {
    /// Reads the footers. The work is returned, to be done where waiting is allowed.
    pub(crate) fn new(files: Arc<Files>, pins: Vec<FilePin>, folders: Folders) -> impl FnOnce() -> Result<Self, Failure> + Send + 'static {
        move || {
            let root = files.root(pins.first().map_or(DATA_ROOT, |pin| pin.root))?;
            let footers = pins.iter().map(|pin| files.footers().of(&files, pin)).collect::<Result<Vec<_>, _>>()?;
            let schema = of_all(&pins, &footers)?;
            let whole = folders.beside(&schema)?;
            let element = Element::of(&whole);
            let fields: Vec<Field> = schema.fields().iter().map(|field| readable(field)).collect();
            let of_rows = Arc::new(Schema::new(fields));
            let url = root.url.clone();
            let mut readers = PinnedReaders::new(Arc::clone(&files));
            let mut of_files = Vec::with_capacity(pins.len());
            for (at, (pin, footer)) in pins.into_iter().zip(footers).enumerate() {
                let location = Path::parse(&pin.path).map_err(|_| {
                    Failure::new(Code::PathUnusable, format!("'{}' has a name that cannot be used", pin.path.escape_debug()))
                })?;
                let last_modified = DateTime::<Utc>::from_timestamp_millis(pin.modified_ms).unwrap_or_default();
                let meta = ObjectMeta { location: location.clone(), last_modified, size: pin.bytes, e_tag: None, version: None };
                let file = PartitionedFile { partition_values: folders.scalars(at), ..PartitionedFile::new_from_meta(meta) };
                of_files.push(file.with_statistics(footer.statistics_of(&of_rows)));
                readers.add(location, pin, footer);
            }
            let of_folders: Vec<FieldRef> = folders.fields.into_iter().map(Arc::new).collect();
            let columns = TableSchema::builder(of_rows).with_table_partition_cols(of_folders).build();
            let schema = Arc::clone(columns.table_schema());
            of_files.iter_mut().for_each(|file| forget_nulls(file, &schema));
            let known = of_files.iter().filter_map(|file| file.statistics.as_deref());
            let statistics = Statistics::try_merge_iter(known, &schema).map_err(crate::failure_of)?;
            Ok(Self { url, schema, columns, element, files: of_files, statistics, readers: Arc::new(readers) })
        }
    }

    /// What an element of it is.
    pub(crate) const fn element(&self) -> Element {
        self.element
    }
}

impl ParquetTable {
    /// The same table with texts as views, and which of the names are; none where no column is such a text.
    fn with_views(&self, names: &BTreeSet<&str>) -> Option<(Self, BTreeSet<String>)> {
        let of_rows = self.columns.file_schema();
        let is_view = |field: &FieldRef| field.data_type() == &DataType::Utf8 && names.contains(field.name().as_str());
        let viewed: BTreeSet<String> = of_rows.fields().iter().filter(|field| is_view(field)).map(|field| field.name().clone()).collect();
        if viewed.is_empty() {
            return None;
        }
        let read = |field: &FieldRef| match is_view(field) {
            true => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
            false => Arc::clone(field),
        };
        let of_rows = Schema::new(of_rows.fields().iter().map(read).collect::<Vec<_>>());
        let folders = self.columns.table_partition_cols().clone();
        let columns = TableSchema::builder(Arc::new(of_rows)).with_table_partition_cols(folders).build();
        let schema = Arc::clone(columns.table_schema());
        let statistics = |known: &Statistics| {
            let mut known = known.clone();
            for (column, field) in known.column_statistics.iter_mut().zip(schema.fields()) {
                if field.data_type() == &DataType::Utf8View {
                    column.min_value = std::mem::take(&mut column.min_value).map(as_view);
                    column.max_value = std::mem::take(&mut column.max_value).map(as_view);
                }
            }
            known
        };
        let of_file = |file: &PartitionedFile| {
            let known = file.statistics.as_deref().map(|known| Arc::new(statistics(known)));
            PartitionedFile { statistics: known, ..file.clone() }
        };
        let table = Self {
            url: self.url.clone(),
            element: self.element,
            files: self.files.iter().map(of_file).collect(),
            statistics: statistics(&self.statistics),
            readers: Arc::clone(&self.readers),
            schema,
            columns,
        };
        Some((table, viewed))
    }
}

fn as_view(extreme: ScalarValue) -> ScalarValue {
    match extreme {
        ScalarValue::Utf8(text) => ScalarValue::Utf8View(text),
        other => other,
    }
}

/// DataFusion takes it that folders always name a value; where one names none, nothing is claimed.
fn forget_nulls(file: &mut PartitionedFile, schema: &Schema) {
    if file.partition_values.iter().any(ScalarValue::is_null) {
        file.statistics = Some(Arc::new(Statistics::new_unknown(schema)));
    }
}

/// The columns of files of one table.
pub(super) fn schema(files: &Files, pins: &[FilePin]) -> Result<Schema, Failure> {
    let footers = pins.iter().map(|pin| files.footers().of(files, pin)).collect::<Result<Vec<_>, _>>()?;
    of_all(pins, &footers)
}

fn of_all(pins: &[FilePin], footers: &[Arc<Footer>]) -> Result<Schema, Failure> {
    let mut schema: Option<Schema> = None;
    for (pin, footer) in pins.iter().zip(footers) {
        schema = Some(match schema {
            None => footer.schema.as_ref().clone(),
            Some(schema) => merged(schema, &footer.schema, &pin.path)?,
        });
    }
    Ok(schema.unwrap_or_else(Schema::empty))
}

/// One schema for files that may differ in nullability and in the order of appearance, but not in types.
fn merged(schema: Schema, other: &Schema, path: &str) -> Result<Schema, Failure> {
    if schema.fields() == other.fields() {
        return Ok(schema);
    }
    let element = schema.metadata().get(ELEMENT_KEY).cloned();
    let merged = Schema::try_merge([beside(&schema, other), beside(other, &schema)]).map_err(|_| {
        Failure::new(Code::FileFormat, format!("the columns of '{}' do not fit those of the files before it", path.escape_debug()))
            .at("/path")
    })?;
    Ok(match element {
        Some(element) => merged.with_metadata([(ELEMENT_KEY.to_owned(), element)].into()),
        None => merged,
    })
}

/// The columns of one file beside those of another: what the other does not have is null there.
fn beside(schema: &Schema, other: &Schema) -> Schema {
    let of_both = |field: &FieldRef| match other.field_with_name(field.name()) {
        Ok(_) => Arc::clone(field),
        Err(_) => Arc::new(field.as_ref().clone().with_nullable(true)),
    };
    Schema::new(schema.fields().iter().map(of_both).collect::<Vec<_>>())
}

/// Views and dictionaries are read as plain text and bytes: guests know no others. A column that its file declares to be
/// without nulls stays one, since plans of `NOT IN` and of outer joins are better for it.
fn readable(field: &Field) -> Field {
    let of = match field.data_type() {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, value) if matches!(value.as_ref(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => {
            DataType::Utf8
        }
        other => other.clone(),
    };
    field.clone().with_data_type(of)
}

#[async_trait]
impl TableProvider for ParquetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.files.is_empty() {
            let schema = match projection {
                Some(columns) => Arc::new(self.schema.project(columns)?),
                None => Arc::clone(&self.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let options = TableParquetOptions { global: state.config_options().execution.parquet.clone(), ..TableParquetOptions::default() };
        let source = ParquetSource::new(self.columns.clone()).with_table_parquet_options(options);
        let source = source.with_parquet_file_reader_factory(Arc::clone(&self.readers) as _);
        let whole = vec![FileGroup::new(self.files.clone())];
        let partitions = state.config().target_partitions();
        let groups = FileGroupPartitioner::new()
            .with_target_partitions(partitions)
            .with_repartition_file_min_size(CUT_BYTES_MIN)
            .repartition_file_groups(&whole)
            .unwrap_or_else(|| small_groups(&self.files, partitions));
        // Keeping the order also keeps partitions from taking one another's files while they run.
        let config = FileScanConfigBuilder::new(self.url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(self.statistics.clone())
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_preserve_order(true)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.statistics.clone())
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        // Row groups and pages are skipped by statistics; rows are still filtered above.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

/// Whole files in order, so many to a group.
fn small_groups(files: &[PartitionedFile], partitions: usize) -> Vec<FileGroup> {
    let bytes: u64 = files.iter().map(PartitionedFile::effective_size).sum();
    let partitions = partitions.clamp(1, files.len().max(1)).min((bytes as usize).div_ceil(CUT_BYTES_MIN).max(1));
    let each = files.len().div_ceil(partitions).max(1);
    files.chunks(each).map(|files| FileGroup::new(files.to_vec())).collect()
}
