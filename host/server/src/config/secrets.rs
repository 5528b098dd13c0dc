//! Where the values of secrets come from: variables `AZORA_SECRET_NAME` and a TOML file that only its owner may read.

use crate::error::{Error, Result};
use azora_connect::Secrets;
use azora_spec::Secret;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// How a variable that holds a secret begins.
const PREFIX: &str = "AZORA_SECRET_";

/// The secret that a variable holds.
pub(super) fn of_variable(name: &str, value: String) -> Option<(String, Secret)> {
    let name = name.strip_prefix(PREFIX).filter(|name| !name.is_empty())?;
    (!value.is_empty()).then(|| (name.to_owned(), Secret::new(value)))
}

/// The secrets of a file: `name = "value"` in every line.
pub(super) fn of_file(path: &Path) -> Result<Secrets> {
    let unreadable = |source| Error::ConfigFile { path: path.to_owned(), source };
    let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Error::SecretsOpen { path: path.to_owned() });
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    // The parser's own message would repeat the line, and with it a secret.
    let broken = |reason: &str| Error::ConfigSyntax { path: path.to_owned(), reason: reason.to_owned() };
    let table: toml::Table = text.parse().map_err(|_| broken("every line is name = \"value\""))?;
    let read = table.into_iter().map(|(name, value)| match value {
        toml::Value::String(value) => Ok((name, Secret::new(value))),
        _ => Err(broken("every value is a text")),
    });
    Ok(Secrets::new(read.collect::<Result<Vec<_>>>()?))
}
