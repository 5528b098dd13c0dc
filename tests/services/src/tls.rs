//! Certificates for servers of tests, by `openssl`: an authority of one's own, a server of 127.0.0.1, and a client.

use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What every key is.
const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/// An authority, and what it vouches for. The files lie in the folder that it was made in.
#[derive(Debug, Clone)]
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// Makes one.
    ///
    /// # Errors
    /// Where `openssl` is missing or fails.
    pub fn new(folder: &Path) -> Result<Self> {
        let made = Self { folder: folder.to_owned() };
        made.openssl(&["req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=azora-test-authority", "-days", "30"], &KEY)?;
        std::fs::write(made.path("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")?;
        for name in ["server", "client"] {
            let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
            made.openssl(&["req", "-keyout", &key, "-out", &request, "-subj", &format!("/CN={name}")], &KEY)?;
            let authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "names"];
            made.openssl(&["x509", "-req", "-in", &request, "-out", &certificate], &authority)?;
            let both = format!("{}{}", made.read(&key)?, made.read(&certificate)?);
            std::fs::write(made.path(&format!("{name}.both.pem")), both)?;
        }
        Ok(made)
    }

    /// The text of one of `ca.pem`, `client.pem`, `client.key`, `server.pem` and `server.key`.
    ///
    /// # Errors
    /// Where there is no such file.
    pub fn read(&self, name: &str) -> Result<String> {
        std::fs::read_to_string(self.path(name)).with_context(|| format!("no {name}"))
    }

    /// The path of such a file; of `server.both.pem` too, which is key and certificate.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn openssl(&self, arguments: &[&str], more: &[&str]) -> Result<()> {
        let output = Command::new("openssl")
            .args(arguments)
            .args(more)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .context("openssl is needed by this test: install openssl, or run `cargo xtask test`")?;
        if !output.status.success() {
            bail!("openssl ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}
