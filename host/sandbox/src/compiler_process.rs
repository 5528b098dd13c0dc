//! Both ends of the compiling child: the parent that feeds, watches and judges it, and the child's own main.
//!
//! The child reads a header of limits and the component from standard input, puts itself under the limits before it looks
//! at the component, writes the artefact to standard output (a private file) and a reason to standard error.

use crate::compile::temporary_file;
use crate::error::{Error, Result};
use crate::{CompileLimits, CompilerCommand, engine, text};
use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};
use std::fs;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The child's exit status where the component is at fault; standard error says why.
const EXIT_REFUSED: i32 = 65;
/// The child's exit status where the child itself is.
const EXIT_BROKEN: i32 = 70;
/// The first bytes of the header.
const MAGIC: u64 = u64::from_le_bytes(*b"azoracw1");
/// What is read of the child's words.
const REASON_BYTES_MAX: u64 = 4 << 10;
/// How often the child is looked at.
const POLL: Duration = Duration::from_millis(5);
/// How much less the child's processor time counts than the server's.
const NICENESS: i32 = 10;
/// Numbers in the header: magic, address space, processor seconds, artefact bytes, stack bytes.
const HEADER_WORDS: usize = 5;

/// One compilation.
pub(crate) struct Job<'a> {
    pub(crate) command: &'a CompilerCommand,
    pub(crate) limits: &'a CompileLimits,
    pub(crate) stack_bytes_max: usize,
    pub(crate) bytes: &'a [u8],
}

/// Runs the child and gives the artefact.
pub(crate) fn run(job: &Job<'_>, directory: &Path) -> Result<Vec<u8>> {
    let (mut file, path) = temporary_file(directory).map_err(|source| io("making a file for the compiler", source))?;
    // Only the descriptors matter from here on.
    drop(fs::remove_file(&path));
    let output = file.try_clone().map_err(|source| io("making a file for the compiler", source))?;
    let child = Command::new(&job.command.program)
        .args(&job.command.args)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| io("starting the compiler", source))?;
    let (status, reason) = watch(child, job)?;
    judge(status, &reason)?;
    let mut artefact = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut artefact)).map_err(|source| io("reading the compiler's output", source))?;
    Ok(artefact)
}

/// Kills and reaps the child however the parent leaves.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn watch(child: Child, job: &Job<'_>) -> Result<(ExitStatus, String)> {
    let mut child = Reaped(child);
    let stdin = child.0.stdin.take();
    let stderr = child.0.stderr.take();
    std::thread::scope(|scope| {
        // Both pipes close with the child, so both threads end with it.
        let feeder =
            scope.spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(&header(job)).and_then(|()| stdin.write_all(job.bytes))));
        let listener = scope.spawn(move || stderr.map(listen).unwrap_or_default());
        let begun = Instant::now();
        let status = loop {
            match child.0.try_wait().map_err(|source| io("watching the compiler", source)) {
                Ok(Some(status)) => break Ok(status),
                Ok(None) if begun.elapsed() < job.limits.wall_time_max => std::thread::sleep(POLL),
                Ok(None) => break Err(Error::CompileLimit { what: "time" }),
                Err(error) => break Err(error),
            }
        };
        drop(child);
        // A child that dies early breaks the feeder's pipe; its status says more than that.
        drop(feeder.join());
        Ok((status?, listener.join().unwrap_or_default()))
    })
}

fn header(job: &Job<'_>) -> Vec<u8> {
    let seconds = job.limits.cpu_time_max.as_secs().max(1);
    [MAGIC, job.limits.memory_bytes_max, seconds, job.limits.artefact_bytes_max, job.stack_bytes_max as u64]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect()
}

fn listen(mut stderr: ChildStderr) -> String {
    let mut reason = Vec::new();
    drop(stderr.by_ref().take(REASON_BYTES_MAX).read_to_end(&mut reason));
    // The rest is read and dropped, so that the child never waits for a reader.
    drop(io::copy(&mut stderr, &mut io::sink()));
    String::from_utf8_lossy(&reason).into_owned()
}

fn judge(status: ExitStatus, reason: &str) -> Result<()> {
    match (status.code(), status.signal().and_then(Signal::from_named_raw)) {
        (Some(0), _) => Ok(()),
        (Some(EXIT_REFUSED), _) => Err(Error::Compile { reason: text::sanitise(reason.trim(), REASON_BYTES_MAX as usize) }),
        (_, Some(Signal::XCPU)) => Err(Error::CompileLimit { what: "processor time" }),
        (_, Some(Signal::XFSZ)) => Err(Error::CompileLimit { what: "machine code" }),
        // Rust aborts where memory runs out, and the compiler's own stack is bounded too.
        (_, Some(Signal::ABORT | Signal::SEGV | Signal::KILL | Signal::BUS)) => {
            tracing::debug!(%status, reason, "compiler killed");
            Err(Error::CompileLimit { what: "memory" })
        }
        _ => {
            tracing::error!(%status, reason, "the compiler's process failed");
            Err(io("compiling an upload", io::Error::other("the compiler's process failed")))
        }
    }
}

fn io(action: &'static str, source: io::Error) -> Error {
    Error::Io { action, source }
}

/// The child process that compiles one upload: reads limits and the component from standard input, writes the artefact
/// to standard output, and gives the exit status. Meant to be the whole of a process; it lowers that process's limits.
#[must_use]
pub fn compile_main() -> i32 {
    match compile() {
        Ok(()) => 0,
        Err(Failed::Refused(reason)) => {
            drop(io::stderr().write_all(reason.as_bytes()));
            EXIT_REFUSED
        }
        Err(Failed::Broken(error)) => {
            drop(io::stderr().write_all(error.to_string().as_bytes()));
            EXIT_BROKEN
        }
    }
}

enum Failed {
    Refused(String),
    Broken(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

fn compile() -> std::result::Result<(), Failed> {
    let mut stdin = io::stdin().lock();
    let mut words = [0; HEADER_WORDS];
    for word in &mut words {
        let mut bytes = [0; size_of::<u64>()];
        stdin.read_exact(&mut bytes)?;
        *word = u64::from_le_bytes(bytes);
    }
    let [magic, memory, seconds, artefact, stack] = words;
    if magic != MAGIC {
        return Err(Failed::Broken(io::Error::other("this is the compiler of uploads; it is started by the server")));
    }
    confine(memory, seconds, artefact)?;
    let mut bytes = Vec::new();
    stdin.read_to_end(&mut bytes)?;
    let engine = engine::compiler(usize::try_from(stack).unwrap_or(usize::MAX)).map_err(|error| io::Error::other(error.to_string()))?;
    let artefact = engine.precompile_component(&bytes).map_err(|error| Failed::Refused(format!("{error:#}")))?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&artefact)?;
    stdout.flush()?;
    Ok(())
}

/// Puts this process under its limits. Address space that it holds already, such as an allocator's reservation, is not
/// the component's doing and comes on top.
fn confine(memory_bytes: u64, cpu_seconds: u64, artefact_bytes: u64) -> io::Result<()> {
    let held_bytes = held_address_space()?;
    let limit = |resource, value| setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) });
    set_parent_process_death_signal(Some(Signal::KILL))?;
    limit(Resource::As, memory_bytes.saturating_add(held_bytes))?;
    limit(Resource::Fsize, artefact_bytes)?;
    limit(Resource::Core, 0)?;
    // The second limit is a second later: at the first one the signal tells the parent what happened.
    setrlimit(Resource::Cpu, Rlimit { current: Some(cpu_seconds), maximum: Some(cpu_seconds + 1) })?;
    nice(NICENESS)?;
    Ok(())
}

fn held_address_space() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).and_then(|size| size.trim().strip_suffix(" kB"));
    let kilobytes = size.and_then(|size| size.trim().parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes << 10).ok_or_else(|| io::Error::other("no size of this process in /proc"))
}
