//! The account that a server runs under: servers that refuse root get another one where the tests run as root.

use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::Command;

/// Whose rights a program has.
#[derive(Debug)]
pub(crate) struct Account {
    /// None for the account that runs the tests.
    name: Option<&'static str>,
}

impl Account {
    /// The account of the tests, or, where that is root, this one or `nobody`.
    pub(crate) fn unprivileged(preferred: &'static str) -> Result<Self> {
        if id(&["-u"])? != "0" {
            return Ok(Self { name: None });
        }
        let name = if id(&["-u", preferred]).is_ok() { preferred } else { "nobody" };
        Ok(Self { name: Some(name) })
    }

    /// Makes a file or folder its own.
    pub(crate) fn give(&self, path: &Path) -> Result<()> {
        let Some(name) = self.name else { return Ok(()) };
        let status = Command::new("chown").arg(name).arg(path).status().context("cannot start chown")?;
        if status.success() { Ok(()) } else { bail!("chown {name} {} ended with {status}", path.display()) }
    }

    /// A program and the arguments before its own that run it under the account.
    pub(crate) fn wrapped(&self, program: &Path) -> (String, Vec<String>) {
        let program = program.display().to_string();
        match self.name {
            None => (program, Vec::new()),
            // A change of the account makes the kernel forget who dies with whom, so it is said again.
            Some(name) => {
                let before = ["--reuid", name, "--regid", name, "--clear-groups", "--pdeathsig", "KILL", "--"];
                let group = id(&["-g", "-n", name]).unwrap_or_else(|_| "nogroup".to_owned());
                let mut before: Vec<String> = before.map(str::to_owned).into();
                if let Some(place) = before.get_mut(3) {
                    *place = group;
                }
                before.push(program);
                ("setpriv".to_owned(), before)
            }
        }
    }

    /// A command under the account.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let (program, before) = self.wrapped(program);
        let mut command = Command::new(program);
        command.args(before);
        command
    }
}

fn id(arguments: &[&str]) -> Result<String> {
    let output = Command::new("id").args(arguments).output().context("cannot start id")?;
    if output.status.success() { Ok(String::from_utf8(output.stdout)?.trim().to_owned()) } else { bail!("no such account") }
}
