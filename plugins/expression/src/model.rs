//! What callers hand in and get back: element types, steps, ends, the compiled component.
//!
//! How a type is treated while a lambda is checked is in `kind`.

use std::hash::{Hash, Hasher};

/// The type of a value in a column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    /// Nothing but null.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A 64-bit signed integer.
    Int64,
    /// A JavaScript number.
    Float64,
    /// A string, UTF-8 in memory and UTF-16 in meaning.
    Utf8,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    /// A list; the field's name is of no meaning.
    List(Box<Field>),
    /// An object.
    Struct(Vec<Field>),
    /// A tuple inside an element; parts are named `_1`, `_2`, ….
    Tuple(Vec<Field>),
}

/// A named column or part.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Whether it may hold null.
    pub nullable: bool,
}

impl Field {
    /// A field.
    #[must_use]
    pub fn new(name: impl Into<String>, ty: Type, nullable: bool) -> Self {
        Self { name: name.into(), ty, nullable }
    }
}

/// How one element lies in top-level columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Element {
    /// One column, named `value`.
    Scalar(Field),
    /// One column per property.
    Object(Vec<Field>),
    /// One column per part, named `_1`, `_2`, ….
    Tuple(Vec<Field>),
}

impl Element {
    /// A scalar element of a type.
    #[must_use]
    pub fn scalar(ty: Type, nullable: bool) -> Self {
        Self::Scalar(Field::new("value", ty, nullable))
    }

    /// Its top-level columns, in order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        match self {
            Self::Scalar(field) => std::slice::from_ref(field),
            Self::Object(fields) | Self::Tuple(fields) => fields,
        }
    }

    /// The word for `azora:element` in a schema's metadata.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Scalar(_) => "scalar",
            Self::Object(_) => "object",
            Self::Tuple(_) => "tuple",
        }
    }
}

/// A function's text and where it stands in the job.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lambda {
    /// A JavaScript (or TypeScript) arrow function.
    pub text: String,
    /// Index of the operation in the job; repeated in diagnostics.
    pub operation: usize,
}

impl Lambda {
    /// A lambda of an operation.
    #[must_use]
    pub fn new(text: impl Into<String>, operation: usize) -> Self {
        Self { text: text.into(), operation }
    }
}

/// One operation on every element.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// `x => y`.
    Map(Lambda),
    /// Keeps the elements for which the lambda is truthy.
    Filter(Lambda),
    /// `x => [y, …]`, flattened by one level.
    FlatMap(Lambda),
    /// `[k, v]` to `[k, f(v)]`.
    MapValues(Lambda),
    /// `x` to `[f(x), x]`.
    KeyBy(Lambda),
    /// `[k, v]` to `k`.
    Keys,
    /// `[k, v]` to `v`.
    Values,
}

/// What becomes of the elements that come out of the last step.
#[derive(Debug, Clone)]
pub enum End {
    /// They stream out of `process`.
    Rows,
    /// Their number: one Int64 row from `finish`.
    Count,
    /// Their sum, null counted as 0: one row from `finish`. Int64 while exact, overflow is a failure.
    Sum,
    /// The least number or string, nulls left out: one row from `finish`, or none.
    Min,
    /// The greatest number or string, nulls left out: one row from `finish`, or none.
    Max,
    /// `(a, b) => c` over all elements: one row from `finish`, or none where there was no element.
    Reduce(Lambda),
    /// `(acc, x) => acc` from a start value: one row from `finish`.
    Aggregate {
        /// The start value.
        zero: serde_json::Value,
        /// `(acc, x) => acc`.
        seq: Lambda,
        /// Index of the operation in the job.
        operation: usize,
    },
    /// `(a, b) => c` within each run of equal keys; see [`crate::compile`].
    ReduceRuns(Lambda),
    /// `(acc, x) => acc` from a start value within each run of equal keys; see [`crate::compile`].
    AggregateRuns {
        /// The start value.
        zero: serde_json::Value,
        /// `(acc, x) => acc`.
        seq: Lambda,
        /// Index of the operation in the job.
        operation: usize,
    },
}

impl End {
    fn rank(&self) -> u8 {
        match self {
            Self::Rows => 0,
            Self::Count => 1,
            Self::Sum => 2,
            Self::Min => 3,
            Self::Max => 4,
            Self::Reduce(_) => 5,
            Self::Aggregate { .. } => 6,
            Self::ReduceRuns(_) => 7,
            Self::AggregateRuns { .. } => 8,
        }
    }

    fn parts(&self) -> (u8, Option<&Lambda>, Option<String>) {
        let (lambda, zero) = match self {
            Self::Rows | Self::Count | Self::Sum | Self::Min | Self::Max => (None, None),
            Self::Reduce(lambda) | Self::ReduceRuns(lambda) => (Some(lambda), None),
            // The text tells 1 from 1.0 and keeps the order of keys, which a JSON value's own equality does not.
            Self::Aggregate { zero, seq, .. } | Self::AggregateRuns { zero, seq, .. } => (Some(seq), Some(zero.to_string())),
        };
        (self.rank(), lambda, zero)
    }
}

impl PartialEq for End {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for End {}

impl Hash for End {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

/// Neighbouring operations that become one component.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pipeline {
    /// The elements that come in.
    pub input: Element,
    /// What is done to each, in order.
    pub steps: Vec<Step>,
    /// What is answered.
    pub end: End,
}

/// A pipeline as a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// A component that exports `azora:plugin/transform` and imports nothing. The same pipeline gives the same bytes.
    pub component: Vec<u8>,
    /// The elements that come out.
    pub output: Element,
    /// Indices of the top-level input columns that it wants, ascending.
    pub needs: Vec<usize>,
}
