//! What the engine asks about datasets and plugins, answered from the store.

use crate::error::Error;
use crate::live::now_ms;
use crate::manifest;
use azora_engine::{DatasetEntry, PluginEntry};
use azora_sandbox::Manifest;
use azora_spec::{DatasetName, Digest, Failure, Grants, PluginName, PluginRef};
use azora_store::{DatasetRow, PluginRow, Store};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Manifests that stay decoded.
const MANIFESTS_MAX: usize = 1024;

/// What a plugin said of itself, and what its connectors may use.
type Decoded = (Arc<Manifest>, Grants);

/// The catalog. Clones share it.
#[derive(Debug, Clone)]
pub struct Catalog {
    store: Store,
    manifests: Arc<Mutex<HashMap<Digest, Decoded>>>,
}

impl Catalog {
    /// A catalog over a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, manifests: Arc::default() }
    }

    /// The row of a plugin by name, version or digest.
    pub(crate) fn row(&self, reference: &PluginRef) -> Result<PluginRow, Failure> {
        let row = match reference {
            PluginRef::Digest(digest) => self.store.plugin(digest),
            PluginRef::Version(name, version) => self.store.plugins().into_iter().find(|row| row.name == *name && row.version == *version),
            PluginRef::Newest(name) => newest(self.store.plugins().into_iter().filter(|row| row.name == *name)),
        };
        row.ok_or_else(|| self.unknown(reference))
    }

    /// A dataset whose time is not over.
    pub(crate) fn current(&self, name: &DatasetName) -> Option<DatasetRow> {
        self.store.dataset(name).filter(|row| !row.is_expired(now_ms()))
    }

    /// All of them, by name.
    pub(crate) fn all_current(&self) -> Vec<DatasetRow> {
        let now_ms = now_ms();
        self.store.datasets().into_iter().filter(|row| !row.is_expired(now_ms)).collect()
    }

    /// The one that was committed last.
    pub(crate) fn last(&self) -> Option<DatasetName> {
        self.all_current().into_iter().max_by_key(|row| row.ordinal).map(|row| row.name)
    }

    /// What a plugin said of itself, and what its connectors may use.
    pub(crate) fn manifest(&self, row: &PluginRow) -> Result<Decoded, Failure> {
        if let Some(decoded) = self.manifests.lock().get(&row.digest) {
            return Ok(decoded.clone());
        }
        let added = self.store.plugin_added(row)?;
        let kept = manifest::decode(&added.manifest)?;
        let decoded = (Arc::new(kept.manifest), kept.grants);
        let mut manifests = self.manifests.lock();
        if manifests.len() >= MANIFESTS_MAX {
            manifests.clear();
        }
        manifests.insert(row.digest, decoded.clone());
        Ok(decoded)
    }

    pub(crate) fn forget(&self, digest: &Digest) {
        self.manifests.lock().remove(digest);
    }

    fn unknown(&self, reference: &PluginRef) -> Failure {
        let failure = Failure::from(Error::PluginUnknown(reference.to_string()));
        let (PluginRef::Newest(name) | PluginRef::Version(name, _)) = reference else { return failure };
        let rows = self.store.plugins();
        let versions: Vec<String> = rows.iter().filter(|row| row.name == *name).map(|row| row.version.to_string()).collect();
        if versions.is_empty() {
            let names: std::collections::BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).take(20).collect();
            let known = names.into_iter().collect::<Vec<_>>().join(", ");
            return failure.hint(if known.is_empty() { "no plugin has been uploaded".to_owned() } else { format!("plugins are {known}") });
        }
        failure.hint(format!("{name} is here in version {}", versions.join(", ")))
    }
}

/// The highest version; a pre-release only where there is nothing else.
fn newest(rows: impl Iterator<Item = PluginRow>) -> Option<PluginRow> {
    rows.max_by(|a, b| (a.version.pre.is_empty(), &a.version).cmp(&(b.version.pre.is_empty(), &b.version)))
}

impl azora_engine::Catalog for Catalog {
    fn dataset(&self, name: &DatasetName) -> Result<DatasetEntry, Failure> {
        let Some(row) = self.current(name) else {
            let names: Vec<String> = self.all_current().into_iter().take(20).map(|row| row.name.to_string()).collect();
            let hint = if names.is_empty() {
                "no dataset has been made yet: POST /ingest makes one".to_owned()
            } else {
                format!("datasets are {}", names.join(", "))
            };
            return Err(Failure::from(Error::DatasetUnknown(name.to_string())).hint(hint));
        };
        let committed = self.store.dataset_committed(&row)?;
        Ok(DatasetEntry {
            name: committed.name,
            directory: self.store.data_dir().join(committed.directory),
            files: committed.files,
            rows: committed.rows,
            bytes: committed.bytes,
        })
    }

    fn datasets(&self) -> Vec<DatasetName> {
        self.all_current().into_iter().map(|row| row.name).collect()
    }

    fn last_dataset(&self) -> Option<DatasetName> {
        self.last()
    }

    fn plugin(&self, reference: &PluginRef) -> Result<PluginEntry, Failure> {
        let row = self.row(reference)?;
        let (manifest, grants) = self.manifest(&row)?;
        Ok(PluginEntry { digest: row.digest, manifest, grants })
    }

    fn plugin_bytes(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.store.read_plugin(digest)
    }
}

/// Whether a name is taken by any version.
impl Catalog {
    pub(crate) fn version(&self, name: &PluginName, version: &semver::Version) -> Option<PluginRow> {
        self.store.plugins().into_iter().find(|row| row.name == *name && row.version == *version)
    }
}
