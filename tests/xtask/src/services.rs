//! The servers that the tests start: what installs them where they are missing. How they are started lives in
//! `tests/services`.

use crate::steps;
use anyhow::Result;
use std::path::Path;

/// Installs what is missing of the database servers.
pub(crate) fn databases() -> Result<()> {
    if !Path::new("/usr/lib/postgresql").exists() || !steps::is_there("psql") {
        steps::install("the database connector is tested with PostgreSQL", &["postgresql"])?;
    }
    if !Path::new("/usr/sbin/mariadbd").exists() {
        steps::install("the database connector is tested with MariaDB", &["mariadb-server"])?;
    }
    Ok(())
}
