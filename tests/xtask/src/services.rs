//! The servers that tests run against: installed or fetched where they are not there yet. Those that are built from Go
//! are the business of `go`, starting them that of `azora-services`.

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

/// Installs what Kafka is fetched and run with.
pub(crate) fn java() -> Result<()> {
    let missing: Vec<&str> = [("java", "default-jre-headless"), ("mvn", "maven")]
        .iter()
        .filter(|(program, _)| !runs(program))
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        steps::install("connectors are tested with Apache Kafka", &missing)?;
    }
    Ok(())
}

/// Apache Kafka, from Maven Central into the target directory.
pub(crate) fn kafka() -> Result<()> {
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

/// Azurite, the server that speaks Azure Blob Storage, and the day whose packages it is installed with.
const AZURITE: (&str, &str) = ("azurite@3.37.0", "2026-11-01");

/// Azurite, from npm into the target directory.
pub(crate) fn azurite() -> Result<()> {
    let folder = steps::target_dir().join("services/azurite");
    let told = folder.join("version");
    let (package, day) = AZURITE;
    let wanted = format!("{package} {day}");
    if fs::read_to_string(&told).ok().as_deref() == Some(wanted.as_str()) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let mut install = Command::new("npm");
    install
        .args(["install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--omit=dev", "--loglevel=error"])
        .arg(format!("--before={day}"))
        .arg("--prefix")
        .arg(&folder)
        .arg(package)
        .current_dir(&folder);
    steps::run("Installing Azurite, which stands for Azure Blob Storage", &mut install)?;
    fs::write(&told, wanted)?;
    Ok(())
}

/// Java takes `-version` only up to version 8, and both later; Maven takes both.
fn runs(program: &str) -> bool {
    Command::new(program).arg("-version").output().is_ok_and(|output| output.status.success())
}
