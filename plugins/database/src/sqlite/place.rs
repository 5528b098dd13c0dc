//! From a caller's path to the one file that is opened. SQLite opens by path and not by handle, so the path is resolved
//! beneath the root by the kernel first, is then free of links, and is looked at again once SQLite has opened it.
//!
//! Whoever can swap folders below a root at that moment is on this machine and may write there: jobs make no links.

use azora_spec::{Code, Failure};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Longest path that a request may name, in bytes.
const PATH_BYTES_MAX: usize = 4096;
/// How a rollback journal that names another file ends: such a name would be followed, and that file removed.
const SUPER_JOURNAL: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// The folders below which databases may lie.
#[derive(Debug, Clone)]
pub(crate) struct Roots {
    paths: Arc<[PathBuf]>,
}

/// A regular file below a root, by a path without links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(super) path: PathBuf,
    identity: (u64, u64),
}

/// Why there is no such file.
#[derive(Debug)]
pub(crate) enum Absent {
    /// Nothing is at that path, but a file could be made there.
    Missing,
    /// It may not be used, or cannot.
    Refused(Failure),
}

struct Located {
    dir: Dir,
    root: PathBuf,
    relative: PathBuf,
}

impl Roots {
    pub(crate) fn new(paths: &[PathBuf]) -> Self {
        Self { paths: paths.into() }
    }

    /// The file at a caller's path.
    pub(super) fn find(&self, text: &str) -> Result<Found, Absent> {
        let located = self.locate(text).map_err(Absent::Refused)?;
        let beneath = located.dir.canonicalize(&located.relative).map_err(|error| absent(&error, text))?;
        located.found(&beneath).map_err(|error| absent(&error, text))
    }

    /// The same, where an empty file is made if none is there.
    pub(super) fn make(&self, text: &str) -> Result<Found, Absent> {
        match self.find(text) {
            Err(Absent::Missing) => {}
            other => return other,
        }
        let located = self.locate(text).map_err(Absent::Refused)?;
        let (Some(parent), Some(name)) = (located.relative.parent(), located.relative.file_name()) else {
            return Err(Absent::Refused(outside(text, false)));
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let beneath = located.dir.canonicalize(parent).map_err(|error| absent(&error, text))?.join(name);
        match located.dir.open_with(&beneath, OpenOptions::new().write(true).create_new(true)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(absent(&error, text)),
        }
        located.found(&beneath).map_err(|error| absent(&error, text))
    }

    /// The root of a path: absolute below one of them, or relative to the first that has it, else to the first.
    fn locate(&self, text: &str) -> Result<Located, Failure> {
        if text.is_empty() || text.len() > PATH_BYTES_MAX || text.contains('\0') {
            return Err(Failure::new(Code::PathOutside, format!("a path has 1 to {PATH_BYTES_MAX} bytes and no zero byte")));
        }
        let refused = || outside(text, self.paths.is_empty());
        let path = Path::new(text);
        let mut first = None;
        for configured in self.paths.iter() {
            let Ok(root) = configured.canonicalize() else { continue };
            let rest = if path.is_absolute() {
                match path.strip_prefix(&root).or_else(|_| path.strip_prefix(configured)) {
                    Ok(rest) => rest,
                    Err(_) => continue,
                }
            } else {
                path
            };
            let relative = relative(rest).ok_or_else(refused)?;
            let dir = Dir::open_ambient_dir(&root, ambient_authority()).map_err(|_| refused())?;
            let is_there = dir.symlink_metadata(&relative).is_ok();
            let located = Located { dir, root, relative };
            if is_there || path.is_absolute() {
                return Ok(located);
            }
            first = first.or(Some(located));
        }
        first.ok_or_else(refused)
    }
}

impl Located {
    /// Opens the file beneath the root to know that it is one, and which.
    fn found(&self, beneath: &Path) -> io::Result<Found> {
        let mut options = OpenOptions::new();
        // A pipe would block the open for ever otherwise.
        options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let file = self.dir.open_with(beneath, &options)?.into_std();
        let path = self.root.join(beneath);
        check_journal(&path)?;
        Ok(Found { identity: identity(&file)?, path })
    }
}

impl Found {
    /// Whether the path still leads to the same file.
    pub(super) fn is_same(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok_and(|now| now.is_file() && (now.dev(), now.ino()) == self.identity)
    }
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok((metadata.dev(), metadata.ino()))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// Refuses a journal beside the database that names a super-journal: rolling it back would follow the name to any place.
fn check_journal(path: &Path) -> io::Result<()> {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    if !std::fs::symlink_metadata(&journal).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(());
    }
    let mut file = File::open(&journal)?;
    let mut end = [0; 8];
    let is_super =
        file.metadata()?.len() >= 8 && file.seek(SeekFrom::End(-8)).and_then(|_| file.read_exact(&mut end)).is_ok() && end == SUPER_JOURNAL;
    if is_super { Err(io::Error::new(io::ErrorKind::InvalidInput, "a journal of several databases")) } else { Ok(()) }
}

/// A relative path without `.`; none where a part leads up.
fn relative(path: &Path) -> Option<PathBuf> {
    let mut parts = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    if parts.as_os_str().is_empty() { None } else { Some(parts) }
}

fn outside(text: &str, is_rootless: bool) -> Failure {
    let hint = if is_rootless {
        "this server opens no files: the operator has configured no root"
    } else {
        "databases in files lie below the roots that the operator has configured"
    };
    Failure::new(Code::PathOutside, format!("'{}' is not below a configured root", text.escape_debug())).hint(hint)
}

fn absent(error: &io::Error, text: &str) -> Absent {
    let shown = text.escape_debug();
    Absent::Refused(match error.kind() {
        io::ErrorKind::NotFound => return Absent::Missing,
        // What leads outside is refused before the system is asked, so there is no system error number.
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
            Failure::new(Code::PathOutside, format!("'{shown}' leads outside of its root"))
        }
        io::ErrorKind::PermissionDenied => Failure::new(Code::PathUnusable, format!("the server may not use '{shown}'")),
        _ => Failure::new(Code::PathUnusable, format!("'{shown}' is not a file that can be used")),
    })
}

#[cfg(test)]
mod tests {
    use super::{Absent, Roots, SUPER_JOURNAL};
    use azora_spec::Code;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn code(outcome: Result<super::Found, Absent>) -> Option<Code> {
        match outcome {
            Ok(_) => None,
            Err(Absent::Missing) => Some(Code::PathMissing),
            Err(Absent::Refused(failure)) => Some(failure.code),
        }
    }

    #[test]
    fn only_files_below_a_root_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("in")).unwrap();
        for file in ["root/a.db", "root/in/b.db", "secret.db"] {
            std::fs::write(folder.path().join(file), b"").unwrap();
        }
        symlink("../secret.db", root.join("out.db")).unwrap();
        symlink(folder.path(), root.join("up")).unwrap();
        symlink("in/b.db", root.join("inner.db")).unwrap();
        let roots = Roots::new(std::slice::from_ref(&root));
        let find = |path: &str| code(roots.find(path));
        for path in ["a.db", "./in/b.db", "inner.db", root.join("a.db").to_str().unwrap()] {
            assert_eq!(find(path), None, "{path}");
        }
        // SQLite is given the file that the link means.
        assert!(roots.find("inner.db").unwrap().path.ends_with("in/b.db"));
        let secret = folder.path().join("secret.db");
        for path in ["../secret.db", "in/../../secret.db", "out.db", "up/secret.db", "/etc/passwd", secret.to_str().unwrap(), "", "a\0b"] {
            assert_eq!(find(path), Some(Code::PathOutside), "{path}");
            assert!(code(roots.make(path)).is_some(), "{path}");
        }
        assert_eq!(find("none.db"), Some(Code::PathMissing));
        assert_eq!(find("in"), Some(Code::PathUnusable));
        assert_eq!(code(roots.make("new.db")), None);
        assert_eq!(code(roots.make("none/new.db")), Some(Code::PathMissing));
        assert!(Path::new(&root).join("new.db").is_file());
        assert_eq!(code(Roots::new(&[]).find("a.db")), Some(Code::PathOutside));
    }

    #[test]
    fn a_file_that_is_exchanged_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.db"), b"").unwrap();
        std::fs::write(folder.path().join("b.db"), b"").unwrap();
        let found = Roots::new(&[folder.path().to_owned()]).find("a.db").unwrap();
        assert!(found.is_same());
        std::fs::rename(folder.path().join("b.db"), folder.path().join("a.db")).unwrap();
        assert!(!found.is_same());
    }

    #[test]
    fn a_journal_that_names_another_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.db"), b"").unwrap();
        std::fs::write(folder.path().join("a.db-journal"), [b"/etc/passwd".as_slice(), &SUPER_JOURNAL].concat()).unwrap();
        assert_eq!(code(Roots::new(&[folder.path().to_owned()]).find("a.db")), Some(Code::PathUnusable));
    }
}
