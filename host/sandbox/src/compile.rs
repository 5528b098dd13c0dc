//! Compiling uploads: in a child process under limits, one at a time, with a private cache of what came out.
//!
//! Compilation time and memory are outside wasmtime's promises, so the server never compiles a stranger's bytes itself.
//! What an artefact says is machine code, so only files that carry this installation's own seal are ever loaded.
#![expect(unsafe_code, reason = "loading machine code that this installation made and sealed")]

use crate::compiler_process::{self, Job};
use crate::error::{Error, Result};
use crate::{CompileLimits, CompilerCommand, Options};
use azora_spec::Digest;
use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use sha2::Sha256;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use wasmtime::component::Component;

/// Bytes of a seal.
const SEAL_BYTES: usize = 32;
/// Bytes of the sealing key: one block of SHA-256.
const KEY_BYTES: usize = 64;
/// How long an upload waits for the ones before it.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// Artefacts kept on disk, together.
const CACHE_BYTES_MAX: u64 = 2 << 30;
const KEY_FILE: &str = "seal.key";
const EXTENSION: &str = "cwasm";
const TEMPORARY_EXTENSION: &str = "tmp";

type Key = [u8; KEY_BYTES];

/// Compiles uploads and keeps what came out.
#[derive(Debug)]
pub(crate) struct Compiler {
    directory: PathBuf,
    command: CompilerCommand,
    limits: CompileLimits,
    stack_bytes_max: usize,
    compatibility: u64,
    key: Key,
    turn: Mutex<()>,
}

impl Compiler {
    pub(crate) fn new(options: &Options, compatibility: u64) -> Result<Self> {
        let directory = options.cache_dir.clone();
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(|source| io("making the cache directory", source))?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).map_err(|source| io("closing the cache directory", source))?;
        clear_temporaries(&directory).map_err(|source| io("clearing the cache directory", source))?;
        let key = read_or_make_key(&directory).map_err(|source| io("reading the key of the cache", source))?;
        Ok(Self {
            directory,
            command: options.compiler.clone(),
            limits: options.compile,
            stack_bytes_max: options.stack_bytes_max,
            compatibility,
            key,
            turn: Mutex::new(()),
        })
    }

    /// Compiles in the child, keeps the artefact and loads it.
    pub(crate) fn compile(&self, engine: &wasmtime::Engine, digest: &Digest, bytes: &[u8]) -> Result<Component> {
        let Some(_turn) = self.turn.try_lock_for(WAIT_MAX) else { return Err(Error::CompileLimit { what: "waiting time" }) };
        // The one before may have been the same upload.
        if let Some(component) = self.cached(engine, digest) {
            return Ok(component);
        }
        let job = Job { command: &self.command, limits: &self.limits, stack_bytes_max: self.stack_bytes_max, bytes };
        let artefact = compiler_process::run(&job, &self.directory)?;
        if let Err(error) = self.keep(digest, &artefact) {
            // The component works without its file; the next start compiles it again.
            tracing::warn!(error = &error as &dyn std::error::Error, "artefact not kept");
        }
        // SAFETY: the artefact came this moment through a private file from the child that we started, which runs this
        // crate's code and nothing else.
        unsafe { Component::deserialize(engine, &artefact) }.map_err(|error| {
            tracing::debug!(error = format!("{error:#}"), "fresh artefact refused");
            // The pool has slots of one size; what does not fit one is refused here.
            Error::Compile { reason: "it has more instances, memories, tables or structures than fit an instance".to_owned() }
        })
    }

    /// Compiles bytes that are part of this program in this process, and keeps the artefact.
    pub(crate) fn compile_trusted(&self, engine: &wasmtime::Engine, digest: &Digest, bytes: &[u8]) -> Result<Component> {
        let artefact = engine.precompile_component(bytes).map_err(|error| Error::engine("compiling a part of the server", error))?;
        if let Err(error) = self.keep(digest, &artefact) {
            tracing::warn!(error = &error as &dyn std::error::Error, "artefact not kept");
        }
        // SAFETY: the artefact was made by this engine a moment ago.
        unsafe { Component::deserialize(engine, &artefact) }.map_err(|error| Error::engine("loading a part of the server", error))
    }

    /// The artefact of an earlier compilation, if it is there, sealed by us, and made for this engine.
    pub(crate) fn cached(&self, engine: &wasmtime::Engine, digest: &Digest) -> Option<Component> {
        let path = self.path(digest);
        let file = fs::read(&path).ok()?;
        let (seal, artefact) = file.split_first_chunk::<SEAL_BYTES>()?;
        if self.mac(digest, artefact).verify_slice(seal).is_err() {
            tracing::warn!(path = %path.display(), "artefact without a valid seal removed");
            drop(fs::remove_file(&path));
            return None;
        }
        // SAFETY: the seal, made with a key that only this installation has, covers these bytes, the component's digest
        // and the engine's settings; so they are what our own compiler wrote for this engine.
        match unsafe { Component::deserialize(engine, artefact) } {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(path = %path.display(), error = %error, "artefact cannot be loaded");
                drop(fs::remove_file(&path));
                None
            }
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(format!("{}-{:016x}.{EXTENSION}", digest.to_hex(), self.compatibility))
    }

    fn keep(&self, digest: &Digest, artefact: &[u8]) -> Result<()> {
        let write = || -> io::Result<()> {
            let seal = self.mac(digest, artefact).finalize().into_bytes();
            let (mut file, temporary) = temporary_file(&self.directory)?;
            let written = file.write_all(&seal).and_then(|()| file.write_all(artefact));
            written.and_then(|()| fs::rename(&temporary, self.path(digest))).inspect_err(|_| drop(fs::remove_file(&temporary)))
        };
        write().map_err(|source| io("writing an artefact", source))?;
        self.evict().map_err(|source| io("clearing the cache", source))
    }

    /// Removes the oldest artefacts beyond the bound.
    fn evict(&self) -> io::Result<()> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                let metadata = fs::metadata(&path)?;
                files.push((metadata.modified()?, metadata.len(), path));
            }
        }
        files.sort_unstable();
        let mut total: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in files {
            if total <= CACHE_BYTES_MAX {
                break;
            }
            fs::remove_file(path)?;
            total -= bytes;
        }
        Ok(())
    }

    fn mac(&self, digest: &Digest, artefact: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        mac.update(digest.as_bytes());
        mac.update(&self.compatibility.to_le_bytes());
        mac.update(artefact);
        mac
    }
}

fn io(action: &'static str, source: io::Error) -> Error {
    Error::Io { action, source }
}

/// Removes what a process that was killed left half written.
fn clear_temporaries(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == TEMPORARY_EXTENSION) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn read_or_make_key(directory: &Path) -> io::Result<Key> {
    let path = directory.join(KEY_FILE);
    if let Ok(bytes) = fs::read(&path)
        && let Ok(key) = Key::try_from(bytes)
    {
        return Ok(key);
    }
    let mut key = [0; KEY_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    let (mut file, temporary) = temporary_file(directory)?;
    file.write_all(&key)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    Ok(key)
}

/// A fresh file, mode 0600, for a rename.
pub(crate) fn temporary_file(directory: &Path) -> io::Result<(File, PathBuf)> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let path = directory.join(format!("{}-{}.{TEMPORARY_EXTENSION}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    // A file of this name is one that an earlier process with the same id left behind.
    drop(fs::remove_file(&path));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    Ok((file, path))
}
