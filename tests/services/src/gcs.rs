//! A server that speaks Google Cloud Storage's XML API: fake-gcs-server, which `cargo xtask test` builds with the uploads
//! that the released one lacks (`tests/services/gcs`).

use crate::process::built;
use crate::{Process, free_port};
use anyhow::{Context as _, Result};

/// A Google Cloud Storage server with one bucket. It takes any token and keeps everything in memory.
#[derive(Debug)]
pub struct Gcs {
    /// The process.
    pub process: Process,
}

impl Gcs {
    /// Its bucket.
    pub const BUCKET: &str = "rows";
    /// A key of a service account that needs no server of Google's.
    pub const KEY: &str =
        r#"{"private_key": "canary-secret", "private_key_id": "id", "client_email": "tests@example.com", "disable_oauth": true}"#;

    /// One with an empty bucket.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start() -> Result<Self> {
        let port = free_port()?;
        let program = built("fake-gcs-server/fake-gcs-server")?.display().to_string();
        let process = Process::new("fake-gcs-server", &program, "Go", tempfile::tempdir()?, port)?
            .args(["-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-public-host", "127.0.0.1", "-log-level", "error"])
            .args(["-port", &port.to_string()])
            .start()?;
        let server = Self { process };
        let body = format!(r#"{{"name": "{}"}}"#, Self::BUCKET);
        server.process.request("POST", "/storage/v1/b?project=tests", body.as_bytes()).context("the bucket was not made")?;
        Ok(server)
    }

    /// Its URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.process.url()
    }

    /// Stores an object.
    ///
    /// # Errors
    /// Where it is not stored.
    pub fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        self.process.request("PUT", &format!("/{}/{key}", Self::BUCKET), bytes).map(|_| ())
    }
}
