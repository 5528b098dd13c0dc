//! Messages that wait for their commit, in files: `<root>/<job>/<epoch>/<partition>-<attempt>.arrow`.

use super::encode::message_schema;
use crate::error::Error;
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use azora_connect::{Token, WriterId};
use azora_spec::JobId;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};

/// The file that says that a commit was begun.
const BEGUN: &str = "begun";

/// The folder of all staged messages.
#[derive(Debug, Clone)]
pub(crate) struct Staging {
    root: PathBuf,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Prepared {
    pub(crate) partition: usize,
    pub(crate) attempt: u32,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl Prepared {
    pub(crate) fn of(token: &Token) -> Result<Self, Error> {
        serde_json::from_str(&token.0).map_err(|_| Error::Foreign("a token"))
    }

    pub(crate) fn token(&self) -> Token {
        Token(serde_json::to_string(self).unwrap_or_default())
    }

    fn file_name(&self) -> String {
        format!("{}-{}.arrow", self.partition, self.attempt)
    }
}

impl Staging {
    pub(crate) const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn folder(&self, job: JobId, epoch: u64) -> PathBuf {
        self.root.join(job.to_string()).join(epoch.to_string())
    }

    /// A new file for one writer.
    pub(crate) fn create(&self, id: WriterId) -> Result<StageFile, Error> {
        let folder = self.folder(id.job, id.epoch);
        fs::create_dir_all(&folder).map_err(Error::Staging)?;
        let prepared = Prepared { partition: id.partition, attempt: id.attempt, rows: 0, bytes: 0 };
        let file = File::create(folder.join(prepared.file_name())).map_err(Error::Staging)?;
        let writer = StreamWriter::try_new(BufWriter::new(file), &message_schema()).map_err(staged)?;
        Ok(StageFile { writer, prepared, folder })
    }

    /// The messages of a writer.
    pub(crate) fn read(&self, job: JobId, epoch: u64, prepared: &Prepared) -> Result<StreamReader<BufReader<File>>, Error> {
        let name = prepared.file_name();
        let missing = |_| Error::StagedMissing { what: format!("partition {} of job {job}", prepared.partition) };
        let file = File::open(self.folder(job, epoch).join(name)).map_err(missing)?;
        StreamReader::try_new(BufReader::new(file), None).map_err(staged)
    }

    /// Notes that a commit begins.
    pub(crate) fn begin(&self, job: JobId, epoch: u64) -> Result<(), Error> {
        File::create(self.folder(job, epoch).join(BEGUN)).and_then(|file| file.sync_all()).map_err(Error::Staging)
    }

    pub(crate) fn has_begun(&self, job: JobId, epoch: u64) -> bool {
        self.folder(job, epoch).join(BEGUN).exists()
    }

    /// Removes what was staged. The job's folder goes with its last epoch.
    pub(crate) fn remove(&self, job: JobId, epoch: u64) -> Result<(), Error> {
        let folder = self.folder(job, epoch);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::Staging(error)),
            _ => {}
        }
        if let Some(of_job) = folder.parent() {
            // Not empty where other epochs are staged.
            fs::remove_dir(of_job).ok();
        }
        Ok(())
    }
}

/// The file of one writer.
pub(crate) struct StageFile {
    writer: StreamWriter<BufWriter<File>>,
    prepared: Prepared,
    folder: PathBuf,
}

impl std::fmt::Debug for StageFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StageFile").field("prepared", &self.prepared).finish_non_exhaustive()
    }
}

impl StageFile {
    pub(crate) fn write(&mut self, messages: &RecordBatch) -> Result<(), Error> {
        self.writer.write(messages).map_err(staged)?;
        self.prepared.rows += messages.num_rows() as u64;
        self.prepared.bytes += messages.get_array_memory_size() as u64;
        Ok(())
    }

    /// Makes the file durable.
    pub(crate) fn finish(self) -> Result<Prepared, Error> {
        let buffered = self.writer.into_inner().map_err(staged)?;
        let file = buffered.into_inner().map_err(|error| Error::Staging(error.into_error()))?;
        file.sync_all().map_err(Error::Staging)?;
        // The folder's entry, and the job's.
        for folder in [Some(self.folder.as_path()), self.folder.parent(), self.folder.parent().and_then(Path::parent)].into_iter().flatten()
        {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::Staging)?;
        }
        Ok(self.prepared)
    }
}

fn staged(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, source) => Error::Staging(source),
        other => Error::Staging(io::Error::other(other)),
    }
}
