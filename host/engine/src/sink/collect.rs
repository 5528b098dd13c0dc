//! The result of a job, kept until it is fetched: small ones inside of the token, others in a file per partition.

use super::blocking;
use crate::files::Files;
use crate::relation::Shape;
use crate::result::{JobResult, Part};
use crate::{Error, error};
use async_trait::async_trait;
use azora_connect::{Receipt, Sink, Token, Writer, WriterId};
use azora_spec::{Failure, JobId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use futures::stream::{self, BoxStream, StreamExt};
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Largest Arrow IPC stream that stays inside of its token.
const INLINE_BYTES_MAX: usize = 48 << 10;
/// Batches that reading a file may be ahead.
const AHEAD_BATCHES: usize = 2;

/// Keeps rows below the data directory.
#[derive(Debug)]
pub(crate) struct CollectSink {
    files: Arc<Files>,
}

impl CollectSink {
    pub(crate) const fn new(files: Arc<Files>) -> Self {
        Self { files }
    }
}

/// Where a job's larger partitions are.
fn directory(files: &Files, job: JobId) -> PathBuf {
    files.data().path().join("results").join(job.to_string())
}

#[async_trait]
impl Sink for CollectSink {
    async fn check(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn open(&self, id: WriterId, schema: SchemaRef) -> Result<Box<dyn Writer>, Failure> {
        let directory = directory(&self.files, id.job);
        let name = format!("{:05}-{}.arrow", id.partition, id.attempt);
        let spool = Spool { directory, name, memory: Vec::new(), file: None, bytes: 0 };
        let writer = StreamWriter::try_new(spool, &schema).map_err(|error| error::arrow_failure(&error))?;
        Ok(Box::new(CollectWriter { writer, rows: 0 }))
    }

    async fn commit(&self, _: JobId, _: u64, _: SchemaRef, tokens: &[Token]) -> Result<Receipt, Failure> {
        // What is visible is decided by the job's record: the tokens in it are the result.
        let mut receipt = Receipt::default();
        for token in tokens {
            let (rows, bytes) = match Kept::read(token)? {
                Kept::Inline(stream) => (decode(&stream)?.iter().map(|batch| batch.num_rows() as u64).sum(), stream.len() as u64),
                Kept::File { rows, bytes, .. } => (rows, bytes),
            };
            receipt.rows += rows;
            receipt.bytes += bytes;
        }
        Ok(receipt)
    }

    async fn abort(&self, job: JobId, _: u64, _: &[Token]) -> Result<(), Failure> {
        let files = Arc::clone(&self.files);
        blocking(move || remove(&files, job)).await
    }
}

/// Removes what a job kept.
pub(crate) fn remove(files: &Files, job: JobId) -> Result<(), Failure> {
    match std::fs::remove_dir_all(directory(files, job)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::storage("remove a result", error).into()),
        _ => Ok(()),
    }
}

struct CollectWriter {
    writer: StreamWriter<Spool>,
    rows: u64,
}

impl fmt::Debug for CollectWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectWriter").field("rows", &self.rows).finish_non_exhaustive()
    }
}

#[async_trait]
impl Writer for CollectWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(&batch).map_err(|error| error::arrow_failure(&error))
    }

    async fn prepare(self: Box<Self>) -> Result<Token, Failure> {
        let Self { writer, rows } = *self;
        let spool = writer.into_inner().map_err(|error| error::arrow_failure(&error))?;
        let Some(file) = spool.file else {
            return Ok(Token(format!("inline:{}", STANDARD.encode(&spool.memory))));
        };
        let (name, bytes, directory) = (spool.name, spool.bytes, spool.directory);
        blocking(move || sync(file, &directory).map_err(|error| Error::storage("keep a result", error).into())).await?;
        Ok(Token(format!("file:{rows}:{bytes}:{name}")))
    }
}

fn sync(file: BufWriter<File>, directory: &Path) -> io::Result<()> {
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    File::open(directory)?.sync_all()?;
    match directory.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Bytes in memory, or in a file once there are many.
#[derive(Debug)]
struct Spool {
    directory: PathBuf,
    name: String,
    memory: Vec<u8>,
    file: Option<BufWriter<File>>,
    bytes: u64,
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() && self.memory.len() + bytes.len() > INLINE_BYTES_MAX {
            std::fs::create_dir_all(&self.directory)?;
            let mut file = BufWriter::with_capacity(256 << 10, File::create(self.directory.join(&self.name))?);
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes)?,
            None => self.memory.extend_from_slice(bytes),
        }
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

/// What a token says.
enum Kept {
    Inline(Vec<u8>),
    File { name: String, rows: u64, bytes: u64 },
}

impl Kept {
    fn read(token: &Token) -> Result<Self, Failure> {
        let damaged = || Failure::from(Error::Damaged { what: "the token of a result" });
        if let Some(text) = token.0.strip_prefix("inline:") {
            return STANDARD.decode(text).map(Self::Inline).map_err(|_| damaged());
        }
        let mut parts = token.0.strip_prefix("file:").ok_or_else(damaged)?.splitn(3, ':');
        let mut number = || parts.next().and_then(|text| text.parse().ok());
        let (rows, bytes) = (number().ok_or_else(damaged)?, number().ok_or_else(damaged)?);
        let name = parts.next().filter(|name| !name.contains('/')).ok_or_else(damaged)?.to_owned();
        Ok(Self::File { name, rows, bytes })
    }
}

fn decode(stream: &[u8]) -> Result<Vec<RecordBatch>, Failure> {
    let damaged = || Failure::from(Error::Damaged { what: "a kept result" });
    let reader = StreamReader::try_new(stream, None).map_err(|_| damaged())?;
    reader.collect::<Result<Vec<_>, _>>().map_err(|_| damaged())
}

/// The rows that tokens name, in the order of the tokens.
pub(crate) fn result(files: &Files, job: JobId, shape: Shape, schema: SchemaRef, tokens: &[Token]) -> Result<JobResult, Failure> {
    let mut result = JobResult { shape, schema, rows: 0, bytes: 0, parts: Vec::with_capacity(tokens.len()), window: None };
    for token in tokens {
        let part = match Kept::read(token)? {
            Kept::Inline(bytes) => {
                let batches = decode(&bytes)?;
                result.rows += batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
                result.bytes += bytes.len() as u64;
                Part::Memory(batches)
            }
            Kept::File { name, rows, bytes } => {
                result.rows += rows;
                result.bytes += bytes;
                Part::File(directory(files, job).join(name), rows)
            }
        };
        result.parts.push(part);
    }
    Ok(result)
}

/// The rows of one kept file. Reading happens where waiting is allowed, and not faster than the stream is polled.
pub(crate) fn read(path: PathBuf) -> BoxStream<'static, Result<RecordBatch, Failure>> {
    let (sender, receiver) = mpsc::channel(AHEAD_BATCHES);
    let work = move || {
        let batches = File::open(path).map_err(|error| Failure::from(Error::storage("open a kept result", error))).and_then(|file| {
            StreamReader::try_new(BufReader::with_capacity(256 << 10, file), None).map_err(|error| error::arrow_failure(&error))
        });
        match batches {
            Ok(batches) => {
                for batch in batches {
                    let batch = batch.map_err(|error| error::arrow_failure(&error));
                    let is_last = batch.is_err();
                    if sender.blocking_send(batch).is_err() || is_last {
                        return;
                    }
                }
            }
            // A receiver that is gone needs no error.
            Err(failure) => drop(sender.blocking_send(Err(failure))),
        }
    };
    stream::once(async move {
        tokio::task::spawn_blocking(work);
        stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|batch| (batch, receiver)) })
    })
    .flatten()
    .boxed()
}
