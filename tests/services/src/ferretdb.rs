//! A server that speaks MongoDB's protocol: FerretDB over SQLite, which `cargo xtask test` builds. MongoDB itself is in none
//! of the registries that tests may use. FerretDB 1 has no transactions and no decimals.

use crate::process::built;
use crate::{Process, free_port};
use anyhow::Result;

/// A FerretDB server whose data outlives [`Process::kill`].
#[derive(Debug)]
pub struct FerretDb {
    /// The process.
    pub process: Process,
}

impl FerretDb {
    /// A user with all rights, kept in `admin`.
    pub const USER: &str = "azora";
    /// The user's password.
    pub const PASSWORD: &str = "correct horse";
    /// A database. It is made by the first who writes to it.
    pub const DATABASE: &str = "shop";

    /// A fresh server.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start() -> Result<Self> {
        Self::with(false, |_| Vec::new())
    }

    /// One that speaks TLS only, with this certificate and its key in PEM.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn encrypted(certificate: &str, key: &str) -> Result<Self> {
        Self::with(true, |folder| {
            let file = |name: &str| folder.join(name).display().to_string();
            vec![
                (file("certificate.pem"), certificate.to_owned(), "--listen-tls-cert-file"),
                (file("key.pem"), key.to_owned(), "--listen-tls-key-file"),
            ]
        })
    }

    fn with(is_encrypted: bool, files: impl FnOnce(&std::path::Path) -> Vec<(String, String, &'static str)>) -> Result<Self> {
        let port = free_port()?;
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        let mut more = Vec::new();
        for (path, text, argument) in files(folder.path()) {
            std::fs::write(&path, text)?;
            more.push(format!("{argument}={path}"));
        }
        let (plain, secret) =
            if is_encrypted { (String::new(), format!("127.0.0.1:{port}")) } else { (format!("127.0.0.1:{port}"), String::new()) };
        let state = folder.path().display().to_string();
        let program = built("ferretdb/ferretdb")?.display().to_string();
        let process = Process::new("FerretDB", &program, "Go", folder, port)?
            .args([format!("--listen-addr={plain}"), format!("--listen-tls={secret}"), format!("--state-dir={state}")])
            .args([format!("--sqlite-url=file:{}/", data.display()), format!("--setup-username={}", Self::USER)])
            .args([format!("--setup-password={}", Self::PASSWORD)])
            .args(["--handler=sqlite", "--debug-addr=-", "--telemetry=disable", "--log-level=WARN"])
            .args(["--test-enable-new-auth", "--setup-database=admin"])
            .args(more)
            .start()?;
        Ok(Self { process })
    }
}

#[cfg(test)]
mod tests {
    use super::FerretDb;
    use std::net::TcpStream;

    #[test]
    fn it_listens_and_comes_back() {
        let mut server = FerretDb::start().unwrap();
        server.process.kill().unwrap();
        server.process.again().unwrap();
        TcpStream::connect(server.process.address()).unwrap();
    }
}
