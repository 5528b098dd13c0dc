//! One file of the journal: a header, then records. The newest segment ends in reserved zeros.

use super::Lsn;
use super::frame::{self, HEAD_BYTES, Parsed};
use crate::error::{Error, Result};
use rustix::fs::FallocateFlags;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// `magic 8 | version u32 | zero u32 | base u64 | crc u32 | zero u32`.
pub(super) const HEADER_BYTES: u64 = 32;
const MAGIC: &[u8; 8] = b"AZORAJNL";
/// Layout of segments. A reader refuses larger ones.
const VERSION: u32 = 1;
/// Ending of segment files; their names are their bases in 20 digits, so names sort as positions do.
pub(super) const EXTENSION: &str = "segment";

/// An open segment.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    file: File,
    base: Lsn,
}

/// What a whole segment holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Readable records with their positions.
    pub(super) records: Vec<(Lsn, Vec<u8>)>,
    /// Position behind the last readable record.
    pub(super) end: Lsn,
    /// Whether something that is no record follows the last readable one.
    pub(super) is_torn: bool,
    /// Damaged stretches with readable records behind them: position and length.
    pub(super) holes: Vec<(Lsn, u64)>,
}

/// The file name of the segment that begins at a position.
pub(super) fn file_name(base: Lsn) -> String {
    format!("{base:020}.{EXTENSION}")
}

impl Segment {
    /// Makes a segment out of a reserved file, or a fresh one, and makes it durable.
    pub(super) fn create(directory: &Path, base: Lsn, reserve: Option<PathBuf>, bytes: u64) -> Result<Self> {
        let path = directory.join(file_name(base));
        let from = match reserve {
            Some(reserve) => reserve,
            None => self::reserve(directory, bytes)?,
        };
        let file = open(&from)?;
        let io = |error| Error::io("write", &path, error);
        file.write_all_at(&header(base), 0).map_err(io)?;
        file.sync_all().map_err(io)?;
        std::fs::rename(&from, &path).map_err(io)?;
        crate::files::sync_dir(directory)?;
        Ok(Self { path, file, base })
    }

    /// Opens a segment that is there. `None` where its header was damaged.
    pub(super) fn open(path: &Path, base: Lsn) -> Result<Option<Self>> {
        let file = open(path)?;
        let mut bytes = [0; HEADER_BYTES as usize];
        if file.read_exact_at(&mut bytes, 0).is_err() {
            return Ok(None);
        }
        let found = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        let is_intact = bytes.starts_with(MAGIC) && bytes[24..28] == crc32fast::hash(&bytes[..24]).to_le_bytes();
        if is_intact && found > VERSION {
            return Err(Error::Newer { path: path.to_owned(), found, supported: VERSION });
        }
        Ok((bytes == header(base)).then(|| Self { path: path.to_owned(), file, base }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn base(&self) -> Lsn {
        self.base
    }

    /// Writes framed records at their position. Writing the same again is harmless.
    pub(super) fn write(&self, lsn: Lsn, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all_at(bytes, HEADER_BYTES + (lsn - self.base))
    }

    pub(super) fn sync(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }

    /// Ends the file behind a position, for good or until [`Self::extend`].
    pub(super) fn cut(&self, end: Lsn) -> std::io::Result<()> {
        self.file.set_len(HEADER_BYTES + (end - self.base))?;
        self.file.sync_all()
    }

    /// Reserves room again behind the end.
    pub(super) fn extend(&self, bytes: u64) -> std::io::Result<()> {
        allocate(&self.file, bytes)
    }

    /// Reads one record.
    pub(super) fn read(&self, lsn: Lsn) -> Result<Vec<u8>> {
        let damaged = Error::Damaged { lsn, what: "its checksum is wrong" };
        let at = HEADER_BYTES + (lsn - self.base);
        let mut head = [0; HEAD_BYTES];
        self.file.read_exact_at(&mut head, at).map_err(|error| Error::io("read", &self.path, error))?;
        let Some(length) = frame::disk_length(&head) else { return Err(damaged) };
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, at).map_err(|error| Error::io("read", &self.path, error))?;
        match frame::parse(&bytes, lsn) {
            Parsed::Record(payload, _) => Ok(payload.to_vec()),
            Parsed::Empty | Parsed::Bad => Err(damaged),
        }
    }

    /// Reads everything. A damaged stretch is left out and reported.
    pub(super) fn records(&self) -> Result<Contents> {
        let bytes = std::fs::read(&self.path).map_err(|error| Error::io("read", &self.path, error))?;
        let body = bytes.get(usize::try_from(HEADER_BYTES).unwrap_or_default()..).unwrap_or_default();
        let mut contents = Contents { end: self.base, ..Contents::default() };
        let mut at = 0;
        while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
            let lsn = self.base + at as u64;
            if let Parsed::Record(payload, length) = frame::parse(rest, lsn) {
                contents.records.push((lsn, payload.to_vec()));
                at += length;
                contents.end = self.base + at as u64;
                continue;
            }
            match next_record(rest, lsn) {
                Some(skipped) => {
                    contents.holes.push((lsn, skipped as u64));
                    at += skipped;
                }
                None => {
                    contents.is_torn = rest.iter().any(|byte| *byte != 0);
                    break;
                }
            }
        }
        Ok(contents)
    }
}

/// Distance to the next readable record, if there is one: a record names its own position.
fn next_record(bytes: &[u8], lsn: Lsn) -> Option<usize> {
    // Zeros to the end of the file are the common case and need no search.
    let last = bytes.iter().rposition(|byte| *byte != 0)?;
    (1..=last).find(|skipped| {
        let at = lsn + *skipped as u64;
        let named = bytes.get(skipped + 8..skipped + HEAD_BYTES);
        named.is_some_and(|named| named == at.to_le_bytes())
            && bytes.get(*skipped..).is_some_and(|rest| matches!(frame::parse(rest, at), Parsed::Record(..)))
    })
}

/// Makes a file with room for a segment, so that later writes into it cannot meet a full disk.
pub(super) fn reserve(directory: &Path, bytes: u64) -> Result<PathBuf> {
    let path = directory.join(format!("reserve{}", crate::files::UNFINISHED));
    let make = || {
        let file = File::create(&path)?;
        allocate(&file, bytes)?;
        file.sync_all()
    };
    match make() {
        Ok(()) => Ok(path),
        Err(error) => {
            crate::files::remove(&path)?;
            Err(Error::io("reserve", path, error))
        }
    }
}

fn allocate(file: &File, bytes: u64) -> std::io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, HEADER_BYTES + bytes) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(HEADER_BYTES + bytes),
        other => other.map_err(Into::into),
    }
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new().read(true).write(true).open(path).map_err(|error| Error::io("open", path, error))
}

fn header(base: Lsn) -> [u8; HEADER_BYTES as usize] {
    let mut bytes = [0; HEADER_BYTES as usize];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&base.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..24]);
    bytes[24..28].copy_from_slice(&checksum.to_le_bytes());
    bytes
}
