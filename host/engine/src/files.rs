//! The directories below which jobs may touch files. Every path of a caller goes through here; opening is confined by the
//! kernel (`openat2` beneath the root), so neither `..` nor a symlink that changes in between leads outside.

mod listing;
mod store;

/// The index of the engine's own directory in pins.
pub(crate) const DATA_ROOT: usize = usize::MAX;

pub(crate) use listing::{Found, base_of, list};
pub(crate) use store::RootStore;

use crate::input::Footers;
use crate::{Error, Options};
use azora_spec::{Code, Failure};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use rustix::fs::OFlags;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Longest path that a request may name, in bytes.
const PATH_BYTES_MAX: usize = 4096;

/// One directory, held open.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    /// As configured, and with symlinks resolved: callers may name either.
    paths: [PathBuf; 2],
    pub(crate) dir: Arc<Dir>,
    /// How plans name it.
    pub(crate) url: ObjectStoreUrl,
}

/// A path below a root, not known to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) root: usize,
    /// Relative, without `.` and `..`, parts joined by `/`. Empty for the root itself.
    pub(crate) path: String,
}

/// All roots, and the engine's own directory.
#[derive(Debug)]
pub(crate) struct Files {
    roots: Vec<Root>,
    data: Root,
    footers: Footers,
}

impl Root {
    fn open(path: &Path, name: &str) -> Result<Self, Failure> {
        let refused = |error| Error::storage("open a configured directory", error);
        std::fs::create_dir_all(path).map_err(refused)?;
        let canonical = path.canonicalize().map_err(refused)?;
        let dir = Dir::open_ambient_dir(&canonical, ambient_authority()).map_err(refused)?;
        let url = ObjectStoreUrl::parse(format!("azora://{name}")).map_err(|_| Error::Broken("the name of a root"))?;
        Ok(Self { paths: [path.to_owned(), canonical], dir: Arc::new(dir), url })
    }

    /// The directory itself, for paths that this process made.
    pub(crate) fn path(&self) -> &Path {
        &self.paths[1]
    }

    /// Opens a file for reading; anything but a regular file is refused.
    pub(crate) fn open_file(&self, path: &str) -> Result<std::fs::File, Failure> {
        self.open_beneath(path).map_err(|error| path_failure(&error, path))
    }

    /// As [`Self::open_file`], with the system's error.
    pub(crate) fn open_beneath(&self, path: &str) -> io::Result<std::fs::File> {
        let mut options = OpenOptions::new();
        // A pipe would block the open for ever otherwise.
        options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let file: File = self.dir.open_with(path, &options)?;
        if file.metadata()?.is_file() {
            Ok(file.into_std())
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
        }
    }
}

impl Files {
    pub(crate) fn new(options: &Options) -> Result<Self, Failure> {
        let roots = options.roots.iter().enumerate().map(|(at, path)| Root::open(path, &format!("root-{at}"))).collect::<Result<_, _>>()?;
        Ok(Self { roots, data: Root::open(&options.data_dir, "data")?, footers: Footers::default() })
    }

    /// Footers of Parquet files below them.
    pub(crate) const fn footers(&self) -> &Footers {
        &self.footers
    }

    /// Makes the roots readable for plans.
    pub(crate) fn register(&self, runtime: &RuntimeEnv) {
        for root in self.roots.iter().chain([&self.data]) {
            runtime.register_object_store(root.url.as_ref(), Arc::new(RootStore::new(root.clone())));
        }
    }

    /// The engine's own directory.
    pub(crate) const fn data(&self) -> &Root {
        &self.data
    }

    /// A root by its index.
    pub(crate) fn root(&self, at: usize) -> Result<&Root, Failure> {
        if at == DATA_ROOT {
            return Ok(&self.data);
        }
        self.roots.get(at).ok_or_else(|| Failure::new(Code::PathOutside, "the root of a file is not configured any more"))
    }

    /// Finds the root of a caller's path: absolute below one of them, or relative to the first that has it, else to the first.
    pub(crate) fn locate(&self, text: &str) -> Result<Located, Failure> {
        let text = text.strip_prefix("file://").unwrap_or(text);
        if text.is_empty() || text.len() > PATH_BYTES_MAX || text.contains('\0') {
            return Err(Failure::new(Code::PathOutside, format!("a path has 1 to {PATH_BYTES_MAX} bytes and no zero byte")).at("/path"));
        }
        let outside = || {
            let hint = if self.roots.is_empty() {
                "this server reads and writes no files: the operator has configured no root".to_owned()
            } else {
                "files are read and written below the roots that the operator has configured".to_owned()
            };
            Failure::new(Code::PathOutside, format!("'{}' is not below a configured root", text.escape_debug())).hint(hint).at("/path")
        };
        let path = Path::new(text);
        if path.is_absolute() {
            let below = |root: &Root| root.paths.iter().find_map(|prefix| path.strip_prefix(prefix).ok().map(Path::to_owned));
            let found = self.roots.iter().enumerate().filter_map(|(at, root)| below(root).map(|rest| (at, rest)));
            let (root, rest) = found.min_by_key(|(_, rest)| rest.as_os_str().len()).ok_or_else(outside)?;
            return Ok(Located { root, path: relative(&rest).ok_or_else(outside)? });
        }
        let relative = relative(path).ok_or_else(outside)?;
        let has_it = |root: &Root| !relative.is_empty() && root.dir.symlink_metadata(&relative).is_ok();
        let root = self.roots.iter().position(has_it).unwrap_or(0);
        if self.roots.is_empty() { Err(outside()) } else { Ok(Located { root, path: relative }) }
    }
}

/// The parts of a relative path joined by `/`; none where one of them leads up.
fn relative(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// What the caller is told when a path below a root cannot be used.
pub(crate) fn path_failure(error: &io::Error, path: &str) -> Failure {
    let shown = path.escape_debug();
    match error.kind() {
        io::ErrorKind::NotFound => Failure::new(Code::PathMissing, format!("'{shown}' does not exist")).at("/path"),
        // What leads outside is refused before the system is asked, so there is no system error number.
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
            Failure::new(Code::PathOutside, format!("'{shown}' leads outside of its root")).at("/path")
        }
        io::ErrorKind::PermissionDenied => Failure::new(Code::PathUnusable, format!("the server may not use '{shown}'")).at("/path"),
        io::ErrorKind::InvalidInput | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => {
            Failure::new(Code::PathUnusable, format!("'{shown}' is not a file that can be used")).at("/path")
        }
        _ if crate::error::is_full(error) => Failure::new(Code::StorageFull, "the disk is full"),
        _ => {
            tracing::info!(%error, "a path cannot be used");
            Failure::new(Code::PathUnusable, format!("'{shown}' cannot be used")).at("/path")
        }
    }
}

#[cfg(test)]
mod tests;
