//! The binary form of COPY taken apart into columns as it arrives. Which query gives the rows lives in `source.rs`.

use super::column::Column;
use super::kind::Kind;
use super::session::Session;
use crate::error::Error;
use arrow::array::ArrayRef;
use bytes::Bytes;
use futures::StreamExt;
use std::fmt;
use std::pin::Pin;
use tokio_postgres::CopyOutStream;

/// What every binary COPY begins with.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags and the length of an extension.
const HEADER_BYTES: usize = SIGNATURE.len() + 8;
/// Most bytes of one row. The server's own limit of a value is 1 GiB.
const ROW_BYTES_MAX: usize = 1 << 30;

/// Rows arriving.
pub(crate) struct Copy {
    // Before the session, which must outlive it.
    stream: Pin<Box<CopyOutStream>>,
    session: Session,
    /// What arrived and is not taken yet.
    buffer: Bytes,
    is_begun: bool,
    is_ended: bool,
    names: Vec<String>,
    columns: Vec<Column>,
    /// Whether a last column, as text, is kept aside and not given.
    has_key: bool,
    key: Vec<u8>,
    pointer: &'static str,
}

impl fmt::Debug for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copy").field("columns", &self.names).finish_non_exhaustive()
    }
}

/// Rows as columns.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) columns: Vec<ArrayRef>,
    pub(crate) rows: usize,
    /// The key of the last row, where one was asked for and is not null.
    pub(crate) key: Option<String>,
}

/// What stands at the front of the buffer.
#[derive(Debug, PartialEq, Eq)]
enum Front {
    /// Not all of a row is there.
    Partial,
    /// A row of so many bytes.
    Row(usize),
    /// The end of the rows.
    End,
}

impl Copy {
    pub(crate) fn new(session: Session, stream: CopyOutStream, columns: &[(String, Kind)], has_key: bool, pointer: &'static str) -> Self {
        Self {
            stream: Box::pin(stream),
            session,
            buffer: Bytes::new(),
            is_begun: false,
            is_ended: false,
            names: columns.iter().map(|(name, _)| name.clone()).collect(),
            columns: columns.iter().map(|(_, kind)| Column::new(kind)).collect(),
            has_key,
            key: Vec::new(),
            pointer,
        }
    }

    /// The next rows, at most so many, and no more after about so many bytes. None at the end.
    pub(crate) async fn take(&mut self, rows_max: usize, bytes_max: usize) -> Result<Option<Taken>, Error> {
        let mut rows = 0;
        let mut bytes = 0;
        self.key.clear();
        while rows < rows_max && bytes < bytes_max && !self.is_ended {
            match self.front()? {
                Front::Row(length) => {
                    self.row(length)?;
                    rows += 1;
                    bytes += length;
                }
                Front::End => self.is_ended = true,
                Front::Partial => self.more().await?,
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        let mut columns = Vec::with_capacity(self.columns.len());
        for (column, name) in self.columns.iter_mut().zip(&self.names) {
            columns.push(column.finish().map_err(|reason| misfit(name, reason))?);
        }
        let key = (!self.key.is_empty()).then(|| String::from_utf8_lossy(&self.key).into_owned());
        Ok(Some(Taken { columns, rows, key }))
    }

    async fn more(&mut self) -> Result<(), Error> {
        match self.stream.next().await {
            Some(Ok(chunk)) if self.buffer.is_empty() => self.buffer = chunk,
            Some(Ok(chunk)) => {
                // The server sends whole rows; the protocol does not promise it.
                let length = self.buffer.len() + chunk.len();
                if length > ROW_BYTES_MAX {
                    return Err(Error::Value { place: self.session.site.to_string(), reason: "a row has more than 1 GiB".to_owned() });
                }
                self.buffer = [self.buffer.as_ref(), chunk.as_ref()].concat().into();
            }
            Some(Err(error)) => return Err(self.session.blame(&error, "query", self.pointer)),
            None if self.buffer.is_empty() && self.is_begun => self.is_ended = true,
            None => return Err(self.malformed()),
        }
        Ok(())
    }

    fn malformed(&self) -> Error {
        Error::Lost { site: self.session.site.clone(), reason: "the rows were cut or have another form".to_owned() }
    }

    /// Looks at what comes next, without taking it.
    fn front(&mut self) -> Result<Front, Error> {
        if !self.is_begun {
            let Some(header) = self.buffer.get(..HEADER_BYTES) else { return Ok(Front::Partial) };
            let (start, rest) = header.split_at(SIGNATURE.len());
            let extension = rest.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
            if start != SIGNATURE || extension != Some(0) {
                return Err(self.malformed());
            }
            self.buffer = self.buffer.split_off(HEADER_BYTES);
            self.is_begun = true;
        }
        front(&self.buffer, self.columns.len() + usize::from(self.has_key)).ok_or_else(|| self.malformed())
    }

    fn row(&mut self, length: usize) -> Result<(), Error> {
        let row = self.buffer.split_to(length);
        let mut rest = row.get(2..).unwrap_or_default();
        for (column, name) in self.columns.iter_mut().zip(&self.names) {
            column.push(field(&mut rest)).map_err(|reason| misfit(name, reason))?;
        }
        if self.has_key {
            self.key.clear();
            self.key.extend_from_slice(field(&mut rest).unwrap_or_default());
        }
        Ok(())
    }
}

fn misfit(name: &str, reason: &str) -> Error {
    Error::Value { place: format!("column '{}'", name.escape_debug()), reason: reason.to_owned() }
}

/// The next field of a row that is known to be whole.
fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    let (value, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(value)
}

/// What stands at the front; nothing where it is no row of so many columns.
fn front(buffer: &[u8], columns: usize) -> Option<Front> {
    let Some((count, mut rest)) = buffer.split_first_chunk::<2>() else { return Some(Front::Partial) };
    let count = i16::from_be_bytes(*count);
    if count == -1 {
        return Some(Front::End);
    }
    if usize::try_from(count) != Ok(columns) {
        return None;
    }
    for _ in 0..columns {
        let Some((length, after)) = rest.split_first_chunk::<4>() else { return Some(Front::Partial) };
        rest = after;
        let length = match i32::from_be_bytes(*length) {
            -1 => 0,
            length => usize::try_from(length).ok()?,
        };
        match rest.get(length..) {
            Some(after) => rest = after,
            None => return Some(Front::Partial),
        }
    }
    Some(Front::Row(buffer.len() - rest.len()))
}

#[cfg(test)]
mod tests {
    use super::{Front, field, front};

    #[test]
    fn a_row_is_seen_when_all_of_it_is_there() {
        let row = b"\0\x02\0\0\0\x01a\xff\xff\xff\xff";
        assert_eq!(front(row, 2), Some(Front::Row(row.len())));
        for cut in 0..row.len() {
            assert_eq!(front(&row[..cut], 2), Some(Front::Partial), "{cut}");
        }
        assert_eq!(front(b"\xff\xff", 2), Some(Front::End));
        assert_eq!(front(row, 3), None);
        assert_eq!(front(b"\0\x01\xff\xff\xff\xfe", 1), None);
        let mut rest = &row[2..];
        assert_eq!((field(&mut rest), field(&mut rest), rest.len()), (Some(&b"a"[..]), None, 0));
    }
}
