//! Elements through the chain of lambdas to its end. Where elements come from and go to is in `input` and `output`.

use crate::config::{Config, End, Lambda, Step};
use crate::engine::{self, exception};
use crate::kind::Seen;
use crate::output::{Misfit, Rows};
use crate::value::Value;
use azora_guest::{Failure, FailureCode};

/// In a probe an accumulator is looked at for each of so many first elements, then now and then: it may be large.
const LOOKS_MIN: u64 = 32;
const LOOKS_EVERY: u64 = 64;
/// Characters that are kept of what is said of a value of another type: it may hold a property's name.
const MISFIT_CHARACTERS_MAX: usize = 200;

/// A function and its number in the job.
#[derive(Debug)]
struct Function {
    value: Value,
    number: u32,
}

#[derive(Debug)]
enum Operation {
    Map(Function),
    Filter(Function),
    FlatMap(Function),
    MapValues(Function),
    KeyBy(Function),
    Part(usize),
}

#[derive(Debug)]
enum Last {
    Rows,
    Count(u64),
    Reduce(Function, Option<Value>),
    Aggregate(Function, Value),
    /// Folds the values of one run of equal keys after the other; with the start value of each.
    Runs(Function, Option<String>, Option<Value>),
}

/// Where elements go.
#[derive(Debug)]
pub(crate) enum Sink {
    Rows(Rows),
    /// A bit for each row: whether it came out.
    Kept { bits: Vec<u8>, row: usize },
    Probe(Probe),
}

/// What a probe saw.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    pub(crate) seen: Option<Seen>,
    pub(crate) has_nulls: bool,
    /// Whether anything came out that is not null, undefined or NaN all through.
    pub(crate) has_values: bool,
    /// What came to the filters at the end, for a sample of which they let nothing through.
    filtered: Option<Seen>,
    looks: u64,
}

/// Why a row failed.
#[derive(Debug)]
pub(crate) struct Halt {
    pub(crate) lambda: u32,
    pub(crate) code: FailureCode,
    pub(crate) message: String,
    /// What the value is that does not fit its columns, where that is why.
    pub(crate) saw: Option<Seen>,
}

/// The chain of one instance.
#[derive(Debug)]
pub(crate) struct Chain {
    operations: Vec<Operation>,
    /// From here on there are only filters.
    filters_from: usize,
    last: Last,
    pub(crate) sink: Sink,
}

type Result<T = ()> = std::result::Result<T, Halt>;

impl Chain {
    pub(crate) fn new(config: &Config) -> std::result::Result<Self, Failure> {
        let sink = match &config.output {
            _ if config.output.is_some() && config.only_filters() => Sink::Kept { bits: Vec::new(), row: 0 },
            Some(output) => Sink::Rows(Rows::new(output)),
            None => Sink::Probe(Probe::default()),
        };
        let operations = config.steps.iter().map(operation).collect::<std::result::Result<_, _>>()?;
        let last = match &config.end {
            End::Rows => Last::Rows,
            End::Count => Last::Count(0),
            End::Reduce(lambda) => Last::Reduce(function(lambda)?, None),
            End::Aggregate { zero, seq } => Last::Aggregate(function(seq)?, Value::json(zero)),
            End::ReduceRuns(lambda) => Last::Runs(function(lambda)?, None, None),
            End::AggregateRuns { zero, seq } => Last::Runs(function(seq)?, Some(zero.clone()), None),
        };
        let operations: Vec<Operation> = operations;
        let filters = operations.iter().rev().take_while(|operation| matches!(operation, Operation::Filter(_))).count();
        let filters_from = operations.len() - filters;
        let mut chain = Self { operations, filters_from, last, sink };
        if let (Last::Aggregate(_, zero), Sink::Probe(probe)) = (&chain.last, &mut chain.sink) {
            probe.look(zero);
        }
        Ok(chain)
    }

    /// Takes an element from step `at` on.
    pub(crate) fn push(&mut self, at: usize, value: Value) -> Result {
        let Some(operation) = self.operations.get(at) else { return self.end(value) };
        if at == self.filters_from
            && let (Last::Rows, Sink::Probe(probe)) = (&self.last, &mut self.sink)
            && probe.seen.is_none()
        {
            let seen = Seen::of(&value);
            probe.filtered = match (probe.filtered.take(), seen) {
                (Some(before), Some(seen)) => Some(before.merge(seen)),
                (before, seen) => before.or(seen),
            };
        }
        match operation {
            Operation::Map(function) => {
                let mapped = function.call(&[&value])?;
                self.push(at + 1, mapped)
            }
            Operation::Filter(function) => match function.call(&[&value])?.is_truthy() {
                true => self.push(at + 1, value),
                false => Ok(()),
            },
            Operation::FlatMap(function) => {
                let list = function.call(&[&value])?;
                if !list.is_array() {
                    return self.push(at + 1, list);
                }
                let mut index = 0;
                // The list may not change meanwhile: no lambda of the chain has it.
                while index < list.length() {
                    self.push(at + 1, list.at(index))?;
                    index += 1;
                }
                Ok(())
            }
            Operation::MapValues(function) => {
                let pair = Value::array(vec![value.at(0), function.call(&[&value.at(1)])?]);
                self.push(at + 1, pair)
            }
            Operation::KeyBy(function) => {
                let pair = Value::array(vec![function.call(&[&value])?, value]);
                self.push(at + 1, pair)
            }
            Operation::Part(part) => {
                let part = value.at(*part);
                self.push(at + 1, part)
            }
        }
    }

    fn end(&mut self, value: Value) -> Result {
        match &mut self.last {
            Last::Rows => self.emit(&value, 0),
            Last::Count(count) => {
                *count += 1;
                if let Sink::Probe(probe) = &mut self.sink {
                    probe.has_values = true;
                }
                Ok(())
            }
            Last::Reduce(function, so_far) => {
                let folded = match so_far.take() {
                    None => value,
                    Some(so_far) => function.call(&[&so_far, &value])?,
                };
                self.sink.look(&folded);
                *so_far = Some(folded);
                Ok(())
            }
            Last::Aggregate(function, so_far) => {
                *so_far = function.call(&[so_far, &value])?;
                self.sink.look(so_far);
                Ok(())
            }
            Last::Runs(..) => Err(Halt::new(0, FailureCode::Internal, "runs have no rows".to_owned())),
        }
    }

    /// Takes a value of a run; `is_first` says that a run starts with it.
    pub(crate) fn push_run(&mut self, value: Value, is_first: bool) -> Result {
        if is_first {
            self.close_run()?;
        }
        let Last::Runs(function, zero, so_far) = &mut self.last else { return Ok(()) };
        let folded = match (so_far.take(), zero) {
            (Some(so_far), _) => function.call(&[&so_far, &value])?,
            (None, Some(zero)) => function.call(&[&Value::json(zero), &value])?,
            (None, None) => value,
        };
        self.sink.look(&folded);
        *so_far = Some(folded);
        Ok(())
    }

    fn close_run(&mut self) -> Result {
        let (value, number) = match &mut self.last {
            Last::Runs(function, _, so_far) => (so_far.take(), function.number),
            _ => (None, 0),
        };
        value.map_or(Ok(()), |value| self.emit(&value, number))
    }

    /// Gives what the end held back.
    pub(crate) fn finish(&mut self) -> Result {
        let (value, number) = match &mut self.last {
            Last::Rows => return Ok(()),
            Last::Runs(..) => return self.close_run(),
            Last::Count(count) => {
                let count = Value::integer(*count as i64);
                return match &mut self.sink {
                    Sink::Rows(rows) => rows.push(&count).map_err(|misfit| halt(misfit, &count, 0)),
                    Sink::Kept { .. } | Sink::Probe(_) => Ok(()),
                };
            }
            Last::Reduce(function, so_far) => (so_far.take(), function.number),
            Last::Aggregate(function, so_far) => (Some(so_far.clone()), function.number),
        };
        value.map_or(Ok(()), |value| self.emit(&value, number))
    }

    fn emit(&mut self, value: &Value, lambda: u32) -> Result {
        let lambda = self.operations.iter().rev().find_map(Operation::number).unwrap_or(lambda);
        match &mut self.sink {
            Sink::Rows(rows) => rows.push(value).map_err(|misfit| halt(misfit, value, lambda)),
            Sink::Kept { bits, row } => {
                if let Some(byte) = bits.get_mut(*row / 8) {
                    *byte |= 1 << (*row % 8);
                }
                Ok(())
            }
            Sink::Probe(probe) => match probe.look(value) {
                true => Ok(()),
                false => Err(halt(Misfit::Threw, value, lambda)),
            },
        }
    }
}

impl Sink {
    fn look(&mut self, value: &Value) {
        if let Self::Probe(probe) = self {
            probe.looks += 1;
            if probe.looks <= LOOKS_MIN || probe.looks.is_multiple_of(LOOKS_EVERY) {
                probe.look(value);
            }
        }
    }
}

impl Probe {
    /// What comes out or, as far as is known, would.
    pub(crate) fn types(&self) -> Option<&Seen> {
        self.seen.as_ref().or(self.filtered.as_ref())
    }

    /// A probe that has seen something already.
    pub(crate) fn knowing(seen: Seen, has_nulls: bool) -> Self {
        Self { seen: Some(seen), has_nulls, ..Self::default() }
    }

    /// False where looking throws.
    fn look(&mut self, value: &Value) -> bool {
        let Some(seen) = Seen::of(value) else { return false };
        self.has_values = self.has_values || !value.is_void();
        self.has_nulls |= seen == Seen::Nothing;
        self.seen = Some(match self.seen.take() {
            None => seen,
            Some(before) => before.merge(seen),
        });
        true
    }
}

impl Halt {
    fn new(lambda: u32, code: FailureCode, message: String) -> Self {
        Self { lambda, code, message, saw: None }
    }

    /// What the engine threw.
    fn thrown(lambda: u32) -> Self {
        let thrown = exception();
        Self::new(lambda, thrown.code, thrown.message)
    }
}

fn halt(misfit: Misfit, value: &Value, lambda: u32) -> Halt {
    match misfit {
        Misfit::Type(message) => {
            let message = message.chars().take(MISFIT_CHARACTERS_MAX).collect();
            Halt { saw: Seen::of(value), ..Halt::new(lambda, FailureCode::Unsupported, message) }
        }
        Misfit::Threw => Halt::thrown(lambda),
    }
}

fn function(lambda: &Lambda) -> std::result::Result<Function, Failure> {
    let value = engine::function(&lambda.text).map_err(|failure| {
        let message = crate::plugin::report(lambda.number, &failure.message, "", None);
        Failure { message, ..failure }
    })?;
    Ok(Function { value, number: lambda.number })
}

fn operation(step: &Step) -> std::result::Result<Operation, Failure> {
    Ok(match step {
        Step::Map(lambda) => Operation::Map(function(lambda)?),
        Step::Filter(lambda) => Operation::Filter(function(lambda)?),
        Step::FlatMap(lambda) => Operation::FlatMap(function(lambda)?),
        Step::MapValues(lambda) => Operation::MapValues(function(lambda)?),
        Step::KeyBy(lambda) => Operation::KeyBy(function(lambda)?),
        Step::Keys => Operation::Part(0),
        Step::Values => Operation::Part(1),
    })
}

impl Operation {
    const fn number(&self) -> Option<u32> {
        match self {
            Self::Map(function) | Self::Filter(function) | Self::FlatMap(function) | Self::MapValues(function) | Self::KeyBy(function) => {
                Some(function.number)
            }
            Self::Part(_) => None,
        }
    }
}

impl Function {
    fn call(&self, arguments: &[&Value]) -> Result<Value> {
        let value = self.value.call(arguments);
        if value.is_exception() {
            return Err(Halt::thrown(self.number));
        }
        if value.is_promise() {
            let message = "the function answers a promise; a lambda answers at once".to_owned();
            return Err(Halt::new(self.number, FailureCode::User, message));
        }
        Ok(value)
    }
}
