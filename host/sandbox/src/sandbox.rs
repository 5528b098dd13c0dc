//! The door: bytes in, bindable components out, each compiled once.

use crate::compile::Compiler;
use crate::component::Bounds;
use crate::engine::Engine;
use crate::error::{Error, Origin, Result};
use crate::manifest::{self, Manifest};
use crate::store::State;
use crate::{Component, Options, host, shape};
use azora_spec::Digest;
use lru::LruCache;
use parking_lot::Mutex;
use std::num::NonZeroUsize;
use std::sync::Arc;
use wasmtime::component::Linker;

/// Compiles and keeps components. Clones share everything.
#[derive(Clone)]
pub struct Sandbox(Arc<Shared>);

struct Shared {
    options: Options,
    engine: Engine,
    linker: Linker<State>,
    compiler: Compiler,
    components: Mutex<LruCache<Digest, Component>>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("options", &self.0.options).finish_non_exhaustive()
    }
}

/// How urgent it is to have a component that comes with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Haste {
    /// Somebody waits: it is compiled in this process, with all processors.
    Now,
    /// Somebody may ask for it later: it is compiled as uploads are, in a child of low priority.
    Aside,
}

/// A component that comes with the server.
#[derive(Debug, Clone)]
pub struct Shipped {
    /// The component.
    pub component: Component,
    /// Whether it had to be compiled, in place of being loaded from the cache directory.
    pub is_compiled: bool,
}

/// What inspecting an upload found.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// What the plugin says of itself.
    pub manifest: Manifest,
    /// Imported interfaces.
    pub imports: Vec<String>,
    /// Exported interfaces of `azora:plugin`.
    pub exports: Vec<String>,
    /// Size of the upload.
    pub bytes: u64,
}

impl Sandbox {
    /// Starts the engine.
    ///
    /// # Errors
    /// When the cache directory cannot be made private, or the engine does not start.
    pub fn new(options: Options) -> Result<Self> {
        let engine = Engine::new(&options)?;
        let linker = host::linker(engine.wasm()).map_err(|error| Error::engine("linking the host", error))?;
        let compiler = Compiler::new(&options, engine.compatibility())?;
        let capacity = NonZeroUsize::new(options.components_max).unwrap_or(NonZeroUsize::MIN);
        Ok(Self(Arc::new(Shared { options, engine, linker, compiler, components: Mutex::new(LruCache::new(capacity)) })))
    }

    /// A component that the expression compiler made: compiled in this process, kept by content.
    ///
    /// # Errors
    /// When the engine refuses it.
    pub fn lambda(&self, bytes: &[u8]) -> Result<Component> {
        let digest = Digest::of(bytes);
        if let Some(component) = self.kept(&digest, Origin::Lambda) {
            return Ok(component);
        }
        let code = wasmtime::component::Component::from_binary(self.0.engine.wasm(), bytes)
            .map_err(|error| Error::engine("compiling a lambda", error))?;
        self.keep(&code, digest, Origin::Lambda)
    }

    /// A component that comes with the server: trusted as a lambda is, but large, so that what came out of compiling it is
    /// kept in the cache directory, sealed as the artefacts of uploads are. Blocks for seconds at the first time.
    ///
    /// # Errors
    /// When compiling fails.
    pub fn shipped(&self, bytes: &[u8], haste: Haste) -> Result<Shipped> {
        let digest = Digest::of(bytes);
        if let Some(component) = self.kept(&digest, Origin::Lambda) {
            return Ok(Shipped { component, is_compiled: false });
        }
        let (engine, compiler) = (self.0.engine.wasm(), &self.0.compiler);
        let cached = compiler.cached(engine, &digest);
        let is_compiled = cached.is_none();
        let code = match (cached, haste) {
            (Some(code), _) => code,
            (None, Haste::Now) => compiler.compile_trusted(engine, &digest, bytes)?,
            (None, Haste::Aside) => compiler.compile(engine, &digest, bytes)?,
        };
        Ok(Shipped { component: self.keep(&code, digest, Origin::Lambda)?, is_compiled })
    }

    /// Looks at an upload: shape, imports, exports, compilation in a child process, `describe`. Blocks for seconds.
    ///
    /// # Errors
    /// Everything that is wrong with the upload.
    pub fn inspect(&self, bytes: &[u8]) -> Result<Inspection> {
        let shape = shape::check(bytes, self.bounds())?;
        let digest = Digest::of(bytes);
        let component = match self.cached(&digest)? {
            Some(component) => component,
            None => self.compile(digest, bytes)?,
        };
        let manifest = manifest::describe(&component, &shape, self.0.options.describe)?;
        Ok(Inspection { digest, manifest, imports: shape.imports, exports: shape.exports, bytes: bytes.len() as u64 })
    }

    /// An inspected component: from memory, else from the disk cache, else compiled again from `bytes`.
    ///
    /// # Errors
    /// When there are no such bytes, or compiling fails.
    pub fn load(&self, digest: &Digest, bytes: &dyn Fn() -> Option<Vec<u8>>) -> Result<Component> {
        if let Some(component) = self.cached(digest)? {
            return Ok(component);
        }
        let bytes = bytes().filter(|bytes| Digest::of(bytes) == *digest).ok_or(Error::Unknown { digest: *digest })?;
        shape::check(&bytes, self.bounds())?;
        self.compile(*digest, &bytes)
    }

    fn bounds(&self) -> Bounds {
        Bounds::from(&self.0.options)
    }

    fn compile(&self, digest: Digest, bytes: &[u8]) -> Result<Component> {
        let code = self.0.compiler.compile(self.0.engine.wasm(), &digest, bytes)?;
        self.keep(&code, digest, Origin::Plugin)
    }

    fn cached(&self, digest: &Digest) -> Result<Option<Component>> {
        if let Some(component) = self.kept(digest, Origin::Plugin) {
            return Ok(Some(component));
        }
        let code = self.0.compiler.cached(self.0.engine.wasm(), digest);
        code.map(|code| self.keep(&code, *digest, Origin::Plugin)).transpose()
    }

    /// Bytes that came as a lambda and as an upload are two components: their faults have different codes.
    fn kept(&self, digest: &Digest, origin: Origin) -> Option<Component> {
        self.0.components.lock().get(digest).filter(|component| component.origin() == origin).cloned()
    }

    fn keep(&self, code: &wasmtime::component::Component, digest: Digest, origin: Origin) -> Result<Component> {
        let component =
            Component::link(&self.0.engine, &self.0.linker, code, digest, origin, (self.bounds(), self.0.options.services.clone()))?;
        self.0.components.lock().put(digest, component.clone());
        Ok(component)
    }
}
