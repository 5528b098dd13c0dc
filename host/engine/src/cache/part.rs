//! One partition's rows as an Arrow IPC stream, in memory or in a file, and the room that they take.

use super::{Cache, Place, Recording};
use crate::error;
use azora_spec::{CacheLevel, Failure};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::reader::StreamDecoder;
use datafusion::arrow::ipc::writer::StreamWriter;
use futures::stream::{self, BoxStream, StreamExt};
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Room is taken in steps of so many bytes.
const STEP_BYTES: u64 = 256 << 10;

/// The rows of one partition. The room that they take is given back with the last of those who read them.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) rows: u64,
    data: Arc<Data>,
}

#[derive(Debug)]
struct Data {
    bytes: Bytes,
    room: Room,
}

#[derive(Debug)]
enum Bytes {
    Memory(Buffer),
    File(PathBuf),
}

impl Drop for Data {
    fn drop(&mut self) {
        if let Bytes::File(path) = &self.bytes
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::warn!(%error, "a file of kept rows could not be removed");
        }
    }
}

/// Room in one place.
struct Room {
    cache: Arc<Cache>,
    place: Place,
    bytes: u64,
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("place", &self.place).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Room {
    const fn none(cache: Arc<Cache>, place: Place) -> Self {
        Self { cache, place, bytes: 0 }
    }

    /// Makes sure that there is room for so many bytes in all, and some more.
    fn reach(&mut self, bytes: u64) -> bool {
        bytes <= self.bytes || self.reach_exactly(bytes.next_multiple_of(STEP_BYTES))
    }

    fn reach_exactly(&mut self, wanted: u64) -> bool {
        let is_taken = self.cache.take(self.place, wanted.saturating_sub(self.bytes));
        if is_taken {
            self.bytes = wanted;
        }
        is_taken
    }

    /// Gives back what is not needed.
    fn settle(&mut self, bytes: u64) {
        if bytes < self.bytes {
            self.cache.give_back(self.place, self.bytes - bytes);
            self.bytes = bytes;
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.cache.give_back(self.place, self.bytes);
    }
}

impl Part {
    /// Rows that lie in a file already; none where there is no room for it.
    pub(super) fn found(cache: &Arc<Cache>, path: PathBuf, rows: u64, bytes: u64) -> Option<Self> {
        let mut room = Room::none(Arc::clone(cache), Place::Disk);
        if !room.reach_exactly(bytes) {
            return None;
        }
        Some(Self { rows, data: Arc::new(Data { bytes: Bytes::File(path), room }) })
    }

    /// Where they lie, if it is in a file.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.data.bytes {
            Bytes::File(path) => Some(path),
            Bytes::Memory(_) => None,
        }
    }

    pub(super) fn bytes(&self, place: Place) -> u64 {
        if self.data.room.place == place { self.data.room.bytes } else { 0 }
    }

    /// The same in a file; none where there is no room for it.
    pub(super) fn on_disk(&self, cache: &Cache) -> Option<Self> {
        let Bytes::Memory(buffer) = &self.data.bytes else { return Some(Self { rows: self.rows, data: Arc::clone(&self.data) }) };
        let mut room = Room::none(Arc::clone(&self.data.room.cache), Place::Disk);
        if !room.reach(buffer.len() as u64) {
            return None;
        }
        room.settle(buffer.len() as u64);
        let path = cache.new_file();
        let written = std::fs::create_dir_all(&cache.directory).and_then(|()| std::fs::write(&path, buffer.as_slice()));
        if let Err(error) = written {
            tracing::warn!(%error, "kept rows could not be moved to the disk");
            drop(std::fs::remove_file(&path));
            return None;
        }
        Some(Self { rows: self.rows, data: Arc::new(Data { bytes: Bytes::File(path), room }) })
    }

    /// The rows in their order.
    pub(crate) fn read(&self) -> BoxStream<'static, Result<RecordBatch, Failure>> {
        let data = Arc::clone(&self.data);
        match &data.bytes {
            // The data live as long as the stream: the file of rows that were let go is there until the end.
            Bytes::File(path) => crate::sink::collect::read(path.clone()).map(move |batch| (&data, batch).1).boxed(),
            Bytes::Memory(buffer) => {
                let state = (StreamDecoder::new(), buffer.clone(), data);
                stream::try_unfold(state, |(mut decoder, mut left, data)| async move {
                    let batch = decoder.decode(&mut left).map_err(|error| error::arrow_failure(&error))?;
                    Ok(batch.map(|batch| (batch, (decoder, left, data))))
                })
                .boxed()
            }
        }
    }
}

/// Keeps one partition's rows while they pass by.
pub(crate) struct Recorder {
    recording: Arc<Recording>,
    partition: usize,
    /// None once it is clear that they cannot be kept.
    writer: Option<StreamWriter<Spool>>,
    rows: u64,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("partition", &self.partition).finish_non_exhaustive()
    }
}

impl Recorder {
    pub(crate) fn new(recording: Arc<Recording>, partition: usize, schema: &SchemaRef) -> Self {
        let cache = Arc::clone(&recording.cache);
        let place = if recording.known.level == CacheLevel::Disk { Place::Disk } else { Place::Memory };
        let may_spill = recording.known.level == CacheLevel::MemoryAndDisk;
        let spool = Spool { room: Room::none(cache, place), memory: Vec::new(), file: None, bytes: 0, may_spill };
        let writer = StreamWriter::try_new(spool, schema);
        Self { recording, partition, writer: writer.inspect_err(|error| unkept(error)).ok(), rows: 0 }
    }

    /// Takes some rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows() as u64;
        let Some(writer) = &mut self.writer else { return };
        if let Err(error) = writer.write(batch) {
            unkept(&error);
            self.writer = None;
        }
    }

    /// All of them have passed.
    pub(crate) fn finish(mut self) {
        let Some(writer) = self.writer.take() else { return };
        let data = writer.into_inner().map_err(io::Error::other).and_then(Spool::finish);
        match data {
            Ok(data) => self.recording.fill(self.partition, Part { rows: self.rows, data: Arc::new(data) }),
            Err(error) => unkept(&error),
        }
    }
}

/// Not keeping rows is no failure of the job.
fn unkept(error: &dyn std::error::Error) {
    tracing::debug!(%error, "rows are not kept");
}

/// Bytes in memory, or in a file where there is no room in memory, or they are meant to be there.
struct Spool {
    room: Room,
    memory: Vec<u8>,
    file: Option<(PathBuf, BufWriter<File>)>,
    bytes: u64,
    may_spill: bool,
}

impl Spool {
    fn is_on_disk(&self) -> bool {
        self.room.place == Place::Disk
    }

    fn spill(&mut self) -> io::Result<()> {
        self.room = Room::none(Arc::clone(&self.room.cache), Place::Disk);
        if !self.room.reach(self.bytes) {
            return Err(io::Error::other("there is no room"));
        }
        let memory = std::mem::take(&mut self.memory);
        self.file()?.write_all(&memory)
    }

    fn file(&mut self) -> io::Result<&mut BufWriter<File>> {
        if self.file.is_none() {
            let path = self.room.cache.new_file();
            std::fs::create_dir_all(&self.room.cache.directory)?;
            let file = BufWriter::with_capacity(256 << 10, File::create(&path)?);
            self.file = Some((path, file));
        }
        self.file.as_mut().map(|(_, file)| file).ok_or_else(|| io::Error::other("no file"))
    }

    fn finish(mut self) -> io::Result<Data> {
        let room = Room::none(Arc::clone(&self.room.cache), self.room.place);
        let mut room = std::mem::replace(&mut self.room, room);
        room.settle(self.bytes);
        let bytes = match self.file.take() {
            Some((path, mut file)) => {
                if let Err(error) = file.flush() {
                    drop(std::fs::remove_file(path));
                    return Err(error);
                }
                Bytes::File(path)
            }
            None => {
                let mut memory = std::mem::take(&mut self.memory);
                memory.shrink_to_fit();
                Bytes::Memory(Buffer::from_vec(memory))
            }
        };
        Ok(Data { bytes, room })
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let wanted = self.bytes + bytes.len() as u64;
        if !self.room.reach(wanted) {
            if self.is_on_disk() || !self.may_spill {
                return Err(io::Error::other("there is no room"));
            }
            self.spill()?;
            if !self.room.reach(wanted) {
                return Err(io::Error::other("there is no room"));
            }
        }
        if self.is_on_disk() {
            self.file()?.write_all(bytes)?;
        } else {
            self.memory.extend_from_slice(bytes);
        }
        self.bytes = wanted;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |(_, file)| file.flush())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Some((path, _)) = self.file.take() {
            drop(std::fs::remove_file(path));
        }
    }
}
