//! Arrow IPC files and streams. Arrow's own reader believes the lengths that a file states, and may abort the process on
//! forged ones: here every length is checked against the file before anything is decoded.

#[cfg(test)]
mod tests;

use super::file;
use super::folders::OfFiles;
use super::whole::{BLOCK_BYTES, Whole};
use crate::error::{arrow_failure, io_failure};
use crate::files::Files;
use crate::pins::FilePin;
use async_trait::async_trait;
use azora_connect::{Outcome, Position, ReadRequest, Reader, Source, Split};
use azora_spec::{Code, Failure};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::convert::fb_to_schema;
use datafusion::arrow::ipc::reader::StreamDecoder;
use datafusion::arrow::ipc::{CompressionType, MessageHeader, root_as_message};
use lz4_flex::frame::FrameDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a file (not a stream) begins with.
const MAGIC: &[u8; 8] = b"ARROW1\0\0";
/// What messages are aligned to at most.
const ALIGNMENT_MAX: usize = 64;
/// What a message begins with.
const CONTINUATION: [u8; 4] = [0xFF; 4];
/// What a stream ends with.
const END: [u8; 8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
/// In place of a length, it says that a buffer among compressed ones is not.
const NOT_COMPRESSED: i64 = -1;
/// Largest header of a message.
const HEADER_BYTES_MAX: usize = 16 << 20;
/// Largest body of a message, compressed and not.
const BODY_BYTES_MAX: u64 = 1 << 30;

/// IPC files of one schema.
#[derive(Debug)]
pub(crate) struct ArrowSource(Whole);

impl ArrowSource {
    /// Reads the schemas. The work is returned, to be done where waiting is allowed.
    pub(crate) fn new(files: Arc<Files>, pins: Vec<FilePin>) -> impl FnOnce() -> Result<Self, Failure> + Send + 'static {
        move || Whole::new(files, pins, |files, pin| Messages::open(file::open(files, pin)?, &pin.path)?.schema()).map(Self)
    }
}

impl OfFiles for ArrowSource {
    fn file_of(&self, split: &Split) -> Option<usize> {
        Whole::file_of(split)
    }
}

#[async_trait]
impl Source for ArrowSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    async fn plan(&self, _: usize) -> Result<Vec<Split>, Failure> {
        Ok(self.0.plan())
    }

    async fn open(&self, split: &Split, _: Option<&Position>, request: ReadRequest) -> Result<Box<dyn Reader>, Failure> {
        let pin = self.0.pin(split)?;
        let messages = Messages::open(file::open(&self.0.files, pin)?, &pin.path)?;
        Ok(Box::new(ArrowReader { messages, request, whole: None, rows: 0 }))
    }
}

#[derive(Debug)]
struct ArrowReader {
    messages: Messages,
    request: ReadRequest,
    /// The rest of a batch that was larger than asked for.
    whole: Option<RecordBatch>,
    rows: u64,
}

#[async_trait]
impl Reader for ArrowReader {
    async fn read(&mut self) -> Result<Outcome, Failure> {
        let batch = match self.whole.take() {
            Some(batch) => batch,
            None => match self.messages.batch()? {
                Some(batch) => batch,
                None => return Ok(Outcome::End),
            },
        };
        let rows = batch.num_rows().min(self.request.batch_rows.max(1));
        if rows < batch.num_rows() {
            self.whole = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        let mut batch = batch.slice(0, rows);
        if let Some(columns) = &self.request.projection {
            batch = batch.project(columns).map_err(|error| arrow_failure(&error))?;
        }
        self.rows += rows as u64;
        Ok(Outcome::Batch(batch, Position(self.rows.to_string())))
    }
}

/// The messages of one file.
#[derive(Debug)]
struct Messages {
    input: BufReader<File>,
    path: String,
    left: u64,
    decoder: StreamDecoder,
    /// What is not decoded yet of the last message.
    buffer: Buffer,
    is_over: bool,
}

impl Messages {
    fn open(file: File, path: &str) -> Result<Self, Failure> {
        let left = file.metadata().map_err(|error| io_failure(&error))?.len();
        let mut messages = Self {
            input: BufReader::with_capacity(BLOCK_BYTES, file),
            path: path.to_owned(),
            left,
            decoder: StreamDecoder::new(),
            buffer: Buffer::default(),
            is_over: false,
        };
        if left >= MAGIC.len() as u64 {
            if messages.take(MAGIC.len())? == MAGIC {
                messages.skip_padding()?;
            } else {
                // A stream has no magic.
                messages.put_back(MAGIC.len())?;
            }
        }
        Ok(messages)
    }

    /// Writers pad the magic until the first message is aligned: to 8 bytes as C++ does, to 64 as Rust does.
    fn skip_padding(&mut self) -> Result<(), Failure> {
        for _ in 1..ALIGNMENT_MAX / MAGIC.len() {
            if self.left < MAGIC.len() as u64 {
                break;
            }
            if self.take(MAGIC.len())?.iter().any(|byte| *byte != 0) {
                return self.put_back(MAGIC.len());
            }
        }
        Ok(())
    }

    /// Undoes the last [`Self::take`].
    fn put_back(&mut self, bytes: usize) -> Result<(), Failure> {
        self.input.seek_relative(-(bytes as i64)).map_err(|error| io_failure(&error))?;
        self.left += bytes as u64;
        Ok(())
    }

    fn broken(&self, reason: &str) -> Failure {
        Failure::new(Code::FileFormat, format!("'{}' is not a readable Arrow file: {reason}", self.path.escape_debug())).at("/path")
    }

    fn take(&mut self, bytes: usize) -> Result<Vec<u8>, Failure> {
        if bytes as u64 > self.left {
            return Err(self.broken("it ends too early"));
        }
        let mut taken = vec![0; bytes];
        self.input.read_exact(&mut taken).map_err(|_| self.broken("it ends too early"))?;
        self.left -= bytes as u64;
        Ok(taken)
    }

    fn schema(&mut self) -> Result<SchemaRef, Failure> {
        let message = self.message()?.ok_or_else(|| self.broken("it has no schema"))?;
        let header = message.get(8..).unwrap_or_default();
        // Arrow panics on some broken schemas.
        let read = catch_unwind(|| root_as_message(header).ok().and_then(|message| message.header_as_schema().map(fb_to_schema)));
        let schema = read.ok().flatten().ok_or_else(|| self.broken("it does not begin with a schema"))?;
        Ok(Arc::new(schema))
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>, Failure> {
        loop {
            if self.buffer.is_empty() {
                match self.message()? {
                    Some(message) => self.buffer = Buffer::from_vec(message),
                    None if self.is_over => return Ok(None),
                    // A message without a body is only decoded once something follows it.
                    None => {
                        self.is_over = true;
                        self.buffer = Buffer::from_slice_ref(END);
                    }
                }
            }
            let (decoder, buffer) = (&mut self.decoder, &mut self.buffer);
            // Arrow panics on some broken messages.
            match catch_unwind(AssertUnwindSafe(|| decoder.decode(buffer))) {
                Ok(Ok(Some(batch))) if batch.num_rows() > 0 => return Ok(Some(batch)),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    tracing::info!(%error, "an Arrow message is broken");
                    return Err(self.broken("a message is damaged"));
                }
                Err(_) => return Err(self.broken("a message is damaged")),
            }
        }
    }

    /// The bytes of the next message, with lengths that the file really has. None at the end of the stream.
    fn message(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        if self.left == 0 || self.is_over {
            return Ok(None);
        }
        let mut message = self.take(4)?;
        if message != CONTINUATION {
            return Err(self.broken("it is of a version before 0.15, or not Arrow at all"));
        }
        let length = self.take(4)?;
        let header_bytes = <[u8; 4]>::try_from(length.as_slice()).map_or(0, i32::from_le_bytes);
        if header_bytes == 0 {
            return Ok(None);
        }
        let header_bytes = usize::try_from(header_bytes).ok().filter(|bytes| *bytes <= HEADER_BYTES_MAX);
        let header = self.take(header_bytes.ok_or_else(|| self.broken("a message is too large"))?)?;
        let body_bytes = self.check(&header)?;
        let body = self.take(body_bytes)?;
        self.check_compressed(&header, &body)?;
        message.extend_from_slice(&length);
        message.extend_from_slice(&header);
        message.extend_from_slice(&body);
        Ok(Some(message))
    }

    /// Checks what a header states and answers how long its body is.
    fn check(&self, header: &[u8]) -> Result<usize, Failure> {
        let message = root_as_message(header).map_err(|_| self.broken("a message has no valid header"))?;
        let body = u64::try_from(message.bodyLength()).ok().filter(|body| *body <= BODY_BYTES_MAX.min(self.left));
        body.and_then(|body| usize::try_from(body).ok()).ok_or_else(|| self.broken("it ends too early"))
    }

    /// Checks that what is compressed becomes as much as it states, and not more than a body may hold: Arrow's reader takes
    /// all that an LZ4 frame gives before it compares.
    fn check_compressed(&self, header: &[u8], body: &[u8]) -> Result<(), Failure> {
        let damaged = || self.broken("a compressed buffer is damaged");
        let message = root_as_message(header).map_err(|_| damaged())?;
        let batch = match message.header_type() {
            MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().and_then(|batch| batch.data()),
            _ => message.header_as_record_batch(),
        };
        let Some((batch, compression)) = batch.and_then(|batch| Some((batch, batch.compression()?))) else { return Ok(()) };
        let mut left = BODY_BYTES_MAX;
        for buffer in batch.buffers().into_iter().flatten() {
            let range = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
            let compressed = range.and_then(|(offset, length)| body.get(offset..offset.checked_add(length)?)).ok_or_else(damaged)?;
            if compressed.is_empty() {
                continue;
            }
            let (stated, compressed) = compressed.split_first_chunk::<8>().ok_or_else(damaged)?;
            let stated = i64::from_le_bytes(*stated);
            if stated == NOT_COMPRESSED {
                continue;
            }
            let stated = u64::try_from(stated).map_err(|_| damaged())?;
            left = left.checked_sub(stated).ok_or_else(|| self.broken("a message is too large once it is decompressed"))?;
            if compression.codec() == CompressionType::LZ4_FRAME && stated > 0 {
                let mut frame = FrameDecoder::new(compressed).take(stated + 1);
                if io::copy(&mut frame, &mut io::sink()).ok() != Some(stated) {
                    return Err(damaged());
                }
            }
        }
        Ok(())
    }
}
