//! Lambdas to bound components: Arrow schemas as the expression compiler's types and back, compiling, binding (or handing
//! to the interpreter), and the cache that makes a warm job cheap. Which operations become one lambda is decided in `fuse`.

mod interpret;
mod sample;
mod types;
mod warn;

pub(crate) use interpret::{Appeal, Came, Interpreted, Shape, appeal, bound_schema, said, scripted};
pub(crate) use sample::{Found, Proof, Wanted, run, take};
pub(crate) use types::element;
pub(crate) use warn::{missing, reason, warning};

use crate::node::{Kernel, KernelSource};
use azora_expression::{Compiled, Diagnostic, DiagnosticKind, Element, End, Lambda, Pipeline, Step, Type};
use azora_sandbox::{Component, Haste, Origin, Sandbox, Shipped};
use azora_spec::limits::GuestLimits;
use azora_spec::{Code, Digest, Failure, Function, Position};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use lru::LruCache;
use parking_lot::Mutex;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

/// Bound lambdas that one engine keeps.
const LAMBDAS_MAX: NonZeroUsize = match NonZeroUsize::new(1024) {
    Some(max) => max,
    None => NonZeroUsize::MIN,
};
/// The column that marks the first row of each run, behind the pair's columns.
pub(crate) const START: &str = "__start";
/// The configuration of a compiled chain: all of it is in its code.
pub(crate) const COMPILED_CONFIG: &str = "{}";
/// Characters of lambdas that `EXPLAIN` shows.
pub(crate) const LABEL_CHARACTERS_MAX: usize = 160;

/// What decides whether two chains are the same. Positions in the job are not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Chain {
    Compiled(Pipeline),
    Interpreted { chain: Interpreted, bound: Fields },
}

/// A chain and the limits of its guests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    chain: Chain,
    memory_bytes_max: usize,
    table_elements_max: usize,
    call_time_max: std::time::Duration,
    output_rows_max: usize,
    output_bytes_max: usize,
}

/// Compiled and bound lambdas of one engine.
#[derive(Debug)]
pub(crate) struct Lambdas {
    kernels: Mutex<LruCache<Key, Arc<Kernel>>>,
    /// There once the server has prepared it aside, or the first chain asked for it.
    interpreter: OnceLock<Component>,
    /// Held while it is made ready for somebody who waits.
    preparing: Mutex<()>,
}

impl Default for Lambdas {
    fn default() -> Self {
        Self { kernels: Mutex::new(LruCache::new(LAMBDAS_MAX)), interpreter: OnceLock::new(), preparing: Mutex::default() }
    }
}

impl Lambdas {
    /// The kernel of a pipeline. Its lambdas are numbered from 0 (`Lambda::operation`), so that equal pipelines of
    /// different jobs are equal; a diagnostic says the number.
    pub(crate) fn bind(&self, sandbox: &Sandbox, pipeline: Pipeline, limits: GuestLimits) -> Result<Arc<Kernel>, Refused> {
        self.kept(Key::new(Chain::Compiled(pipeline.clone()), limits), || compile(sandbox, &pipeline, limits))
    }

    /// The kernel of a chain for the interpreter over the columns of [`bound_schema`], its lambdas numbered in the same way.
    /// A probe has limits of its own.
    pub(crate) fn interpret(
        &self,
        sandbox: &Sandbox,
        chain: &Interpreted,
        bound: SchemaRef,
        limits: GuestLimits,
    ) -> Result<Arc<Kernel>, Refused> {
        let limits = match chain.output {
            Some(_) => limits,
            None => GuestLimits { call_time_max: limits.call_time_max.min(sample::CALL_TIME_MAX), ..limits },
        };
        let key = Key::new(Chain::Interpreted { chain: chain.clone(), bound: bound.fields().clone() }, limits);
        self.kept(key, || {
            let component = self.interpreter(sandbox, Haste::Now)?;
            let source = KernelSource {
                origin: Origin::Lambda,
                digest: *component.digest(),
                function: String::new(),
                config: chain.config(),
                label: label(&chain.steps, &chain.end),
            };
            let bind = component.bind(&source.function, &bound, &source.config, limits);
            let transform = bind.map_err(|error| match said(&source, &error, true) {
                Some(told) => Refused::Failure(told.failure),
                None => error.into(),
            })?;
            Kernel::new(source, limits, bound, transform).map_err(|error| Refused::Failure(crate::failure_of(error)))
        })
    }

    /// Whether [`Self::prepare`] was done.
    pub(crate) fn is_prepared(&self) -> bool {
        self.interpreter.get().is_some()
    }

    /// Compiles the interpreter, or fetches what an earlier process compiled. Blocks for seconds at the first time. Jobs that
    /// come meanwhile wait for the one that began, but none for what is made aside, which has little of the processor.
    pub(crate) fn prepare(&self, sandbox: &Sandbox, haste: Haste) -> Result<(), Failure> {
        self.interpreter(sandbox, haste).map(drop).map_err(|refused| refused.at(&[]))
    }

    fn interpreter(&self, sandbox: &Sandbox, haste: Haste) -> Result<Component, Refused> {
        if let Some(component) = self.interpreter.get() {
            return Ok(component.clone());
        }
        let _one = (haste == Haste::Now).then(|| self.preparing.lock());
        if let Some(component) = self.interpreter.get() {
            return Ok(component.clone());
        }
        let started = std::time::Instant::now();
        let bytes = azora_interpreter::component().map_err(|error| {
            tracing::error!(%error, "the interpreter's bytes are damaged");
            Refused::Failure(crate::Error::Damaged { what: "the interpreter" }.into())
        })?;
        let Shipped { component, is_compiled } = sandbox.shipped(bytes, haste)?;
        tracing::info!(millis = started.elapsed().as_millis(), is_compiled, "interpreter ready");
        Ok(self.interpreter.get_or_init(|| component).clone())
    }

    fn kept(&self, key: Key, make: impl FnOnce() -> Result<Kernel, Refused>) -> Result<Arc<Kernel>, Refused> {
        if let Some(kernel) = self.kernels.lock().get(&key) {
            return Ok(Arc::clone(kernel));
        }
        let started = std::time::Instant::now();
        let kernel = Arc::new(make()?);
        tracing::debug!(lambda = %kernel.source.label, micros = started.elapsed().as_micros(), "lambda bound");
        self.kernels.lock().put(key, Arc::clone(&kernel));
        Ok(kernel)
    }
}

impl Key {
    fn new(chain: Chain, limits: GuestLimits) -> Self {
        Self {
            chain,
            memory_bytes_max: limits.memory_bytes_max,
            table_elements_max: limits.table_elements_max,
            call_time_max: limits.call_time_max,
            output_rows_max: limits.output_rows_max,
            output_bytes_max: limits.output_bytes_max,
        }
    }
}

/// Why a pipeline has no kernel.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The lambda is at fault.
    Diagnostic(Diagnostic),
    /// Something else is.
    Failure(Failure),
    /// The interpreter has no such end.
    End,
    /// Nothing is wrong, but a sample of the elements has to be taken first.
    Sample,
}

impl From<azora_sandbox::Error> for Refused {
    fn from(error: azora_sandbox::Error) -> Self {
        Self::Failure(error.into())
    }
}

/// Whether a function that is named for later is JavaScript at all. What it makes of values is seen when it is called.
///
/// # Errors
/// Of its syntax and size.
pub fn check_function(name: &str, function: &Function) -> Result<(), Failure> {
    let (Function::Lambda(text) | Function::Declared { text, .. }) = function else { return Ok(()) };
    // Syntax does not depend on what the elements are.
    let input = Element::scalar(Type::Float64, true);
    let pipeline = Pipeline { input, steps: vec![Step::Map(Lambda::new(text, 0))], end: End::Rows };
    let Err(diagnostic) = azora_expression::compile(&pipeline) else { return Ok(()) };
    if !matches!(diagnostic.kind, DiagnosticKind::Syntax | DiagnosticKind::TooLarge) {
        return Ok(());
    }
    let (line, column) = (diagnostic.line, diagnostic.column);
    let failure = Refused::Diagnostic(diagnostic).at(&[]);
    let message = format!("{}, in line {line}, column {column} of '{}'", failure.message, name.escape_debug());
    // The place is one of the function's text, and not of the statement around it.
    Err(Failure { message, position: None, ..failure })
}

impl Refused {
    /// The failure that the caller gets; `pointers` says where each numbered lambda stands in the request.
    pub(crate) fn at(self, pointers: &[String]) -> Failure {
        match self {
            Self::End => Failure::new(Code::LambdaUnsupported, "the operation behind the lambda does not take what it answers"),
            Self::Sample => Failure::new(Code::Internal, "a sample was not taken"),
            Self::Failure(failure) => match pointers {
                [pointer] if failure.pointer.is_none() => failure.at(pointer),
                _ => failure,
            },
            Self::Diagnostic(diagnostic) => {
                let code = match diagnostic.kind {
                    DiagnosticKind::Syntax => Code::LambdaSyntax,
                    DiagnosticKind::Type => Code::LambdaType,
                    DiagnosticKind::UnknownName => Code::LambdaUnknownName,
                    DiagnosticKind::Unsupported | DiagnosticKind::Deferred => Code::LambdaUnsupported,
                    DiagnosticKind::TooLarge => Code::LambdaTooLarge,
                };
                let mut failure = Failure::new(code, diagnostic.message).position(Position {
                    line: diagnostic.line,
                    column: diagnostic.column,
                    excerpt: diagnostic.excerpt,
                });
                failure.hint = diagnostic.hint;
                failure.pointer = pointers.get(diagnostic.operation).cloned();
                failure
            }
        }
    }
}

fn compile(sandbox: &Sandbox, pipeline: &Pipeline, limits: GuestLimits) -> Result<Kernel, Refused> {
    let Compiled { component, .. } = azora_expression::compile(pipeline).map_err(Refused::Diagnostic)?;
    let bound = compiled_schema(pipeline);
    let transform = sandbox.lambda(&component)?.bind("", &bound, COMPILED_CONFIG, limits)?;
    let source = KernelSource {
        origin: Origin::Lambda,
        digest: Digest::of(&component),
        function: String::new(),
        config: COMPILED_CONFIG.to_owned(),
        label: label(&pipeline.steps, &pipeline.end),
    };
    Kernel::new(source, limits, bound, transform).map_err(|error| Refused::Failure(crate::failure_of(error)))
}

/// The columns that a pipeline's component is bound to.
fn compiled_schema(pipeline: &Pipeline) -> SchemaRef {
    let mut fields: Vec<Field> = pipeline.input.fields().iter().map(types::field).collect();
    if matches!(pipeline.end, End::ReduceRuns(_) | End::AggregateRuns { .. }) {
        fields.push(Field::new(START, DataType::Boolean, false));
    }
    Arc::new(Schema::new(fields))
}

/// The pipeline in a line, for people.
fn label(steps: &[Step], end: &End) -> String {
    let mut words: Vec<&str> = steps.iter().map(step_word).collect();
    words.extend(end_word(end));
    let text = if words.is_empty() { "x => x".to_owned() } else { words.join(" | ") };
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(LABEL_CHARACTERS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

fn step_word(step: &Step) -> &str {
    match step {
        Step::Map(lambda) | Step::Filter(lambda) | Step::FlatMap(lambda) | Step::MapValues(lambda) | Step::KeyBy(lambda) => &lambda.text,
        Step::Keys => "keys",
        Step::Values => "values",
    }
}

fn end_word(end: &End) -> Option<&str> {
    match end {
        End::Rows => None,
        End::Count => Some("count"),
        End::Sum => Some("sum"),
        End::Min => Some("min"),
        End::Max => Some("max"),
        End::Reduce(Lambda { text, .. }) | End::ReduceRuns(Lambda { text, .. }) => Some(text),
        End::Aggregate { seq, .. } | End::AggregateRuns { seq, .. } => Some(&seq.text),
    }
}
