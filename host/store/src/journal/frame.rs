//! One record on disk: `length u32 | crc u32 | position u64 | payload`, little-endian; the checksum covers position and
//! payload. The position makes a stale or moved record recognisable.

use super::Lsn;

/// Bytes before the payload.
pub(super) const HEAD_BYTES: usize = 16;
/// Largest payload.
pub(crate) const RECORD_BYTES_MAX: usize = 1 << 20;

/// What lies at a position.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed<'a> {
    /// A record and its length on disk.
    Record(&'a [u8], usize),
    /// Zeros: nothing was written here.
    Empty,
    /// Something else.
    Bad,
}

/// Appends a record and returns its length on disk.
pub(super) fn push(buffer: &mut Vec<u8>, lsn: Lsn, payload: &[u8]) -> u64 {
    // Payloads are capped far below 4 GiB before they come here.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&checksum(lsn, payload).to_le_bytes());
    buffer.extend_from_slice(&lsn.to_le_bytes());
    buffer.extend_from_slice(payload);
    (HEAD_BYTES + payload.len()) as u64
}

/// Length on disk of the record whose first bytes these are.
pub(super) fn disk_length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    (length > 0 && length <= RECORD_BYTES_MAX).then_some(HEAD_BYTES + length)
}

/// Reads the record that should begin at the start of `bytes`.
pub(super) fn parse(bytes: &[u8], lsn: Lsn) -> Parsed<'_> {
    if bytes.iter().take(HEAD_BYTES).all(|byte| *byte == 0) {
        return Parsed::Empty;
    }
    record(bytes, lsn).unwrap_or(Parsed::Bad)
}

fn record(bytes: &[u8], lsn: Lsn) -> Option<Parsed<'_>> {
    let length = disk_length(bytes)?;
    let stored = u32::from_le_bytes(*bytes.get(4..8)?.first_chunk()?);
    let at = u64::from_le_bytes(*bytes.get(8..HEAD_BYTES)?.first_chunk()?);
    let payload = bytes.get(HEAD_BYTES..length)?;
    (at == lsn && stored == checksum(lsn, payload)).then_some(Parsed::Record(payload, length))
}

fn checksum(lsn: Lsn, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&lsn.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}
