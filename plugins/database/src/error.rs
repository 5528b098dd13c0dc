//! What can go wrong with a database, and the failure that a caller sees. Texts of servers are shown where they tell the
//! caller what to mend, cut short, and never one that repeats a connection string.

use azora_spec::{Code, Failure};
use std::fmt;
use std::time::Duration;

/// Longest text of a server that is shown.
const SHOWN_CHARS_MAX: usize = 300;

/// A server as people name it, for example `PostgreSQL at db:5432`. Never with a user or a password.
#[derive(Debug, Clone)]
pub(crate) struct Site(String);

impl Site {
    pub(crate) fn new(product: &str, place: &str) -> Self {
        Self(format!("{product} at {}", place.escape_debug()))
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a database could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody answers there, or the name is not known.
    #[error("{site} cannot be reached: {reason}")]
    Unreachable { site: Site, reason: String },
    /// The answer did not come in time.
    #[error("{site} did not answer within {seconds} s")]
    Slow { site: Site, seconds: u64 },
    /// The session ended while it was used.
    #[error("{site} ended the session: {reason}")]
    Lost { site: Site, reason: String },
    /// The server is there and takes no work at the moment.
    #[error("{site} takes no work at the moment: {reason}")]
    Busy { site: Site, reason: String },
    /// The encrypted connection could not be made.
    #[error("{site} offers no connection that can be trusted: {reason}")]
    Tls { site: Site, reason: String },
    /// Wrong user or password.
    #[error("{site} refused the user '{user}'")]
    Login { site: Site, user: String },
    /// The user may not do this.
    #[error("{site} does not allow the {what}: {reason}")]
    Forbidden { site: Site, what: &'static str, reason: String },
    /// A database, schema, table, collection or column is not there.
    #[error("{site} has no {what} '{name}'")]
    Missing { site: Site, what: &'static str, name: String, pointer: &'static str },
    /// The server refused a statement that the configuration made.
    #[error("{site} refused the {what}: {reason}")]
    Refused { site: Site, what: &'static str, reason: String, pointer: &'static str },
    /// Something about the configuration that only the server could tell.
    #[error("{message}")]
    Unfit { message: String, hint: &'static str, pointer: &'static str },
    /// A value is not what its column can hold.
    #[error("{place}: {reason}")]
    Value { place: String, reason: String },
    /// A constraint of the target was violated.
    #[error("{site} refused rows for '{table}': {reason}")]
    Constraint { site: Site, table: String, reason: String },
    /// The rows of the sink have columns that the target lacks or cannot take.
    #[error("{site}: {reason}")]
    Columns { site: Site, reason: String },
    /// A stored split, position or token is not one that this connector made.
    #[error("a stored {0} is not one that this connector made")]
    Foreign(&'static str),
    /// What was staged is not what the commit found.
    #[error("{site} has {found} staged rows of a partition where {want} were written")]
    Staged { site: Site, found: u64, want: u64 },
    /// The server's own files for staged rows.
    #[error("{0}")]
    Stage(&'static str),
    /// A step of this crate that cannot fail did.
    #[error("an internal step of the database connector failed: {0}")]
    Broken(&'static str),
}

impl Error {
    /// The same where the table that rows were refused for is known.
    pub(crate) fn of_table(self, name: &str) -> Self {
        match self {
            Self::Constraint { site, reason, .. } => Self::Constraint { site, table: name.escape_debug().to_string(), reason },
            other => other,
        }
    }

    /// No answer within a time.
    pub(crate) fn slow(site: &Site, limit: Duration) -> Self {
        Self::Slow { site: site.clone(), seconds: limit.as_secs().max(1) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Unreachable { .. } => Self::new(Code::ConnectorUnavailable, message)
                .hint("check host and port, and that the server runs and may be reached from here"),
            Error::Slow { .. } | Error::Lost { .. } | Error::Busy { .. } | Error::Staged { .. } => {
                Self::new(Code::ConnectorUnavailable, message)
            }
            Error::Tls { .. } => Self::new(Code::ConnectorConfig, message)
                .hint(
                    "give the authority's certificate as 'caCertificate', or say 'tls': 'disable' or 'prefer' where the network is trusted",
                )
                .at("/connection/tls"),
            Error::Login { .. } => Self::new(Code::ConnectorDenied, message).hint("check user and password").at("/connection/password"),
            Error::Forbidden { .. } => {
                Self::new(Code::ConnectorDenied, message).hint("check the user and what it may do").at("/connection")
            }
            Error::Missing { pointer, .. } => Self::new(Code::ConnectorMissing, message).at(pointer),
            Error::Refused { pointer: "", .. } => Self::new(Code::ConnectorConfig, message),
            Error::Refused { pointer, .. } => Self::new(Code::ConnectorConfig, message).at(pointer),
            Error::Unfit { hint, pointer, .. } => {
                let failure = Self::new(Code::ConnectorConfig, message).at(pointer);
                if hint.is_empty() { failure } else { failure.hint(hint) }
            }
            Error::Value { .. } | Error::Constraint { .. } | Error::Columns { .. } => Self::new(Code::DataInvalid, message),
            Error::Stage(_) => Self::new(Code::ConnectorUnavailable, message),
            Error::Foreign(_) | Error::Broken(_) => Self::new(Code::Internal, message),
        }
    }
}

/// A server's text made fit to show: one line, cut short.
pub(crate) fn shown(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    let mut cut: String = line.chars().filter(|at| !at.is_control()).take(SHOWN_CHARS_MAX).collect();
    if line.chars().count() > SHOWN_CHARS_MAX {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::{Error, Site, shown};
    use azora_spec::{Blame, Failure};

    #[test]
    fn failures_say_who_has_to_act() {
        let site = Site::new("PostgreSQL", "db:5432");
        let login: Failure = Error::Login { site: site.clone(), user: "ann".to_owned() }.into();
        assert_eq!((login.blame(), login.message.as_str()), (Blame::Caller, "PostgreSQL at db:5432 refused the user 'ann'"));
        let lost: Failure = Error::Lost { site, reason: "gone".to_owned() }.into();
        assert_eq!(lost.blame(), Blame::System);
    }

    #[test]
    fn texts_of_servers_are_one_short_line() {
        assert_eq!(shown(" a\u{7}b \nsecond"), "ab");
        assert_eq!(shown(&"x".repeat(400)).chars().count(), 301);
    }
}
