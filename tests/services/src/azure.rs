//! A server that speaks Azure Blob Storage: Azurite, which `cargo xtask test` installs from npm. It checks signatures.

use crate::process::built;
use crate::{Process, free_port, rest};
use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};

/// Signatures hold a date, which the server does not compare with its clock.
const DATE: &str = "Thu, 26 Nov 2026 12:00:00 GMT";
/// Version of the protocol that this speaks.
const VERSION: &str = "2021-08-06";

/// An Azure Blob server with one account and one container, whose data outlives [`Process::kill`].
#[derive(Debug)]
pub struct Azure {
    /// The process.
    pub process: Process,
}

impl Azure {
    /// Its account.
    pub const ACCOUNT: &str = "azora";
    /// The account's key: `canary-secret-of-azure-0123456789`.
    pub const KEY: &str = "Y2FuYXJ5LXNlY3JldC1vZi1henVyZS0wMTIzNDU2Nzg5";
    /// Its container.
    pub const CONTAINER: &str = "rows";

    /// One with an empty container.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start() -> Result<Self> {
        let port = free_port()?;
        let main = built("azurite/node_modules/azurite/dist/src/blob/main.js")?;
        anyhow::ensure!(main.exists(), "Azurite is needed by this test: run `cargo xtask test`");
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data").display().to_string();
        let process = Process::new("Azurite", "node", "nodejs", folder, port)?
            .args([main.display().to_string(), "--blobHost".to_owned(), "127.0.0.1".to_owned()])
            .args(["--blobPort", &port.to_string(), "--location", &data])
            // Versions of the protocol that are newer than the server; accounts are told by paths, since there is no host's name.
            .args(["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--disableProductStyleUrl"])
            .env("AZURITE_ACCOUNTS", format!("{}:{}", Self::ACCOUNT, Self::KEY))
            .start()?;
        let server = Self { process };
        server.send("PUT", Self::CONTAINER, Some(("restype", "container")), &[], b"").context("the container was not made")?;
        Ok(server)
    }

    /// Its URL with the account.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("{}/{}", self.process.url(), Self::ACCOUNT)
    }

    /// Stores an object.
    ///
    /// # Errors
    /// Where it is not stored.
    pub fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        self.send("PUT", &format!("{}/{key}", Self::CONTAINER), None, &[("x-ms-blob-type", "BlockBlob")], bytes).map(|_| ())
    }

    /// Sends a request with a shared key's signature. Headers are the protocol's own, in order of their names.
    fn send(&self, method: &str, path: &str, query: Option<(&str, &str)>, headers: &[(&str, &str)], body: &[u8]) -> Result<String> {
        let headers = [headers, &[("x-ms-date", DATE), ("x-ms-version", VERSION)]].concat();
        let named: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let length = if body.is_empty() { String::new() } else { body.len().to_string() };
        let asked = query.map_or_else(String::new, |(name, value)| format!("\n{name}:{value}"));
        let account = Self::ACCOUNT;
        // The path begins with the account, so that it is there twice.
        let signed = format!("{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n{named}/{account}/{account}/{path}{asked}");
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&STANDARD.decode(Self::KEY)?)?;
        mac.update(signed.as_bytes());
        let signature = format!("SharedKey {account}:{}", STANDARD.encode(mac.finalize().into_bytes()));
        let query = query.map_or_else(String::new, |(name, value)| format!("?{name}={value}"));
        let headers = [headers.as_slice(), &[("authorization", signature.as_str())]].concat();
        rest::send(self.process.address(), method, &format!("/{account}/{path}{query}"), &headers, body)
    }
}
