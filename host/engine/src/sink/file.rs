//! Files below a root: a directory of part files, or one file where the path ends in the format's extension. Readers see
//! all of it or nothing.

use super::part::{PartToken, PartWriter};
use super::staging::{self, Staging};
use super::{blocking, extension};
use crate::Error;
use crate::files::{Files, Located};
use crate::format::{Compression, Encoding};
use async_trait::async_trait;
use azora_connect::{Receipt, Sink, Token, Writer, WriterId};
use azora_spec::{Code, Failure, FileFormat, JobId, WriteMode};
use datafusion::arrow::datatypes::SchemaRef;
use rustix::fs::RenameFlags;
use std::sync::Arc;

/// Writes files.
#[derive(Debug, Clone)]
pub(crate) struct FileSink {
    files: Arc<Files>,
    at: Located,
    /// As the caller named it.
    shown: String,
    encoding: Encoding,
    mode: WriteMode,
    is_single: bool,
}

impl FileSink {
    pub(crate) fn new(files: Arc<Files>, path: &str, format: FileFormat, codec: Option<&str>, mode: WriteMode) -> Result<Self, Failure> {
        let at = files.locate(path).map_err(|failure| failure.at("/sink/path"))?;
        let name = at.path.rsplit('/').next().unwrap_or_default();
        if name.is_empty() || name.starts_with('.') {
            return Err(
                Failure::new(Code::PathUnusable, "a sink needs a path below a root that does not begin with a dot").at("/sink/path")
            );
        }
        let codec = codec.or_else(|| if name.ends_with(".gz") { Some("gzip") } else { name.ends_with(".zst").then_some("zstd") });
        let compression = Compression::parse(codec, format).map_err(|failure| failure.at("/sink/compression"))?;
        let bare = name.strip_suffix(compression.suffix()).unwrap_or(name);
        let is_single = bare.rsplit_once('.').is_some_and(|(_, ending)| {
            ending.eq_ignore_ascii_case(extension(format))
                || FileFormat::parse(&ending.to_ascii_lowercase()).is_ok_and(|named| named == format)
        });
        if is_single && mode == WriteMode::Append {
            return Err(Failure::new(Code::RequestField, "rows cannot be appended to one file")
                .hint("name a directory: every job then adds files of its own")
                .at("/sink/mode"));
        }
        Ok(Self { files, at, shown: path.to_owned(), encoding: Encoding { format, compression }, mode, is_single })
    }

    /// Whether the target is one file.
    pub(crate) const fn is_single(&self) -> bool {
        self.is_single
    }

    fn staging(&self, job: JobId) -> Result<Option<Staging>, Failure> {
        Staging::find(self.files.root(self.at.root)?, &self.at.path, job)
    }

    fn commit_now(&self, job: JobId, parts: &[PartToken]) -> Result<Receipt, Failure> {
        let staging = self.staging(job)?.ok_or(Error::Damaged { what: "what the job had prepared" })?;
        match (self.is_single, self.mode) {
            (true, _) => self.commit_file(&staging, parts)?,
            (false, WriteMode::Append) => self.commit_append(&staging, parts)?,
            (false, WriteMode::ErrorIfExists | WriteMode::Overwrite) => self.commit_directory(&staging, parts)?,
        }
        let files = parts.iter().filter_map(|part| part.file.as_ref());
        let outputs = if self.is_single { vec![self.shown.clone()] } else { files.map(|file| format!("{}/{file}", self.shown)).collect() };
        Ok(Receipt { rows: parts.iter().map(|part| part.rows).sum(), bytes: parts.iter().map(|part| part.bytes).sum(), outputs })
    }

    fn commit_directory(&self, staging: &Staging, parts: &[PartToken]) -> Result<(), Failure> {
        if staging.is_committed() {
            // A crash after the exchange leaves the old target under the staging name.
            return staging.remove();
        }
        let directory = staging.prune(parts)?;
        staging.mark(&directory)?;
        if staging.publish()? {
            return Ok(());
        }
        match self.mode {
            WriteMode::Overwrite => staging.replace(),
            WriteMode::ErrorIfExists | WriteMode::Append => Err(staging::exists(&self.shown)),
        }
    }

    fn commit_append(&self, staging: &Staging, parts: &[PartToken]) -> Result<(), Failure> {
        let failed = staging::failed;
        staging.parent.create_dir_all(&staging.target).map_err(failed)?;
        let target = staging.parent.open_dir(&staging.target).map_err(failed)?;
        for name in parts.iter().filter_map(|part| part.file.as_deref()) {
            // Names hold the job's id: one that is there already was moved by an earlier call.
            let is_moved = staging.exists() && staging.release(name, &target, name, RenameFlags::NOREPLACE)?;
            if !is_moved && !target.is_file(name) {
                return Err(Error::Damaged { what: "what the job had prepared" }.into());
            }
        }
        staging.mark(&target)?;
        staging.remove()
    }

    fn commit_file(&self, staging: &Staging, parts: &[PartToken]) -> Result<(), Failure> {
        let one = match parts {
            [PartToken { file: Some(name), bytes, .. }] => (name, *bytes),
            _ => return Err(Error::Broken("one file has one writer").into()),
        };
        let flags = if self.mode == WriteMode::Overwrite { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        let is_moved = staging.exists() && staging.release(one.0, &staging.parent, &staging.target, flags)?;
        let is_there = || staging.parent.metadata(&staging.target).is_ok_and(|metadata| metadata.len() == one.1);
        if !is_moved && !is_there() {
            return Err(Error::Damaged { what: "what the job had prepared" }.into());
        }
        staging.remove()
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn check(&self) -> Result<(), Failure> {
        let sink = self.clone();
        blocking(move || {
            let root = sink.files.root(sink.at.root)?;
            let target = root.dir.symlink_metadata(&sink.at.path);
            match (sink.mode, target) {
                (_, Err(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                (_, Err(error)) => Err(crate::files::path_failure(&error, &sink.shown).at("/sink/path")),
                (WriteMode::ErrorIfExists, Ok(_)) => Err(staging::exists(&sink.shown)),
                (WriteMode::Append, Ok(metadata)) if !metadata.is_dir() => {
                    Err(Failure::new(Code::PathUnusable, format!("'{}' is not a directory", sink.shown.escape_debug())).at("/sink/path"))
                }
                (WriteMode::Overwrite, Ok(metadata)) if sink.is_single && metadata.is_dir() => {
                    Err(Failure::new(Code::PathUnusable, format!("'{}' is a directory", sink.shown.escape_debug())).at("/sink/path"))
                }
                (WriteMode::Append | WriteMode::Overwrite, Ok(_)) => Ok(()),
            }
        })
        .await
    }

    async fn open(&self, id: WriterId, schema: SchemaRef) -> Result<Box<dyn Writer>, Failure> {
        let staging = Staging::make(self.files.root(self.at.root)?, &self.at.path, id.job)?;
        Ok(Box::new(PartWriter::new(staging, id, schema, self.encoding)))
    }

    async fn commit(&self, job: JobId, _: u64, _: SchemaRef, tokens: &[Token]) -> Result<Receipt, Failure> {
        let parts = tokens.iter().map(PartToken::read).collect::<Result<Vec<_>, _>>()?;
        let sink = self.clone();
        blocking(move || sink.commit_now(job, &parts)).await
    }

    async fn abort(&self, job: JobId, _: u64, _: &[Token]) -> Result<(), Failure> {
        let sink = self.clone();
        blocking(move || match sink.staging(job)? {
            // After an exchange the staging name holds what was the target: that is a commit, and stays one.
            Some(staging) => staging.remove(),
            None => Ok(()),
        })
        .await
    }
}

/// Refuses what a format cannot hold.
pub(crate) fn check_schema(format: FileFormat, schema: &SchemaRef) -> Result<(), Failure> {
    if schema.fields().is_empty() && matches!(format, FileFormat::Parquet | FileFormat::Csv) {
        let message = format!("{} cannot hold rows without columns", format.as_str());
        return Err(Failure::new(Code::OperationInvalid, message).at("/sink/format"));
    }
    Ok(())
}
