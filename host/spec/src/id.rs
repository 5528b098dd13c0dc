//! Names and ids as types, each valid by construction.

use crate::{Code, Digest, Failure, limits};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// A job's id: a UUIDv7, so ids sort by the time of submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(Uuid);

impl JobId {
    /// A fresh id.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The 16 bytes, in sorting order.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id of 16 bytes that [`Self::as_bytes`] gave.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for JobId {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        Uuid::parse_str(text).map(Self).map_err(|_| Failure::new(Code::JobUnknown, "not a job id"))
    }
}

/// Names one request in logs and answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(String);

impl RequestId {
    /// A fresh one, which sorts by time.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// The one that a caller chose: 1 to 128 visible ASCII characters. Nothing for any other text.
    #[must_use]
    pub fn chosen(text: &str) -> Option<Self> {
        let is_id = !text.is_empty() && text.len() <= limits::REQUEST_ID_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_id.then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_name(text: &str, bytes_max: usize, is_allowed: impl Fn(u8) -> bool) -> bool {
    text.len() <= bytes_max
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_allowed(byte))
}

/// A dataset's name: a letter, then letters, digits, `_`, `-` or `.`, at most 128 bytes. Safe as a file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatasetName(String);

impl DatasetName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatasetName {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        if is_name(text, limits::DATASET_NAME_BYTES_MAX, |byte| matches!(byte, b'_' | b'-' | b'.')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Failure::new(
                Code::RequestField,
                "a dataset's name is a letter, then letters, digits, '_', '-' or '.', at most 128 of them",
            ))
        }
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A plugin's name: a lower-case letter, then lower-case letters, digits or `-`, at most 64 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PluginName(String);

impl PluginName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PluginName {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        if is_name(text, limits::PLUGIN_NAME_BYTES_MAX, |byte| byte == b'-') && !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Failure::new(
                Code::RequestField,
                "a plugin's name is a lower-case letter, then lower-case letters, digits or '-', at most 64 of them",
            ))
        }
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a request names a plugin: `name` (its newest version), `name@1.2.0`, or `sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PluginRef {
    /// The highest semantic version; a pre-release only where there is nothing else.
    Newest(PluginName),
    /// Exactly this version.
    Version(PluginName, semver::Version),
    /// Exactly these bytes.
    Digest(Digest),
}

impl FromStr for PluginRef {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        if text.starts_with("sha256:") {
            return Digest::parse(text)
                .map(Self::Digest)
                .ok_or_else(|| Failure::new(Code::RequestField, "a digest is 'sha256:' and 64 hexadecimal digits"));
        }
        match text.split_once('@') {
            None => text.parse().map(Self::Newest),
            Some((name, version)) => {
                let version = semver::Version::parse(version)
                    .map_err(|_| Failure::new(Code::RequestField, "a plugin's version is a semantic version such as 1.2.0"))?;
                Ok(Self::Version(name.parse()?, version))
            }
        }
    }
}

impl fmt::Display for PluginRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest(name) => name.fmt(f),
            Self::Version(name, version) => write!(f, "{name}@{version}"),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RequestId;

    #[test]
    fn request_ids_of_callers_are_visible_ascii() {
        assert_eq!(RequestId::chosen("mine-1").expect("an id").as_str(), "mine-1");
        assert!(RequestId::chosen("").is_none() && RequestId::chosen("a b").is_none() && RequestId::chosen(&"x".repeat(129)).is_none());
        assert_ne!(RequestId::generate(), RequestId::generate());
    }
}
