//! Objects as a sink: every writer uploads parts under names of its own, and a commit names those that count.

use crate::config::Writing;
use crate::connector::Bucket;
use crate::error;
use crate::format::encode::{Encoder, Shared};
use crate::manifest::{self, Commit, Part};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use azora_connect::{Receipt, Sink, Token, Writer, WriterId};
use azora_spec::{Code, Failure, JobId, WriteMode, milestone};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use std::sync::Arc;

/// Bytes of one piece of an upload; S3 takes no smaller ones but the last.
const PIECE_BYTES: usize = 8 << 20;
/// What Spark and others look for.
const SUCCESS: &str = "_SUCCESS";

/// Writes below one prefix.
#[derive(Debug)]
pub(crate) struct ObjectSink {
    bucket: Bucket,
    writing: Writing,
}

impl ObjectSink {
    pub(crate) const fn new(bucket: Bucket, writing: Writing) -> Self {
        Self { bucket, writing }
    }

    /// How the names of one job's parts end, up to the format's ending.
    fn mark(job: JobId, epoch: u64) -> String {
        format!("-{job}-{epoch}.")
    }

    /// Removes the parts of one job and epoch but for some.
    async fn sweep(&self, job: JobId, epoch: u64, keep: &[Part]) -> Result<(), Failure> {
        let what = self.bucket.named(&self.writing.prefix);
        let mark = Self::mark(job, epoch);
        let prefix = Path::from(self.writing.prefix.as_str());
        let mut listed = self.bucket.store.list(Some(&prefix));
        while let Some(meta) = listed.try_next().await.map_err(|error| error::store(&error, &what))? {
            let is_ours = meta.location.filename().is_some_and(|name| name.starts_with("part-") && name.contains(&mark));
            if is_ours && !keep.iter().any(|part| part.key == meta.location.as_ref()) {
                match self.bucket.store.delete(&meta.location).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error::store(&error, &what)),
                }
            }
        }
        Ok(())
    }

    fn parts(tokens: &[Token]) -> Result<Vec<Part>, Failure> {
        let read = |token: &Token| {
            serde_json::from_str::<Option<Part>>(&token.0).map_err(|_| error::internal("a token that this sink did not make"))
        };
        Ok(tokens.iter().map(read).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}

#[async_trait]
impl Sink for ObjectSink {
    async fn check(&self) -> Result<(), Failure> {
        let prefix = &self.writing.prefix;
        let commits = manifest::commits(&self.bucket, prefix).await?;
        let is_used = !manifest::visible(&commits).is_empty();
        if self.writing.mode == WriteMode::ErrorIfExists && is_used {
            return Err(manifest::exists(&self.bucket, prefix));
        }
        if commits.is_empty() && self.writing.mode != WriteMode::Overwrite {
            let what = self.bucket.named(&prefix);
            let first = self.bucket.store.list(Some(&Path::from(prefix.as_str()))).try_next().await;
            if first.map_err(|error| error::store(&error, &what))?.is_some() {
                // A commit would hide them from every later reader.
                return Err(Failure::new(Code::SinkExists, format!("{what} holds objects that no commit lists"))
                    .hint("choose another prefix, or the mode 'overwrite', which hides them")
                    .at("/key"));
            }
        }
        Ok(())
    }

    async fn open(&self, id: WriterId, schema: SchemaRef) -> Result<Box<dyn Writer>, Failure> {
        let Writing { prefix, format, compression, .. } = &self.writing;
        let mark = Self::mark(id.job, id.epoch);
        let key = format!("{prefix}/part-{:05}-{}{mark}{}{}", id.partition, id.attempt, format.ending(), compression.suffix(*format));
        let buffer = Shared::default();
        let encoder = Encoder::new(*format, *compression, &schema, buffer.clone())?;
        let upload = Upload { store: Arc::clone(&self.bucket.store), what: self.bucket.named(&key), key, open: None, bytes: 0 };
        Ok(Box::new(ObjectWriter { encoder: Some(encoder), buffer, upload, rows: 0, is_first: id.partition == 0 }))
    }

    async fn commit(&self, job: JobId, epoch: u64, _: SchemaRef, tokens: &[Token]) -> Result<Receipt, Failure> {
        let parts = Self::parts(tokens)?;
        let prefix = &self.writing.prefix;
        let replaces = self.writing.mode == WriteMode::Overwrite && epoch == 0;
        let commit = Commit::new(job, epoch, replaces, parts.clone());
        let commits = manifest::publish(&self.bucket, prefix, &commit, self.writing.mode == WriteMode::ErrorIfExists).await?;
        milestone::pass("objects listed");
        if replaces {
            manifest::forget(&self.bucket, prefix, &commits).await;
        }
        self.sweep(job, epoch, &parts).await?;
        let success = Path::from(format!("{prefix}/{SUCCESS}"));
        self.bucket.store.put(&success, Vec::new().into()).await.map_err(|error| error::store(&error, &format!("'{success}'")))?;
        Ok(Receipt {
            rows: parts.iter().map(|part| part.rows).sum(),
            bytes: parts.iter().map(|part| part.bytes).sum(),
            outputs: parts.iter().map(|part| format!("{}/{}", self.bucket.label, part.key)).collect(),
        })
    }

    async fn abort(&self, job: JobId, epoch: u64, _: &[Token]) -> Result<(), Failure> {
        let commits = manifest::commits(&self.bucket, &self.writing.prefix).await?;
        let job_text = job.to_string();
        if commits.iter().any(|(_, commit)| commit.job == job_text && commit.epoch == epoch) {
            // What is committed stays.
            return Ok(());
        }
        self.sweep(job, epoch, &[]).await
    }
}

/// One object on its way. Large ones go in pieces, which a drop gives up.
#[derive(Debug)]
struct Upload {
    store: Arc<dyn ObjectStore>,
    key: String,
    what: String,
    open: Option<Box<dyn MultipartUpload>>,
    bytes: u64,
}

impl Upload {
    async fn piece(&mut self, bytes: Vec<u8>) -> Result<(), Failure> {
        self.bytes += bytes.len() as u64;
        let failed = |error: object_store::Error| error::store(&error, &self.what);
        if self.open.is_none() {
            self.open = Some(self.store.put_multipart(&Path::from(self.key.as_str())).await.map_err(failed)?);
        }
        match &mut self.open {
            Some(open) => open.put_part(bytes.into()).await.map_err(failed),
            None => Ok(()),
        }
    }

    async fn finish(mut self, rest: Vec<u8>) -> Result<(String, u64), Failure> {
        let (key, what) = (self.key.clone(), self.what.clone());
        let failed = |error: object_store::Error| error::store(&error, &what);
        if self.open.is_some() {
            if !rest.is_empty() {
                self.piece(rest).await?;
            }
            if let Some(open) = &mut self.open {
                open.complete().await.map_err(failed)?;
            }
            self.open = None;
        } else {
            self.bytes += rest.len() as u64;
            self.store.put(&Path::from(key.as_str()), rest.into()).await.map_err(failed)?;
        }
        Ok((key, self.bytes))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let (Some(mut open), Ok(runtime)) = (self.open.take(), tokio::runtime::Handle::try_current()) else { return };
        let what = std::mem::take(&mut self.what);
        runtime.spawn(async move {
            if let Err(error) = open.abort().await {
                tracing::info!(%error, what, "an unfinished upload is left to the bucket's own rules");
            }
        });
    }
}

#[derive(Debug)]
struct ObjectWriter {
    encoder: Option<Encoder>,
    buffer: Shared,
    upload: Upload,
    rows: u64,
    /// Whether the object is made even without rows, so that an empty answer has its columns.
    is_first: bool,
}

#[async_trait]
impl Writer for ObjectWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        let encoder = self.encoder.as_mut().ok_or_else(|| error::internal("a writer that has ended"))?;
        encoder.write(&batch)?;
        self.rows += batch.num_rows() as u64;
        if self.buffer.len() >= PIECE_BYTES { self.upload.piece(self.buffer.take()).await } else { Ok(()) }
    }

    async fn prepare(mut self: Box<Self>) -> Result<Token, Failure> {
        let encoder = self.encoder.take().ok_or_else(|| error::internal("a writer that has ended"))?;
        encoder.finish()?;
        let part = if self.rows == 0 && !self.is_first {
            None
        } else {
            let (rows, rest) = (self.rows, self.buffer.take());
            let (key, bytes) = self.upload.finish(rest).await?;
            Some(Part { key, rows, bytes })
        };
        serde_json::to_string(&part).map(Token).map_err(|_| error::internal("a token is JSON"))
    }
}
