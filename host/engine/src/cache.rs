//! Rows that jobs keep for later jobs which begin the same way: what `cache` and `persist` ask for. How one partition's
//! rows are kept lies in `cache::part`, what decides that two jobs begin the same way in `cache::scope`.
//!
//! Nothing here can make an answer wrong: rows are known by a hash over what the input was when the job was planned, and
//! over all operations before. Where memory or disk is short, where a row cannot be kept or has gone, jobs compute.
//! What is kept on disk by wish outlives the process (`cache::note`), everything else goes with it.

mod note;
mod part;
mod scope;

pub(crate) use part::Recorder;
pub(crate) use scope::{CacheScope, Release, is_repeatable};

use azora_spec::{CacheLevel, DatasetName, Digest, Failure};
use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use note::Note;
use parking_lot::Mutex;
use part::Part;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Most sets of rows that are kept at the same time.
const ENTRIES_MAX: usize = 1000;

/// How much may be kept, and where.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) memory_bytes: u64,
    pub(crate) disk_bytes: u64,
}

/// The rows that are kept, of all contexts.
#[derive(Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
    limits: Limits,
    /// Bytes in memory and on disk, also those that are about to be kept, and those that somebody still reads.
    used: Mutex<Used>,
    table: Mutex<Table>,
    /// Names files.
    files: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
}

#[derive(Debug, Default)]
struct Used {
    memory: u64,
    disk: u64,
}

#[derive(Debug, Default)]
struct Table {
    entries: BTreeMap<Digest, Entry>,
    /// Those that a job is about to keep.
    pending: HashSet<Digest>,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    kept: Arc<Kept>,
    known: Known,
    /// What makes them outlive the process.
    #[expect(dead_code, reason = "the note goes with the entry, which is all that it is here for")]
    note: Option<Note>,
    used: u64,
    hits: u64,
    made_at_ms: u64,
    used_at_ms: u64,
}

/// What rows are known by, and where they are meant to be.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) key: Digest,
    pub(crate) name: Option<DatasetName>,
    pub(crate) level: CacheLevel,
}

/// The rows of all partitions.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) parts: Vec<Part>,
    schema: SchemaRef,
}

impl Kept {
    /// Whether they are rows of such columns, in as many partitions.
    fn fits(&self, schema: &SchemaRef, partitions: usize) -> bool {
        let is_same = |(a, b): (&FieldRef, &FieldRef)| a.name() == b.name() && a.data_type() == b.data_type();
        self.parts.len() == partitions
            && self.schema.fields().len() == schema.fields().len()
            && self.schema.fields().iter().zip(schema.fields()).all(is_same)
    }

    fn bytes(&self, place: Place) -> u64 {
        self.parts.iter().map(|part| part.bytes(place)).sum()
    }
}

/// Where bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Memory,
    Disk,
}

/// Rows about to be kept: they are, once every partition has been read to its end.
#[derive(Debug)]
pub(crate) struct Recording {
    cache: Arc<Cache>,
    known: Known,
    schema: SchemaRef,
    slots: Mutex<Vec<Option<Part>>>,
}

/// What is kept, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheView {
    /// Bytes in memory.
    pub memory_bytes: u64,
    /// Most of them.
    pub memory_bytes_max: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Most of them.
    pub disk_bytes_max: u64,
    /// Partitions that were looked for and not there.
    pub misses: u64,
    /// Sets of rows that went to make room.
    pub evictions: u64,
    /// The sets, by their ids.
    pub entries: Vec<CacheEntryView>,
}

/// One set of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntryView {
    /// What they are known by.
    pub id: Digest,
    /// The name that the job gave them.
    pub name: Option<DatasetName>,
    /// Where they are meant to be.
    pub level: CacheLevel,
    /// Partitions.
    pub partitions: usize,
    /// Rows.
    pub rows: u64,
    /// Bytes in memory.
    pub memory_bytes: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Partitions that were read from here.
    pub hits: u64,
    /// When they were kept, in milliseconds since 1970.
    pub made_at_ms: u64,
    /// When they were read last.
    pub used_at_ms: u64,
}

impl Cache {
    /// A cache of what earlier processes kept on disk by wish. What else they left is removed.
    pub(crate) fn open(data_dir: &Path, limits: Limits) -> Result<Arc<Self>, Failure> {
        let cache = Arc::new(Self {
            directory: data_dir.join("cache"),
            limits,
            used: Mutex::default(),
            table: Mutex::default(),
            files: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
        });
        let found = note::read(&cache).map_err(|error| crate::Error::storage("read the cache", error))?;
        let mut table = cache.table.lock();
        for (key, entry) in found.into_iter().take(ENTRIES_MAX) {
            table.clock += 1;
            let used = table.clock;
            table.entries.insert(key, Entry { used, ..entry });
        }
        drop(table);
        Ok(cache)
    }

    /// The rows that are known by a key, if they have these columns and this many partitions.
    pub(crate) fn find(&self, key: &Digest, schema: &SchemaRef, partitions: usize) -> Option<Arc<Kept>> {
        let mut table = self.table.lock();
        table.clock += 1;
        let clock = table.clock;
        match table.entries.get_mut(key).filter(|entry| entry.kept.fits(schema, partitions)) {
            Some(entry) => {
                (entry.used, entry.used_at_ms) = (clock, now_ms());
                entry.hits += 1;
                Some(Arc::clone(&entry.kept))
            }
            None => {
                self.misses.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// Begins to keep rows; none where they are there, or another job is about to.
    pub(crate) fn record(self: &Arc<Self>, known: &Known, schema: &SchemaRef, partitions: usize) -> Option<Arc<Recording>> {
        let mut table = self.table.lock();
        if table.entries.contains_key(&known.key) || !table.pending.insert(known.key) {
            return None;
        }
        let slots = Mutex::new((0..partitions).map(|_| None).collect());
        Some(Arc::new(Recording { cache: Arc::clone(self), known: known.clone(), schema: Arc::clone(schema), slots }))
    }

    /// Lets go of some rows, and answers how many sets of them there were. Who reads them reads on.
    pub(crate) fn release(&self, what: &Release) -> usize {
        let mut table = self.table.lock();
        let before = table.entries.len();
        table.entries.retain(|key, entry| match what {
            Release::Key(wanted) => key != wanted,
            Release::Name(wanted) => entry.known.name.as_ref() != Some(wanted),
            Release::All => false,
        });
        before - table.entries.len()
    }

    /// What there is.
    pub(crate) fn view(&self) -> CacheView {
        let entries = self.table.lock().entries.iter().map(|(id, entry)| entry.view(*id)).collect();
        let used = self.used.lock();
        CacheView {
            memory_bytes: used.memory,
            memory_bytes_max: self.limits.memory_bytes,
            disk_bytes: used.disk,
            disk_bytes_max: self.limits.disk_bytes,
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            entries,
        }
    }

    /// Takes room; others that were not used for longest go for it. False where there is not enough all the same.
    fn take(&self, place: Place, bytes: u64) -> bool {
        loop {
            {
                let mut used = self.used.lock();
                let (now, max) = match place {
                    Place::Memory => (&mut used.memory, self.limits.memory_bytes),
                    Place::Disk => (&mut used.disk, self.limits.disk_bytes),
                };
                if now.saturating_add(bytes) <= max {
                    *now += bytes;
                    return true;
                }
                if bytes > max {
                    return false;
                }
            }
            if !self.evict(place) {
                return false;
            }
        }
    }

    /// Whether there is room without letting anything go.
    fn has_room(&self, place: Place, bytes: u64) -> bool {
        let used = self.used.lock();
        match place {
            Place::Memory => used.memory.saturating_add(bytes) <= self.limits.memory_bytes,
            Place::Disk => used.disk.saturating_add(bytes) <= self.limits.disk_bytes,
        }
    }

    fn give_back(&self, place: Place, bytes: u64) {
        let mut used = self.used.lock();
        match place {
            Place::Memory => used.memory = used.memory.saturating_sub(bytes),
            Place::Disk => used.disk = used.disk.saturating_sub(bytes),
        }
    }

    /// Lets the set of rows go that was not used for longest, of those in a place. Answers whether there was one.
    fn evict(&self, place: Place) -> bool {
        let evicted = {
            let mut table = self.table.lock();
            let oldest = table.entries.iter().filter(|(_, entry)| entry.kept.bytes(place) > 0).min_by_key(|(_, entry)| entry.used);
            let Some(key) = oldest.map(|(key, _)| *key) else { return false };
            table.entries.remove(&key).map(|entry| (key, entry))
        };
        let Some((key, entry)) = evicted else { return false };
        if place == Place::Memory && entry.known.level == CacheLevel::MemoryAndDisk {
            self.move_to_disk(key, entry);
        } else {
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// What was in memory goes into files. Meanwhile jobs compute it.
    fn move_to_disk(&self, key: Digest, entry: Entry) {
        let moved: Option<Vec<Part>> = entry.kept.parts.iter().map(|part| part.on_disk(self)).collect();
        let Some(parts) = moved else {
            self.evictions.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let mut table = self.table.lock();
        if !table.pending.contains(&key) && !table.entries.contains_key(&key) {
            let schema = Arc::clone(&entry.kept.schema);
            table.entries.insert(key, Entry { kept: Arc::new(Kept { parts, schema }), ..entry });
        }
    }

    /// A name that no file has, also of those that an earlier process left.
    fn new_file(&self) -> PathBuf {
        loop {
            let path = self.directory.join(format!("{}.arrow", self.files.fetch_add(1, Ordering::Relaxed)));
            if !path.exists() {
                return path;
            }
        }
    }
}

impl Entry {
    fn view(&self, id: Digest) -> CacheEntryView {
        CacheEntryView {
            id,
            name: self.known.name.clone(),
            level: self.known.level,
            partitions: self.kept.parts.len(),
            rows: self.kept.parts.iter().map(|part| part.rows).sum(),
            memory_bytes: self.kept.bytes(Place::Memory),
            disk_bytes: self.kept.bytes(Place::Disk),
            hits: self.hits,
            made_at_ms: self.made_at_ms,
            used_at_ms: self.used_at_ms,
        }
    }
}

impl Recording {
    /// Takes one partition's rows; with the last one all of them can be found.
    fn fill(&self, partition: usize, part: Part) {
        let parts = {
            let mut slots = self.slots.lock();
            // None is left once all of them were handed over.
            let Some(slot) = slots.get_mut(partition) else { return };
            *slot = Some(part);
            if slots.iter().any(Option::is_none) {
                return;
            }
            slots.drain(..).flatten().collect::<Vec<_>>()
        };
        let at_ms = now_ms();
        let kept = Kept { parts, schema: Arc::clone(&self.schema) };
        let is_lasting = self.known.level == CacheLevel::Disk;
        let note = if is_lasting { note::write(&self.cache, &self.known, &kept, at_ms) } else { None };
        let mut table = self.cache.table.lock();
        if table.entries.len() >= ENTRIES_MAX {
            let oldest = table.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key);
            drop(oldest.and_then(|key| table.entries.remove(&key)));
        }
        table.clock += 1;
        let entry = Entry {
            kept: Arc::new(kept),
            known: self.known.clone(),
            note,
            used: table.clock,
            hits: 0,
            made_at_ms: at_ms,
            used_at_ms: at_ms,
        };
        table.entries.insert(self.known.key, entry);
        table.pending.remove(&self.known.key);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.cache.table.lock().pending.remove(&self.known.key);
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
