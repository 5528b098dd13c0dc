//! The servers that the tests start: what installs them where they are missing. How they are started lives in
//! `tests/services`.

use crate::steps;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Installs what is missing of the database servers, and answers where FerretDB is.
pub(crate) fn databases() -> Result<PathBuf> {
    if !Path::new("/usr/lib/postgresql").exists() || !steps::is_there("psql") {
        steps::install("the database connector is tested with PostgreSQL", &["postgresql"])?;
    }
    if !Path::new("/usr/sbin/mariadbd").exists() && !steps::is_there("mariadbd") {
        steps::install("the database connector is tested with MariaDB", &["mariadb-server"])?;
    }
    ferretdb()
}

/// FerretDB speaks MongoDB's protocol and is built by Go, once for each target directory.
fn ferretdb() -> Result<PathBuf> {
    const SOURCE: &str = "github.com/FerretDB/FerretDB/cmd/ferretdb@v1.24.1";
    let folder = steps::target_dir().join("services");
    let program = folder.join("ferretdb");
    if program.exists() {
        return Ok(program);
    }
    if Command::new("go").arg("version").output().is_err() {
        bail!("the database connector is tested with FerretDB, which Go builds: install Go 1.22 or later first");
    }
    std::fs::create_dir_all(&folder)?;
    steps::run("Building FerretDB", Command::new("go").args(["install", SOURCE]).env("GOBIN", &folder))?;
    Ok(program)
}
