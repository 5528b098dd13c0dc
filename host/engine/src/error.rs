//! What goes wrong in the engine, and the one place where DataFusion's, Arrow's and the system's errors become failures.
//! Their texts stay in the log.

use azora_spec::{Code, Failure};
use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use std::any::Any;
use std::error::Error as StdError;
use std::io;

/// A failure of the engine itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused something.
    #[error("cannot {action}")]
    Storage {
        /// What was tried, as in "make the spill directory".
        action: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Stored bytes are not what this engine wrote.
    #[error("{what} is damaged")]
    Damaged {
        /// Which bytes.
        what: &'static str,
    },
    /// A computing task panicked.
    #[error("a task ended by a panic")]
    Panicked,
    /// Something that this crate guarantees does not hold.
    #[error("a guarantee of the engine does not hold: {0}")]
    Broken(&'static str),
}

impl Error {
    pub(crate) const fn storage(action: &'static str, source: io::Error) -> Self {
        Self::Storage { action, source }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::Storage { action, source } => {
                if is_full(source) {
                    return Self::new(Code::StorageFull, format!("cannot {action}: the disk is full"));
                }
                tracing::error!(%action, error = %source, "the file system refused");
                Self::new(Code::Internal, format!("cannot {action}"))
            }
            Error::Damaged { .. } | Error::Panicked | Error::Broken(_) => {
                tracing::error!(%error, "internal failure");
                Self::new(Code::Internal, error.to_string())
            }
        }
    }
}

/// Whether a disk, a quota or a file size limit was the reason.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The failure that a caller sees for an error of DataFusion. A [`Failure`] anywhere inside it comes out unchanged.
#[must_use]
pub fn failure_of(error: DataFusionError) -> Failure {
    if let Some(failure) = inner_failure(&error) {
        return failure.clone();
    }
    let root = error.find_root();
    match root {
        DataFusionError::ResourcesExhausted(text) if text.contains("disk space") => {
            Failure::new(Code::MemoryLimit, "the job spilled more rows to disk than the server allows")
                .hint("filter or aggregate earlier, or ask the operator for a larger spill limit")
        }
        DataFusionError::ResourcesExhausted(text) => {
            tracing::info!(reason = %text, "memory limit");
            Failure::new(Code::MemoryLimit, "the job needs more memory than its context has, and cannot spill more")
                .hint("raise executorMemory in /spark/init, or lower the parallelism")
        }
        DataFusionError::ArrowError(error, _) => arrow_failure(error),
        DataFusionError::ParquetError(error) => {
            tracing::info!(%error, "parquet");
            Failure::new(Code::FileFormat, "a Parquet file is damaged or uses a feature that is not supported")
        }
        DataFusionError::ObjectStore(error) => store_failure(error),
        DataFusionError::IoError(error) => io_failure(error),
        // What functions and operators say of values: engine faults are of other kinds.
        DataFusionError::Execution(text) => {
            tracing::info!(%text, "execution");
            of_values(text)
        }
        // What a task between two operators panicked with is in its text alone.
        DataFusionError::ExecutionJoin(error) if OUTGROWN.iter().any(|text| error.to_string().ends_with(&format!("\"{text}\""))) => {
            too_large()
        }
        DataFusionError::NotImplemented(text) => {
            tracing::warn!(%text, "not implemented");
            Failure::new(Code::OperationInvalid, "an operation is not supported for elements of this type")
        }
        other => {
            tracing::error!(error = %other, "unexpected engine error");
            Failure::new(Code::Internal, "the engine failed in a way that it should not")
        }
    }
}

/// The failure for an error of Arrow.
#[must_use]
pub(crate) fn arrow_failure(error: &ArrowError) -> Failure {
    match error {
        ArrowError::ExternalError(inner) => match inner_failure(inner.as_ref()) {
            Some(failure) => failure.clone(),
            None => unexpected(error),
        },
        ArrowError::ArithmeticOverflow(_) => Failure::new(Code::LambdaOverflow, "an integer left the range of 64 bits"),
        ArrowError::DivideByZero => Failure::new(Code::ArithmeticDivision, "an integer or decimal was divided by zero"),
        ArrowError::ComputeError(text) => of_values(text),
        // A window over the value of a subquery alone leaves no column of its rows.
        ArrowError::InvalidArgumentError(text) if text.contains("must either specify a row count") => {
            Failure::new(Code::SqlUnsupported, "the engine cannot compute this without any column of the rows")
                .hint("partition or order by a column, too")
        }
        ArrowError::OffsetOverflowError(_) => too_large(),
        ArrowError::CastError(text) | ArrowError::ParseError(text) => Failure::new(Code::DataInvalid, clipped(text)),
        // A decimal is said to have left its precision by no error of its own.
        ArrowError::InvalidArgumentError(text) if text.contains("to store in a Decimal") => {
            Failure::new(Code::ArithmeticOverflow, clipped(text)).hint("give the DECIMAL more digits")
        }
        ArrowError::CsvError(text) | ArrowError::JsonError(text) => Failure::new(Code::DataInvalid, clipped(text)),
        ArrowError::IoError(_, error) => io_failure(error),
        _ => unexpected(error),
    }
}

/// The failure for a task that panicked. Arrow says only so that the values of a column outgrew its offsets.
pub(crate) fn panic_failure(payload: &(dyn Any + Send)) -> Failure {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    match text {
        Some(text) if OUTGROWN.contains(&text) => too_large(),
        _ => Error::Panicked.into(),
    }
}

/// What Arrow panics with where offsets of 32 bits do not reach.
const OUTGROWN: [&str; 3] = ["offset overflow", "byte array offset overflow", "overflow"];

/// A column outgrew its offsets.
pub(crate) fn too_large() -> Failure {
    Failure::new(Code::DataInvalid, "the values of one column in one batch are larger than 2 GiB")
        .hint("make smaller values, or leave out what is not needed before")
}

/// What a function says of values that it was called with.
fn of_values(text: &str) -> Failure {
    let text = text.lines().next().unwrap_or_default();
    let text =
        ["Execution error: ", "Compute error: ", "Arrow error: "].iter().fold(text, |text, layer| text.strip_prefix(layer).unwrap_or(text));
    // Values of the engine's own types mean nothing to a caller.
    let text = text.split(": ").next().filter(|_| text.contains(" { ")).unwrap_or(text);
    let is_overflow = text.to_lowercase().contains("overflow");
    Failure::new(if is_overflow { Code::ArithmeticOverflow } else { Code::DataInvalid }, clipped(text))
}

/// The failure for an error while reading or writing files that the caller named.
pub(crate) fn io_failure(error: &io::Error) -> Failure {
    if let Some(failure) = error.get_ref().and_then(|inner| inner_failure(inner)) {
        return failure.clone();
    }
    match error.kind() {
        _ if is_full(error) => Failure::new(Code::StorageFull, "the disk is full"),
        io::ErrorKind::NotFound => Failure::new(Code::PathMissing, "a file does not exist any more"),
        io::ErrorKind::PermissionDenied => Failure::new(Code::PathUnusable, "the server may not read or write a file"),
        _ => {
            tracing::error!(%error, "input or output failed");
            Failure::new(Code::Internal, "reading or writing a file failed")
        }
    }
}

fn store_failure(error: &object_store::Error) -> Failure {
    if let Some(failure) = inner_failure(error) {
        return failure.clone();
    }
    match error {
        object_store::Error::NotFound { .. } => Failure::new(Code::PathMissing, "a file does not exist any more"),
        _ => {
            tracing::error!(%error, "a store failed");
            Failure::new(Code::Internal, "reading a file failed")
        }
    }
}

fn unexpected(error: &ArrowError) -> Failure {
    tracing::error!(%error, "unexpected arrow error");
    Failure::new(Code::Internal, "the engine failed in a way that it should not")
}

/// Looks for a failure of ours along the chain of sources.
fn inner_failure<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Failure> {
    let mut at: Option<&'a (dyn StdError + 'static)> = Some(error);
    while let Some(error) = at {
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return Some(failure);
        }
        if let Some(DataFusionError::External(inner)) = error.downcast_ref::<DataFusionError>()
            && let Some(failure) = inner_failure(inner.as_ref())
        {
            return Some(failure);
        }
        if let Some(ArrowError::ExternalError(inner)) = error.downcast_ref::<ArrowError>()
            && let Some(failure) = inner_failure(inner.as_ref())
        {
            return Some(failure);
        }
        if let Some(DataFusionError::ArrowError(inner, _)) = error.downcast_ref::<DataFusionError>()
            && let Some(failure) = inner_failure(inner.as_ref())
        {
            return Some(failure);
        }
        at = error.source();
    }
    None
}

/// At most so much of a text that may quote the caller's data.
fn clipped(text: &str) -> String {
    const CHARACTERS_MAX: usize = 300;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, DataFusionError, Failure, failure_of, panic_failure};
    use datafusion::arrow::buffer::OffsetBuffer;
    use datafusion::arrow::error::ArrowError;

    #[test]
    fn a_failure_inside_comes_out_unchanged() {
        let failure = Failure::new(Code::LambdaThrew, "thrown").row(7);
        let external = || DataFusionError::External(Box::new(failure.clone()));
        assert_eq!(failure_of(external()), failure);
        assert_eq!(failure_of(DataFusionError::Context("while".into(), Box::new(external()))), failure);
        assert_eq!(failure_of(ArrowError::ExternalError(Box::new(failure.clone())).into()), failure);
        assert_eq!(failure_of(DataFusionError::Shared(std::sync::Arc::new(external()))), failure);
        assert_eq!(failure_of(std::io::Error::other(failure.clone()).into()), failure);
    }

    #[test]
    fn what_functions_say_of_values_is_the_callers() {
        let check = |error: ArrowError, code, message: &str| {
            let failure = failure_of(error.into());
            assert_eq!((failure.code, failure.message.as_str()), (code, message));
        };
        let text = |text: &str| ArrowError::ComputeError(text.to_owned());
        check(
            text("Execution error: cannot take square root of a negative number"),
            Code::DataInvalid,
            "cannot take square root of a negative number",
        );
        check(text("Signed integer overflow in LCM(2, 3)"), Code::ArithmeticOverflow, "Signed integer overflow in LCM(2, 3)");
        let length = "Date arithmetic overflow: 18262 + IntervalMonthDayNano { months: 999999999, days: 0, nanoseconds: 0 }";
        check(text(length), Code::ArithmeticOverflow, "Date arithmetic overflow");
    }

    #[test]
    fn columns_that_outgrow_their_offsets_are_the_callers() {
        let of = |work: fn()| panic_failure(&*std::panic::catch_unwind(work).unwrap_err());
        let large = of(|| drop(OffsetBuffer::<i32>::from_repeated_length(1 << 30, 4)));
        assert_eq!(
            (large.code, large.message.as_str()),
            (Code::DataInvalid, "the values of one column in one batch are larger than 2 GiB")
        );
        assert_eq!(of(|| drop("1".parse::<u8>().map(|one| [0][usize::from(one)]))).code, Code::Internal);
    }

    #[test]
    fn internal_text_does_not_leave() {
        let failure = failure_of(DataFusionError::Internal("/secret/path".into()));
        assert_eq!(failure.code, Code::Internal);
        assert!(!failure.message.contains("secret"));
    }
}
