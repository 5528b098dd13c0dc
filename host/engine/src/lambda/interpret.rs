//! The second tier: chains of lambdas that the typed compiler does not take, said to the interpreter's component, and what
//! it says back. What types their answers have is found out in `sample`.

use super::sample::Proof;
use super::types;
use crate::node::KernelSource;
use azora_connect::element::{self, Element};
use azora_expression::{Diagnostic, DiagnosticKind, End, Lambda, Reads, Step};
use azora_sandbox::{Fault, GuestCode, Origin};
use azora_spec::{Code, Failure};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What JavaScript has besides what the typed compiler knows: a name of these is no spelling mistake.
const GLOBALS: &str = "AggregateError Array ArrayBuffer BigInt BigInt64Array BigUint64Array Boolean DataView Date Error EvalError Float32Array \
    Float64Array Function Infinity Int16Array Int32Array Int8Array Iterator JSON Map Math NaN Number Object Promise Proxy \
    RangeError ReferenceError Reflect RegExp Set String Symbol SyntaxError TypeError URIError Uint16Array Uint32Array Uint8Array \
    Uint8ClampedArray WeakMap WeakSet atob btoa decodeURI decodeURIComponent encodeURI encodeURIComponent escape eval globalThis \
    isFinite isNaN parseFloat parseInt undefined unescape";

/// The columns of an interpreted chain's answer, as the component is told.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Shape {
    element: String,
    /// Names and types, in the words of the component.
    fields: Vec<(String, Value)>,
}

impl Shape {
    /// One column of a type, in the component's words.
    pub(crate) fn one(of: Value) -> Self {
        Self::scalar(of)
    }

    /// One column of values of any type.
    pub(crate) fn json() -> Self {
        Self::scalar(json!("json"))
    }

    /// A count.
    pub(crate) fn count() -> Self {
        Self::scalar(json!("int64"))
    }

    /// Columns for any value, where some were made for less: those that are the same in both stay, and where their names
    /// differ there is one for everything.
    pub(crate) fn loosened(&self, wider: &Self) -> Self {
        let names = |shape: &Self| shape.fields.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        if self.element != wider.element || names(self) != names(wider) {
            return Self::json();
        }
        let field = |((name, old), (_, new)): (&(String, Value), &(String, Value))| {
            (name.clone(), if old == new { old.clone() } else { json!("json") })
        };
        Self { element: self.element.clone(), fields: self.fields.iter().zip(&wider.fields).map(field).collect() }
    }

    fn scalar(of: Value) -> Self {
        Self { element: Element::Scalar.as_str().to_owned(), fields: vec![(element::VALUE.to_owned(), of)] }
    }

    /// The columns for elements of a type, in the component's words; `nulls` says that some elements are null.
    pub(crate) fn of(mut of: Value, nulls: bool) -> Self {
        if !nulls {
            if let Some(fields) = of.get_mut("struct").map(Value::take).and_then(|fields| serde_json::from_value(fields).ok()) {
                return Self { element: Element::Object.as_str().to_owned(), fields };
            }
            if let Some(Value::Array(parts)) = of.get_mut("tuple").map(Value::take) {
                let fields = parts.into_iter().enumerate().map(|(at, part)| (element::part(at), part)).collect();
                return Self { element: Element::Tuple.as_str().to_owned(), fields };
            }
        }
        Self::scalar(of)
    }
}

/// What the interpreter says of the values that came out.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Came {
    #[serde(rename = "type")]
    of: Option<Value>,
    nulls: bool,
}

impl Came {
    /// The columns for them; one, if it must be.
    pub(crate) fn shape(self, is_one: bool) -> Shape {
        self.of.map_or_else(Shape::json, |of| Shape::of(of, self.nulls || is_one))
    }
}

/// What a probe of the interpreter found in a sample.
#[derive(Debug, Deserialize)]
pub(crate) struct Probed {
    #[serde(flatten)]
    pub(crate) came: Came,
    /// Rows that went through the chain.
    pub(crate) passed: u64,
    /// What the first that did not said.
    pub(crate) failed: Option<Value>,
}

/// A failure in the interpreter's words.
#[derive(Debug, Clone, Deserialize)]
struct Said {
    lambda: usize,
    message: String,
    element: String,
    /// Where a value does not fit the columns: what would come out with it and what follows in its batch.
    wider: Option<Came>,
}

/// A failure of an interpreted chain.
#[derive(Debug)]
pub(crate) struct Told {
    /// The number of the lambda at fault.
    pub(crate) lambda: usize,
    pub(crate) failure: Failure,
    /// Where a value did not fit the columns: what would have come out.
    pub(crate) wider: Option<Came>,
}

/// A chain for the interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Interpreted {
    /// How its elements lie in columns.
    pub(crate) element: &'static str,
    pub(crate) steps: Vec<Step>,
    pub(crate) end: End,
    /// None for a probe.
    pub(crate) output: Option<Shape>,
    /// Whether arrays of two are pairs.
    pub(crate) pairs: bool,
}

impl Interpreted {
    /// Whether elements come out as they went in, or not at all.
    pub(crate) fn only_filters(&self) -> bool {
        matches!(self.end, End::Rows) && self.steps.iter().all(|step| matches!(step, Step::Filter(_)))
    }

    /// What the component is opened with.
    pub(crate) fn config(&self) -> String {
        let lambda = |kind: (&str, &str), Lambda { text, operation }: &Lambda| json!({kind.0: kind.1, "text": text, "lambda": operation});
        let step = |step: &Step| match step {
            Step::Map(of) => lambda(("step", "map"), of),
            Step::Filter(of) => lambda(("step", "filter"), of),
            Step::FlatMap(of) => lambda(("step", "flatMap"), of),
            Step::MapValues(of) => lambda(("step", "mapValues"), of),
            Step::KeyBy(of) => lambda(("step", "keyBy"), of),
            Step::Keys => json!({"step": "keys"}),
            Step::Values => json!({"step": "values"}),
        };
        let with_zero = |mut of: Value, zero: &Value| {
            of["zero"] = Value::String(zero.to_string());
            of
        };
        let end = match &self.end {
            End::Count => json!({"end": "count"}),
            // The others are of rows whose type is known: the planner does not ask for them.
            End::Rows | End::Sum | End::Min | End::Max => json!({"end": "rows"}),
            End::Reduce(of) => lambda(("end", "reduce"), of),
            End::ReduceRuns(of) => lambda(("end", "reduceRuns"), of),
            End::Aggregate { zero, seq, .. } => with_zero(lambda(("end", "aggregate"), seq), zero),
            End::AggregateRuns { zero, seq, .. } => with_zero(lambda(("end", "aggregateRuns"), seq), zero),
        };
        let steps: Vec<Value> = self.steps.iter().map(step).collect();
        let output = self.output.as_ref().map(|shape| json!({"element": shape.element, "fields": shape.fields}));
        json!({"element": self.element, "steps": steps, "end": end, "output": output, "pairs": self.pairs}).to_string()
    }
}

/// A chain as the interpreter takes it.
#[derive(Debug)]
pub(crate) struct Scripted {
    pub(crate) steps: Vec<Step>,
    pub(crate) end: End,
    /// The properties of elements that are read, where that can be told.
    reads: Option<BTreeSet<String>>,
    /// The same by lambda, of those that get the elements.
    pub(crate) readers: Vec<(Lambda, Reads)>,
}

/// Makes a chain fit for the interpreter.
pub(crate) fn scripted(steps: &[Step], end: &End) -> Result<Scripted, Diagnostic> {
    let mut reach = Reach { reads: Some(BTreeSet::new()), readers: Vec::new(), is_element: true };
    let steps = steps.iter().map(|step| reach.step(step)).collect::<Result<_, _>>()?;
    let end = reach.end(end)?;
    Ok(Scripted { steps, end, reads: reach.reads, readers: reach.readers })
}

/// What lambdas read of elements, as long as elements come by.
struct Reach {
    reads: Option<BTreeSet<String>>,
    readers: Vec<(Lambda, Reads)>,
    is_element: bool,
}

impl Reach {
    fn step(&mut self, step: &Step) -> Result<Step, Diagnostic> {
        Ok(match step {
            Step::Map(of) => Step::Map(self.lambda(of, Some(0), false)?),
            Step::FlatMap(of) => Step::FlatMap(self.lambda(of, Some(0), false)?),
            Step::Filter(of) => Step::Filter(self.lambda(of, Some(0), true)?),
            Step::MapValues(of) => Step::MapValues(self.lambda(of, None, false)?),
            Step::KeyBy(of) => Step::KeyBy(self.lambda(of, None, false)?),
            Step::Keys | Step::Values => {
                self.see(None, false);
                step.clone()
            }
        })
    }

    fn end(&mut self, end: &End) -> Result<End, Diagnostic> {
        Ok(match end {
            End::Reduce(of) => End::Reduce(self.lambda(of, None, false)?),
            End::ReduceRuns(of) => End::ReduceRuns(self.lambda(of, None, false)?),
            End::Aggregate { zero, seq, operation } => {
                End::Aggregate { zero: zero.clone(), seq: self.lambda(seq, Some(1), false)?, operation: *operation }
            }
            End::AggregateRuns { zero, seq, operation } => {
                End::AggregateRuns { zero: zero.clone(), seq: self.lambda(seq, None, false)?, operation: *operation }
            }
            End::Rows | End::Count | End::Sum | End::Min | End::Max => end.clone(),
        })
    }

    /// A lambda whose argument of that number is an element; none where all of the element is of use.
    fn lambda(&mut self, of: &Lambda, argument: Option<usize>, passes: bool) -> Result<Lambda, Diagnostic> {
        let script = azora_expression::script(of)?;
        let reads = argument.and_then(|at| script.reads.get(at).cloned().flatten());
        if let Some(reads) = reads.as_ref().filter(|_| self.is_element) {
            self.readers.push((of.clone(), reads.clone()));
        }
        self.see(reads.map(|reads| reads.into_keys().collect()), passes);
        Ok(Lambda { text: script.text, operation: of.operation })
    }

    fn see(&mut self, reads: Option<BTreeSet<String>>, passes: bool) {
        if self.is_element {
            self.reads = self.reads.take().zip(reads).map(|(all, more)| all.into_iter().chain(more).collect());
            self.is_element = passes;
        }
    }
}

/// The columns that the interpreter is bound to: of objects those that the chain reads.
pub(crate) fn bound_schema(schema: &Schema, chain: &Scripted) -> SchemaRef {
    let mut fields: Vec<Field> = schema.fields().iter().filter_map(|field| types::interpreted(field)).collect();
    if let (Some(reads), Element::Object) = (&chain.reads, Element::of(schema)) {
        // Elements without any column would be none.
        let first = fields.first().cloned();
        fields.retain(|field| reads.contains(field.name()));
        fields.extend(first.filter(|_| fields.is_empty()));
    }
    let end = &chain.end;
    if matches!(end, End::ReduceRuns(_) | End::AggregateRuns { .. }) {
        fields.push(Field::new(super::START, DataType::Boolean, false));
    }
    Arc::new(Schema::new(fields))
}

/// Whether the interpreter may know better than the compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appeal {
    /// The text is at fault.
    No,
    /// The compiler says that it is valid, and beyond it.
    Yes,
    /// The compiler says that it cannot go well. JavaScript knows no types: where a sample shows otherwise, it does.
    By(Proof),
}

/// Whether what the compiler found is final.
pub(crate) fn appeal(diagnostic: &Diagnostic) -> Appeal {
    match diagnostic.kind {
        DiagnosticKind::Syntax | DiagnosticKind::TooLarge | DiagnosticKind::Deferred => Appeal::No,
        DiagnosticKind::Unsupported => Appeal::Yes,
        DiagnosticKind::Type => Appeal::By(Proof::Passes),
        DiagnosticKind::UnknownName => match &diagnostic.undefined {
            Some(name) if !GLOBALS.split(' ').any(|known| known == name) => Appeal::No,
            // In JavaScript it is undefined, which is wrong only where that throws. A warning says what was probably meant.
            None if diagnostic.property.is_some() => Appeal::By(Proof::Survives),
            _ => Appeal::By(Proof::Passes),
        },
    }
}

/// What the interpreter said went wrong, if it was the interpreter and said so. `is_counted` says that an instance sees the
/// rows of one partition in their order, so that a row's number means something.
pub(crate) fn said(source: &KernelSource, error: &azora_sandbox::Error, is_counted: bool) -> Option<Told> {
    if source.origin != Origin::Lambda || source.config == super::COMPILED_CONFIG {
        return None;
    }
    let (code, message, row) = match error {
        azora_sandbox::Error::Guest { fault: Fault::Failed { code, message, row }, .. } => (code, message, *row),
        azora_sandbox::Error::Guest { fault: Fault::Refused { code, message }, .. } => (code, message, None),
        _ => return None,
    };
    let Said { lambda, message, element, wider } = serde_json::from_str(message).ok()?;
    let place = match row {
        Some(row) if is_counted => format!(" at row {row} of its partition, {element}"),
        Some(_) => format!(" at {element}"),
        None => String::new(),
    };
    let mut failure = match (code, &wider) {
        (GuestCode::Unsupported, None) => Failure::new(Code::LambdaUnsupported, format!("the lambda cannot be interpreted: {message}")),
        (GuestCode::Unsupported, Some(_)) => Failure::new(Code::LambdaResultType, format!("the lambda answered {message}{place}"))
            .hint("what comes behind it takes one type; answer that one, or leave such elements out"),
        _ => Failure::new(Code::LambdaThrew, format!("the lambda threw{place}: {message}")),
    };
    failure.row = row;
    Some(Told { lambda, failure, wider })
}

#[cfg(test)]
mod tests {
    use super::{Appeal, Diagnostic, DiagnosticKind, Proof, Shape, appeal, json};

    fn diagnostic(kind: DiagnosticKind) -> Diagnostic {
        let (message, excerpt) = (String::new(), String::new());
        Diagnostic { kind, message, property: None, undefined: None, hint: None, operation: 0, line: 1, column: 1, excerpt }
    }

    #[test]
    fn only_what_may_be_right_goes_to_the_interpreter() {
        let check = |kind, expect| assert_eq!(appeal(&diagnostic(kind)), expect, "{kind:?}");
        check(DiagnosticKind::Unsupported, Appeal::Yes);
        check(DiagnosticKind::Syntax, Appeal::No);
        check(DiagnosticKind::UnknownName, Appeal::By(Proof::Passes));
        let unknown = || diagnostic(DiagnosticKind::UnknownName);
        let undefined = |name: &str| appeal(&Diagnostic { undefined: Some(name.to_owned()), ..unknown() });
        assert_eq!(undefined("Map"), Appeal::By(Proof::Passes));
        assert_eq!(undefined("mpa"), Appeal::No);
        assert_eq!(appeal(&Diagnostic { property: Some("nme".to_owned()), ..unknown() }), Appeal::By(Proof::Survives));
    }

    #[test]
    fn columns_that_did_not_fit_twice_hold_anything() {
        let object = |fields| Shape::of(json!({"struct": fields}), false);
        let known = object(json!([["a", "float64"], ["b", "utf8"]]));
        let loose = known.loosened(&object(json!([["a", {"list": "utf8"}], ["b", "utf8"]])));
        assert_eq!(loose, object(json!([["a", "json"], ["b", "utf8"]])));
        assert_eq!(known.loosened(&object(json!([["a", "float64"], ["b", "utf8"], ["c", "utf8"]]))), Shape::json());
        assert_eq!(Shape::of(json!("float64"), false).loosened(&known), Shape::json());
    }

    #[test]
    fn elements_are_laid_out_by_their_type() {
        let words = |of, nulls| serde_json::to_value(Shape::of(of, nulls)).unwrap();
        let object = json!({"struct": [["a", "float64"]]});
        assert_eq!(words(object.clone(), false), json!({"element": "object", "fields": [["a", "float64"]]}));
        assert_eq!(words(object.clone(), true), json!({"element": "scalar", "fields": [["value", object]]}));
        assert_eq!(
            words(json!({"tuple": ["utf8", "json"]}), false),
            json!({"element": "tuple", "fields": [["_1", "utf8"], ["_2", "json"]]})
        );
        assert_eq!(words(json!("utf8"), true), json!({"element": "scalar", "fields": [["value", "utf8"]]}));
    }
}
