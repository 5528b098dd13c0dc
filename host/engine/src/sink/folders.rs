//! Rows in folders by the values of columns, as Hive and Spark name them: `city=Oslo/day=1/part-….parquet`. Rows come
//! sorted by these columns (see [`sorted`]), so that one file is open at a time, however many folders there are.

use super::part::{Folders, PartToken, token};
use super::staging::Staging;
use super::{blocking, extension};
use crate::format::{Encode, Encoding, encoder};
use crate::node::{Gather, Index, IndexMode, NodeExec, Project, SortKey, Source, ordering};
use crate::plan::known_column;
use crate::{Error, error};
use async_trait::async_trait;
use azora_connect::{Token, Writer, WriterId};
use azora_spec::{Code, Failure};
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::partition;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;
use std::fmt;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

/// Most folders that one partition's rows may fall into.
const FOLDERS_MAX: usize = 10_000;
/// Most bytes of their names together: they are recorded with the job.
const NAMES_BYTES_MAX: usize = 512 << 10;
/// Longest name of a directory on common file systems, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// The folder of nulls and empty texts, as Hive has it.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";
/// The place of a row while rows are sorted.
const PLACE: &str = "__azora_place";

/// Where the columns stand, if rows of a schema can be parted by them.
pub(super) fn positions(columns: &[String], schema: &Schema) -> Result<Vec<usize>, Failure> {
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut found = Vec::with_capacity(columns.len());
    for (at, column) in columns.iter().enumerate() {
        let pointer = format!("/sink/partitionBy/{at}");
        known_column(&names, column).map_err(|failure| failure.at(&pointer))?;
        let (position, field) = schema.column_with_name(column).ok_or(Error::Broken("a known column"))?;
        if !is_plain(field.data_type()) {
            let message = format!("the values of '{}' are {}, which cannot name folders", column.escape_debug(), field.data_type());
            return Err(Failure::new(Code::OperationInvalid, message).at(pointer));
        }
        found.push(position);
    }
    if found.len() == names.len() {
        return Err(Failure::new(Code::OperationInvalid, "no column would be left for the files").at("/sink/partitionBy"));
    }
    Ok(found)
}

fn is_plain(of: &DataType) -> bool {
    of.is_numeric()
        || matches!(
            of,
            DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Boolean
                | DataType::Date32
                | DataType::Date64
                | DataType::Timestamp(..)
        )
}

/// A plan whose partitions are sorted by columns, rows of one folder in their order.
pub(crate) fn sorted(
    plan: Arc<dyn ExecutionPlan>,
    columns: &[String],
    sorters_max: usize,
) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
    let fields = plan.schema();
    let plan = NodeExec::plan(Arc::new(Gather::coalesce(sorters_max.max(1))), plan)?;
    let plan = NodeExec::plan(Arc::new(Index { mode: IndexMode::Ordinal, column: PLACE.to_owned() }), plan)?;
    let keys: Vec<SortKey> = columns
        .iter()
        .map(String::as_str)
        .chain([PLACE])
        .map(|column| SortKey { column: column.to_owned(), is_descending: false })
        .collect();
    let sort = SortExec::new(ordering(&keys, &plan.schema())?, plan).with_preserve_partitioning(true);
    let columns = fields.fields().iter().map(|field| (field.as_ref().clone(), Source::column(field.name())));
    NodeExec::plan(Arc::new(Project::new(columns)), Arc::new(sort))
}

/// Writes one partition's rows into their folders.
pub(super) struct FolderWriter {
    staging: Staging,
    id: WriterId,
    /// The columns of the files.
    schema: SchemaRef,
    encoding: Encoding,
    /// Where the columns of the folders stand, and their names.
    by: Vec<(usize, String)>,
    open: Option<Open>,
    done: Folders,
    name_bytes: usize,
}

struct Open {
    folder: String,
    encoder: Box<dyn Encode>,
    file: File,
    rows: u64,
}

impl fmt::Debug for FolderWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FolderWriter").field("id", &self.id).finish_non_exhaustive()
    }
}

impl FolderWriter {
    pub(super) fn new(staging: Staging, id: WriterId, schema: &SchemaRef, encoding: Encoding, columns: &[String]) -> Result<Self, Failure> {
        let by: Vec<(usize, String)> = positions(columns, schema)?.into_iter().zip(columns.iter().cloned()).collect();
        let left = (0..schema.fields().len()).filter(|at| by.iter().all(|(taken, _)| taken != at)).collect::<Vec<_>>();
        let schema = Arc::new(schema.project(&left).map_err(|error| error::arrow_failure(&error))?);
        let ending = format!("{}{}", extension(encoding.format), encoding.suffix());
        let stem = format!("part-{:05}-{}-{}", id.partition, id.attempt, id.job);
        let done = Folders { stem, ending, folders: Vec::new() };
        Ok(Self { staging, id, schema, encoding, by, open: None, done, name_bytes: 0 })
    }

    /// The folder of one row.
    fn folder(&self, columns: &[ArrayRef], row: usize) -> Result<String, Failure> {
        let options = FormatOptions::default();
        let mut folder = String::new();
        for (column, (_, name)) in columns.iter().zip(&self.by) {
            let mut part = escaped(name);
            part.push('=');
            if column.is_null(row) {
                part.push_str(NULL);
            } else {
                let formatter = ArrayFormatter::try_new(column, &options).map_err(|error| error::arrow_failure(&error))?;
                let text = formatter.value(row).try_to_string().map_err(|error| error::arrow_failure(&error))?;
                if text.is_empty() {
                    part.push_str(NULL);
                } else {
                    part.push_str(&escaped(&text));
                }
            }
            if part.len() > NAME_BYTES_MAX {
                let message = format!("a value of '{}' is too long to name a folder", name.escape_debug());
                return Err(Failure::new(Code::DataInvalid, message).hint(format!("a folder's name takes at most {NAME_BYTES_MAX} bytes")));
            }
            if !folder.is_empty() {
                folder.push('/');
            }
            folder.push_str(&part);
        }
        Ok(folder)
    }

    async fn enter(&mut self, folder: String) -> Result<(), Failure> {
        if self.open.as_ref().is_some_and(|open| open.folder == folder) {
            return Ok(());
        }
        self.close().await?;
        self.name_bytes += folder.len();
        if self.done.folders.len() >= FOLDERS_MAX || self.name_bytes > NAMES_BYTES_MAX {
            let message = format!("the rows of one partition fall into more than {} folders", self.done.folders.len());
            return Err(Failure::new(Code::DataInvalid, message).hint("part them by columns with fewer values"));
        }
        let path = self.done.path(&folder, self.done.folders.len());
        let file = self.staging.create(&path)?;
        let out = file.try_clone().map_err(|error| error::io_failure(&error))?;
        let encoder = encoder(self.encoding, &self.schema, BufWriter::with_capacity(256 << 10, out))?;
        self.open = Some(Open { folder, encoder, file, rows: 0 });
        Ok(())
    }

    async fn close(&mut self) -> Result<(), Failure> {
        let Some(Open { folder, encoder, file, rows }) = self.open.take() else { return Ok(()) };
        let bytes = blocking(move || {
            encoder.finish()?;
            file.sync_all().map_err(|error| error::io_failure(&error))?;
            Ok(file.metadata().map_err(|error| error::io_failure(&error))?.len())
        })
        .await?;
        self.done.folders.push((folder, rows, bytes));
        Ok(())
    }
}

#[async_trait]
impl Writer for FolderWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        let columns: Vec<ArrayRef> = self.by.iter().map(|(at, _)| Arc::clone(batch.column(*at))).collect();
        let left: Vec<usize> = (0..batch.num_columns()).filter(|at| self.by.iter().all(|(taken, _)| taken != at)).collect();
        let rest = batch.project(&left).map_err(|error| error::arrow_failure(&error))?;
        for range in partition(&columns).map_err(|error| error::arrow_failure(&error))?.ranges() {
            let folder = self.folder(&columns, range.start)?;
            self.enter(folder).await?;
            let open = self.open.as_mut().ok_or(Error::Broken("an open file"))?;
            open.encoder.write(&rest.slice(range.start, range.len()))?;
            open.rows += range.len() as u64;
        }
        Ok(())
    }

    async fn prepare(mut self: Box<Self>) -> Result<Token, Failure> {
        self.close().await?;
        let Self { staging, done, .. } = *self;
        let (rows, bytes) = done.folders.iter().fold((0, 0), |sum, (_, rows, bytes)| (sum.0 + rows, sum.1 + bytes));
        blocking(move || {
            staging.sync_folders(done.folders.iter().map(|(folder, _, _)| folder.as_str()))?;
            token(&PartToken { file: None, rows, bytes, parted: Some(done) })
        })
        .await
    }
}

/// As Hive writes names and values: what means something in a path or to a shell comes as `%` and two digits.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        let is_special = letter.is_ascii_control() || "\"#%'*/:=?\\{[]^\u{7f}".contains(letter);
        match u8::try_from(letter) {
            Ok(byte) if is_special => out.push_str(&format!("%{byte:02X}")),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn names_are_escaped_as_hive_does() {
        assert_eq!(escaped("a/b=c:d%"), "a%2Fb%3Dc%3Ad%25");
        assert_eq!(escaped("Åre, ok ~"), "Åre, ok ~");
        assert_eq!(escaped("..\n"), "..%0A");
    }
}
