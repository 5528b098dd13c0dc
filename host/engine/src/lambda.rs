//! Lambdas to bound components: Arrow schemas as the expression compiler's types and back, compiling, binding, and the
//! cache that makes a warm job cheap. Which operations become one lambda is decided in `fuse`.

mod types;

pub(crate) use types::element;

use crate::node::{Kernel, KernelSource};
use azora_expression::{Compiled, Diagnostic, DiagnosticKind, End, Lambda, Pipeline, Step};
use azora_sandbox::{Origin, Sandbox};
use azora_spec::limits::GuestLimits;
use azora_spec::{Code, Digest, Failure, Position};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lru::LruCache;
use parking_lot::Mutex;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Bound lambdas that one engine keeps.
const LAMBDAS_MAX: NonZeroUsize = match NonZeroUsize::new(1024) {
    Some(max) => max,
    None => NonZeroUsize::MIN,
};
/// The column that marks the first row of each run, behind the pair's columns.
pub(crate) const START: &str = "__start";
/// Characters of lambdas that `EXPLAIN` shows.
const LABEL_CHARACTERS_MAX: usize = 160;

/// What decides whether two lambdas are the same. Positions in the job are not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    pipeline: Pipeline,
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
}

impl Default for Lambdas {
    fn default() -> Self {
        Self { kernels: Mutex::new(LruCache::new(LAMBDAS_MAX)) }
    }
}

impl Lambdas {
    /// The kernel of a pipeline. Its lambdas are numbered from 0 (`Lambda::operation`), so that equal pipelines of
    /// different jobs are equal; a diagnostic says the number.
    pub(crate) fn bind(&self, sandbox: &Sandbox, pipeline: Pipeline, limits: GuestLimits) -> Result<Arc<Kernel>, Refused> {
        let key = Key {
            pipeline,
            memory_bytes_max: limits.memory_bytes_max,
            table_elements_max: limits.table_elements_max,
            call_time_max: limits.call_time_max,
            output_rows_max: limits.output_rows_max,
            output_bytes_max: limits.output_bytes_max,
        };
        if let Some(kernel) = self.kernels.lock().get(&key) {
            return Ok(Arc::clone(kernel));
        }
        let started = std::time::Instant::now();
        let kernel = Arc::new(compile(sandbox, &key.pipeline, limits)?);
        tracing::debug!(lambda = %kernel.source.label, micros = started.elapsed().as_micros(), "lambda compiled");
        self.kernels.lock().put(key, Arc::clone(&kernel));
        Ok(kernel)
    }
}

/// Why a pipeline has no kernel.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The lambda is at fault.
    Diagnostic(Diagnostic),
    /// Something else is.
    Failure(Failure),
}

impl From<azora_sandbox::Error> for Refused {
    fn from(error: azora_sandbox::Error) -> Self {
        Self::Failure(error.into())
    }
}

impl Refused {
    /// The failure that the caller gets; `pointers` says where each numbered lambda stands in the request.
    pub(crate) fn at(self, pointers: &[String]) -> Failure {
        match self {
            Self::Failure(failure) => match pointers {
                [pointer] if failure.pointer.is_none() => failure.at(pointer),
                _ => failure,
            },
            Self::Diagnostic(diagnostic) => {
                let code = match diagnostic.kind {
                    DiagnosticKind::Syntax => Code::LambdaSyntax,
                    DiagnosticKind::Type => Code::LambdaType,
                    DiagnosticKind::UnknownName => Code::LambdaUnknownName,
                    DiagnosticKind::Unsupported => Code::LambdaUnsupported,
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
    let bound = bound_schema(pipeline);
    let transform = sandbox.lambda(&component)?.bind("", &bound, "{}", limits)?;
    let source = KernelSource {
        origin: Origin::Lambda,
        digest: Digest::of(&component),
        function: String::new(),
        config: "{}".to_owned(),
        label: label(pipeline),
    };
    Kernel::new(source, limits, bound, transform).map_err(|error| Refused::Failure(crate::failure_of(error)))
}

/// The columns that a pipeline's component is bound to.
fn bound_schema(pipeline: &Pipeline) -> SchemaRef {
    let mut fields: Vec<Field> = pipeline.input.fields().iter().map(types::field).collect();
    if matches!(pipeline.end, End::ReduceRuns(_) | End::AggregateRuns { .. }) {
        fields.push(Field::new(START, DataType::Boolean, false));
    }
    Arc::new(Schema::new(fields))
}

/// The pipeline in a line, for people.
fn label(pipeline: &Pipeline) -> String {
    let mut words: Vec<&str> = pipeline.steps.iter().map(step_word).collect();
    words.extend(end_word(&pipeline.end));
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
