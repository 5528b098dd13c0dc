//! The door: bytes in, bindable components out.

use crate::{Error, Manifest, Options, Result, Transform};
use arrow::datatypes::SchemaRef;
use azora_spec::Digest;
use azora_spec::limits::GuestLimits;

/// Compiles and keeps components. Clones share everything.
#[derive(Debug, Clone)]
pub struct Sandbox {}

impl Sandbox {
    /// Starts the engine.
    ///
    /// # Errors
    /// When the cache directory cannot be made private, or the engine does not start.
    pub fn new(_options: Options) -> Result<Self> {
        Ok(Self {})
    }

    /// A component that the expression compiler made: compiled in this process, kept by content.
    ///
    /// # Errors
    /// When the engine refuses it.
    pub fn lambda(&self, _bytes: &[u8]) -> Result<Component> {
        Err(Error::Cancelled)
    }

    /// Looks at an upload: shape, imports, exports, compilation in a child process, `describe`. Blocks for seconds.
    ///
    /// # Errors
    /// Everything that is wrong with the upload.
    pub fn inspect(&self, _bytes: &[u8]) -> Result<Inspection> {
        Err(Error::Cancelled)
    }

    /// An inspected component: from memory, else from the disk cache, else compiled again from `bytes`.
    ///
    /// # Errors
    /// When there are no such bytes, or compiling fails.
    pub fn load(&self, _digest: &Digest, _bytes: &dyn Fn() -> Option<Vec<u8>>) -> Result<Component> {
        Err(Error::Cancelled)
    }
}

/// A compiled component. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Component {}

impl Component {
    /// Binds a function to its input columns and its configuration (JSON text): calls `open` once.
    ///
    /// # Errors
    /// When the function refuses, or its plan is wrong.
    pub fn bind(&self, _function: &str, _input: &SchemaRef, _config: &str, _limits: GuestLimits) -> Result<Transform> {
        Err(Error::Cancelled)
    }
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
    /// Exported interfaces.
    pub exports: Vec<String>,
    /// Size of the upload.
    pub bytes: u64,
}

/// The child process that compiles one upload: reads the component from standard input and writes the artefact to
/// standard output. Gives the exit status.
#[must_use]
pub fn compile_main() -> i32 {
    1
}
