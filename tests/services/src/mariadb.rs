//! MariaDB from Debian's `mariadb-server`, with a data directory of its own.

use crate::{Process, free_port};
use anyhow::{Context as _, Result, bail};
use std::process::Command;

/// A MariaDB server whose data outlives [`Process::kill`].
#[derive(Debug)]
pub struct MariaDb {
    /// The process.
    pub process: Process,
}

impl MariaDb {
    /// A user with all rights.
    pub const USER: &str = "azora";
    /// The user's password.
    pub const PASSWORD: &str = "correct horse";
    /// A database.
    pub const DATABASE: &str = "shop";

    /// A fresh server.
    ///
    /// # Errors
    /// Where it cannot be made or started.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let account = String::from_utf8(Command::new("id").arg("-un").output()?.stdout)?;
        let account = format!("--user={}", account.trim());
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", &account])
            .arg(format!("--datadir={}", data.display()))
            .output()
            .context("MariaDB is needed by this test: install mariadb-server, or run `cargo xtask test`")?;
        if !made.status.success() {
            bail!("mariadb-install-db ended with {}:\n{}", made.status, String::from_utf8_lossy(&made.stderr));
        }
        let init = folder.path().join("init.sql");
        let (user, password, database) = (Self::USER, Self::PASSWORD, Self::DATABASE);
        std::fs::write(
            &init,
            format!(
                "CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8mb4;\n\
                 CREATE USER IF NOT EXISTS {user}@'%' IDENTIFIED BY '{password}';\nGRANT ALL ON *.* TO {user}@'%';\n"
            ),
        )?;
        let port = free_port()?;
        let socket = folder.path().join("socket").display().to_string();
        let process = Process::new("MariaDB", "mariadbd", "mariadb-server", folder, port)?
            .args(["--no-defaults".to_owned(), account, format!("--datadir={}", data.display()), format!("--port={port}")])
            .args([format!("--socket={socket}"), format!("--init-file={}", init.display())])
            .args(["--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=64M", "--skip-log-bin"])
            .start()?;
        Ok(Self { process })
    }

    /// Runs SQL by the client and gives what it prints, without headers.
    ///
    /// # Errors
    /// Where the server refuses it.
    pub fn run(&self, sql: &str) -> Result<String> {
        let output = Command::new("mariadb")
            .args(["--no-defaults", "--batch", "--skip-column-names", "--host=127.0.0.1", "--default-character-set=utf8mb4"])
            .args([format!("--port={}", self.process.port()), format!("--user={}", Self::USER), format!("--password={}", Self::PASSWORD)])
            .args([Self::DATABASE, "--execute", sql])
            .output()
            .context("cannot start mariadb, the client")?;
        if !output.status.success() {
            bail!("mariadb: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::MariaDb;

    #[test]
    fn it_answers_and_comes_back_with_its_rows() {
        let mut server = MariaDb::start().unwrap();
        server.run("CREATE TABLE t AS SELECT 7 AS a").unwrap();
        server.process.kill().unwrap();
        server.process.again().unwrap();
        assert_eq!(server.run("SELECT a FROM t").unwrap(), "7");
    }
}
