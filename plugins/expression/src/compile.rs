//! The way from a pipeline to a component.

use crate::error::{Diagnostic, DiagnosticKind, Fault, Span};
use crate::model::{Compiled, Pipeline, Step};
use crate::{component, emit, fuse, link};

/// Stack of the thread that compiles: parsing and checking recurse as deep as the text is nested, which is bounded.
const STACK_BYTES: usize = 64 << 20;

/// Compiles a pipeline to one component of the world `lambda`.
///
/// `open` of the component answers a static plan, whatever it is asked. [`crate::End::Rows`] streams out of `process`;
/// the other ends answer empty batches there and their row from `finish`.
///
/// For [`crate::End::ReduceRuns`] and [`crate::End::AggregateRuns`] the elements that come out of the steps are pairs.
/// The host sends them sorted by key, with one top-level Boolean column behind those of the input (its index is the
/// number of input columns) that is true on the first row of each run of equal keys. The kernel folds the values of a
/// run and answers one row `value` per run, in order; a run may go on in the next batch, and the last one comes from
/// `finish`.
///
/// # Errors
/// A diagnostic that names operation, line and column. Time and memory are bounded for any text.
pub fn compile(pipeline: &Pipeline) -> Result<Compiled, Diagnostic> {
    deep(|| build(pipeline)).unwrap_or_else(|| Err(broken(pipeline, "the compiler failed")))
}

/// Runs what recurses as deep as a text is nested. None where it panicked or no thread could be started.
pub(crate) fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("lambda".to_owned()).stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, work).ok()?.join().ok()
    })
}

fn build(pipeline: &Pipeline) -> Result<Compiled, Diagnostic> {
    let program = fuse::fuse(pipeline)?;
    let kernel = emit::emit(&program).map_err(|what| broken(pipeline, what))?;
    let module = link::link(&kernel.module, kernel.data_bytes).map_err(|error| broken(pipeline, &error.to_string()))?;
    let component = component::wrap(&module).ok_or_else(|| broken(pipeline, "the module is no component"))?;
    Ok(Compiled { component, output: program.element, needs: kernel.needs })
}

/// A fault of the compiler itself: the function is refused rather than run wrongly.
fn broken(pipeline: &Pipeline, what: &str) -> Diagnostic {
    let first = pipeline.steps.iter().find_map(|step| match step {
        Step::Map(lambda) | Step::Filter(lambda) | Step::FlatMap(lambda) | Step::MapValues(lambda) | Step::KeyBy(lambda) => Some(lambda),
        Step::Keys | Step::Values => None,
    });
    let fault = Fault::new(DiagnosticKind::Unsupported, Span::default(), format!("this function cannot be compiled: {what}"));
    let fault = fault.hint("please report it; writing it in another way may help");
    match first {
        Some(lambda) => fault.place(&lambda.text, lambda.operation),
        None => fault.place("", 0),
    }
}

#[cfg(test)]
mod tests;
