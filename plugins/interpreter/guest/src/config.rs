//! What an instance is opened with: the chain of operations, what becomes of the elements, and the columns of the answer.
//!
//! ```json
//! {"element": "object", "steps": [{"step": "map", "text": "x => …", "lambda": 0}], "end": {"end": "rows"},
//!  "output": {"element": "scalar", "fields": [["value", "float64"]]}, "pairs": false}
//! ```
//!
//! Without `output` an instance is a probe: it answers, for each batch, one row with the type of everything that came out
//! so far.

use crate::kind::Kind;
use crate::value::Value;
use azora_guest::Failure;

/// How one element lies in columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    Scalar,
    Object,
    Tuple,
}

/// A lambda and its number in the job.
#[derive(Debug)]
pub(crate) struct Lambda {
    pub(crate) text: String,
    pub(crate) number: u32,
}

/// One operation on every element.
#[derive(Debug)]
pub(crate) enum Step {
    Map(Lambda),
    Filter(Lambda),
    FlatMap(Lambda),
    MapValues(Lambda),
    KeyBy(Lambda),
    Keys,
    Values,
}

/// What becomes of the elements.
#[derive(Debug)]
pub(crate) enum End {
    Rows,
    Count,
    Reduce(Lambda),
    /// The start value is JSON: every use gets a value of its own.
    Aggregate { zero: String, seq: Lambda },
    ReduceRuns(Lambda),
    AggregateRuns { zero: String, seq: Lambda },
}

/// The columns of the answer.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) element: Element,
    pub(crate) fields: Vec<(String, Kind)>,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) element: Element,
    pub(crate) steps: Vec<Step>,
    pub(crate) end: End,
    /// None for a probe.
    pub(crate) output: Option<Output>,
    /// Whether arrays of two are pairs.
    pub(crate) pairs: bool,
}

impl Element {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Object => "object",
            Self::Tuple => "tuple",
        }
    }

    fn read(value: &Value) -> Option<Self> {
        Some(match value.to_text()?.as_str() {
            "scalar" => Self::Scalar,
            "object" => Self::Object,
            "tuple" => Self::Tuple,
            _ => return None,
        })
    }
}

impl Config {
    /// Reads the host's text.
    pub(crate) fn read(text: &str) -> Result<Self, Failure> {
        Self::of(&Value::json(text)).ok_or_else(|| Failure::internal("the configuration of the interpreter is damaged"))
    }

    fn of(value: &Value) -> Option<Self> {
        let steps = value.property("steps");
        let output = value.property("output");
        Some(Self {
            element: Element::read(&value.property("element"))?,
            steps: (0..steps.length()).map(|at| step(&steps.at(at))).collect::<Option<_>>()?,
            end: end(&value.property("end"))?,
            output: if output.is_nullish() { None } else { Some(self::output(&output)?) },
            pairs: value.property("pairs").is_truthy(),
        })
    }

    /// Whether elements come out as they went in, or not at all.
    pub(crate) fn only_filters(&self) -> bool {
        matches!(self.end, End::Rows) && self.steps.iter().all(|step| matches!(step, Step::Filter(_)))
    }

    /// Whether a column behind those of the elements marks the first row of each run.
    pub(crate) const fn has_runs(&self) -> bool {
        matches!(self.end, End::ReduceRuns(_) | End::AggregateRuns { .. })
    }
}

fn lambda(value: &Value) -> Option<Lambda> {
    Some(Lambda { text: value.property("text").to_text()?, number: value.property("lambda").to_number()? as u32 })
}

fn step(value: &Value) -> Option<Step> {
    Some(match value.property("step").to_text()?.as_str() {
        "map" => Step::Map(lambda(value)?),
        "filter" => Step::Filter(lambda(value)?),
        "flatMap" => Step::FlatMap(lambda(value)?),
        "mapValues" => Step::MapValues(lambda(value)?),
        "keyBy" => Step::KeyBy(lambda(value)?),
        "keys" => Step::Keys,
        "values" => Step::Values,
        _ => return None,
    })
}

fn end(value: &Value) -> Option<End> {
    let zero = || value.property("zero").to_text();
    Some(match value.property("end").to_text()?.as_str() {
        "rows" => End::Rows,
        "count" => End::Count,
        "reduce" => End::Reduce(lambda(value)?),
        "aggregate" => End::Aggregate { zero: zero()?, seq: lambda(value)? },
        "reduceRuns" => End::ReduceRuns(lambda(value)?),
        "aggregateRuns" => End::AggregateRuns { zero: zero()?, seq: lambda(value)? },
        _ => return None,
    })
}

fn output(value: &Value) -> Option<Output> {
    let fields = value.property("fields");
    let field = |at: usize| {
        let pair = fields.at(at);
        Some((pair.at(0).to_text()?, Kind::read(&pair.at(1))?))
    };
    Some(Output {
        element: Element::read(&value.property("element"))?,
        fields: (0..fields.length()).map(field).collect::<Option<_>>()?,
    })
}
