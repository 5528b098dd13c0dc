//! Reading members of a JSON object with their place in it, so that a complaint says where. Which members there are
//! lives in `config.rs`.

use super::{COLUMNS_MAX, NAME_BYTES_MAX, SQL_BYTES_MAX};
use azora_connect::Secrets;
use azora_spec::{Code, Failure, Secret};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::time::Duration;

/// An object being read.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    members: Members<'a>,
    pointer: &'static str,
    known: BTreeSet<String>,
}

#[derive(Debug)]
enum Members<'a> {
    Map(&'a Map<String, Value>),
    /// A connection given as its URL alone.
    Url(&'a Value),
    None,
}

impl<'a> Fields<'a> {
    /// The configuration itself.
    pub(super) const fn top(config: &'a Map<String, Value>) -> Self {
        Self { members: Members::Map(config), pointer: "", known: BTreeSet::new() }
    }

    /// Its `connection`: an object, or a URL; or a `url` beside it.
    pub(super) fn connection(config: &'a Map<String, Value>) -> Result<Self, Failure> {
        let (members, pointer) = match (config.get("connection"), config.get("url")) {
            (Some(Value::Object(map)), _) => (Members::Map(map), "/connection"),
            (Some(url @ Value::String(_)), _) => (Members::Url(url), "/connection"),
            (None | Some(Value::Null), Some(url)) => (Members::Url(url), ""),
            (None | Some(Value::Null), None) => (Members::None, "/connection"),
            (Some(_), _) => {
                let message = "'connection' is an object with host, port, user, password and database, or a URL";
                return Err(Failure::new(Code::ConnectorConfig, message).at("/connection"));
            }
        };
        Ok(Self { members, pointer, known: BTreeSet::new() })
    }

    fn get(&mut self, key: &str) -> Option<&'a Value> {
        self.known.insert(key.to_owned());
        let value = match self.members {
            Members::Map(map) => map.get(key)?,
            Members::Url(url) if key == "url" => url,
            Members::Url(_) | Members::None => return None,
        };
        if value.is_null() { None } else { Some(value) }
    }

    /// Members that somebody else reads.
    pub(super) fn skip(&mut self, keys: &[&str]) {
        self.known.extend(keys.iter().map(|key| (*key).to_owned()));
    }

    /// A complaint about a member.
    pub(super) fn wrong(&self, key: &str, message: impl Into<String>) -> Failure {
        Failure::new(Code::ConnectorConfig, message).at(format!("{}/{key}", self.pointer))
    }

    /// A member that is needed.
    pub(super) fn missing(&self, key: &str) -> Failure {
        self.wrong(key, format!("'{key}' is missing"))
    }

    /// A text.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<&'a str>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.contains('\0') => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, format!("'{key}' is a text without zero bytes"))),
        }
    }

    /// The first of several spellings that is there.
    pub(super) fn one_of(&mut self, keys: &[&str]) -> Result<Option<&'a str>, Failure> {
        let mut found = None;
        for key in keys {
            found = found.or(self.text(key)?);
        }
        Ok(found)
    }

    /// A text that is never shown: as it is, or by the name of a secret.
    pub(super) fn secret(&mut self, key: &str, secrets: &Secrets) -> Result<Option<Secret>, Failure> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match secrets.read(value) {
            Some(Ok(secret)) if !secret.expose().contains('\0') => Ok(Some(secret)),
            Some(Err(failure)) => Err(failure.at(format!("{}/{key}", self.pointer))),
            _ => Err(self.wrong(key, format!("'{key}' is a text without zero bytes, or {{\"secret\": \"NAME\"}}"))),
        }
    }

    /// A query or a part of one.
    pub(super) fn sql(&mut self, key: &str) -> Result<Option<&'a str>, Failure> {
        let text = self.text(key)?;
        match text {
            Some(text) if text.trim().is_empty() => Err(self.wrong(key, format!("'{key}' is empty"))),
            Some(text) if text.len() > SQL_BYTES_MAX => Err(self.wrong(key, format!("'{key}' has more than {SQL_BYTES_MAX} bytes"))),
            _ => Ok(text),
        }
    }

    /// A name of something in a database.
    pub(super) fn name(&mut self, key: &str) -> Result<Option<&'a str>, Failure> {
        let text = self.text(key)?;
        match text {
            Some(text) if text.is_empty() || text.len() > NAME_BYTES_MAX => {
                Err(self.wrong(key, format!("'{key}' has 1 to {NAME_BYTES_MAX} bytes")))
            }
            _ => Ok(text),
        }
    }

    /// Names, or one name; empty where absent.
    pub(super) fn names(&mut self, key: &str) -> Result<Vec<String>, Failure> {
        let list = match self.get(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        let name = |value: &Value| {
            value.as_str().filter(|name| !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains('\0')).map(str::to_owned)
        };
        let names: Option<Vec<String>> = list.iter().map(name).collect();
        let names = names.filter(|names| !names.is_empty() && names.len() <= COLUMNS_MAX);
        let names = names.ok_or_else(|| self.wrong(key, format!("'{key}' is a list of 1 to {COLUMNS_MAX} names")))?;
        let distinct: BTreeSet<&String> = names.iter().collect();
        if distinct.len() == names.len() { Ok(names) } else { Err(self.wrong(key, format!("'{key}' names a column twice"))) }
    }

    /// A whole number in bounds. The seed's callers send some as texts.
    pub(super) fn number(&mut self, key: &str, min: u64, max: u64) -> Result<Option<u64>, Failure> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        match number.filter(|number| (min..=max).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(key, format!("'{key}' is a whole number from {min} to {max}"))),
        }
    }

    /// A number of milliseconds.
    pub(super) fn duration(&mut self, key: &str, max: Duration) -> Result<Option<Duration>, Failure> {
        let max = u64::try_from(max.as_millis()).unwrap_or(u64::MAX);
        Ok(self.number(key, 1, max)?.map(Duration::from_millis))
    }

    /// A yes or no.
    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong(key, format!("'{key}' is true or false"))),
        }
    }

    /// Refuses members that nobody knows.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let Members::Map(map) = self.members else { return Ok(()) };
        match map.keys().find(|key| !self.known.contains(*key)) {
            None => Ok(()),
            Some(key) => {
                let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
                let escaped = key.replace('~', "~0").replace('/', "~1");
                Err(self
                    .wrong(&escaped, format!("'{}' is not known here", key.escape_debug()))
                    .hint(format!("known are {}", known.join(", "))))
            }
        }
    }
}
