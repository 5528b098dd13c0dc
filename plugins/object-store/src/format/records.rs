//! The records of text formats: lines, or for CSV lines outside of quotes. One whole document is for [`document`].

use crate::error::{self, Named};
use azora_connect::compress::{Fault, Inflate};
use azora_spec::{Code, Failure};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use std::fmt;

/// Longest record.
const RECORD_BYTES_MAX: usize = 16 << 20;
/// Largest document that is read as a whole.
const DOCUMENT_BYTES_MAX: usize = 256 << 20;
/// Read bytes in front of the next record that are kept before they are dropped.
const BEHIND_BYTES_MAX: usize = 256 << 10;

/// Bytes of an object as they arrive.
pub(crate) type Chunks = BoxStream<'static, object_store::Result<Bytes>>;

/// One object, record by record.
pub(crate) struct Records {
    chunks: Chunks,
    chunk: Bytes,
    inflate: Inflate,
    buffer: Vec<u8>,
    /// Where the next record begins, and up to where its end was looked for.
    at: usize,
    scanned: usize,
    /// Whether quotes keep a line's end inside of a record, and whether one is open.
    has_quotes: bool,
    is_quoted: bool,
    /// Whether all chunks came, and whether all was made of them.
    is_last: bool,
    is_end: bool,
    object: Named,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("object", &self.object).finish_non_exhaustive()
    }
}

impl Records {
    pub(crate) fn new(chunks: Chunks, inflate: Inflate, has_quotes: bool, object: Named) -> Self {
        Self {
            chunks,
            chunk: Bytes::new(),
            inflate,
            buffer: Vec::new(),
            at: 0,
            scanned: 0,
            has_quotes,
            is_quoted: false,
            is_last: false,
            is_end: false,
            object,
        }
    }

    /// The next record without its line's end.
    pub(crate) async fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        loop {
            if let Some(end) = self.end() {
                let start = std::mem::replace(&mut self.at, end + 1);
                self.scanned = self.at;
                let record = self.buffer.get(start..end).unwrap_or_default();
                return Ok(Some(record.strip_suffix(b"\r").unwrap_or(record)));
            }
            if self.is_end {
                let start = std::mem::replace(&mut self.at, self.buffer.len());
                self.scanned = self.at;
                let record = self.buffer.get(start..).unwrap_or_default();
                return Ok((!record.is_empty()).then_some(record));
            }
            if self.buffer.len() - self.at > RECORD_BYTES_MAX {
                return Err(error::broken(&self.object, &format!("a record is longer than {RECORD_BYTES_MAX} bytes")));
            }
            self.fill().await?;
        }
    }

    /// The end of the record at hand.
    fn end(&mut self) -> Option<usize> {
        let new = self.buffer.get(self.scanned..)?;
        for (offset, byte) in new.iter().enumerate() {
            match byte {
                b'"' if self.has_quotes => self.is_quoted = !self.is_quoted,
                b'\n' if !self.is_quoted => return Some(self.scanned + offset),
                _ => {}
            }
        }
        self.scanned = self.buffer.len();
        None
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        if self.at > BEHIND_BYTES_MAX {
            self.buffer.drain(..self.at);
            self.scanned -= self.at;
            self.at = 0;
        }
        if self.chunk.is_empty() && !self.is_last {
            match self.chunks.next().await {
                Some(chunk) => self.chunk = chunk.map_err(|error| error::store(&error, &self.object))?,
                None => self.is_last = true,
            }
        }
        if self.is_last {
            self.is_end = self.inflate.finish(&mut self.buffer).map_err(|fault| broken(&self.object, fault))?;
            return Ok(());
        }
        let taken = self.inflate.step(&self.chunk, &mut self.buffer).map_err(|fault| broken(&self.object, fault))?;
        self.chunk = self.chunk.slice(taken..);
        Ok(())
    }
}

fn broken(object: &Named, fault: Fault) -> Failure {
    error::broken(object, &fault.to_string())
}

/// All bytes of an object that has to be read as a whole.
pub(crate) async fn document(mut chunks: Chunks, mut inflate: Inflate, object: &Named) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    let check = |all: &Vec<u8>| match all.len() > DOCUMENT_BYTES_MAX {
        true => {
            let message = format!("{object} is larger than {DOCUMENT_BYTES_MAX} bytes");
            Err(Failure::new(Code::FileFormat, message).hint("one value a line (ndjson) has no such limit"))
        }
        false => Ok(()),
    };
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| error::store(&error, object))?;
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            let taken = inflate.step(rest, &mut all).map_err(|fault| broken(object, fault))?;
            rest = rest.get(taken..).unwrap_or_default();
            check(&all)?;
        }
    }
    while !inflate.finish(&mut all).map_err(|fault| broken(object, fault))? {
        check(&all)?;
    }
    Ok(all)
}
