//! One partition being written: one object, or one for each folder that its rows fall into.

use super::token::Prepared;
use super::upload::{PIECE_BYTES, Upload};
use crate::config::{KEY_BYTES_MAX, Writing};
use crate::connector::Bucket;
use crate::error;
use crate::format::encode::{Encoder, Shared};
use crate::manifest::Part;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use azora_connect::hive::Parted;
use azora_connect::{Token, Writer, WriterId};
use azora_spec::{Code, Failure};

/// A writer whose objects have names of its own.
#[derive(Debug)]
pub(super) struct ObjectWriter {
    bucket: Bucket,
    writing: Writing,
    id: WriterId,
    /// How the names end, up to the format's ending.
    mark: String,
    schema: SchemaRef,
    parted: Option<Parted>,
    open: Option<Open>,
    done: Vec<Part>,
}

/// The object at hand.
#[derive(Debug)]
struct Open {
    folder: String,
    encoder: Encoder,
    buffer: Shared,
    upload: Upload,
    rows: u64,
}

impl ObjectWriter {
    pub(super) fn new(bucket: Bucket, writing: Writing, id: WriterId, mark: String, schema: SchemaRef) -> Result<Self, Failure> {
        let parted = match writing.partition_by.as_slice() {
            [] => None,
            columns => Some(Parted::new(columns, &schema, super::POINTER)?),
        };
        Ok(Self { bucket, writing, id, mark, schema, parted, open: None, done: Vec::new() })
    }

    /// Makes the object of a folder the one at hand.
    async fn enter(&mut self, folder: String) -> Result<(), Failure> {
        if self.open.as_ref().is_some_and(|open| open.folder == folder) {
            return Ok(());
        }
        self.close().await?;
        let Writing { prefix, format, compression, .. } = &self.writing;
        let WriterId { partition, attempt, .. } = self.id;
        let ending = format!("{}{}{}", self.mark, format.ending(), compression.suffix(*format));
        let (key, schema) = match &mut self.parted {
            None => (format!("{prefix}/part-{partition:05}-{attempt}{ending}"), &self.schema),
            Some(parted) => {
                parted.begin(&folder)?;
                (format!("{prefix}/{folder}/part-{partition:05}-{attempt}-{}{ending}", self.done.len()), parted.schema())
            }
        };
        if key.len() > KEY_BYTES_MAX {
            let message = format!("the folder '{}' makes keys of more than {KEY_BYTES_MAX} bytes", folder.escape_debug());
            return Err(Failure::new(Code::DataInvalid, message));
        }
        let buffer = Shared::default();
        let encoder = Encoder::new(*format, *compression, schema, buffer.clone())?;
        self.open = Some(Open { folder, encoder, buffer, upload: Upload::new(&self.bucket, key), rows: 0 });
        Ok(())
    }

    async fn close(&mut self) -> Result<(), Failure> {
        let Some(Open { encoder, buffer, upload, rows, .. }) = self.open.take() else { return Ok(()) };
        encoder.finish()?;
        self.done.push(upload.finish(buffer.take(), rows).await?);
        Ok(())
    }
}

#[async_trait]
impl Writer for ObjectWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let runs = match &self.parted {
            Some(parted) => parted.runs(&batch)?,
            None => vec![(String::new(), batch)],
        };
        for (folder, rows) in runs {
            self.enter(folder).await?;
            let open = self.open.as_mut().ok_or_else(|| error::internal("a writer that has ended"))?;
            open.encoder.write(&rows)?;
            open.rows += rows.num_rows() as u64;
            if open.buffer.len() >= PIECE_BYTES {
                open.upload.piece(open.buffer.take()).await?;
            }
        }
        Ok(())
    }

    async fn prepare(mut self: Box<Self>) -> Result<Token, Failure> {
        // An object without rows, so that an empty answer has its columns; in folders there is none that it would belong to.
        if self.open.is_none() && self.done.is_empty() && self.parted.is_none() && self.id.partition == 0 {
            self.enter(String::new()).await?;
        }
        self.close().await?;
        let name = format!("part-{:05}-{}{}json", self.id.partition, self.id.attempt, self.mark);
        Prepared::of(self.done).token(&self.bucket, &self.writing.prefix, &name).await
    }
}
