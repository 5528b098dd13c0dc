//! Bad records among good ones. Where a region of a file cannot be decoded as a whole, it is cut into records, and these
//! are halved until the bad ones stand alone; the others become batches as usual.
//!
//! A record is a line here, for CSV one outside of quotes. Values of JSON that go over several lines are rows only where no
//! record near them is bad.

use super::TextReader;
use azora_spec::{Failure, FileFormat};
use datafusion::arrow::array::RecordBatch;
use std::ops::Range;

impl TextReader {
    /// Takes what was read since the last batch, and what lies ready, apart. Behind it reading goes on with whatever is left
    /// of the last record.
    pub(super) fn sift(&mut self) -> Result<(), Failure> {
        let mut region = std::mem::take(&mut self.block);
        region.drain(..std::mem::take(&mut self.start));
        self.at = 0;
        let format = self.inner.settings.format;
        let (mut records, mut end) = records(&region, format);
        while records.is_empty() && !self.is_end {
            if region.len() > self.inner.settings.record_bytes_max {
                let message = format!("the record is longer than {} bytes", self.inner.settings.record_bytes_max);
                return Err(self.inner.at_row(&self.part, self.rows, &message));
            }
            self.fill()?;
            region.append(&mut self.block);
            (records, end) = self::records(&region, format);
        }
        if self.is_end && end < region.len() {
            records.push(end..region.len());
            end = region.len();
        }
        if std::mem::take(&mut self.is_headed) && !records.is_empty() {
            records.remove(0);
        }
        records.retain(|record| !is_blank(region.get(record.clone()).unwrap_or_default(), format));
        self.decode = self.inner.decoder(&self.request, false)?;
        for chunk in records.chunks(self.request.batch_rows.max(1)) {
            self.halve(&region, chunk)?;
        }
        region.drain(..end);
        (self.block, self.unfinished) = (region, 0);
        Ok(())
    }

    /// Decodes records, in halves where they cannot be decoded together.
    fn halve(&mut self, region: &[u8], records: &[Range<usize>]) -> Result<(), Failure> {
        let bytes = match records {
            [] => return Ok(()),
            [first, .., last] => first.start..last.end,
            [one] => one.clone(),
        };
        let bytes = region.get(bytes).unwrap_or_default();
        if let Ok(rows) = self.together(bytes)? {
            self.rows += records.len() as u64;
            self.ready.extend(rows.filter(|rows| rows.num_rows() > 0));
            return Ok(());
        }
        if records.len() > 1 {
            let (left, right) = records.split_at(records.len() / 2);
            self.halve(region, left)?;
            return self.halve(region, right);
        }
        let (_, reason) = self.inner.decoder(&self.request, false)?.explain(bytes);
        let before = match self.before {
            Some(before) => before,
            None => *self.before.insert(self.inner.rows_before(&self.part)?),
        };
        let place = format!("{}, row {}", self.inner.path(self.part.file), before + self.rows);
        self.rows += 1;
        self.request.rejects.reject(&place, &reason, bytes.trim_ascii_end())
    }

    /// All of some records by a decoder of their own; not, where one of them is bad.
    fn together(&self, bytes: &[u8]) -> Result<Result<Option<RecordBatch>, ()>, Failure> {
        let mut decode = self.inner.decoder(&self.request, false)?;
        // A number at the very end of JSON would go on otherwise; no bytes at all end the others.
        let end: &[u8] = if self.inner.settings.is_json() { b"\n" } else { b"" };
        let is_taken = decode.take(bytes) == Ok(bytes.len()) && decode.take(end).is_ok();
        if !is_taken {
            return Ok(Err(()));
        }
        let rows = decode.flush(&[bytes, end].concat());
        Ok(if decode.is_inside() && self.inner.settings.is_json() { Err(()) } else { rows })
    }
}

/// The complete records at the head of some bytes, with their ends, and where the rest begins.
fn records(bytes: &[u8], format: FileFormat) -> (Vec<Range<usize>>, usize) {
    let mut found = Vec::new();
    let mut start = 0;
    let mut is_quoted = false;
    for at in memchr::memchr2_iter(b'"', b'\n', bytes) {
        match bytes.get(at) {
            Some(b'"') => is_quoted ^= format == FileFormat::Csv,
            _ if is_quoted => {}
            _ => {
                found.push(start..at + 1);
                start = at + 1;
            }
        }
    }
    (found, start)
}

/// Whether a record is nothing at all to its format's reader.
fn is_blank(record: &[u8], format: FileFormat) -> bool {
    match format {
        FileFormat::Text => false,
        FileFormat::Csv => record.trim_ascii_end().is_empty() && !record.contains(&b'"'),
        _ => record.iter().all(u8::is_ascii_whitespace),
    }
}
