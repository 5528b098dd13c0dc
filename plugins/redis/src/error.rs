//! What can go wrong with Redis, and what the caller is told of it: host and key, never a secret.

use azora_spec::{Code, Failure};
use redis::RedisError;

/// Longest key that is shown.
const KEY_CHARS_MAX: usize = 200;

/// A failure of this connector.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot reach {server}: {reason}")]
    Unreachable { server: String, reason: &'static str },
    #[error("cannot speak TLS with {server}: {reason}")]
    Tls { server: String, reason: String },
    #[error("messages of {server} came faster than they were read")]
    TooFast { server: String },
    #[error("{server} refuses the user, the password or the command ({word})")]
    Denied { server: String, word: String },
    #[error("{server} failed while {doing} ({word})")]
    Answer { server: String, doing: &'static str, word: String },
    #[error("there is no stream '{key}' on {server}")]
    StreamMissing { server: String, key: String },
    #[error("there is no group '{group}' of the stream '{key}' on {server}")]
    GroupMissing { server: String, key: String, group: String },
    #[error("more than {max} keys match on {server}")]
    TooManyKeys { server: String, max: usize },
    #[error("more than {max} rows in one commit to {server}")]
    TooManyRows { server: String, max: u64 },
    #[error("rows that were prepared are not on {server} any more")]
    StagedMissing { server: String },
    #[error("the key '{key}' on {server} that is written to holds another type")]
    WrongType { server: String, key: String },
    #[error("the key '{key}' on {server} is no stream: it holds another type ({of})")]
    NoStream { server: String, key: String, of: String },
    #[error("{0} was not made by this connector")]
    Foreign(&'static str),
}

impl Error {
    pub(crate) fn of(error: &RedisError, server: &str, doing: &'static str) -> Self {
        let server = server.to_owned();
        let word = error.code().unwrap_or("no answer").chars().take(40).collect::<String>();
        match word.as_str() {
            "WRONGPASS" | "NOAUTH" | "NOPERM" => Self::Denied { server, word },
            "AZORASTAGE" => Self::StagedMissing { server },
            "AZORATYPE" => {
                let key = error.detail().unwrap_or_default().chars().take(KEY_CHARS_MAX).collect::<String>();
                Self::WrongType { server, key: key.escape_debug().to_string() }
            }
            "LOADING" => Self::Unreachable { server, reason: "the server is still loading its data" },
            "BUSY" => Self::Unreachable { server, reason: "the server is busy with a script" },
            _ if error.kind() == redis::ErrorKind::AuthenticationFailed => Self::Denied { server, word: "AUTH".to_owned() },
            _ if error.is_timeout() => Self::Unreachable { server, reason: "no answer in time" },
            _ if error.is_io_error() || error.is_connection_dropped() => Self::Unreachable { server, reason: "the connection was lost" },
            _ => Self::Answer { server, doing, word },
        }
    }

    const fn code(&self) -> Code {
        match self {
            Self::Unreachable { .. } | Self::Tls { .. } | Self::TooFast { .. } => Code::ConnectorUnavailable,
            Self::Denied { .. } => Code::ConnectorDenied,
            Self::StreamMissing { .. } | Self::GroupMissing { .. } => Code::ConnectorMissing,
            Self::Answer { .. } | Self::WrongType { .. } | Self::NoStream { .. } => Code::ConnectorAnswer,
            Self::TooManyKeys { .. } | Self::TooManyRows { .. } => Code::ConnectorConfig,
            Self::StagedMissing { .. } | Self::Foreign(_) => Code::Internal,
        }
    }

    const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Tls { .. } => Some("is its certificate for this host, and its authority given as 'caPem'?"),
            Self::Denied { .. } => Some("check username and password, and what the user may do"),
            Self::GroupMissing { .. } => Some("make it with XGROUP CREATE: it is not made by reading, which would decide where it begins"),
            Self::TooManyKeys { .. } => Some("narrow 'pattern'"),
            Self::TooManyRows { .. } => {
                Some("a commit is one script, during which the server answers nobody else; write fewer rows in a job")
            }
            Self::StagedMissing { .. } => Some("was the server restarted without its data, or more than seven days ago?"),
            _ => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = Self::new(error.code(), error.to_string());
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
