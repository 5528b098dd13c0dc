//! Rows that wait for their commit, in files of the server's own folder: one for each writer, whose name is its token's.
//! They lie apart from the database, which takes one writer at a time and would be locked as long as a partition is written.

use crate::error::Error;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};

/// The folder of all staged rows.
#[derive(Debug, Clone)]
pub(crate) struct Staging {
    folder: PathBuf,
}

impl Staging {
    pub(crate) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Names come from tokens, which are stored: none of them may lead elsewhere.
    fn path(&self, name: &str) -> Result<PathBuf, Error> {
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if is_name { Ok(self.folder.join(format!("{name}.arrow"))) } else { Err(Error::Foreign("token")) }
    }

    /// A new file for one writer.
    pub(super) fn create(&self, name: &str, schema: &SchemaRef) -> Result<Stage, Error> {
        fs::create_dir_all(&self.folder).map_err(|error| lost(&error))?;
        let file = File::create(self.path(name)?).map_err(|error| lost(&error))?;
        let writer = StreamWriter::try_new(BufWriter::new(file), schema).map_err(|error| broken(&error))?;
        Ok(Stage { writer, folder: self.folder.clone(), rows: 0 })
    }

    /// The rows of a writer.
    pub(super) fn read(&self, name: &str) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + use<>, Error> {
        let file = File::open(self.path(name)?).map_err(|error| lost(&error))?;
        let reader = StreamReader::try_new(BufReader::new(file), None).map_err(|error| broken(&error))?;
        Ok(reader.map(|batch| batch.map_err(|error| broken(&error))))
    }

    /// Removes every file whose name begins so, also those of writers that crashed.
    pub(super) fn remove(&self, prefix: &str) -> Result<(), Error> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(|error| lost(&error))?,
        };
        for entry in entries {
            let entry = entry.map_err(|error| lost(&error))?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix)) {
                match fs::remove_file(entry.path()) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(lost(&error)),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// The file of one writer.
pub(super) struct Stage {
    writer: StreamWriter<BufWriter<File>>,
    folder: PathBuf,
    rows: u64,
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Stage {
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.writer.write(batch).map_err(|error| broken(&error))?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Makes the file durable; gives the number of its rows.
    pub(super) fn finish(self) -> Result<u64, Error> {
        let buffered = self.writer.into_inner().map_err(|error| broken(&error))?;
        let file = buffered.into_inner().map_err(|error| lost(error.error()))?;
        file.sync_all().map_err(|error| lost(&error))?;
        for folder in [Some(self.folder.as_path()), self.folder.parent()].into_iter().flatten() {
            sync(folder)?;
        }
        Ok(self.rows)
    }
}

fn sync(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| lost(&error))
}

fn lost(error: &io::Error) -> Error {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "rows that were prepared are gone",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full",
        _ => "the server's folder for staged rows cannot be used",
    };
    Error::Stage(reason)
}

fn broken(error: &ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, error) => lost(error),
        _ => Error::Stage("staged rows are damaged"),
    }
}
