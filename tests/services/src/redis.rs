//! Redis from Debian's `redis-server`.

use crate::{Authority, Process, free_port};
use anyhow::Result;

/// A Redis server that keeps nothing on disk, or, where asked, everything.
#[derive(Debug)]
pub struct Redis {
    /// The process.
    pub process: Process,
    authority: Option<Authority>,
}

impl Redis {
    /// One whose data is gone with it.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start() -> Result<Self> {
        Self::with(["--save", "", "--appendonly", "no"])
    }

    /// One that finds its data again after [`Process::kill`] and [`Process::again`].
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn durable() -> Result<Self> {
        Self::with(["--save", "", "--appendonly", "yes"])
    }

    /// One that speaks TLS only and wants clients' certificates; its data is gone with it.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn sealed() -> Result<Self> {
        let (port, folder) = (free_port()?, tempfile::tempdir()?);
        let authority = Authority::new(folder.path())?;
        let file = |name: &str| authority.path(name).display().to_string();
        let process = Process::new("Redis", "redis-server", "redis-server", folder, port)?
            .args(["--port", "0", "--tls-port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--tls-cert-file", &file("server.pem"), "--tls-key-file", &file("server.key")])
            .args(["--tls-ca-cert-file", &file("ca.pem"), "--tls-auth-clients", "yes"])
            .start()?;
        Ok(Self { process, authority: Some(authority) })
    }

    fn with(keeping: [&str; 4]) -> Result<Self> {
        let port = free_port()?;
        let folder = tempfile::tempdir()?;
        let process = Process::new("Redis", "redis-server", "redis-server", folder, port)?
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(keeping)
            .start()?;
        Ok(Self { process, authority: None })
    }

    /// Who vouches for the certificate of [`Self::sealed`].
    #[must_use]
    pub const fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}/", self.process.port())
    }
}

#[cfg(test)]
mod tests {
    use super::Redis;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    #[test]
    fn it_answers_and_comes_back() {
        let mut redis = Redis::durable().unwrap();
        let ask = |redis: &Redis, command: &str| {
            let mut stream = TcpStream::connect(redis.process.address()).unwrap();
            stream.write_all(command.as_bytes()).unwrap();
            let mut answer = [0; 64];
            let n = stream.read(&mut answer).unwrap();
            String::from_utf8_lossy(&answer[..n]).into_owned()
        };
        assert_eq!(ask(&redis, "SET a 1\r\n"), "+OK\r\n");
        redis.process.stop().unwrap();
        redis.process.again().unwrap();
        assert_eq!(ask(&redis, "GET a\r\n"), "$1\r\n1\r\n");
    }
}
