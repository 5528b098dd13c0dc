//! A living guest: instantiate, open, process, finish. Compilation and linking happened before.
#![expect(unsafe_code, reason = "calls with borrowed parameters, whose types were checked when the instance was made")]

use crate::abi::{self, Answer, OpenParams, ProcessParams};
use crate::batch::Lowered;
use crate::calls::Calls;
use crate::component::Component;
use crate::error::{Error, Fault, GuestCode, Result};
use crate::store::{self, State};
use crate::transform::{Bound, LogLine, Plan, Processed, Stats};
use crate::{CancelFlag, checked, text};
use arrow::array::RecordBatch;
use azora_spec::limits::GuestLimits;
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Func, Lift, Lower, TypedFunc};

/// A guest's own message is cut to this.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// A guest that is instantiated but not opened.
pub(crate) struct Guest {
    store: Store<State>,
    open: Func,
    process: Func,
    finish: Func,
}

/// A living guest: the state of one partition. Calls block the thread and use the processor. After an error the instance
/// is dead: later calls fail without entering the guest.
pub struct Instance {
    guest: Guest,
    bound: Arc<Bound>,
    calls: Calls,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("function", &self.bound.function).field("calls", &self.calls).finish_non_exhaustive()
    }
}

impl Guest {
    /// Instantiates and checks the types of the three functions.
    pub(crate) fn instantiate(component: &Component, limits: GuestLimits, cancel: CancelFlag) -> Result<Self> {
        let (mut store, instance) = component.instantiate(limits, cancel)?;
        let exports = component.transform()?;
        let mut function = |export| {
            let missing = || Error::Export { name: "azora:plugin/transform".to_owned(), reason: "lacks a function" };
            instance.get_func(&mut store, export).ok_or_else(missing)
        };
        let (open, process, finish) = (function(&exports.open)?, function(&exports.process)?, function(&exports.finish)?);
        typed::<OpenParams<'_>, Answer<abi::Plan>>(open, &store, "azora:plugin/transform#open")?;
        typed::<ProcessParams<'_>, Answer<abi::Output>>(process, &store, "azora:plugin/transform#process")?;
        typed::<(), Answer<Option<abi::BatchOut>>>(finish, &store, "azora:plugin/transform#finish")?;
        Ok(Self { store, open, process, finish })
    }

    pub(crate) fn open(&mut self, function: &str, input: &abi::Schema, config: &str) -> Result<abi::Plan> {
        // SAFETY: `instantiate` checked this function against the same types; only lifetimes differ.
        let open = unsafe { TypedFunc::<OpenParams<'_>, Answer<abi::Plan>>::new_unchecked(self.open) };
        store::begin(&mut self.store)?;
        let (answer,) = open.call(&mut self.store, (function, input, config)).map_err(|error| self.explain("open", error))?;
        answer.map_err(|failure| refused(&self.store, failure))
    }

    fn process(&mut self, lowered: &Lowered, rows: usize) -> Result<abi::Output> {
        // SAFETY: `instantiate` checked this function against the same types; only lifetimes differ.
        let process = unsafe { TypedFunc::<ProcessParams<'_>, Answer<abi::Output>>::new_unchecked(self.process) };
        store::begin(&mut self.store)?;
        let buffers = lowered.slices();
        let batch = abi::BatchIn { rows: rows as u64, nodes: &lowered.nodes, buffers: &buffers };
        let (answer,) = process.call(&mut self.store, (batch,)).map_err(|error| self.explain("process", error))?;
        answer.map_err(|failure| failed(&self.store, "process", failure))
    }

    fn finish(&mut self) -> Result<Option<abi::BatchOut>> {
        // SAFETY: `instantiate` checked this function against the same types.
        let finish = unsafe { TypedFunc::<(), Answer<Option<abi::BatchOut>>>::new_unchecked(self.finish) };
        store::begin(&mut self.store)?;
        let (answer,) = finish.call(&mut self.store, ()).map_err(|error| self.explain("finish", error))?;
        answer.map_err(|failure| failed(&self.store, "finish", failure))
    }

    /// What the guest made, as the plan has it.
    fn checked(&self, call: &'static str, batch: abi::BatchOut, plan: &Plan, stats: &mut Stats) -> Result<RecordBatch> {
        stats.bytes_out += checked::bytes(&batch) as u64;
        let made = checked::batch(&plan.made, batch, self.store.data().limits()).map_err(|fault| self.fault(call, fault))?;
        stats.rows_out += made.num_rows() as u64;
        Ok(made)
    }

    fn explain(&self, call: &'static str, error: wasmtime::Error) -> Error {
        store::explain(&self.store, call, error)
    }

    fn fault(&self, call: &'static str, fault: Fault) -> Error {
        Error::Guest { origin: self.store.data().origin(), call, fault }
    }
}

/// Checks a function's type once; calls then go unchecked.
pub(crate) fn typed<P, R>(function: Func, store: &Store<State>, name: &'static str) -> Result<TypedFunc<P, R>>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    function.typed::<P, R>(store).map_err(|error| {
        tracing::debug!(name, error = format!("{error:#}"), "export of another type");
        Error::Export { name: name.to_owned(), reason: "has another type than the contract's" }
    })
}

/// What `open` said, where it said no.
pub(crate) fn refused(store: &Store<State>, failure: abi::Failure) -> Error {
    refused_in(store, "open", failure)
}

/// The same of another call that binds.
pub(crate) fn refused_in(store: &Store<State>, call: &'static str, failure: abi::Failure) -> Error {
    let (code, message, _) = guest_words(store.data(), failure);
    Error::Guest { origin: store.data().origin(), call, fault: Fault::Refused { code, message } }
}

/// What another call said, where it failed.
pub(crate) fn failed(store: &Store<State>, call: &'static str, failure: abi::Failure) -> Error {
    let (code, message, row) = guest_words(store.data(), failure);
    Error::Guest { origin: store.data().origin(), call, fault: Fault::Failed { code, message, row } }
}

fn guest_words(state: &State, failure: abi::Failure) -> (GuestCode, String, Option<u64>) {
    let code = match failure.code {
        abi::FailureCode::InvalidInput => GuestCode::InvalidInput,
        abi::FailureCode::Unsupported => GuestCode::Unsupported,
        abi::FailureCode::Overflow => GuestCode::Overflow,
        abi::FailureCode::User => GuestCode::User,
        abi::FailureCode::Internal => GuestCode::Internal,
        abi::FailureCode::Retryable => GuestCode::Retryable,
    };
    (code, text::sanitise(&state.redact(&failure.message), MESSAGE_BYTES_MAX), failure.row)
}

impl Instance {
    /// Opens a fresh guest as the binding did and demands the same plan.
    pub(crate) fn start(bound: Arc<Bound>, cancel: CancelFlag) -> Result<Self> {
        let mut guest = Guest::instantiate(&bound.component, bound.limits, cancel)?;
        let answer = guest.open(&bound.function, &bound.input, &bound.config)?;
        if answer != bound.answer {
            return Err(guest.fault("open", Fault::Output { reason: "another plan than the one that it was bound with".to_owned() }));
        }
        Ok(Self { guest, bound, calls: Calls::default() })
    }

    /// Hands in the needed columns of one batch, in the plan's order.
    ///
    /// # Errors
    /// When the guest fails, or the columns are not those of the plan.
    pub fn process(&mut self, needed: &RecordBatch) -> Result<Processed> {
        let lowered = Lowered::of(needed, &self.bound.needed)?;
        let rows = needed.num_rows();
        self.calls.hand_in(rows, lowered.bytes());
        let (guest, plan) = (&mut self.guest, &self.bound.plan);
        self.calls.run(|stats| {
            let output = guest.process(&lowered, rows)?;
            let made = guest.checked("process", output.batch, plan, stats)?;
            let kept = checked::kept(output.kept, rows, made.num_rows(), plan.is_passing());
            let kept = kept.map_err(|fault| guest.fault("process", fault))?;
            Ok(Processed { made, kept })
        })
    }

    /// Ends the partition and gives the rows that were held back.
    ///
    /// # Errors
    /// As [`Self::process`].
    pub fn finish(&mut self) -> Result<Option<RecordBatch>> {
        let (guest, plan) = (&mut self.guest, &self.bound.plan);
        self.calls.run(|stats| {
            let Some(batch) = guest.finish()? else { return Ok(None) };
            if plan.is_passing() {
                let reason = "rows from finish, though its plan passes columns".to_owned();
                return Err(guest.fault("finish", Fault::Output { reason }));
            }
            guest.checked("finish", batch, plan, stats).map(Some)
        })
    }

    /// What the instance used so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.calls.stats(self.guest.store.data())
    }

    /// What the guest logged, oldest first, within its bound.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        self.guest.store.data().log()
    }
}
