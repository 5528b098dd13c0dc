//! One partition's file, written into a staging directory and made durable before its token is given.

use super::staging::Staging;
use super::{blocking, extension};
use crate::format::{Encode, Encoding, encoder};
use crate::{Error, error};
use async_trait::async_trait;
use azora_connect::{Token, Writer, WriterId};
use azora_spec::Failure;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::io::BufWriter;

/// What a token of a file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartToken {
    /// The name in the staging directory, and later in its place. Absent for a partition without rows.
    pub(crate) file: Option<String>,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// The files in folders, where rows are parted by columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parted: Option<Folders>,
}

/// Files of one partition, one in each folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Folders {
    /// How the names of the files begin.
    pub(crate) stem: String,
    /// How they end.
    pub(crate) ending: String,
    /// Folder, rows, bytes.
    pub(crate) folders: Vec<(String, u64, u64)>,
}

impl Folders {
    /// The path of the file that was made as the `at`-th one.
    pub(crate) fn path(&self, folder: &str, at: usize) -> String {
        format!("{folder}/{}.c{at:05}.{}", self.stem, self.ending)
    }
}

impl PartToken {
    /// Nothing was written.
    pub(crate) const EMPTY: Self = Self { file: None, rows: 0, bytes: 0, parted: None };

    /// Paths below the target, with their bytes.
    pub(crate) fn files(&self) -> impl Iterator<Item = (String, u64)> {
        let own = self.file.iter().map(|name| (name.clone(), self.bytes));
        let parted = self
            .parted
            .iter()
            .flat_map(|parted| parted.folders.iter().enumerate().map(|(at, (folder, _, bytes))| (parted.path(folder, at), *bytes)));
        own.chain(parted)
    }

    pub(crate) fn read(token: &Token) -> Result<Self, Failure> {
        let damaged = || Failure::from(Error::Damaged { what: "the token of a file" });
        let read: Self = serde_json::from_str(&token.0).map_err(|_| damaged())?;
        let is_plain = |name: &String| !name.contains('/') && name.starts_with("part-");
        let is_folder = |path: &str| path.split('/').all(|name| name.contains('=') && !name.starts_with('.'));
        let is_parted = |parted: &Folders| {
            is_plain(&parted.stem) && !parted.ending.contains('/') && parted.folders.iter().all(|(folder, _, _)| is_folder(folder))
        };
        if read.file.as_ref().is_none_or(is_plain) && read.parted.as_ref().is_none_or(is_parted) { Ok(read) } else { Err(damaged()) }
    }
}

/// Writes one partition. The file is made with the first row; partition 0 always makes one, so that even an empty
/// answer has its columns.
pub(super) struct PartWriter {
    staging: Staging,
    id: WriterId,
    schema: SchemaRef,
    encoding: Encoding,
    open: Option<Open>,
    rows: u64,
}

struct Open {
    name: String,
    encoder: Box<dyn Encode>,
    file: File,
}

impl fmt::Debug for PartWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartWriter").field("id", &self.id).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl PartWriter {
    pub(super) const fn new(staging: Staging, id: WriterId, schema: SchemaRef, encoding: Encoding) -> Self {
        Self { staging, id, schema, encoding, open: None, rows: 0 }
    }

    fn opened(&mut self) -> Result<&mut Open, Failure> {
        if self.open.is_none() {
            let ending = self.encoding.suffix();
            let name =
                format!("part-{:05}-{}-{}.{}{ending}", self.id.partition, self.id.attempt, self.id.job, extension(self.encoding.format));
            let file = self.staging.create(&name)?;
            let out = file.try_clone().map_err(|error| error::io_failure(&error))?;
            let encoder = encoder(self.encoding, &self.schema, BufWriter::with_capacity(256 << 10, out))?;
            self.open = Some(Open { name, encoder, file });
        }
        self.open.as_mut().ok_or_else(|| Error::Broken("an open file").into())
    }
}

#[async_trait]
impl Writer for PartWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        self.opened()?.encoder.write(&batch)?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    async fn prepare(mut self: Box<Self>) -> Result<Token, Failure> {
        if self.id.partition == 0 {
            self.opened()?;
        }
        let Self { staging, open, rows, .. } = *self;
        let Some(Open { name, encoder, file }) = open else {
            return token(&PartToken::EMPTY);
        };
        blocking(move || {
            encoder.finish()?;
            file.sync_all().map_err(|error| error::io_failure(&error))?;
            staging.sync()?;
            let bytes = file.metadata().map_err(|error| error::io_failure(&error))?.len();
            token(&PartToken { file: Some(name), rows, bytes, parted: None })
        })
        .await
    }
}

pub(super) fn token(part: &PartToken) -> Result<Token, Failure> {
    serde_json::to_string(part).map(Token).map_err(|_| Error::Broken("a token is JSON").into())
}
