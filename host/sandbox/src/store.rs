//! One guest's store: what it has used, what it may use, and why it was stopped. Nothing about columns.

use crate::capabilities::Capabilities;
use crate::engine::Engine;
use crate::error::{Error, Fault, Origin, Result};
use crate::transform::{LogLevel, LogLine};
use crate::{CancelFlag, abi, text};
use azora_spec::Secret;
use azora_spec::limits::GuestLimits;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::{PoolConcurrencyLimitError, ResourceLimiter, Store, Trap, UpdateDeadline};

/// Lifted values cost more than the buffers in them: nodes, names and the like, within this much.
const LIFT_BYTES_EXTRA: usize = 1 << 20;
/// Core instances, memories and tables of one component; the pool's own bounds are the same or lower.
const PARTS_MAX: usize = 64;
/// A log line is cut to this.
const LOG_LINE_BYTES_MAX: usize = 4 << 10;
/// What an empty line costs of the log's bound.
const LOG_LINE_BYTES_MIN: usize = 32;
/// How long one call may wait for the network in all, on top of its own time.
pub(crate) const WAIT_TIME_MAX: Duration = Duration::from_secs(60);
/// Shorter secrets are not looked for in texts: they would be found everywhere.
const SECRET_BYTES_MIN: usize = 4;

/// Why the host stopped the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    Cancelled,
    Timeout,
    HostCalls,
    /// A capability, and the part of it that was wanted.
    Denied(&'static str, String),
}

/// What the guest was refused in the current call. It traps soon after, as a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Short {
    Memory,
    Table,
}

/// The data of a store.
#[derive(Debug)]
pub(crate) struct State {
    origin: Origin,
    limits: GuestLimits,
    stack_bytes_max: usize,
    cancel: CancelFlag,
    deadline: Instant,
    stop: Option<Stop>,
    short: Option<Short>,
    memory_bytes: usize,
    table_elements: usize,
    host_calls: u64,
    log: Vec<LogLine>,
    log_bytes: usize,
    log_lines_dropped: u64,
    born: Instant,
    capabilities: Arc<Capabilities>,
    /// How long the current call waited for the network so far.
    waited: Duration,
    /// What the guest has been told, so that it can be kept out of every text of the guest's.
    secrets: Vec<Secret>,
}

/// What every instance of a component has in common.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) origin: Origin,
    pub(crate) limits: GuestLimits,
    pub(crate) stack_bytes_max: usize,
    pub(crate) capabilities: Arc<Capabilities>,
}

/// A store whose limits are armed.
pub(crate) fn new(engine: &Engine, surroundings: Surroundings, cancel: CancelFlag) -> Store<State> {
    let Surroundings { origin, limits, stack_bytes_max, capabilities } = surroundings;
    let state = State {
        origin,
        limits,
        stack_bytes_max,
        cancel,
        deadline: Instant::now(),
        stop: None,
        short: None,
        memory_bytes: 0,
        table_elements: 0,
        host_calls: 0,
        log: Vec::new(),
        log_bytes: 0,
        log_lines_dropped: 0,
        born: Instant::now(),
        capabilities,
        waited: Duration::ZERO,
        secrets: Vec::new(),
    };
    let mut store = Store::new(engine.wasm(), state);
    store.limiter(|state| state);
    store.set_hostcall_fuel(limits.output_bytes_max.saturating_add(LIFT_BYTES_EXTRA));
    store.epoch_deadline_callback(|mut context| {
        let state = context.data_mut();
        let stop = if state.cancel.is_cancelled() {
            Stop::Cancelled
        } else if Instant::now() >= state.deadline {
            Stop::Timeout
        } else {
            return Ok(UpdateDeadline::Continue(1));
        };
        state.stop = Some(stop);
        Ok(UpdateDeadline::Interrupt)
    });
    store
}

/// A name that a guest wanted is cut to this.
const WHAT_BYTES_MAX: usize = 300;

/// Starts the clock of one call.
pub(crate) fn begin(store: &mut Store<State>) -> Result<()> {
    let state = store.data_mut();
    // A short call may end before the first tick looks at the flag.
    if state.cancel.is_cancelled() {
        return Err(Error::Cancelled);
    }
    state.deadline = Instant::now() + state.limits.call_time_max;
    state.stop = None;
    state.short = None;
    state.host_calls = 0;
    state.waited = Duration::ZERO;
    store.set_epoch_deadline(1);
    Ok(())
}

/// Turns what wasmtime says after a failed call into our words.
pub(crate) fn explain(store: &Store<State>, call: &'static str, error: wasmtime::Error) -> Error {
    let state = store.data();
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return Error::Busy;
    }
    let trap = error.downcast_ref::<Trap>().copied();
    let fault = match (state.stop.as_ref(), trap, state.short) {
        (Some(Stop::Cancelled), ..) => return Error::Cancelled,
        (Some(Stop::Denied(capability, what)), ..) => return Error::Capability { capability, what: text::sanitise(what, WHAT_BYTES_MAX) },
        (Some(Stop::Timeout), ..) | (None, Some(Trap::Interrupt), _) => Fault::Timeout { limit: state.limits.call_time_max },
        (Some(Stop::HostCalls), ..) => Fault::HostCalls { limit: state.limits.host_calls_max },
        (None, Some(Trap::StackOverflow), _) => Fault::Stack { limit: state.stack_bytes_max },
        (None, _, Some(Short::Memory)) => Fault::Memory { limit: state.limits.memory_bytes_max, unit: "bytes of memory" },
        (None, _, Some(Short::Table)) => Fault::Memory { limit: state.limits.table_elements_max, unit: "table elements" },
        (None, Some(trap), None) => Fault::Trap { kind: trap_words(trap), said: state.last_error() },
        (None, None, None) if is_fuel_exhausted(&error) => Fault::OutputLimit { limit: state.limits.output_bytes_max, unit: "bytes" },
        (None, None, None) => Fault::Output { reason: "a value or a pointer that breaks the canonical ABI".to_owned() },
    };
    tracing::debug!(call, fault = %fault, error = format!("{error:#}"), "guest failed");
    Error::Guest { origin: state.origin, call, fault }
}

/// wasmtime keeps this error's type to itself; a test holds on to the text.
fn is_fuel_exhausted(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| cause.to_string().contains("fuel allocated for hostcalls has been exhausted"))
}

const fn trap_words(trap: Trap) -> &'static str {
    match trap {
        Trap::UnreachableCodeReached => "it trapped: unreachable code (a panic or an abort)",
        Trap::MemoryOutOfBounds => "it trapped: memory access out of bounds",
        Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::BadSignature => "it trapped: call of a function that is not there",
        Trap::IntegerDivisionByZero => "it trapped: division by zero",
        Trap::IntegerOverflow => "it trapped: integer overflow in a division",
        Trap::BadConversionToInteger => "it trapped: a float does not fit the integer type",
        Trap::CannotEnterComponent => "it trapped: it was entered again",
        Trap::CannotLeaveComponent => "it trapped: a call of the host from where none is allowed",
        Trap::StringOutOfBounds | Trap::ListOutOfBounds => "it trapped: a string or list out of bounds",
        _ => "it trapped",
    }
}

impl State {
    pub(crate) const fn origin(&self) -> Origin {
        self.origin
    }

    pub(crate) const fn limits(&self) -> &GuestLimits {
        &self.limits
    }

    pub(crate) const fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    pub(crate) fn log(&self) -> &[LogLine] {
        &self.log
    }

    pub(crate) const fn log_lines_dropped(&self) -> u64 {
        self.log_lines_dropped
    }

    /// Counts a call of the host; over the bound the guest is stopped.
    pub(crate) fn count_host_call(&mut self) -> wasmtime::Result<()> {
        self.host_calls += 1;
        if self.host_calls > self.limits.host_calls_max {
            return Err(self.stop(Stop::HostCalls));
        }
        Ok(())
    }

    /// Counts a call that may cost the host more than a moment, and looks at the flag and the clock: a guest that does
    /// nothing but call the host need not meet a tick.
    pub(crate) fn enter_host(&mut self) -> wasmtime::Result<()> {
        self.count_host_call()?;
        if self.cancel.is_cancelled() {
            return Err(self.stop(Stop::Cancelled));
        }
        if Instant::now() >= self.deadline {
            return Err(self.stop(Stop::Timeout));
        }
        Ok(())
    }

    /// Time for which the guest was kept waiting is not its own, within a bound.
    pub(crate) fn wait_ended(&mut self, waited: Duration) {
        self.waited += waited;
        self.deadline += waited;
    }

    /// How much longer the current call may wait.
    pub(crate) fn wait_left(&self) -> Duration {
        WAIT_TIME_MAX.saturating_sub(self.waited)
    }

    pub(crate) fn cancel_flag(&self) -> CancelFlag {
        self.cancel.clone()
    }

    pub(crate) fn capabilities(&self) -> Arc<Capabilities> {
        Arc::clone(&self.capabilities)
    }

    /// How long the instance has lived.
    pub(crate) fn age(&self) -> Duration {
        self.born.elapsed()
    }

    /// Notes a secret that the guest was told.
    pub(crate) fn told(&mut self, secret: Secret) {
        if secret.expose().len() >= SECRET_BYTES_MIN && !self.secrets.contains(&secret) {
            self.secrets.push(secret);
        }
    }

    /// A guest's text without the secrets that it was told.
    pub(crate) fn redact(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "***"))
    }

    /// Whether a text of the guest's that will be stored holds a secret.
    pub(crate) fn holds_secret(&self, text: &str) -> bool {
        self.secrets.iter().any(|secret| text.contains(secret.expose()))
    }

    /// Stops the guest from inside a host function.
    pub(crate) fn stop(&mut self, stop: Stop) -> wasmtime::Error {
        self.stop = Some(stop);
        wasmtime::Error::from(Trap::Interrupt)
    }

    /// Whether the log still takes a line.
    pub(crate) fn wants_log(&mut self) -> bool {
        let is_wanted = self.log_bytes < self.limits.log_bytes_max;
        self.log_lines_dropped += u64::from(!is_wanted);
        is_wanted
    }

    pub(crate) fn write_log(&mut self, level: abi::LogLevel, line: &str) {
        let left = self.limits.log_bytes_max.saturating_sub(self.log_bytes);
        let line = text::sanitise(&self.redact(line), LOG_LINE_BYTES_MAX.min(left));
        self.log_bytes += line.len().max(LOG_LINE_BYTES_MIN);
        tracing::debug!(target: "azora::guest", level = ?level, "{line}");
        let level = match level {
            abi::LogLevel::Trace => LogLevel::Trace,
            abi::LogLevel::Debug => LogLevel::Debug,
            abi::LogLevel::Info => LogLevel::Info,
            abi::LogLevel::Warn => LogLevel::Warn,
            abi::LogLevel::Error => LogLevel::Error,
        };
        self.log.push(LogLine { level, text: line });
    }

    fn last_error(&self) -> Option<String> {
        self.log.iter().rev().find(|line| line.level == LogLevel::Error).map(|line| line.text.clone())
    }
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_sub(current).saturating_add(desired);
        if total > self.limits.memory_bytes_max {
            self.short = Some(Short::Memory);
            return Ok(false);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_sub(current).saturating_add(desired);
        if total > self.limits.table_elements_max {
            self.short = Some(Short::Table);
            return Ok(false);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        PARTS_MAX
    }

    fn tables(&self) -> usize {
        PARTS_MAX
    }

    fn memories(&self) -> usize {
        PARTS_MAX
    }
}
