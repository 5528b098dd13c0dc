//! The bytes of one part of one file, decompressed, in blocks. A part owns the records that begin inside it.

use crate::error::io_failure;
use azora_connect::compress::{Codec, Fault, InflateReader};
use azora_spec::{Code, Failure};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes that are read at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// Whether the name says that the file is compressed.
pub(super) fn is_compressed(path: &str) -> bool {
    Codec::of_name(path).1.is_some()
}

/// A part of a file.
pub(super) struct Blocks {
    input: Box<dyn Read + Send>,
    path: String,
    buffer: Vec<u8>,
    filled: usize,
    /// Whether the buffer is to be given out before anything is read.
    is_peeked: bool,
    /// Place in the decompressed file of the next byte to be read.
    position: u64,
    end: Option<u64>,
    /// Whether the rest of the record in front of the part is still to be left out.
    is_skipping: bool,
    is_over: bool,
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks").field("path", &self.path).field("position", &self.position).field("end", &self.end).finish_non_exhaustive()
    }
}

impl Blocks {
    /// A part from `start` to `end`: it begins behind the first end of line at or behind `start - 1`, and ends behind
    /// the first one at or behind `end - 1`.
    pub(super) fn open(mut file: File, path: &str, start: u64, end: Option<u64>) -> Result<Self, Failure> {
        let failed = |error: io::Error| io_failure(&error);
        let size = file.metadata().map_err(failed)?.len();
        let position = start.saturating_sub(1);
        let input: Box<dyn Read + Send> = match Codec::of_name(path).1 {
            Some(codec) => Box::new(InflateReader::new(codec, file, size).map_err(failed)?),
            None => {
                file.seek(SeekFrom::Start(position)).map_err(failed)?;
                Box::new(file)
            }
        };
        Ok(Self {
            input,
            path: path.to_owned(),
            buffer: vec![0; BLOCK_BYTES],
            filled: 0,
            is_peeked: false,
            position,
            end,
            is_skipping: start > 0,
            is_over: false,
        })
    }

    /// The next bytes, without taking them. Empty at the end of the part.
    pub(super) fn peek(&mut self) -> Result<&[u8], Failure> {
        if !self.is_peeked {
            self.load()?;
            self.is_peeked = true;
        }
        Ok(self.buffer.get(..self.filled).unwrap_or_default())
    }

    /// The next bytes; none at the end of the part.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        if !std::mem::take(&mut self.is_peeked) {
            self.load()?;
        }
        Ok(self.buffer.get(..self.filled).filter(|block| !block.is_empty()))
    }

    fn load(&mut self) -> Result<(), Failure> {
        self.filled = 0;
        while !self.is_over && self.filled == 0 {
            let from = self.position;
            let read = self.fill()?;
            self.is_over = read == 0;
            self.position += read as u64;
            let mut keep = 0..read;
            if from == 0 && self.buffer.starts_with(b"\xEF\xBB\xBF") {
                keep.start = 3.min(read);
            }
            if self.is_skipping {
                match memchr::memchr(b'\n', self.buffer.get(keep.clone()).unwrap_or_default()) {
                    Some(at) => {
                        keep.start += at + 1;
                        self.is_skipping = false;
                        // The record that was left out may reach beyond this part, which then owns none.
                        if self.end.is_some_and(|end| from + keep.start as u64 >= end) {
                            self.is_over = true;
                            keep.start = keep.end;
                        }
                    }
                    None => keep.start = keep.end,
                }
            }
            if let Some(end) = self.end
                && !self.is_over
                && from + keep.end as u64 >= end
            {
                let last = usize::try_from(end.saturating_sub(1).saturating_sub(from)).unwrap_or(0).max(keep.start);
                if let Some(at) = memchr::memchr(b'\n', self.buffer.get(last..keep.end).unwrap_or_default()) {
                    keep.end = last + at + 1;
                    self.is_over = true;
                }
            }
            self.filled = keep.len();
            if keep.start > 0 {
                self.buffer.copy_within(keep, 0);
            }
        }
        Ok(())
    }

    /// Fills the buffer as far as the file goes.
    fn fill(&mut self) -> Result<usize, Failure> {
        let mut filled = 0;
        while let Some(space) = self.buffer.get_mut(filled..).filter(|space| !space.is_empty()) {
            match self.input.read(space) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.get_ref().is_some_and(|inner| inner.is::<Fault>()) => {
                    return Err(Failure::new(Code::FileFormat, format!("'{}': {error}", self.path.escape_debug())).at("/path"));
                }
                Err(error) => return Err(io_failure(&error)),
            }
        }
        Ok(filled)
    }
}
