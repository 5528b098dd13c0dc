//! The servers that tests run against: installed or fetched where they are not there yet. Starting them is the business
//! of `azora-services`.

use crate::steps;
use anyhow::Result;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The plugin that copies what a pom names; a fixed version, so that a build today and one in a year do the same.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// Redis, from the distribution.
pub(crate) fn redis() -> Result<()> {
    if steps::is_there("redis-server") { Ok(()) } else { steps::install("connectors are tested with Redis", &["redis-server"]) }
}

/// PostgreSQL and MariaDB, from the distribution.
pub(crate) fn databases() -> Result<()> {
    if !Path::new("/usr/lib/postgresql").exists() || !steps::is_there("psql") {
        steps::install("connectors are tested with PostgreSQL", &["postgresql"])?;
    }
    if !Path::new("/usr/sbin/mariadbd").exists() {
        steps::install("connectors are tested with MariaDB", &["mariadb-server"])?;
    }
    Ok(())
}

/// Apache Kafka, from Maven Central into the target directory.
pub(crate) fn kafka() -> Result<()> {
    let missing: Vec<&str> = [("java", "default-jre-headless"), ("mvn", "maven")]
        .iter()
        .filter(|(program, _)| !runs(program))
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        steps::install("connectors are tested with Apache Kafka", &missing)?;
    }
    let pom = steps::root().join("tests/services/kafka/pom.xml");
    let folder = steps::target_dir().join("services");
    let (jars, told) = (folder.join("kafka"), folder.join("kafka.pom"));
    if jars.is_dir() && fs::read(&told).ok() == fs::read(&pom).ok() {
        return Ok(());
    }
    let fetched = folder.join("kafka.part");
    fs::create_dir_all(&folder)?;
    for old in [&jars, &fetched] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    steps::run(
        "Fetching Apache Kafka",
        Command::new("mvn")
            .args(["-q", "-B", "-ntp", "-f"])
            .arg(&pom)
            .args([COPY, "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", fetched.display())),
    )?;
    // Whole or not at all: what was broken off is fetched again.
    fs::rename(&fetched, &jars)?;
    fs::copy(&pom, &told)?;
    Ok(())
}

/// Java takes `-version` only up to version 8, and both later; Maven takes both.
fn runs(program: &str) -> bool {
    Command::new(program).arg("-version").output().is_ok_and(|output| output.status.success())
}
