//! What is wrong with a lambda, and where.

use std::fmt;

/// The kind of fault. All but [`DiagnosticKind::Unsupported`] mean that the function is wrong whatever runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiagnosticKind {
    /// Not JavaScript: Node would answer with a `SyntaxError` before it runs anything.
    Syntax,
    /// Node would throw a `TypeError` on every element of this type that comes by, with no branch around the place.
    Type,
    /// A name that is defined nowhere, or a property that elements of this type never have.
    UnknownName,
    /// Valid, but beyond what the typed compiler takes; the only kind that an interpreter may run instead.
    Unsupported,
    /// Valid, but its answer is a promise or an iterator in place of a value.
    Deferred,
    /// The text is over a limit on length, nesting or words, which hold for any way of running it.
    TooLarge,
}

impl DiagnosticKind {
    /// Whether the function is valid as far as can be told, so that an interpreter of JavaScript may run it.
    #[must_use]
    pub const fn is_for_interpreter(self) -> bool {
        matches!(self, Self::Unsupported)
    }
}

/// A fault in a lambda, for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of fault.
    pub kind: DiagnosticKind,
    /// What is wrong.
    pub message: String,
    /// The property that values of this type do not have, where that is what is wrong. It is `undefined`, so the function is
    /// valid, and throws only where that does.
    pub property: Option<String>,
    /// The name that is defined nowhere, where that is what is wrong. JavaScript throws where it is read.
    pub undefined: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Index of the operation in the job.
    pub operation: usize,
    /// Line in the lambda's text, counted from 1.
    pub line: u32,
    /// Column in that line in characters, counted from 1.
    pub column: u32,
    /// The line and, below it, a line with a caret under the place.
    pub excerpt: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {}, column {})", self.message, self.line, self.column)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// Bytes from and to in a lambda's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// A fault before it is placed in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: DiagnosticKind,
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) property: Option<String>,
    pub(crate) undefined: Option<String>,
    pub(crate) hint: Option<String>,
    /// It is one even where the place is never reached.
    pub(crate) is_static: bool,
}

impl Fault {
    pub(crate) fn new(kind: DiagnosticKind, span: Span, message: impl Into<String>) -> Self {
        Self { kind, span, message: message.into(), property: None, undefined: None, hint: None, is_static: false }
    }

    /// A property that is not there, wherever it is read.
    pub(crate) fn lacking(name: &str, span: Span, message: String) -> Self {
        Self { property: Some(name.to_owned()), ..Self::new(DiagnosticKind::UnknownName, span, message).anywhere() }
    }

    /// A name that is defined nowhere, wherever it is read.
    pub(crate) fn undefined(name: &str, span: Span) -> Self {
        let fault = Self::new(DiagnosticKind::UnknownName, span, format!("`{name}` is not defined")).anywhere();
        Self { undefined: Some(name.to_owned()), ..fault }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A fault wherever it stands, reached or not.
    pub(crate) fn anywhere(mut self) -> Self {
        self.is_static = true;
        self
    }

    /// A fault in code that may never run: what Node would throw there is for whoever runs it to say.
    pub(crate) fn doubted(mut self) -> Self {
        if !self.is_static && matches!(self.kind, DiagnosticKind::Type | DiagnosticKind::UnknownName) {
            self.kind = DiagnosticKind::Unsupported;
        }
        self
    }

    pub(crate) fn place(self, text: &str, operation: usize) -> Diagnostic {
        let at = floor_boundary(text, self.span.start as usize);
        let before = text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |end| at + end);
        let line = before.matches('\n').count() + 1;
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        let source = text.get(line_start..line_end).unwrap_or_default();
        Diagnostic {
            kind: self.kind,
            message: self.message,
            property: self.property,
            undefined: self.undefined,
            hint: self.hint,
            operation,
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            excerpt: excerpt(source, column),
        }
    }
}

/// Characters of a long line that are shown on either side of the fault.
const EXCERPT_SIDE: usize = 60;

fn excerpt(source: &str, column: usize) -> String {
    let skip = column.saturating_sub(EXCERPT_SIDE + 1);
    let shown: String = source.chars().skip(skip).take(2 * EXCERPT_SIDE).map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{shown}\n{}^", " ".repeat(column.saturating_sub(skip + 1)))
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
