//! A server that speaks S3: moto from the Python package index, in a virtual environment that `cargo xtask test` makes.

use crate::process::built;
use crate::{Process, free_port};
use anyhow::{Context as _, Result};

/// An S3 server with one bucket. It takes any key and keeps everything in memory.
#[derive(Debug)]
pub struct S3 {
    /// The process.
    pub process: Process,
}

impl S3 {
    /// Its bucket.
    pub const BUCKET: &str = "rows";

    /// One with an empty bucket.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start() -> Result<Self> {
        Self::with(&[])
    }

    /// One that looks at keys and signatures once its bucket is made, and knows nobody.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn closed() -> Result<Self> {
        Self::with(&[("INITIAL_NO_AUTH_ACTION_COUNT", "1")])
    }

    fn with(environment: &[(&'static str, &str)]) -> Result<Self> {
        let port = free_port()?;
        let program = built("moto/bin/moto_server")?.display().to_string();
        let mut process = Process::new("moto", &program, "moto[server] from PyPI", tempfile::tempdir()?, port)?.args([
            "-H",
            "127.0.0.1",
            "-p",
            &port.to_string(),
        ]);
        for (name, value) in environment {
            process = process.env(name, *value);
        }
        let process = process.start()?;
        let server = Self { process };
        server.process.request("PUT", &format!("/{}", Self::BUCKET), b"").context("the bucket was not made")?;
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
