//! Aggregates: one state per group, kept as a column of structs between machines. How the host calls them is in
//! `plugin.rs`.
#![expect(unsafe_code, reason = "memory is read ahead of its use, which safe code cannot ask for")]

use crate::array::Batch;
use crate::binding::{Arguments, Binding, Param};
use crate::bindings::azora::plugin::batch_types as wire;
use crate::failure::{Failure, Result};
use crate::function::Declaration;
use crate::read::Read;
use crate::rows::{self, Output};
use crate::schema::{Field, Schema};
use crate::validity::Validity;
use crate::write::{CHUNK, Write, result_schema};
use std::vec::IntoIter;

/// States of more bytes than that are further away than the nearest caches.
const NEAR_BYTES: usize = 512 << 10;

/// A function of groups. Made by `#[aggregate]`.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a plugin aggregate", note = "put #[aggregate] on the impl block of its state")]
pub trait Aggregate {
    /// Its name in jobs.
    const NAME: &'static str;

    /// Its declaration.
    fn declare() -> Declaration;

    /// Binds it to columns and a configuration.
    ///
    /// # Errors
    /// A refusal that says what does not fit.
    fn open(input: &Schema, config: &str) -> Result<OpenedAggregate>;
}

/// An aggregate bound to columns.
pub struct OpenedAggregate {
    pub(crate) state: Schema,
    pub(crate) result: Schema,
    groups: Box<dyn Groups>,
}

impl std::fmt::Debug for OpenedAggregate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedAggregate").field("state", &self.state).field("result", &self.result).finish_non_exhaustive()
    }
}

trait Groups {
    fn update(&mut self, batch: &wire::RecordBatch, groups: &[u32], total: u32) -> Result<()>;
    fn merge(&mut self, states: &wire::RecordBatch, groups: &[u32], total: u32) -> Result<()>;
    fn state(&mut self, first: Option<u32>) -> Result<Output>;
    fn evaluate(&mut self, first: Option<u32>) -> Result<Output>;
}

struct States<S, U, M, F> {
    /// All columns that come in: an aggregate cannot choose.
    input: Vec<Field>,
    binding: Binding,
    merging: Binding,
    states: Vec<S>,
    /// While groups are handed out, their states in place of the above.
    leaving: Option<IntoIter<S>>,
    update: U,
    merge: M,
    finish: F,
}

impl OpenedAggregate {
    /// An aggregate with a state of type `S`. `update` gets the states, the arguments and each row's group; `merge` the
    /// same with states of others for arguments, and `finish` makes a state's answer.
    ///
    /// # Errors
    /// An internal failure where the state cannot be read back from its own columns.
    pub fn new<S, T, U, M, F>(input: &Schema, binding: Binding, update: U, merge: M, mut finish: F) -> Result<Self>
    where
        S: Default + Write + for<'a> Read<'a> + 'static,
        T: Write,
        U: FnMut(&mut [S], &Arguments<'_>, &[u32]) -> Result<()> + 'static,
        M: FnMut(&mut [S], &Arguments<'_>, &[u32]) -> Result<()> + 'static,
        F: FnMut(S) -> Result<T> + 'static,
    {
        let state = result_schema::<S>(false);
        let result = result_schema::<T>(false);
        let merging = Binding::new(&state, &[Param::of::<S>("state")])?;
        let finish = move |states: Vec<S>| {
            let mut states = states.into_iter();
            let live = Validity::all(states.len());
            rows::map(
                &live,
                false,
                false,
                |_| (),
                |()| match states.next() {
                    Some(state) => finish(state),
                    None => Err(Failure::internal("a state was taken twice")),
                },
            )
        };
        let groups = States { input: input.fields.clone(), binding, merging, states: Vec::new(), leaving: None, update, merge, finish };
        Ok(Self { state, result, groups: Box::new(groups) })
    }

    pub(crate) fn update(&mut self, batch: &wire::RecordBatch, groups: &[u32], total: u32) -> Result<()> {
        self.groups.update(batch, groups, total)
    }

    pub(crate) fn merge(&mut self, states: &wire::RecordBatch, groups: &[u32], total: u32) -> Result<()> {
        self.groups.merge(states, groups, total)
    }

    pub(crate) fn state(&mut self, first: Option<u32>) -> Result<Output> {
        self.groups.state(first)
    }

    pub(crate) fn evaluate(&mut self, first: Option<u32>) -> Result<Output> {
        self.groups.evaluate(first)
    }
}

impl<S: Default, U, M, F> States<S, U, M, F> {
    /// Makes room for new groups; after it every group of the call has a state.
    fn grow(&mut self, rows: usize, groups: &[u32], total: u32) -> Result<()> {
        if groups.len() != rows {
            return Err(Failure::internal(format!("{} groups were given for {rows} rows", groups.len())));
        }
        // Over pieces whose size is known the compiler makes vectors of it, and the sandbox looks at its clock once for each.
        let (pieces, rest) = groups.as_chunks::<CHUNK>();
        let largest = pieces.iter().map(|piece| piece.iter().fold(0, |largest, &group| group.max(largest)));
        let largest = largest.chain(rest.iter().copied()).max().unwrap_or_default();
        if largest >= total && rows > 0 {
            return Err(Failure::internal(format!("group {largest} is not below {total}")));
        }
        if let Some(leaving) = self.leaving.take() {
            self.states = leaving.collect();
        }
        if self.states.len() < total as usize {
            self.states.resize_with(total as usize, S::default);
        }
        Ok(())
    }

    /// Those that stay are not moved down until there are rows again: the host takes them piece by piece.
    fn take(&mut self, first: Option<u32>) -> Vec<S> {
        let leaving = self.leaving.get_or_insert_with(|| std::mem::take(&mut self.states).into_iter());
        let count = first.map_or(usize::MAX, |first| first as usize);
        leaving.by_ref().take(count).collect()
    }
}

impl<S, U, M, F> Groups for States<S, U, M, F>
where
    S: Default + Write,
    U: FnMut(&mut [S], &Arguments<'_>, &[u32]) -> Result<()>,
    M: FnMut(&mut [S], &Arguments<'_>, &[u32]) -> Result<()>,
    F: FnMut(Vec<S>) -> Result<Output>,
{
    fn update(&mut self, batch: &wire::RecordBatch, groups: &[u32], total: u32) -> Result<()> {
        self.grow(batch.rows as usize, groups, total)?;
        let batch = Batch::new(batch, &self.input)?.select(&self.binding.needs)?;
        (self.update)(&mut self.states, &Arguments::new(&self.binding, &batch), groups)
    }

    fn merge(&mut self, states: &wire::RecordBatch, groups: &[u32], total: u32) -> Result<()> {
        self.grow(states.rows as usize, groups, total)?;
        let batch = Batch::new(states, &self.merging.fields)?;
        (self.merge)(&mut self.states, &Arguments::new(&self.merging, &batch), groups)
    }

    fn state(&mut self, first: Option<u32>) -> Result<Output> {
        let mut states = self.take(first).into_iter();
        let live = Validity::all(states.len());
        rows::map(&live, false, false, |_| (), |()| states.next().ok_or_else(|| Failure::internal("a state was taken twice")))
    }

    fn evaluate(&mut self, first: Option<u32>) -> Result<Output> {
        let states = self.take(first);
        (self.finish)(states)
    }
}

/// Adds the live rows to the states of their groups.
///
/// # Errors
/// The function's, with the row.
#[inline]
pub fn update<S>(live: &Validity<'_>, states: &mut [S], groups: &[u32], mut call: impl FnMut(&mut S, usize) -> Result<()>) -> Result<()> {
    let is_far = size_of_val(states) > NEAR_BYTES;
    for (at, groups) in groups.chunks(CHUNK).enumerate() {
        if is_far {
            fetch(states, groups);
        }
        update_piece(live, states, groups, at * CHUNK, &mut call)?;
    }
    Ok(())
}

/// It is no part of the loop around it, so that what it needs stays in registers; and it calls in one place only, so
/// that the call becomes a part of it.
#[inline(never)]
fn update_piece<S>(
    live: &Validity<'_>,
    states: &mut [S],
    groups: &[u32],
    start: usize,
    call: &mut impl FnMut(&mut S, usize) -> Result<()>,
) -> Result<()> {
    let is_all = live.is_all();
    for (row, &group) in (start..).zip(groups) {
        if is_all || live.is_valid(row) {
            call(&mut states[group as usize], row).map_err(|failure| failure.at_row(row))?;
        }
    }
    Ok(())
}

/// Looks at states that are wanted soon. Where they are far, loads that wait for nothing wait for each other's memory at
/// the same time; an update is so much code that few of them do.
#[inline(never)]
fn fetch<S>(states: &[S], groups: &[u32]) {
    for &group in groups {
        if let Some(state) = states.get(group as usize) {
            // SAFETY: the state is there, and whatever its first byte is, nobody looks at it.
            unsafe { std::ptr::from_ref(state).cast::<std::mem::MaybeUninit<u8>>().read_volatile() };
        }
    }
}
