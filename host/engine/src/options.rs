//! How an engine and a context of it are set up. Nothing here reads the environment: the server does.

use std::path::PathBuf;

/// Settings of one [`crate::Engine`], fixed for its life.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where results, datasets and spilled rows go. Made where it does not exist.
    pub data_dir: PathBuf,
    /// Directories below which jobs may read and write files. None: no files at all.
    pub roots: Vec<PathBuf>,
    /// Memory of one context's operators where the context does not say, in bytes.
    pub memory_bytes: usize,
    /// Most threads that compute for one context.
    pub threads: usize,
    /// Most bytes that all jobs of one context may have spilled to disk at the same time.
    pub spill_bytes_max: u64,
    /// Rows at the head of a text file from which column types are inferred where the request gives none.
    pub sample_rows: usize,
    /// Most files that one source may name.
    pub files_max: usize,
    /// Longest record of a text file, in bytes.
    pub record_bytes_max: usize,
    /// Memory of the rows that `cache` and `persist` keep, of all contexts together, in bytes.
    pub cache_memory_bytes: u64,
    /// Disk space of those rows, in bytes.
    pub cache_disk_bytes: u64,
    /// Most contexts with different settings that stay set up at the same time.
    pub sessions_max: usize,
    /// Most dead letters of one job.
    pub dead_letters_max: usize,
}

impl Options {
    /// The usual settings around a data directory, without any root.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            roots: Vec::new(),
            memory_bytes: 2 << 30,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            spill_bytes_max: 64 << 30,
            sample_rows: 10_000,
            files_max: 10_000,
            record_bytes_max: 16 << 20,
            cache_memory_bytes: 256 << 20,
            cache_disk_bytes: 4 << 30,
            sessions_max: 8,
            dead_letters_max: azora_spec::limits::DEAD_LETTERS_MAX,
        }
    }
}

/// What `/spark/init` decides for the jobs of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContextOptions {
    /// Partitions of a job that does not say.
    pub parallelism: usize,
    /// Threads that compute; at most the engine's.
    pub threads: usize,
    /// Memory of the operators of all jobs of the context together, in bytes. Sorts, aggregates and joins over it spill.
    pub memory_bytes: usize,
}
