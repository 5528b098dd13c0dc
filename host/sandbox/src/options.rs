//! What the operator decides about the sandbox. Limits of one guest are `azora_spec::limits::GuestLimits`.

use crate::capabilities::Services;
use azora_spec::limits::GuestLimits;
use std::path::PathBuf;
use std::time::Duration;

/// The program that compiles one upload: it runs [`crate::compile_main`] and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompilerCommand {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments, for example `compile-component`.
    pub args: Vec<String>,
}

/// What compiling one upload may use. The child process that compiles is killed at the first bound it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Address space.
    pub memory_bytes_max: u64,
    /// Processor time.
    pub cpu_time_max: Duration,
    /// Wall time, without the wait for another upload that is being compiled.
    pub wall_time_max: Duration,
    /// Bytes of machine code.
    pub artefact_bytes_max: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 1 << 30,
            cpu_time_max: Duration::from_secs(30),
            wall_time_max: Duration::from_secs(60),
            artefact_bytes_max: 256 << 20,
        }
    }
}

/// Settings of a [`crate::Sandbox`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory of compiled artefacts; made with mode 0700 where it is missing. Nobody else may write to it.
    pub cache_dir: PathBuf,
    /// Compiles uploads.
    pub compiler: CompilerCommand,
    /// Bounds of one compilation.
    pub compile: CompileLimits,
    /// Instances alive at the same time; one more is refused. Address space is reserved for all of them.
    pub instances_max: usize,
    /// Largest linear memory that any job may allow its guests.
    pub memory_bytes_max: usize,
    /// Most table elements that any job may allow its guests.
    pub table_elements_max: usize,
    /// Stack of one guest. The calling thread needs this much and its own.
    pub stack_bytes_max: usize,
    /// Compiled components kept in memory.
    pub components_max: usize,
    /// How often a running guest is looked at: the precision of deadlines and of cancelling.
    pub tick: Duration,
    /// Limits of `describe` at upload.
    pub describe: GuestLimits,
    /// What granted capabilities reach. Without them no connector gets any, whatever was granted.
    pub services: Option<Services>,
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new(cache_dir: PathBuf, compiler: CompilerCommand) -> Self {
        Self {
            cache_dir,
            compiler,
            compile: CompileLimits::default(),
            instances_max: 1024,
            memory_bytes_max: 1 << 30,
            table_elements_max: 100_000,
            stack_bytes_max: 512 << 10,
            components_max: 512,
            tick: Duration::from_millis(5),
            describe: GuestLimits {
                call_time_max: Duration::from_secs(2),
                output_bytes_max: 4 << 20,
                output_rows_max: 0,
                ..GuestLimits::default()
            },
            services: None,
        }
    }
}
