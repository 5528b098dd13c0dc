//! Aggregates: one state per group, kept as a column of structs between machines. How the host calls them is in
//! `plugin.rs`.

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

struct States<S, U, R, M, F> {
    /// All columns that come in: an aggregate cannot choose.
    input: Vec<Field>,
    binding: Binding,
    merging: Binding,
    states: Vec<S>,
    update: U,
    read: R,
    merge: M,
    finish: F,
}

impl OpenedAggregate {
    /// An aggregate with a state of type `S`. `update` gets the states, the arguments and each row's group; `read`
    /// takes states out of their columns, and `finish` makes a state's answer.
    ///
    /// # Errors
    /// An internal failure where the state cannot be read back from its own columns.
    pub fn new<S, T, U, R, M, F>(input: &Schema, binding: Binding, update: U, read: R, merge: M, mut finish: F) -> Result<Self>
    where
        S: Default + Write + for<'a> Read<'a> + 'static,
        T: Write,
        U: FnMut(&mut [S], &Arguments<'_>, &[u32]) -> Result<()> + 'static,
        R: FnMut(&Arguments<'_>) -> Result<Vec<Option<S>>> + 'static,
        M: FnMut(&mut S, S) -> Result<()> + 'static,
        F: FnMut(S) -> Result<T> + 'static,
    {
        let state = result_schema::<S>(false);
        let result = result_schema::<T>(false);
        let merging = Binding::new(&state, &[Param::of::<S>("state")])?;
        let finish = move |states: Vec<S>| {
            let mut states = states.into_iter();
            let live = Validity::all(states.len());
            rows::map(&live, false, |_| match states.next() {
                Some(state) => finish(state),
                None => Err(Failure::internal("a state was taken twice")),
            })
        };
        let groups = States { input: input.fields.clone(), binding, merging, states: Vec::new(), update, read, merge, finish };
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

impl<S: Default, U, R, M, F> States<S, U, R, M, F> {
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
        if self.states.len() < total as usize {
            self.states.resize_with(total as usize, S::default);
        }
        Ok(())
    }

    fn take(&mut self, first: Option<u32>) -> Vec<S> {
        let count = first.map_or(self.states.len(), |first| self.states.len().min(first as usize));
        self.states.drain(..count).collect()
    }
}

impl<S, U, R, M, F> Groups for States<S, U, R, M, F>
where
    S: Default + Write,
    U: FnMut(&mut [S], &Arguments<'_>, &[u32]) -> Result<()>,
    R: FnMut(&Arguments<'_>) -> Result<Vec<Option<S>>>,
    M: FnMut(&mut S, S) -> Result<()>,
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
        let others = (self.read)(&Arguments::new(&self.merging, &batch))?;
        for (other, &group) in others.into_iter().zip(groups) {
            if let Some(other) = other {
                (self.merge)(&mut self.states[group as usize], other)?;
            }
        }
        Ok(())
    }

    fn state(&mut self, first: Option<u32>) -> Result<Output> {
        let mut states = self.take(first).into_iter();
        let live = Validity::all(states.len());
        rows::map(&live, false, |_| states.next().ok_or_else(|| Failure::internal("a state was taken twice")))
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
    let mut each = |row: usize| call(&mut states[groups[row] as usize], row).map_err(|failure| failure.at_row(row));
    if live.is_all() {
        return rows::for_each(groups.len(), each);
    }
    rows::for_each(groups.len(), |row| if live.is_valid(row) { each(row) } else { Ok(()) })
}
