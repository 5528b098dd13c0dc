//! An aggregate bound to a schema, and the instances that hold the states of its groups. Which row belongs to which
//! group is the caller's to say.
#![expect(unsafe_code, reason = "calls with borrowed parameters, whose types were checked when the instance was made")]

use crate::abi::{self, Answer, FirstParams, GroupedParams, OpenParams};
use crate::batch::Lowered;
use crate::calls::Calls;
use crate::component::Component;
use crate::error::{Error, Fault, Result};
use crate::instance::{failed, refused, typed};
use crate::store::{self, State};
use crate::transform::{LogLine, Stats};
use crate::{CancelFlag, checked, schema};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use azora_spec::limits::GuestLimits;
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::{Func, TypedFunc};

/// An aggregate bound to an input schema and a configuration. Clones are cheap; any number of instances may run.
#[derive(Debug, Clone)]
pub struct Aggregate(Arc<Bound>);

#[derive(Debug)]
struct Bound {
    component: Component,
    function: String,
    config: String,
    limits: GuestLimits,
    /// The input in plain types, and the same as the guest sees it.
    input: SchemaRef,
    lowered: abi::Schema,
    answer: abi::AggregatePlan,
    plan: AggregatePlan,
}

/// What an aggregate makes of its groups.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregatePlan {
    /// One row is the whole state of one group.
    pub state: SchemaRef,
    /// One row is the answer for one group.
    pub result: SchemaRef,
}

impl Aggregate {
    pub(crate) fn bind(component: &Component, function: &str, input: &SchemaRef, config: &str, limits: GuestLimits) -> Result<Self> {
        let input = schema::plain_schema(input)?;
        let lowered = schema::lower(&input)?;
        let limits = component.clamp(limits);
        let mut guest = AggregateGuest::instantiate(component, limits, CancelFlag::new())?;
        let answer = guest.open(function, &lowered, config)?;
        let lift = |schema| schema::lift(schema).map_err(|reason| guest.fault("open", Fault::Output { reason }));
        let plan = AggregatePlan { state: lift(&answer.state)?, result: lift(&answer.result)? };
        let (component, function, config) = (component.clone(), function.to_owned(), config.to_owned());
        Ok(Self(Arc::new(Bound { component, function, config, limits, input, lowered, answer, plan })))
    }

    /// What binding decided.
    #[must_use]
    pub fn plan(&self) -> &AggregatePlan {
        &self.0.plan
    }

    /// A fresh instance without groups that stops when the flag is set.
    ///
    /// # Errors
    /// When the guest fails to start, or all instances are in use.
    pub fn start(&self, cancel: CancelFlag) -> Result<AggregateInstance> {
        let bound = Arc::clone(&self.0);
        let mut guest = AggregateGuest::instantiate(&bound.component, bound.limits, cancel)?;
        let answer = guest.open(&bound.function, &bound.lowered, &bound.config)?;
        if answer != bound.answer {
            return Err(guest.fault("open", Fault::Output { reason: "another plan than the one that it was bound with".to_owned() }));
        }
        Ok(AggregateInstance { guest, bound, groups: 0, calls: Calls::default() })
    }
}

/// A guest that is instantiated but not opened.
pub(crate) struct AggregateGuest {
    store: Store<State>,
    open: Func,
    update: Func,
    merge: Func,
    state: Func,
    evaluate: Func,
}

impl AggregateGuest {
    /// Instantiates and checks the types of the five functions.
    pub(crate) fn instantiate(component: &Component, limits: GuestLimits, cancel: CancelFlag) -> Result<Self> {
        let exports = component.aggregate()?;
        let (mut store, instance) = component.instantiate(limits, cancel)?;
        let mut function = |export| {
            let missing = || Error::Export { name: "azora:plugin/aggregate".to_owned(), reason: "lacks a function" };
            instance.get_func(&mut store, export).ok_or_else(missing)
        };
        let (open, update, merge) = (function(&exports.open)?, function(&exports.update)?, function(&exports.merge)?);
        let (state, evaluate) = (function(&exports.state)?, function(&exports.evaluate)?);
        typed::<OpenParams<'_>, Answer<abi::AggregatePlan>>(open, &store, "azora:plugin/aggregate#open")?;
        typed::<GroupedParams<'_>, Answer<()>>(update, &store, "azora:plugin/aggregate#update")?;
        typed::<GroupedParams<'_>, Answer<()>>(merge, &store, "azora:plugin/aggregate#merge")?;
        typed::<FirstParams, Answer<abi::BatchOut>>(state, &store, "azora:plugin/aggregate#state")?;
        typed::<FirstParams, Answer<abi::BatchOut>>(evaluate, &store, "azora:plugin/aggregate#evaluate")?;
        Ok(Self { store, open, update, merge, state, evaluate })
    }

    fn open(&mut self, function: &str, input: &abi::Schema, config: &str) -> Result<abi::AggregatePlan> {
        // SAFETY: `instantiate` checked this function against the same types; only lifetimes differ.
        let open = unsafe { TypedFunc::<OpenParams<'_>, Answer<abi::AggregatePlan>>::new_unchecked(self.open) };
        store::begin(&mut self.store)?;
        let (answer,) =
            open.call(&mut self.store, (function, input, config)).map_err(|error| store::explain(&self.store, "open", error))?;
        answer.map_err(|failure| refused(&self.store, failure))
    }

    fn hand_in(&mut self, call: &'static str, function: Func, lowered: &Lowered, groups: &[u32], total: u32) -> Result<()> {
        // SAFETY: `instantiate` checked both functions that come here against the same types; only lifetimes differ.
        let function = unsafe { TypedFunc::<GroupedParams<'_>, Answer<()>>::new_unchecked(function) };
        store::begin(&mut self.store)?;
        let buffers = lowered.slices();
        let batch = abi::BatchIn { rows: groups.len() as u64, nodes: &lowered.nodes, buffers: &buffers };
        let (answer,) = function.call(&mut self.store, (batch, groups, total)).map_err(|error| store::explain(&self.store, call, error))?;
        answer.map_err(|failure| failed(&self.store, call, failure))
    }

    fn hand_out(&mut self, call: &'static str, function: Func, first: Option<u32>) -> Result<abi::BatchOut> {
        // SAFETY: `instantiate` checked both functions that come here against the same types.
        let function = unsafe { TypedFunc::<FirstParams, Answer<abi::BatchOut>>::new_unchecked(function) };
        store::begin(&mut self.store)?;
        let (answer,) = function.call(&mut self.store, (first,)).map_err(|error| store::explain(&self.store, call, error))?;
        answer.map_err(|failure| failed(&self.store, call, failure))
    }

    fn fault(&self, call: &'static str, fault: Fault) -> Error {
        Error::Guest { origin: self.store.data().origin(), call, fault }
    }
}

/// A living aggregate: the states of its groups, which are numbered densely from 0. Calls block the thread and use the
/// processor. After an error the instance is dead: later calls fail without entering the guest.
pub struct AggregateInstance {
    guest: AggregateGuest,
    bound: Arc<Bound>,
    groups: u32,
    calls: Calls,
}

impl std::fmt::Debug for AggregateInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AggregateInstance").field("function", &self.bound.function).field("groups", &self.groups).finish_non_exhaustive()
    }
}

impl AggregateInstance {
    /// Adds rows to their groups: one entry of `groups` for each row, each below `total_groups`. Groups that were not
    /// there start empty.
    ///
    /// # Errors
    /// When the guest fails, or `groups` does not fit the batch.
    pub fn update(&mut self, batch: &RecordBatch, groups: &[u32], total_groups: u32) -> Result<()> {
        let input = Arc::clone(&self.bound.input);
        self.hand_in("update", self.guest.update, (batch, &input), groups, total_groups)
    }

    /// Adds states of other instances to their groups, as [`Self::update`] adds rows.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub fn merge(&mut self, states: &RecordBatch, groups: &[u32], total_groups: u32) -> Result<()> {
        let state = Arc::clone(&self.bound.plan.state);
        self.hand_in("merge", self.guest.merge, (states, &state), groups, total_groups)
    }

    /// Takes the states of the first groups, or of all; the rest move down.
    ///
    /// # Errors
    /// When the guest fails, or answers another number of rows than there are groups.
    pub fn state(&mut self, first: Option<u32>) -> Result<RecordBatch> {
        let schema = Arc::clone(&self.bound.plan.state);
        self.hand_out("state", self.guest.state, &schema, first)
    }

    /// Takes the answers of the first groups, or of all; the rest move down.
    ///
    /// # Errors
    /// As [`Self::state`].
    pub fn evaluate(&mut self, first: Option<u32>) -> Result<RecordBatch> {
        let schema = Arc::clone(&self.bound.plan.result);
        self.hand_out("evaluate", self.guest.evaluate, &schema, first)
    }

    /// What the instance used so far. Its memory is what the states take.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.calls.stats(self.guest.store.data())
    }

    /// What the guest logged, oldest first, within its bound.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        self.guest.store.data().log()
    }

    fn hand_in(
        &mut self,
        call: &'static str,
        function: Func,
        (batch, schema): (&RecordBatch, &SchemaRef),
        groups: &[u32],
        total_groups: u32,
    ) -> Result<()> {
        // The largest and not "all below": that one becomes vector instructions.
        let are_below = groups.iter().fold(0, |largest, &group| largest.max(group)) < total_groups || groups.is_empty();
        let is_fitting = groups.len() == batch.num_rows() && total_groups >= self.groups && are_below;
        if !is_fitting {
            return Err(Error::Input { reason: "groups that do not fit the rows".to_owned() });
        }
        let lowered = Lowered::of(batch, schema)?;
        self.calls.hand_in(batch.num_rows(), lowered.bytes());
        self.calls.run(|_| self.guest.hand_in(call, function, &lowered, groups, total_groups))?;
        self.groups = total_groups;
        Ok(())
    }

    fn hand_out(&mut self, call: &'static str, function: Func, schema: &SchemaRef, first: Option<u32>) -> Result<RecordBatch> {
        let due = first.map_or(self.groups, |first| first.min(self.groups));
        let (guest, groups) = (&mut self.guest, &mut self.groups);
        self.calls.run(|stats| {
            let batch = guest.hand_out(call, function, first.map(|_| due))?;
            stats.bytes_out += checked::bytes(&batch) as u64;
            let batch = checked::batch(schema, batch, guest.store.data().limits()).map_err(|fault| guest.fault(call, fault))?;
            if batch.num_rows() != due as usize {
                let reason = format!("{} rows for {due} groups", batch.num_rows());
                return Err(guest.fault(call, Fault::Output { reason }));
            }
            stats.rows_out += u64::from(due);
            *groups -= due;
            Ok(batch)
        })
    }
}
