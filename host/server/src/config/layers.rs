//! Flag over environment over file over default, for one setting after the other. What a value means is in `value`.

use crate::config::Flags;
use crate::error::{Error, Result};
use azora_spec::wire::closest;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The variable of a setting: `AZORA_` and its name, but for those that other programs or older versions gave theirs.
fn variable(name: &str) -> String {
    match name {
        "port" => "AZORA_SPARK_PORT".to_owned(),
        "log" => "RUST_LOG".to_owned(),
        "kafka_brokers" => "KAFKA_BROKERS".to_owned(),
        "redis_url" => "REDIS_URL".to_owned(),
        _ => format!("AZORA_{}", name.to_uppercase()),
    }
}

/// The flag of a setting.
fn flag(name: &str) -> String {
    match name {
        "file_roots" => "--file-root".to_owned(),
        _ => format!("--{}", name.replace('_', "-")),
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// The command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One setting as it came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name in the file.
    pub name: &'static str,
    /// Its variable.
    pub variable: String,
    /// Its value, as text.
    pub value: String,
    /// Where that came from.
    pub origin: Origin,
}

/// The layers, and what was read of them.
pub(super) struct Layers<'a> {
    flags: Flags,
    environment: &'a dyn Fn(&str) -> Option<String>,
    file: Option<(PathBuf, toml::Table)>,
    settings: Vec<Setting>,
}

impl<'a> Layers<'a> {
    pub(super) fn new(flags: Flags, environment: &'a dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let file = file(&flags, environment)?;
        Ok(Self { flags, environment, file, settings: Vec::new() })
    }

    /// The value of a setting from the highest layer that has it.
    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        default: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T> {
        let variable = variable(name);
        let (value, origin) = self.find(name, &variable).unwrap_or_else(|| (default.to_owned(), Origin::Default));
        let Some(parsed) = parse(&value) else {
            let origin = match &origin {
                Origin::File(path) => format!("'{name}' in {}", path.display()),
                Origin::Default => format!("the default of '{name}'"),
                other => other.to_string(),
            };
            return Err(Error::ConfigValue { origin, value, expected: expected.to_owned() });
        };
        self.settings.push(Setting { name, variable, value: shown(&value), origin });
        Ok(parsed)
    }

    fn find(&self, name: &'static str, variable: &str) -> Option<(String, Origin)> {
        if let Some(value) = self.flags.values.get(name) {
            return Some((value.clone(), Origin::Flag(flag(name))));
        }
        // An empty variable counts as unset, as shells and container files leave them.
        if let Some(value) = (self.environment)(variable).filter(|value| !value.is_empty()) {
            return Some((value, Origin::Variable(variable.to_owned())));
        }
        let (path, table) = self.file.as_ref()?;
        table.get(name).map(|value| (text(value), Origin::File(path.clone())))
    }

    /// Refuses names in the file that no setting has.
    pub(super) fn finish(self) -> Result<Vec<Setting>> {
        if let Some((path, table)) = &self.file {
            let known = || self.settings.iter().map(|setting| setting.name);
            if let Some(key) = table.keys().find(|key| !known().any(|name| name == key.as_str())) {
                let hint = closest(key, known()).map(|name| format!("; did you mean '{name}'?")).unwrap_or_default();
                return Err(Error::ConfigUnknown { path: path.clone(), key: key.clone(), hint });
            }
        }
        Ok(self.settings)
    }
}

/// A value as it may be printed: without the user and the password of a URL.
fn shown(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest.get(..end).and_then(|authority| authority.rfind('@')).and_then(|at| rest.get(at..)) {
        Some(host) => format!("{scheme}://***{host}"),
        None => value.to_owned(),
    }
}

/// The text of a TOML value, as a flag or a variable would spell it.
fn text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(":"),
        other => other.to_string(),
    }
}

/// The file that was named, or the first that is there. An empty name means none.
fn file(flags: &Flags, environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<(PathBuf, toml::Table)>> {
    let named = flags.config.clone().or_else(|| environment("AZORA_CONFIG").filter(|text| !text.is_empty()).map(PathBuf::from));
    if let Some(path) = named {
        return if path.as_os_str().is_empty() { Ok(None) } else { parse(&path, true) };
    }
    let home = environment("HOME").map(|home| PathBuf::from(home).join(".config"));
    let personal = environment("XDG_CONFIG_HOME").map(PathBuf::from).or(home).map(|folder| folder.join("azora/azora.toml"));
    let places = [Some(PathBuf::from("azora.toml")), personal, Some(PathBuf::from("/etc/azora/azora.toml"))];
    for path in places.into_iter().flatten() {
        if let Some(found) = parse(&path, false)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn parse(path: &Path, is_required: bool) -> Result<Option<(PathBuf, toml::Table)>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error)
            if !is_required && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied) =>
        {
            return Ok(None);
        }
        Err(source) => return Err(Error::ConfigFile { path: path.to_owned(), source }),
    };
    match text.parse::<toml::Table>() {
        Ok(table) => Ok(Some((path.to_owned(), table))),
        Err(error) => Err(Error::ConfigSyntax { path: path.to_owned(), reason: error.message().to_owned() + &place(&text, error.span()) }),
    }
}

fn place(text: &str, span: Option<std::ops::Range<usize>>) -> String {
    let before = span.and_then(|span| text.get(..span.start));
    before.map(|before| format!(" in line {}", before.matches('\n').count() + 1)).unwrap_or_default()
}
