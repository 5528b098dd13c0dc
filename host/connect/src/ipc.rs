//! Arrow IPC files and streams: their batches. Arrow's own reader believes the lengths that a file states, and may abort the
//! process on forged ones: here every length is checked against the file before anything is decoded. Writing is Arrow's.

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::{CompressionType, MessageHeader, root_as_message};
use azora_spec::{Code, Failure};
use lz4_flex::frame::FrameDecoder;
use std::fmt;
use std::io::{self, Read};
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
pub const BODY_BYTES_MAX: u64 = 1 << 30;

/// The batches of one file or stream, read as they are asked for.
pub struct Messages<R> {
    input: R,
    place: String,
    /// Bytes that are still to be read, with those that were put back.
    left: u64,
    front: Vec<u8>,
    decoder: StreamDecoder,
    /// What is not decoded yet of the last message.
    buffer: Buffer,
    is_over: bool,
}

impl<R> fmt::Debug for Messages<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("place", &self.place).finish_non_exhaustive()
    }
}

impl<R: Read> Messages<R> {
    /// Reads the first bytes of a file of so many, which failures call `place`.
    ///
    /// # Errors
    /// [`Code::FileFormat`] where it ends too early.
    pub fn open(input: R, bytes: u64, place: &str) -> Result<Self, Failure> {
        let left = bytes;
        let mut messages = Self {
            input,
            place: place.to_owned(),
            left,
            front: Vec::new(),
            decoder: StreamDecoder::new(),
            buffer: Buffer::default(),
            is_over: false,
        };
        if left >= MAGIC.len() as u64 {
            let first = messages.take(MAGIC.len())?;
            if first == MAGIC {
                messages.skip_padding()?;
            } else {
                // A stream has no magic.
                messages.put_back(first);
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
            let next = self.take(MAGIC.len())?;
            if next.iter().any(|byte| *byte != 0) {
                self.put_back(next);
                break;
            }
        }
        Ok(())
    }

    /// Undoes the last [`Self::take`].
    fn put_back(&mut self, bytes: Vec<u8>) {
        self.left += bytes.len() as u64;
        self.front = bytes;
    }

    fn broken(&self, reason: &str) -> Failure {
        Failure::new(Code::FileFormat, format!("{} is not a readable Arrow file: {reason}", self.place))
    }

    fn take(&mut self, bytes: usize) -> Result<Vec<u8>, Failure> {
        let mut taken = Vec::new();
        self.take_onto(&mut taken, bytes)?;
        Ok(taken)
    }

    /// Puts the next bytes behind what is there.
    fn take_onto(&mut self, taken: &mut Vec<u8>, bytes: usize) -> Result<(), Failure> {
        if bytes as u64 > self.left {
            return Err(self.broken("it ends too early"));
        }
        let end = taken.len() + bytes;
        taken.reserve_exact(bytes);
        taken.extend(self.front.drain(..self.front.len().min(bytes)));
        let begin = taken.len();
        taken.resize(end, 0);
        self.input.read_exact(taken.get_mut(begin..).unwrap_or_default()).map_err(|_| self.broken("it ends too early"))?;
        self.left -= bytes as u64;
        Ok(())
    }

    /// The columns. Only for a reader of which nothing else is asked: what was read for them is not read again.
    ///
    /// # Errors
    /// [`Code::FileFormat`] where there are none.
    pub fn schema(&mut self) -> Result<SchemaRef, Failure> {
        let message = self.message()?.ok_or_else(|| self.broken("it has no schema"))?;
        let header = message.get(8..).unwrap_or_default();
        // Arrow panics on some broken schemas.
        let read = catch_unwind(|| root_as_message(header).ok().and_then(|message| message.header_as_schema().map(fb_to_schema)));
        let schema = read.ok().flatten().ok_or_else(|| self.broken("it does not begin with a schema"))?;
        Ok(Arc::new(schema))
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// [`Code::FileFormat`] where a message is damaged.
    pub fn batch(&mut self) -> Result<Option<RecordBatch>, Failure> {
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
                Ok(Err(_)) | Err(_) => return Err(self.broken("a message is damaged")),
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
        message.extend_from_slice(&length);
        message.extend_from_slice(&header);
        let begin = message.len();
        self.take_onto(&mut message, body_bytes)?;
        self.check_compressed(&header, message.get(begin..).unwrap_or_default())?;
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
