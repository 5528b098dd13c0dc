//! The small store of a plugin: one file for each key, in a directory of the plugin's own. All of its jobs and versions
//! share it; the last writer of a key wins.

use crate::text;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Bytes of a key.
const KEY_BYTES_MAX: usize = 1 << 10;
/// Bytes of a value.
const VALUE_BYTES_MAX: u64 = 64 << 10;
/// Keys of one plugin.
const KEYS_MAX: usize = 1024;
/// How the file of a value that is being written is named.
const PARTIAL: &str = "partial";

/// One writer at a time, in all instances of all plugins: room is counted by looking at the files, and writes are rare.
static WRITING: Mutex<()> = Mutex::new(());

/// The store of one plugin.
#[derive(Debug)]
pub(crate) struct KeyValue {
    directory: PathBuf,
    bytes_max: u64,
}

impl KeyValue {
    pub(crate) const fn new(directory: PathBuf, bytes_max: u64) -> Self {
        Self { directory, bytes_max }
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        let file = File::open(self.path(key)).ok()?;
        let mut value = Vec::new();
        file.take(VALUE_BYTES_MAX).read_to_end(&mut value).ok()?;
        Some(value)
    }

    /// Keeps a value; durable when this returns.
    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), String> {
        if key.len() > KEY_BYTES_MAX || value.len() as u64 > VALUE_BYTES_MAX {
            return Err(format!("a key has at most {KEY_BYTES_MAX} bytes and a value {VALUE_BYTES_MAX}"));
        }
        let _turn = WRITING.lock();
        let path = self.path(key);
        self.check_room(&path, value.len() as u64)?;
        self.write(&path, value).map_err(|error| {
            tracing::warn!(%error, directory = %self.directory.display(), "a plugin's state was not kept");
            "the state cannot be kept; the server's log says why".to_owned()
        })
    }

    /// Forgets a key.
    pub(crate) fn delete(&self, key: &str) {
        let _turn = WRITING.lock();
        match fs::remove_file(self.path(key)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(%error, key = text::sanitise(key, 100), "a plugin's state was not removed");
            }
            _ => {}
        }
    }

    /// Keys are any text, file names are not.
    fn path(&self, key: &str) -> PathBuf {
        self.directory.join(hex::encode(Sha256::digest(key.as_bytes())))
    }

    fn check_room(&self, path: &Path, bytes: u64) -> Result<(), String> {
        let (mut keys, mut total) = (1, bytes);
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            if entry.path() != *path {
                keys += 1;
                total += entry.metadata().map_or(0, |metadata| metadata.len());
            }
        }
        if keys > KEYS_MAX || total > self.bytes_max {
            return Err(format!("the state is full: at most {KEYS_MAX} keys and {} bytes", self.bytes_max));
        }
        Ok(())
    }

    fn write(&self, path: &Path, value: &[u8]) -> std::io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let partial = self.directory.join(PARTIAL);
        let mut file = File::create(&partial)?;
        file.write_all(value)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        File::open(&self.directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::{KEYS_MAX, KeyValue};

    #[test]
    fn values_are_kept_within_their_room() {
        let directory = tempfile::tempdir().unwrap();
        let state = KeyValue::new(directory.path().join("feed"), 100);
        assert_eq!(state.get("a"), None);
        state.set("a", b"one").unwrap();
        state.set("../../a", &[7; 90]).unwrap();
        assert_eq!((state.get("a").as_deref(), state.get("../../a").map(|value| value.len())), (Some(b"one".as_slice()), Some(90)));
        assert!(state.set("b", &[0; 8]).unwrap_err().contains("100 bytes"));
        state.set("../../a", &[8; 97]).unwrap();
        state.delete("../../a");
        state.delete("never there");
        state.set("b", &[0; 97]).unwrap();
        assert!(state.set(&"k".repeat(2000), b"").is_err() && state.set("c", &[0; 70_000]).is_err());
        let again = KeyValue::new(directory.path().join("feed"), 100);
        assert_eq!(again.get("a").as_deref(), Some(b"one".as_slice()));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing outside of the plugin's directory");
    }

    #[test]
    fn keys_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let state = KeyValue::new(directory.path().to_owned(), 1 << 20);
        for at in 0..KEYS_MAX {
            std::fs::write(state.path(&at.to_string()), b"").unwrap();
        }
        assert!(state.set("one more", b"").is_err());
        state.set("7", b"x").unwrap();
    }
}
