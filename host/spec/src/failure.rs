//! The one shape of a failure that leaves the system. Internal errors are turned into it at each crate's edge; their
//! sources stay in the log.

use crate::{Blame, Code};
use std::fmt;

/// A place in a text that the caller sent, for example in a lambda.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// 1-based.
    pub line: u32,
    /// 1-based, in Unicode scalar values.
    pub column: u32,
    /// The line of source with a caret under the place, two lines of text.
    pub excerpt: String,
}

/// What failed, where, and what to do about it. Safe to show to the caller: no secrets, no internal text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stable name.
    pub code: Code,
    /// One sentence: lower case, no full stop.
    pub message: String,
    /// What the caller can do, where there is something.
    pub hint: Option<String>,
    /// JSON Pointer into the request, for example `/operations/1/function`.
    pub pointer: Option<String>,
    /// Where in the text at `pointer`.
    pub position: Option<Position>,
    /// Zero-based row of the input, where one row is at fault.
    pub row: Option<u64>,
}

impl Failure {
    /// A failure with a message and nothing else.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, pointer: None, position: None, row: None }
    }

    /// The same at a JSON Pointer, unless it has one.
    #[must_use]
    pub fn or_at(self, pointer: impl Into<String>) -> Self {
        if self.pointer.is_some() { self } else { self.at(pointer) }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a JSON Pointer.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// The same with a place in the text at the pointer.
    #[must_use]
    pub fn position(mut self, position: Position) -> Self {
        self.position = Some(position);
        self
    }

    /// The same with a row.
    #[must_use]
    pub fn row(mut self, row: u64) -> Self {
        self.row = Some(row);
        self
    }

    /// Who has to act.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        self.code.blame()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Failure {}
