//! A server of its own for each test, in this process, over a directory that goes with it.

use anyhow::{Context, Result};
use azora_server::{Config, Flags, start};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A running server and its directory: `data` is the server's, `files` the root that jobs may use.
#[derive(Debug)]
pub struct Server {
    running: azora_server::Server,
    folder: TempDir,
}

impl Server {
    /// Starts one with the defaults.
    ///
    /// # Errors
    /// Whatever kept it from starting.
    pub async fn start() -> Result<Self> {
        Self::with(&[]).await
    }

    /// Starts one with settings of the configuration.
    ///
    /// # Errors
    /// Whatever kept it from starting.
    pub async fn with(settings: &[(&'static str, &str)]) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary directory")?;
        std::fs::create_dir(folder.path().join("files")).context("no root for files")?;
        let running = start(config(folder.path(), settings)?).await?;
        Ok(Self { running, folder })
    }

    /// Stops it in order and starts another over the same directory.
    ///
    /// # Errors
    /// Whatever kept it from starting.
    pub async fn restart(self) -> Result<Self> {
        let Self { running, folder } = self;
        running.shutdown().await;
        let running = start(config(folder.path(), &[])?).await?;
        Ok(Self { running, folder })
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.running.url()
    }

    /// The root below which jobs may use files.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    /// The directory of everything.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops it in order.
    pub async fn stop(self) {
        self.running.shutdown().await;
    }
}

fn config(folder: &Path, settings: &[(&'static str, &str)]) -> Result<Config> {
    let mut values = BTreeMap::from([
        ("port", "0".to_owned()),
        ("data_dir", folder.join("data").display().to_string()),
        ("file_roots", folder.join("files").display().to_string()),
        ("drain_seconds", "1".to_owned()),
        // Most cases need none, and many servers start at the same time.
        ("prepare_interpreter", "false".to_owned()),
    ]);
    for (name, value) in settings {
        values.insert(name, (*value).to_owned());
    }
    Ok(Config::of(Flags { config: Some(PathBuf::new()), values }, &|_| None)?)
}
