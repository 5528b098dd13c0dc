//! PostgreSQL from Debian's `postgresql`, in a cluster of its own.

use crate::account::Account;
use crate::{Process, free_port};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long the server may take until it takes sessions.
const PATIENCE: Duration = Duration::from_secs(60);

/// A PostgreSQL server whose data outlives [`Process::kill`].
#[derive(Debug)]
pub struct Postgres {
    /// The process.
    pub process: Process,
    programs: PathBuf,
}

impl Postgres {
    /// The superuser.
    pub const USER: &str = "azora";
    /// The superuser's password.
    pub const PASSWORD: &str = "correct horse";

    /// A fresh cluster.
    ///
    /// # Errors
    /// Where it cannot be made or started.
    pub fn start() -> Result<Self> {
        let programs = programs().context("PostgreSQL is needed by this test: install postgresql, or run `cargo xtask test`")?;
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let password = folder.path().join("password");
        std::fs::write(&password, Self::PASSWORD)?;
        // The server refuses to run as root.
        let account = Account::unprivileged("postgres")?;
        account.give(folder.path())?;
        account.give(&password)?;
        let mut command = account.command(&programs.join("initdb"));
        command.args(["--username", Self::USER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]);
        let made = command.arg("--pgdata").arg(&data).arg("--pwfile").arg(&password).current_dir(folder.path()).output()?;
        if !made.status.success() {
            bail!("initdb ended with {}:\n{}", made.status, String::from_utf8_lossy(&made.stderr));
        }
        let port = free_port()?;
        let (program, before) = account.wrapped(&programs.join("postgres"));
        let process = Process::new("PostgreSQL", &program, "postgresql", folder, port)?
            .args(before)
            .args(["-D", &data.display().to_string(), "-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=100"])
            .start()?;
        let server = Self { process, programs };
        server.wait()?;
        Ok(server)
    }

    /// Starts it again after [`Process::kill`] or [`Process::stop`].
    ///
    /// # Errors
    /// Where it does not start.
    pub fn again(&mut self) -> Result<()> {
        self.process.again()?;
        self.wait()
    }

    /// It listens before it takes sessions.
    fn wait(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let port = self.process.port().to_string();
        let ask = || Command::new(self.programs.join("pg_isready")).args(["-q", "-h", "127.0.0.1", "-p", &port]).status();
        while !ask()?.success() {
            if Instant::now() > deadline {
                bail!("PostgreSQL takes no sessions after {} s:\n{}", PATIENCE.as_secs(), self.process.log());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Runs SQL by psql and gives what it prints, without headers.
    ///
    /// # Errors
    /// Where the server refuses it.
    pub fn run(&self, sql: &str) -> Result<String> {
        let output = Command::new("psql")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", Self::USER, "-d", "postgres"])
            .args(["-p", &self.process.port().to_string(), "-c", sql])
            .env("PGPASSWORD", Self::PASSWORD)
            .output()?;
        if !output.status.success() {
            bail!("psql: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }
}

/// Where the newest version's programs are.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(Path::new("/usr/lib/postgresql")).ok()?;
    let number = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
    let newest = versions.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| number(path).is_some()).max_by_key(number)?;
    Some(newest.join("bin")).filter(|bin| bin.join("initdb").exists())
}

#[cfg(test)]
mod tests {
    use super::Postgres;

    #[test]
    fn it_answers_and_comes_back_with_its_rows() {
        let mut server = Postgres::start().unwrap();
        server.run("CREATE TABLE t AS SELECT 7 AS a").unwrap();
        server.process.kill().unwrap();
        server.again().unwrap();
        assert_eq!(server.run("SELECT a FROM t").unwrap(), "7");
        assert!(server.run("SELECT nothing").is_err());
    }
}
