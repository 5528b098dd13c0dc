//! Comparisons of a column with a constant, which a reader may use to leave rows out before they travel. What is a
//! condition and what is none is decided by the engine; what a server makes of it by its connector.

use arrow::datatypes::TimeUnit;
use std::fmt;

/// A comparison of a column with a constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// Index of the column in the source's schema, before any projection.
    pub column: usize,
    /// How it is compared.
    pub compare: Compare,
    /// With what.
    pub value: Constant,
}

/// How a column is compared with a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// They are equal.
    Equal,
    /// The column is less.
    Less,
    /// The column is less, or they are equal.
    AtMost,
    /// The column is more.
    More,
    /// The column is more, or they are equal.
    AtLeast,
}

impl Compare {
    /// The operator in SQL.
    #[must_use]
    pub const fn sql(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }

    /// The same comparison with its sides changed.
    #[must_use]
    pub const fn turned(self) -> Self {
        match self {
            Self::Equal => Self::Equal,
            Self::Less => Self::More,
            Self::AtMost => Self::AtLeast,
            Self::More => Self::Less,
            Self::AtLeast => Self::AtMost,
        }
    }
}

/// What a column is compared with. Its kind is the column's; texts are compared for equality only, since servers order
/// them by rules of their own.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
    /// True or false.
    Boolean(bool),
    /// A day, counted from 1970-01-01.
    Day(i32),
    /// A fraction, never NaN, of a column of 64 or of 32 bits, which then holds it exactly. Who filters again orders by IEEE
    /// 754's total order: -0 comes before 0, NaN behind everything, and a NaN with a sign before everything.
    Float(f64),
    /// A moment in the unit of its column.
    Moment {
        /// Counted from 1970-01-01 at midnight.
        at: i64,
        /// What is counted.
        unit: TimeUnit,
        /// Whether it is one instant (UTC), and not what a clock somewhere shows.
        is_instant: bool,
    },
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Text(text) => write!(f, "'{}'", text.escape_debug()),
            Self::Boolean(flag) => flag.fmt(f),
            Self::Day(day) => write!(f, "day {day}"),
            Self::Float(number) => number.fmt(f),
            Self::Moment { at, unit, .. } => write!(f, "{at} {unit:?}"),
        }
    }
}
