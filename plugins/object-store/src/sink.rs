//! Objects as a sink: every writer uploads parts under names of its own, and a commit names those that count.

mod token;
mod upload;
mod writer;

use crate::config::Writing;
use crate::connector::Bucket;
use crate::error;
use crate::format::encode::Encoder;
use crate::listing::{OBJECTS_MAX, path};
use crate::manifest::{self, Commit, Part};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use azora_connect::hive::Parted;
use azora_connect::{Receipt, Sink, Token, Writer, WriterId};
use azora_spec::{Code, Failure, JobId, WriteMode, milestone};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use token::Prepared;
use writer::ObjectWriter;

/// What Spark and others look for.
const SUCCESS: &str = "_SUCCESS";
/// Most objects that an answer names.
const OUTPUTS_MAX: usize = 1000;
/// Where a request names the columns of folders.
const POINTER: &str = "/partitionBy";

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

    /// Whether what is there already keeps others out.
    const fn is_alone(&self) -> bool {
        matches!(self.writing.mode, WriteMode::ErrorIfExists | WriteMode::Ignore)
    }

    /// Removes the parts of one job and epoch but for some, and the lists of them.
    async fn sweep(&self, job: JobId, epoch: u64, keep: &[Part]) -> Result<(), Failure> {
        let what = self.bucket.named(&self.writing.prefix);
        let mark = Self::mark(job, epoch);
        let kept: std::collections::HashSet<&str> = keep.iter().map(|part| part.key.as_str()).collect();
        let prefix = path(&self.writing.prefix);
        let mut listed = self.bucket.store.list(Some(&prefix));
        while let Some(meta) = listed.try_next().await.map_err(|error| error::store(&error, &what))? {
            let is_ours = meta.location.filename().is_some_and(|name| name.starts_with("part-") && name.contains(&mark));
            if is_ours && !kept.contains(meta.location.as_ref()) {
                match self.bucket.store.delete(&meta.location).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error::store(&error, &what)),
                }
            }
        }
        Ok(())
    }

    /// The objects of a job, as its commit says where there is one, else as its tokens do; nothing where they are not wanted.
    async fn parts(&self, job: JobId, epoch: u64, tokens: &[Token]) -> Result<Option<Vec<Part>>, Failure> {
        let commits = manifest::commits(&self.bucket, &self.writing.prefix).await?;
        if let Some(commit) = manifest::of(&commits, job, epoch) {
            return Ok(Some(commit.parts.clone()));
        }
        if self.writing.mode == WriteMode::Ignore && !commits.is_empty() {
            return Ok(None);
        }
        let parts = Prepared::parts(&self.bucket, tokens).await?;
        if parts.len() > OBJECTS_MAX {
            let message = format!("the rows fall into {} objects, and readers take {OBJECTS_MAX}", parts.len());
            return Err(Failure::new(Code::DataInvalid, message).hint("part them by columns with fewer values, or use fewer partitions"));
        }
        Ok(Some(parts))
    }

    /// Makes a job's objects visible; nothing where they are not wanted.
    async fn publish(&self, job: JobId, epoch: u64, tokens: &[Token]) -> Result<Option<Vec<Part>>, Failure> {
        let Some(parts) = self.parts(job, epoch, tokens).await? else { return Ok(None) };
        let replaces = self.writing.mode == WriteMode::Overwrite && epoch == 0;
        let commit = Commit::new(job, epoch, replaces, parts.clone());
        match manifest::publish(&self.bucket, &self.writing.prefix, &commit, self.is_alone()).await {
            Err(failure) if failure.code == Code::SinkExists && self.writing.mode == WriteMode::Ignore => return Ok(None),
            published if replaces => manifest::forget(&self.bucket, &self.writing.prefix, &published?).await,
            published => drop(published?),
        }
        Ok(Some(parts))
    }
}

#[async_trait]
impl Sink for ObjectSink {
    async fn check(&self) -> Result<(), Failure> {
        let prefix = &self.writing.prefix;
        let commits = manifest::commits(&self.bucket, prefix).await?;
        if self.is_alone() && !commits.is_empty() {
            return Err(manifest::exists(&self.bucket, prefix));
        }
        if commits.is_empty() && self.writing.mode != WriteMode::Overwrite {
            let what = self.bucket.named(prefix);
            let first = self.bucket.store.list(Some(&path(prefix))).try_next().await;
            if first.map_err(|error| error::store(&error, &what))?.is_some() {
                // A commit would hide them from every later reader.
                return Err(Failure::new(Code::SinkExists, format!("{what} holds objects that no commit lists"))
                    .hint("choose another prefix, or the mode 'overwrite', which hides them")
                    .at("/key"));
            }
        }
        Ok(())
    }

    fn fits(&self, schema: &SchemaRef) -> Result<(), Failure> {
        match self.writing.partition_by.as_slice() {
            [] => Encoder::check(self.writing.format, schema),
            columns => Encoder::check(self.writing.format, Parted::new(columns, schema, POINTER)?.schema()),
        }
    }

    fn sorted_by(&self) -> &[String] {
        &self.writing.partition_by
    }

    fn leaves_what_is_there(&self) -> bool {
        self.writing.mode == WriteMode::Ignore
    }

    async fn open(&self, id: WriterId, schema: SchemaRef) -> Result<Box<dyn Writer>, Failure> {
        let mark = Self::mark(id.job, id.epoch);
        Ok(Box::new(ObjectWriter::new(self.bucket.clone(), self.writing.clone(), id, mark, schema)?))
    }

    async fn commit(&self, job: JobId, epoch: u64, _: SchemaRef, tokens: &[Token]) -> Result<Receipt, Failure> {
        let Some(parts) = self.publish(job, epoch, tokens).await? else {
            // Somebody was faster, and what is there stays.
            self.sweep(job, epoch, &[]).await?;
            return Ok(Receipt::default());
        };
        milestone::pass("objects listed");
        self.sweep(job, epoch, &parts).await?;
        let success = path(&format!("{}/{SUCCESS}", self.writing.prefix));
        self.bucket
            .store
            .put(&success, Vec::new().into())
            .await
            .map_err(|error| error::store(&error, &self.bucket.named(success.as_ref())))?;
        Ok(Receipt {
            rows: parts.iter().map(|part| part.rows).sum(),
            bytes: parts.iter().map(|part| part.bytes).sum(),
            outputs: parts.iter().map(|part| format!("{}/{}", self.bucket.label, part.key)).take(OUTPUTS_MAX).collect(),
        })
    }

    async fn abort(&self, job: JobId, epoch: u64, _: &[Token]) -> Result<(), Failure> {
        let commits = manifest::commits(&self.bucket, &self.writing.prefix).await?;
        // What is committed stays.
        if manifest::of(&commits, job, epoch).is_some() { Ok(()) } else { self.sweep(job, epoch, &[]).await }
    }
}
