//! What a function says when it cannot answer. How a failure crosses to the host is in `wire.rs`.

use std::error::Error;
use std::fmt;

/// The result of everything that can fail with a [`Failure`].
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Whose fault a failure is and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureCode {
    /// The data or the configuration is wrong: the caller's to mend.
    InvalidInput,
    /// The plugin cannot do this by design.
    Unsupported,
    /// A number left its type's range.
    Overflow,
    /// Raised by the plugin's own logic.
    User,
    /// A defect of the plugin.
    Internal,
    /// Worth another try later: the host opens a connector again, a few times, with longer and longer waits.
    Retryable,
}

/// A refusal with a reason. It ends the job, unless the job says what to do with rows that fail.
///
/// Every [`std::error::Error`] turns into one with `?`, as [`FailureCode::User`]; the text of its sources is added.
/// The host cuts messages at 4 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub code: FailureCode,
    /// For the person who sent the job: what, where, and what to do.
    pub message: String,
    /// The row of the batch; the SDK fills it in for row functions.
    pub row: Option<u64>,
}

impl Failure {
    /// A failure of that kind.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), row: None }
    }

    /// The data or the configuration is wrong.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(FailureCode::InvalidInput, message)
    }

    /// The plugin cannot do this.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(FailureCode::Unsupported, message)
    }

    /// A number left its range.
    pub fn overflow(message: impl Into<String>) -> Self {
        Self::new(FailureCode::Overflow, message)
    }

    /// The plugin's own logic says no.
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(FailureCode::User, message)
    }

    /// The plugin is at fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(FailureCode::Internal, message)
    }

    /// Another try may help; for connectors.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self::new(FailureCode::Retryable, message)
    }

    /// The same, at a row, where none is known yet.
    #[must_use]
    pub fn at_row(mut self, row: usize) -> Self {
        self.row.get_or_insert(row as u64);
        self
    }
}

// `Failure` is not an `Error` itself: the conversion below would then collide with the reflexive one.
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self::user(message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row {
            Some(row) => write!(f, "row {row}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_turn_into_failures_of_the_user() {
        fn parse(text: &str) -> Result<i64> {
            Ok(text.parse()?)
        }
        let failure = parse("x").unwrap_err();
        assert_eq!(failure.code, FailureCode::User);
        assert_eq!(failure.message, "invalid digit found in string");
    }

    #[test]
    fn first_row_wins() {
        assert_eq!(Failure::user("no").at_row(3).at_row(4).row, Some(3));
        assert_eq!(Failure::user("no").at_row(3).to_string(), "row 3: no");
    }
}
