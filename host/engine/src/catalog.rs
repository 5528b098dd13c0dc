//! What the engine asks of whoever keeps datasets and plugins. The answers come from above; nothing is kept here.

use azora_sandbox::Manifest;
use azora_spec::{DatasetName, Digest, Failure, Grants, PluginRef};
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

/// Names to datasets and plugins. Answers are those of the moment; a job pins what it got.
pub trait Catalog: Send + Sync + Debug {
    /// The current version of a dataset.
    ///
    /// # Errors
    /// [`azora_spec::Code::DatasetUnknown`].
    fn dataset(&self, name: &DatasetName) -> Result<DatasetEntry, Failure>;

    /// The names of all datasets, in their order.
    fn datasets(&self) -> Vec<DatasetName> {
        Vec::new()
    }

    /// The dataset that was written last, if any.
    fn last_dataset(&self) -> Option<DatasetName>;

    /// A plugin by name, version or digest.
    ///
    /// # Errors
    /// [`azora_spec::Code::PluginUnknown`].
    fn plugin(&self, reference: &PluginRef) -> Result<PluginEntry, Failure>;

    /// The bytes that were uploaded.
    fn plugin_bytes(&self, digest: &Digest) -> Option<Vec<u8>>;
}

/// One version of a dataset: immutable Parquet files in one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetEntry {
    /// Its name.
    pub name: DatasetName,
    /// The version's directory, below the engine's data directory.
    pub directory: PathBuf,
    /// The files in it, in the order of their rows.
    pub files: Vec<String>,
    /// Rows in all of them.
    pub rows: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// One uploaded plugin.
#[derive(Debug, Clone)]
pub struct PluginEntry {
    /// Names its bytes.
    pub digest: Digest,
    /// What it said of itself when it was uploaded.
    pub manifest: Arc<Manifest>,
    /// What its connectors may use.
    pub grants: Grants,
}
