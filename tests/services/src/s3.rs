//! A server that speaks S3: moto from the Python package index, in a virtual environment that `cargo xtask test` makes.

use crate::{Process, free_port};
use anyhow::{Context as _, Result};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

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
        let program = Self::program()?.display().to_string();
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
        server.request("PUT", &format!("/{}", Self::BUCKET)).context("the bucket was not made")?;
        Ok(server)
    }

    /// Where `cargo xtask test` puts it: beside what cargo builds.
    fn program() -> Result<PathBuf> {
        let test = std::env::current_exe()?;
        let target = test.ancestors().nth(3).context("a test lies below the target directory")?;
        Ok(target.join("services/moto/bin/moto_server"))
    }

    /// Its URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.process.port())
    }

    /// Sends a request without a signature; moto checks none.
    ///
    /// # Errors
    /// Where it is not answered with success.
    pub fn request(&self, method: &str, path: &str) -> Result<String> {
        self.send(method, path, b"")
    }

    /// Stores an object.
    ///
    /// # Errors
    /// Where it is not stored.
    pub fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        self.send("PUT", &format!("/{}/{key}", Self::BUCKET), bytes).map(|_| ())
    }

    fn send(&self, method: &str, path: &str, body: &[u8]) -> Result<String> {
        let mut stream = TcpStream::connect(self.process.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let head = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        anyhow::ensure!(answer.starts_with("HTTP/1.1 2"), "{method} {path}: {}", answer.lines().next().unwrap_or_default());
        Ok(answer)
    }
}
