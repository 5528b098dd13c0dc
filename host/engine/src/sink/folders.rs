//! Rows in folders by the values of columns, as Hive and Spark name them: `city=Oslo/day=1/part-….parquet`. Rows come
//! sorted by these columns (see [`sorted`]), so that one file is open at a time, however many folders there are.

use super::part::{Folders, PartToken, token};
use super::staging::Staging;
use super::{blocking, extension};
use crate::format::{Encode, Encoding, encoder};
use crate::node::{Gather, Index, IndexMode, NodeExec, Project, SortKey, Source, ordering};
use crate::{Error, error};
use async_trait::async_trait;
use azora_connect::hive::Parted;
use azora_connect::{Token, Writer, WriterId};
use azora_spec::Failure;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;
use std::fmt;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

/// Where a request names the columns.
pub(super) const POINTER: &str = "/sink/partitionBy";
/// The place of a row while rows are sorted.
const PLACE: &str = "__azora_place";

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
    encoding: Encoding,
    parted: Parted,
    open: Option<Open>,
    done: Folders,
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
        let parted = Parted::new(columns, schema, POINTER)?;
        let ending = format!("{}{}", extension(encoding.format), encoding.suffix());
        let stem = format!("part-{:05}-{}-{}", id.partition, id.attempt, id.job);
        let done = Folders { stem, ending, folders: Vec::new() };
        Ok(Self { staging, id, encoding, parted, open: None, done })
    }

    async fn enter(&mut self, folder: String) -> Result<(), Failure> {
        if self.open.as_ref().is_some_and(|open| open.folder == folder) {
            return Ok(());
        }
        self.close().await?;
        self.parted.begin(&folder)?;
        let path = self.done.path(&folder, self.done.folders.len());
        let file = self.staging.create(&path)?;
        let out = file.try_clone().map_err(|error| error::io_failure(&error))?;
        let encoder = encoder(self.encoding, self.parted.schema(), BufWriter::with_capacity(256 << 10, out))?;
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
        for (folder, rows) in self.parted.runs(&batch)? {
            self.enter(folder).await?;
            let open = self.open.as_mut().ok_or(Error::Broken("an open file"))?;
            open.encoder.write(&rows)?;
            open.rows += rows.num_rows() as u64;
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
