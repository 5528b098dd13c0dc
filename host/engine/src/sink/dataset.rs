//! Named datasets: every job that writes one makes a new version, a directory of Parquet files that never changes. The
//! catalog says which version is the current one.

use super::part::{PartToken, PartWriter};
use super::staging::{self, Staging, failed, write_durable};
use super::{append, blocking};
use crate::files::Files;
use crate::format::{Compression, Encoding};
use crate::{Catalog, DatasetEntry, Error};
use async_trait::async_trait;
use azora_connect::{Receipt, Sink, Token, Writer, WriterId};
use azora_spec::{Code, DatasetName, Failure, FileFormat, JobId, WriteMode, milestone};
use cap_std::fs::Dir;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;

/// Names the files of a version in their order.
const MANIFEST: &str = "_manifest.json";
/// Only ever read by the version that wrote it, or a later one.
const MANIFEST_VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    version: u32,
    files: Vec<PartToken>,
    /// The version that was the current one when this one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<String>,
}

/// Where a version lies below the data directory.
pub(crate) fn directory(name: &str, version: &str) -> String {
    format!("datasets/{name}/{version}")
}

/// Writes a version.
#[derive(Debug, Clone)]
pub(crate) struct DatasetSink {
    files: Arc<Files>,
    catalog: Arc<dyn Catalog>,
    name: DatasetName,
    mode: WriteMode,
}

impl DatasetSink {
    pub(crate) fn new(files: Arc<Files>, catalog: Arc<dyn Catalog>, name: DatasetName, mode: WriteMode) -> Self {
        Self { files, catalog, name, mode }
    }

    fn path(&self, job: JobId) -> String {
        directory(self.name.as_str(), &job.to_string())
    }

    fn commit_now(&self, job: JobId, schema: &Schema, parts: Vec<PartToken>) -> Result<Receipt, Failure> {
        let rows = parts.iter().map(|part| part.rows).sum();
        let bytes = parts.iter().map(|part| part.bytes).sum();
        let receipt = Receipt { rows, bytes, outputs: vec![format!("dataset:{}", self.name)] };
        let staging =
            Staging::find(self.files.data(), &self.path(job), job)?.ok_or(Error::Damaged { what: "what the job had prepared" })?;
        let current = self.current()?;
        if current == Some(job.to_string()) {
            staging.remove()?;
            return Ok(receipt);
        }
        if current.is_some() {
            match self.mode {
                WriteMode::ErrorIfExists => return Err(self.exists()),
                WriteMode::Ignore => {
                    // Another job was faster: what is there stays, and a version that nobody has seen goes.
                    staging.remove()?;
                    self.remove_unseen(job)?;
                    return Ok(Receipt::default());
                }
                WriteMode::Append | WriteMode::Overwrite => {}
            }
        }
        if staging.target_exists() {
            // The one rename below has happened. Where another job has written since, before this one's version was
            // recorded, its rows would be missing: the version is made again from what is there now.
            let is_made_of_current =
                self.mode != WriteMode::Append || open(&self.files, self.name.as_str(), &job.to_string())?.1.base == current;
            if is_made_of_current {
                staging.remove()?;
                return Ok(receipt);
            }
            staging.take_back()?;
        }
        if let (WriteMode::Append, Some(version)) = (self.mode, &current) {
            let entry = entry_of(&self.files, &self.name, version)?;
            append::check(schema, &self.name, &*crate::input::dataset_schema(&self.files, &entry)?)?;
        }
        let staged = staging.prune(&parts)?;
        let mut files = match (self.mode, &current) {
            (WriteMode::Append, Some(current)) => self.link(current, &staged)?,
            _ => Vec::new(),
        };
        files.extend(parts.into_iter().filter(|part| part.file.is_some()));
        let manifest = serde_json::to_vec(&Manifest { version: MANIFEST_VERSION, files, base: current })
            .map_err(|_| Error::Broken("a manifest is JSON"))?;
        write_durable(&staged, MANIFEST, &manifest)?;
        staging::sync(&staged)?;
        let is_published = staging.publish()?;
        milestone::pass("dataset published");
        if is_published { Ok(receipt) } else { Err(Error::Broken("a version is made once").into()) }
    }

    /// The name of the current version.
    fn current(&self) -> Result<Option<String>, Failure> {
        match self.catalog.dataset(&self.name) {
            Ok(current) => version_of(&current).map(Some),
            Err(failure) if failure.code == Code::DatasetUnknown => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn exists(&self) -> Failure {
        Failure::new(Code::DatasetExists, format!("the dataset '{}' is there already", self.name))
            .hint("choose the mode 'overwrite' or 'append', or another name")
            .at("/sink/name")
    }

    /// Removes the version that a job made. One that no catalog entry names was never seen.
    fn remove_unseen(&self, job: JobId) -> Result<(), Failure> {
        let directory = self.files.data().path().join(self.path(job));
        remove(&self.files, &DatasetEntry { name: self.name.clone(), directory, files: Vec::new(), rows: 0, bytes: 0 })
    }

    /// Takes over the files of a version, as links: no row is copied, and versions can be removed one by one.
    fn link(&self, version: &str, staged: &Dir) -> Result<Vec<PartToken>, Failure> {
        let (from, manifest) = open(&self.files, self.name.as_str(), version)?;
        for name in manifest.files.iter().filter_map(|part| part.file.as_deref()) {
            match from.hard_link(name, staged, name) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
                _ => {}
            }
        }
        Ok(manifest.files)
    }
}

#[async_trait]
impl Sink for DatasetSink {
    async fn check(&self) -> Result<(), Failure> {
        match (self.mode, self.catalog.dataset(&self.name)) {
            (WriteMode::ErrorIfExists | WriteMode::Ignore, Ok(_)) => Err(self.exists()),
            (_, Err(failure)) if failure.code != Code::DatasetUnknown => Err(failure),
            _ => Ok(()),
        }
    }

    async fn open(&self, id: WriterId, schema: SchemaRef) -> Result<Box<dyn Writer>, Failure> {
        let staging = Staging::make(self.files.data(), &self.path(id.job), id.job)?;
        let encoding = Encoding { format: FileFormat::Parquet, compression: Compression::Snappy };
        Ok(Box::new(PartWriter::new(staging, id, schema, encoding)))
    }

    async fn commit(&self, job: JobId, _: u64, schema: SchemaRef, tokens: &[Token]) -> Result<Receipt, Failure> {
        let parts = tokens.iter().map(PartToken::read).collect::<Result<Vec<_>, _>>()?;
        let sink = self.clone();
        blocking(move || sink.commit_now(job, &schema, parts)).await
    }

    async fn abort(&self, job: JobId, _: u64, _: &[Token]) -> Result<(), Failure> {
        let sink = self.clone();
        blocking(move || {
            match Staging::find(sink.files.data(), &sink.path(job), job)? {
                Some(staging) => staging.remove()?,
                None => return Ok(()),
            }
            sink.remove_unseen(job)
        })
        .await
    }
}

fn version_of(entry: &DatasetEntry) -> Result<String, Failure> {
    let version = entry.directory.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    version.ok_or_else(|| Error::Damaged { what: "the catalog's entry of a dataset" }.into())
}

fn open(files: &Files, name: &str, version: &str) -> Result<(Dir, Manifest), Failure> {
    let damaged = |error: io::Error| {
        tracing::error!(%error, name, version, "a dataset's version cannot be read");
        Failure::from(Error::Damaged { what: "a dataset" })
    };
    let from = files.data().dir.open_dir(directory(name, version)).map_err(damaged)?;
    let text = from.read(MANIFEST).map_err(damaged)?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| Error::Damaged { what: "a dataset" })?;
    if manifest.version > MANIFEST_VERSION {
        return Err(Error::Damaged { what: "a dataset" }.into());
    }
    Ok((from, manifest))
}

/// Whether a job made a version.
pub(crate) fn exists(files: &Files, name: &DatasetName, job: JobId) -> bool {
    files.data().dir.is_dir(directory(name.as_str(), &job.to_string()))
}

/// The version that a job made.
pub(crate) fn entry(files: &Files, name: &DatasetName, job: JobId) -> Result<DatasetEntry, Failure> {
    entry_of(files, name, &job.to_string())
}

/// A version by its name.
pub(crate) fn entry_of(files: &Files, name: &DatasetName, version: &str) -> Result<DatasetEntry, Failure> {
    if version.contains(['/', '\\']) || version.starts_with('.') {
        return Err(Error::Damaged { what: "the name of a dataset's version" }.into());
    }
    let (_, manifest) = open(files, name.as_str(), version)?;
    Ok(DatasetEntry {
        name: name.clone(),
        directory: files.data().path().join(directory(name.as_str(), version)),
        rows: manifest.files.iter().map(|part| part.rows).sum(),
        bytes: manifest.files.iter().map(|part| part.bytes).sum(),
        files: manifest.files.into_iter().filter_map(|part| part.file).collect(),
    })
}

/// Removes a version. Other versions keep the files that they share with it.
pub(crate) fn remove(files: &Files, entry: &DatasetEntry) -> Result<(), Failure> {
    let data = &files.data().dir;
    match data.remove_dir_all(directory(entry.name.as_str(), &version_of(entry)?)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    // The directory of the name goes with its last version; while there is another one this is refused.
    let _is_empty = data.remove_dir(format!("datasets/{}", entry.name)).is_ok();
    Ok(())
}
