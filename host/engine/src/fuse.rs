//! Neighbouring lambdas become one kernel: they wait in a [`Chain`] until an operation comes that is not one of them, and
//! that operation may end the kernel with a fold. What a kernel's columns are is decided in `lambda` and `node`.

use azora_expression::{Element, End, Lambda, Pipeline, Step};
use azora_spec::{Function, Operation};

/// Lambdas that wait, numbered from 0 in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chain {
    steps: Vec<Step>,
    /// Where in the request each lambda stands, by its number.
    pointers: Vec<String>,
}

impl Chain {
    /// Takes an operation that is a step of a kernel; says whether it was.
    pub(crate) fn push(&mut self, operation: &Operation, pointer: &str) -> bool {
        let step = match operation {
            Operation::Map(Function::Lambda(text)) => Step::Map(self.lambda(text, pointer, "function")),
            Operation::Filter(Function::Lambda(text)) => Step::Filter(self.lambda(text, pointer, "function")),
            Operation::FlatMap(Function::Lambda(text)) => Step::FlatMap(self.lambda(text, pointer, "function")),
            Operation::MapValues(Function::Lambda(text)) => Step::MapValues(self.lambda(text, pointer, "function")),
            Operation::KeyBy(Function::Lambda(text)) => Step::KeyBy(self.lambda(text, pointer, "function")),
            _ => return false,
        };
        self.steps.push(step);
        true
    }

    /// Takes a step that an operation needs before its own work.
    pub(crate) fn push_step(&mut self, make: fn(Lambda) -> Step, text: &str, pointer: &str, field: &str) {
        let lambda = self.lambda(text, pointer, field);
        self.steps.push(make(lambda));
    }

    /// Takes `keys` or `values`.
    pub(crate) fn push_part(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// The next lambda, numbered, for the end of a kernel.
    pub(crate) fn lambda(&mut self, text: &str, pointer: &str, field: &str) -> Lambda {
        let number = self.pointers.len();
        self.pointers.push(format!("{pointer}/{field}"));
        Lambda::new(text, number)
    }

    /// Takes out the steps from `at` on, with the lambdas of the end, numbered anew.
    pub(crate) fn split_off(&mut self, at: usize, end: End) -> (Self, End) {
        let steps = self.steps.split_off(at);
        let before = self.steps.iter().filter(|step| lambda_of(step).is_some()).count();
        let pointers = self.pointers.split_off(before.min(self.pointers.len()));
        let renumbered = |lambda: Lambda| Lambda { operation: lambda.operation.saturating_sub(before), ..lambda };
        let steps = steps.into_iter().map(|step| match step {
            Step::Map(lambda) => Step::Map(renumbered(lambda)),
            Step::Filter(lambda) => Step::Filter(renumbered(lambda)),
            Step::FlatMap(lambda) => Step::FlatMap(renumbered(lambda)),
            Step::MapValues(lambda) => Step::MapValues(renumbered(lambda)),
            Step::KeyBy(lambda) => Step::KeyBy(renumbered(lambda)),
            Step::Keys | Step::Values => step,
        });
        let end = match end {
            End::Reduce(lambda) => End::Reduce(renumbered(lambda)),
            End::ReduceRuns(lambda) => End::ReduceRuns(renumbered(lambda)),
            End::Aggregate { zero, seq, operation } => {
                End::Aggregate { zero, seq: renumbered(seq), operation: operation.saturating_sub(before) }
            }
            End::AggregateRuns { zero, seq, operation } => {
                End::AggregateRuns { zero, seq: renumbered(seq), operation: operation.saturating_sub(before) }
            }
            End::Rows | End::Count | End::Sum | End::Min | End::Max => end,
        };
        (Self { steps: steps.collect(), pointers }, end)
    }

    /// How many steps stand before the lambda of that number.
    pub(crate) fn steps_before(&self, number: usize) -> usize {
        let is_it = |step: &Step| lambda_of(step).is_some_and(|lambda| lambda.operation == number);
        self.steps.iter().position(is_it).unwrap_or(self.steps.len())
    }

    /// Its steps.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether rows come out as they went in, or not at all.
    pub(crate) fn only_filters(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Filter(_)))
    }

    /// The parts of pairs that it takes, where it does nothing else.
    pub(crate) fn only_parts(&self) -> Option<Vec<usize>> {
        let part = |step: &Step| match step {
            Step::Keys => Some(0),
            Step::Values => Some(1),
            _ => None,
        };
        self.steps.iter().map(part).collect()
    }

    /// Whether a lambda spreads an object or a list.
    pub(crate) fn spreads(&self) -> bool {
        self.steps.iter().filter_map(lambda_of).any(|lambda| lambda.text.contains("..."))
    }

    /// Where its lambdas stand.
    pub(crate) fn pointers(&self) -> &[String] {
        &self.pointers
    }

    /// Where its failures at run time point: the first lambda.
    pub(crate) fn pointer(&self) -> String {
        self.pointers.first().cloned().unwrap_or_default()
    }

    /// The kernel's description.
    pub(crate) fn pipeline(&self, input: Element, end: End) -> Pipeline {
        Pipeline { input, steps: self.steps.clone(), end }
    }
}

fn lambda_of(step: &Step) -> Option<&Lambda> {
    match step {
        Step::Map(lambda) | Step::Filter(lambda) | Step::FlatMap(lambda) | Step::MapValues(lambda) | Step::KeyBy(lambda) => Some(lambda),
        Step::Keys | Step::Values => None,
    }
}

/// What a reducer that is known by its text does to numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Sum,
    Least,
    Greatest,
}

/// Recognises `(a, b) => a + b`, `Math.min` and `Math.max` of both: the engine's own aggregates compute them without a
/// shuffle of every row.
pub(crate) fn known(text: &str) -> Option<Known> {
    let text: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    let (a, rest) = text.strip_prefix('(')?.split_once(',')?;
    let (b, body) = rest.split_once(")=>")?;
    let body = body.strip_suffix(';').unwrap_or(body);
    let is_name = |name: &str| {
        name.chars().next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
    };
    if !is_name(a) || !is_name(b) || a == b {
        return None;
    }
    let either = |before: &str, between: &str, after: &str| {
        body == format!("{before}{a}{between}{b}{after}") || body == format!("{before}{b}{between}{a}{after}")
    };
    if either("", "+", "") {
        Some(Known::Sum)
    } else if either("Math.min(", ",", ")") {
        Some(Known::Least)
    } else if either("Math.max(", ",", ")") {
        Some(Known::Greatest)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, known};

    #[test]
    fn reducers_are_known_by_their_text() {
        let check = |text: &str, expect: Option<Known>| assert_eq!(known(text), expect, "{text}");
        check("(a, b) => a + b", Some(Known::Sum));
        check("(x,y)=>y+x;", Some(Known::Sum));
        check("(a, b) => Math.max(a, b)", Some(Known::Greatest));
        check("( acc , v ) => Math.min( v , acc )", Some(Known::Least));
        check("(a, b) => a + b + 1", None);
        check("(a, b) => a + a", None);
        check("(a, a) => a + a", None);
        check("(a, b) => a - b", None);
        check("a => a", None);
        check("([a, b], c) => a + c", None);
    }
}
