//! Files below a root: a directory of part files, or one file where the path ends in the format's extension. Readers see
//! all of it or nothing.

use super::folders::{self, FolderWriter};
use super::part::{PartToken, PartWriter};
use super::staging::{self, Staging};
use super::{blocking, extension};
use crate::Error;
use crate::files::{Files, Located};
use crate::format::{Compression, Encoding};
use async_trait::async_trait;
use azora_connect::compress::Codec;
use azora_connect::hive::Parted;
use azora_connect::{Receipt, Sink, Token, Writer, WriterId};
use azora_spec::{Code, Failure, FileFormat, JobId, WriteMode, milestone};
use datafusion::arrow::datatypes::SchemaRef;
use rustix::fs::RenameFlags;
use std::sync::Arc;

/// Most files that an answer names one by one.
const OUTPUTS_MAX: usize = 1000;

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
    /// Columns that become folders.
    partition_by: Vec<String>,
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
        let codec = codec.or_else(|| Codec::of_name(name).1.map(Codec::as_str));
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
        let encoding = Encoding { format, compression };
        Ok(Self { files, at, shown: path.to_owned(), encoding, mode, is_single, partition_by: Vec::new() })
    }

    /// With folders by the values of columns.
    pub(crate) fn parted(mut self, columns: &[String], schema: &SchemaRef) -> Result<Self, Failure> {
        if self.is_single && !columns.is_empty() {
            return Err(Failure::new(Code::RequestField, "one file has no folders")
                .hint("name a directory: a path without the format's extension")
                .at(folders::POINTER));
        }
        if !columns.is_empty() {
            Parted::new(columns, schema, folders::POINTER)?;
        }
        self.partition_by = columns.to_vec();
        Ok(self)
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
        if self.mode == WriteMode::Ignore && staging.target_exists() && !(staging.is_committed() || self.is_moved(&staging, parts)) {
            // Somebody was faster: what is there stays.
            staging.remove()?;
            return Ok(Receipt::default());
        }
        match (self.is_single, self.mode) {
            (true, _) => self.commit_file(&staging, parts)?,
            (false, WriteMode::Append) => self.commit_append(&staging, parts)?,
            (false, WriteMode::ErrorIfExists | WriteMode::Overwrite | WriteMode::Ignore) => self.commit_directory(&staging, parts)?,
        }
        let files = || parts.iter().flat_map(PartToken::files);
        let outputs = if self.is_single || files().nth(OUTPUTS_MAX).is_some() {
            vec![self.shown.clone()]
        } else {
            files().map(|(file, _)| format!("{}/{file}", self.shown)).collect()
        };
        Ok(Receipt { rows: parts.iter().map(|part| part.rows).sum(), bytes: parts.iter().map(|part| part.bytes).sum(), outputs })
    }

    /// Whether the one file that was prepared is in its place, from a commit that was interrupted.
    fn is_moved(&self, staging: &Staging, parts: &[PartToken]) -> bool {
        let is_staged = |(name, _): (String, u64)| staging.directory().is_ok_and(|directory| directory.is_file(name));
        self.is_single && staging.exists() && !parts.iter().flat_map(PartToken::files).any(is_staged)
    }

    fn commit_directory(&self, staging: &Staging, parts: &[PartToken]) -> Result<(), Failure> {
        if staging.is_committed() {
            // A crash after the exchange leaves the old target under the staging name.
            return staging.remove();
        }
        let directory = staging.prune(parts)?;
        staging.mark(&directory)?;
        milestone::pass("files marked");
        if staging.publish()? {
            milestone::pass("files published");
            return Ok(());
        }
        match self.mode {
            WriteMode::Overwrite => staging.replace(),
            WriteMode::Ignore => staging.remove(),
            WriteMode::ErrorIfExists | WriteMode::Append => Err(staging::exists(&self.shown)),
        }
    }

    fn commit_append(&self, staging: &Staging, parts: &[PartToken]) -> Result<(), Failure> {
        let failed = staging::failed;
        staging.parent.create_dir_all(&staging.target).map_err(failed)?;
        let target = staging.parent.open_dir(&staging.target).map_err(failed)?;
        let mut folder = String::new();
        for (name, _) in parts.iter().flat_map(PartToken::files) {
            if let Some((of, _)) = name.rsplit_once('/')
                && of != folder
            {
                target.create_dir_all(of).map_err(failed)?;
                of.clone_into(&mut folder);
            }
            // Names hold the job's id: one that is there already was moved by an earlier call.
            let is_moved = staging.exists() && staging.release(&name, &target, &name, RenameFlags::NOREPLACE)?;
            milestone::pass("file appended");
            if !is_moved && !target.is_file(&name) {
                return Err(Error::Damaged { what: "what the job had prepared" }.into());
            }
        }
        staging::sync_below(&target, parts)?;
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
                (WriteMode::ErrorIfExists | WriteMode::Ignore, Ok(_)) => Err(staging::exists(&sink.shown)),
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
        if self.partition_by.is_empty() {
            return Ok(Box::new(PartWriter::new(staging, id, schema, self.encoding)));
        }
        Ok(Box::new(FolderWriter::new(staging, id, &schema, self.encoding, &self.partition_by)?))
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
