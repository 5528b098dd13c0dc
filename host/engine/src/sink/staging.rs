//! A hidden directory beside a target, on the same file system, and the one rename that makes it visible.

use crate::error::{io_failure, is_full};
use crate::files::{Root, path_failure};
use crate::{Error, sink::part::PartToken};
use azora_spec::{Code, Failure, JobId, milestone};
use cap_std::fs::{Dir, OpenOptions};
use rustix::fs::{RenameFlags, renameat_with};
use rustix::io::Errno;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// What marks a finished directory, as Spark's readers know it. Ours holds the job's id.
pub(super) const MARKER: &str = "_SUCCESS";
/// Most bytes of a marker that are read.
const MARKER_BYTES_MAX: u64 = 256;

/// The staging directory of one job for one target.
#[derive(Debug, Clone)]
pub(super) struct Staging {
    /// The directory that holds the target and the staging directory.
    pub(super) parent: Arc<Dir>,
    /// The target's name in it.
    pub(super) target: String,
    name: String,
    job: JobId,
}

impl Staging {
    /// Opens, and makes where it is missing, the directory around the target.
    pub(super) fn make(root: &Root, path: &str, job: JobId) -> Result<Self, Failure> {
        let (parent, _) = split(path);
        make_durable(&root.dir, parent).map_err(|error| path_failure(&error, path))?;
        Self::find(root, path, job)?.ok_or_else(|| Error::Broken("a directory that was made").into())
    }

    /// The same without making anything; none where the directory around the target is missing.
    pub(super) fn find(root: &Root, path: &str, job: JobId) -> Result<Option<Self>, Failure> {
        let (parent, target) = split(path);
        let parent = if parent.is_empty() { root.dir.try_clone() } else { root.dir.open_dir(parent) };
        match parent {
            Ok(parent) => {
                let name = format!(".azora-{target}-{job}");
                Ok(Some(Self { parent: Arc::new(parent), target: target.to_owned(), name, job }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(path_failure(&error, path)),
        }
    }

    /// Makes the directory itself, which a file in it does, too.
    pub(super) fn begin(&self) -> Result<(), Failure> {
        self.parent.create_dir_all(&self.name).map_err(|error| path_failure(&error, &self.target))
    }

    /// Makes a file in it, and the folders on the way there.
    pub(super) fn create(&self, name: &str) -> Result<File, Failure> {
        self.begin()?;
        if let (folder, _) = split(name)
            && !folder.is_empty()
        {
            self.directory()?.create_dir_all(folder).map_err(|error| path_failure(&error, &self.target))?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let file = self.directory()?.open_with(name, &options).map_err(|error| path_failure(&error, &self.target))?;
        Ok(file.into_std())
    }

    /// Makes its entries durable.
    pub(super) fn sync(&self) -> Result<(), Failure> {
        sync(&self.directory()?)?;
        sync(&self.parent)
    }

    /// The same with folders below it.
    pub(super) fn sync_folders<'a>(&self, folders: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
        self.begin()?;
        let directory = self.directory()?;
        let mut synced: HashSet<&str> = HashSet::new();
        for folder in folders {
            let mut path = folder;
            while !path.is_empty() && synced.insert(path) {
                sync(&directory.open_dir(path).map_err(failed)?)?;
                path = split(path).0;
            }
        }
        self.sync()
    }

    pub(super) fn directory(&self) -> Result<Dir, Failure> {
        self.parent.open_dir(&self.name).map_err(|error| {
            tracing::error!(%error, "a staging directory is gone");
            Failure::new(Code::Internal, "what the job had prepared is gone")
        })
    }

    pub(super) fn exists(&self) -> bool {
        self.parent.symlink_metadata(&self.name).is_ok()
    }

    pub(super) fn target_exists(&self) -> bool {
        self.parent.symlink_metadata(&self.target).is_ok()
    }

    /// Whether the target is this job's work.
    pub(super) fn is_committed(&self) -> bool {
        let Ok(target) = self.parent.open_dir(&self.target) else { return false };
        let Ok(marker) = target.open(MARKER) else { return false };
        let mut text = String::new();
        marker.take(MARKER_BYTES_MAX).read_to_string(&mut text).is_ok() && text.trim() == self.job.to_string()
    }

    /// Leaves in the staging directory exactly the files of the tokens, of the sizes that they had.
    pub(super) fn prune(&self, parts: &[PartToken]) -> Result<Dir, Failure> {
        let directory = self.directory()?;
        let mut wanted: HashSet<String> = HashSet::new();
        for (path, bytes) in parts.iter().flat_map(PartToken::files) {
            if directory.metadata(&path).map_err(failed)?.len() != bytes {
                return Err(Error::Damaged { what: "a prepared file" }.into());
            }
            wanted.insert(path);
        }
        prune(&directory, "", &wanted)?;
        Ok(directory)
    }

    /// Writes the marker of a finished directory.
    pub(super) fn mark(&self, directory: &Dir) -> Result<(), Failure> {
        write_durable(directory, MARKER, format!("{}\n", self.job).as_bytes())?;
        sync(directory)
    }

    /// Puts the staging directory in the place of the target, which must not exist. False where it does.
    pub(super) fn publish(&self) -> Result<bool, Failure> {
        match renameat_with(&*self.parent, &self.name, &*self.parent, &self.target, RenameFlags::NOREPLACE) {
            Ok(()) => sync(&self.parent).map(|()| true),
            Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(false),
            // A file system without this kind of rename: rename refuses to replace a directory that is not empty.
            Err(Errno::INVAL | Errno::NOSYS) if self.target_exists() => Ok(false),
            Err(Errno::INVAL | Errno::NOSYS) => {
                self.parent.rename(&self.name, &self.parent, &self.target).map_err(failed)?;
                sync(&self.parent).map(|()| true)
            }
            Err(error) => Err(failed(error.into())),
        }
    }

    /// The opposite of [`Self::publish`], for a target that nobody has seen yet.
    pub(super) fn take_back(&self) -> Result<(), Failure> {
        self.remove()?;
        self.parent.rename(&self.target, &self.parent, &self.name).map_err(failed)?;
        sync(&self.parent)
    }

    /// Exchanges the staging directory and the target in one step, and removes what was there.
    pub(super) fn replace(&self) -> Result<(), Failure> {
        match renameat_with(&*self.parent, &self.name, &*self.parent, &self.target, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOSYS) => {
                // Here there is a moment without any target: what was there is moved aside first.
                let aside = format!("{}-old", self.name);
                self.parent.rename(&self.target, &self.parent, &aside).map_err(failed)?;
                self.parent.rename(&self.name, &self.parent, &self.target).map_err(failed)?;
                self.parent.rename(&aside, &self.parent, &self.name).map_err(failed)?;
            }
            Err(error) => return Err(failed(error.into())),
        }
        milestone::pass("files exchanged");
        sync(&self.parent)?;
        self.remove()
    }

    /// Moves one staged file to a name beside the target (or into `to`). One that was moved already is left.
    pub(super) fn release(&self, name: &str, to: &Dir, to_name: &str, flags: RenameFlags) -> Result<bool, Failure> {
        let moved = self.directory()?.open(name).is_ok();
        if !moved {
            return Ok(false);
        }
        match renameat_with(self.directory()?, name, to, to_name, flags) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Err(exists(&self.target)),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Removes the staging directory and, after an exchange, what was the target.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        let removed = match self.parent.symlink_metadata(&self.name) {
            Ok(metadata) if metadata.is_dir() => self.parent.remove_dir_all(&self.name),
            Ok(_) => self.parent.remove_file(&self.name),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => sync(&self.parent),
        }
    }
}

/// Removes all files but the wanted ones, and folders that hold none of these. Answers whether one is left.
fn prune(directory: &Dir, above: &str, wanted: &HashSet<String>) -> Result<bool, Failure> {
    let mut is_left = false;
    for entry in directory.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let path = name.to_str().map(|name| if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") });
        if entry.file_type().map_err(failed)?.is_dir() {
            let is_kept = match &path {
                Some(path) => prune(&directory.open_dir(&name).map_err(failed)?, path, wanted)?,
                None => false,
            };
            if !is_kept {
                directory.remove_dir_all(&name).map_err(failed)?;
            }
            is_left |= is_kept;
        } else if path.is_some_and(|path| wanted.contains(&path)) {
            is_left = true;
        } else {
            directory.remove_file(&name).map_err(failed)?;
        }
    }
    Ok(is_left)
}

/// What is told where the target is there already.
pub(super) fn exists(path: &str) -> Failure {
    Failure::new(Code::SinkExists, format!("'{}' is there already", path.escape_debug()))
        .hint("choose the mode 'overwrite' or 'append', or another path")
        .at("/sink/path")
}

/// Writes a small file and makes it durable. Its entry in the directory is not yet.
pub(super) fn write_durable(directory: &Dir, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    let mut file = directory.create(name).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)
}

/// Makes the entries of a directory durable.
pub(super) fn sync(directory: &Dir) -> Result<(), Failure> {
    let handle = directory.open(".").map_err(failed)?;
    handle.sync_all().map_err(failed)
}

/// Makes the folders that files were moved into durable.
pub(super) fn sync_below(target: &Dir, parts: &[PartToken]) -> Result<(), Failure> {
    let mut synced: HashSet<String> = HashSet::new();
    for (path, _) in parts.iter().flat_map(PartToken::files) {
        let mut folder = split(&path).0;
        while !folder.is_empty() && synced.insert(folder.to_owned()) {
            sync(&target.open_dir(folder).map_err(failed)?)?;
            folder = split(folder).0;
        }
    }
    Ok(())
}

/// Makes directories on the way to a path, each durable in the one above.
fn make_durable(root: &Dir, path: &str) -> io::Result<()> {
    if path.is_empty() || root.is_dir(path) {
        return Ok(());
    }
    root.create_dir_all(path)?;
    let mut above = String::new();
    for part in path.split('/') {
        let directory = if above.is_empty() { root.try_clone()? } else { root.open_dir(&above)? };
        directory.open(".")?.sync_all()?;
        if !above.is_empty() {
            above.push('/');
        }
        above.push_str(part);
    }
    Ok(())
}

/// The directory around a path, and its last part.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

pub(super) fn failed(error: io::Error) -> Failure {
    if is_full(&error) {
        return Failure::new(Code::StorageFull, "the disk is full");
    }
    tracing::error!(%error, "committing files failed");
    io_failure(&error)
}
