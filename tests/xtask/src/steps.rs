//! Running commands and telling people what goes on. What the commands are does not live here.

use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The checkout.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// Where cargo puts what it builds, as the environment or the default says.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |set| root().join(set))
}

/// One line to the person at the terminal. A closed terminal is no reason to stop.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stderr().lock();
    writeln!(out, "{line}").ok();
}

/// A heading between steps.
pub(crate) fn heading(text: &str) {
    say(&format!("\n== {text}"));
}

/// Runs a command whose own output is the progress, and says how long it took.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<()> {
    heading(what);
    let began = Instant::now();
    let status = command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{what}: {} ended with {status}", command.get_program().display());
    }
    say(&format!("   done in {}", seconds(began.elapsed())));
    Ok(())
}

/// Whether a program can be started.
pub(crate) fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Installs Debian packages when that is possible, else says which ones are missing.
pub(crate) fn install(why: &str, packages: &[&str]) -> Result<()> {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if !is_root || !is_there("apt-get") {
        bail!("{why}: install these first: {}", packages.join(" "));
    }
    run("Updating the package lists", Command::new("apt-get").args(["-qq", "update"]))?;
    run(
        &format!("Installing {} ({why})", packages.join(", ")),
        Command::new("apt-get")
            .args(["-qq", "-y", "install", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// Installs what virtual environments are made with.
pub(crate) fn python(why: &str) -> Result<()> {
    let has_venv = Command::new("python3").args(["-c", "import ensurepip, venv"]).output().is_ok_and(|output| output.status.success());
    if has_venv { Ok(()) } else { install(why, &["python3", "python3-venv"]) }
}

/// Makes a virtual environment of Python with one package in it.
pub(crate) fn virtual_environment(why: &str, folder: &Path, package: &str) -> Result<()> {
    python(why)?;
    run("Making a virtual environment", Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    run(&format!("Installing {package}"), Command::new(folder.join("bin/pip")).args(["install", "--quiet", package]))
}

/// `cargo`, the same one that runs this, without what it told this program of itself: build scripts that look at such
/// variables would run again, and all that depends on them (`ring`, so DataFusion, too) would be compiled anew each time.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    let own = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| own.iter().any(|start| name.starts_with(start))) {
            command.env_remove(name);
        }
    }
    command
}

fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    if whole >= 60 { format!("{} min {} s", whole / 60, whole % 60) } else { format!("{:.1} s", time.as_secs_f64()) }
}
