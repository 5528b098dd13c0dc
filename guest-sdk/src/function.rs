//! What the macros make of a function: its declaration, and how it is opened. How the host calls it is in `plugin.rs`.

use crate::array::Batch;
use crate::binding::{Arguments, Binding, Param, declared};
use crate::bindings::azora::plugin::batch_types as wire;
use crate::failure::Result;
use crate::rows::Output;
use crate::schema::{Field, Schema};

/// What a function does with rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One row for each.
    Map,
    /// Keeps some.
    Filter,
    /// Any number for each.
    FlatMap,
    /// Any number for a partition.
    MapPartitions,
    /// One for a group.
    Aggregate,
}

/// What `describe` says about a function.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// Its name in jobs.
    pub name: String,
    /// What it does with rows.
    pub kind: Kind,
    /// Markdown, from the `///` comments.
    pub doc: String,
    /// The columns that it takes.
    pub params: Vec<Field>,
    /// The columns that it makes.
    pub output: Schema,
    /// JSON Schema of its configuration; empty where it takes none.
    pub config_schema: String,
}

impl Declaration {
    #[doc(hidden)]
    #[must_use]
    pub fn new(name: &str, kind: Kind, doc: &str, params: &[Param], output: Schema, config_schema: String) -> Self {
        Self { name: name.to_owned(), kind, doc: doc.to_owned(), params: declared(params), output, config_schema }
    }
}

/// A function of rows. Made by `#[map]`, `#[filter]`, `#[flat_map]` and `#[map_partitions]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a plugin function",
    note = "put #[map], #[filter] or #[flat_map] on a function, or #[map_partitions] on the impl block of a type"
)]
pub trait Function {
    /// Its name in jobs.
    const NAME: &'static str;

    /// Its declaration.
    fn declare() -> Declaration;

    /// Binds it to columns and a configuration.
    ///
    /// # Errors
    /// A refusal that says what does not fit.
    fn open(input: &Schema, config: &str) -> Result<Opened>;
}

/// A function bound to columns, ready for batches.
pub struct Opened {
    pub(crate) binding: Binding,
    pub(crate) made: Schema,
    /// A filter makes nothing and passes every column.
    pub(crate) passes: Vec<Field>,
    run: Box<dyn Run>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("binding", &self.binding).field("made", &self.made).finish_non_exhaustive()
    }
}

trait Run {
    fn process(&mut self, arguments: &Arguments<'_>) -> Result<Output>;
    fn finish(&mut self) -> Result<Option<Output>>;
}

struct Stateful<S, P, F> {
    state: S,
    process: P,
    finish: F,
}

impl<S, P, F> Run for Stateful<S, P, F>
where
    P: FnMut(&mut S, &Arguments<'_>) -> Result<Output>,
    F: FnMut(&mut S) -> Result<Option<Output>>,
{
    fn process(&mut self, arguments: &Arguments<'_>) -> Result<Output> {
        (self.process)(&mut self.state, arguments)
    }

    fn finish(&mut self) -> Result<Option<Output>> {
        (self.finish)(&mut self.state)
    }
}

impl Opened {
    /// A function that makes columns.
    pub fn making(binding: Binding, made: Schema, mut process: impl FnMut(&Arguments<'_>) -> Result<Output> + 'static) -> Self {
        Self::stateful(binding, made, (), move |(), arguments| process(arguments), |()| Ok(None))
    }

    /// A function that drops rows of this input.
    pub fn dropping(binding: Binding, input: &Schema, mut process: impl FnMut(&Arguments<'_>) -> Result<Output> + 'static) -> Self {
        // The columns stay what they were, and so does the kind of element that they make.
        let made = Schema { fields: Vec::new(), metadata: input.metadata.clone() };
        let opened = Self::stateful(binding, made, (), move |(), arguments| process(arguments), |()| Ok(None));
        Self { passes: input.fields.clone(), ..opened }
    }

    /// A function that remembers something between batches.
    pub fn stateful<S: 'static>(
        binding: Binding,
        made: Schema,
        state: S,
        process: impl FnMut(&mut S, &Arguments<'_>) -> Result<Output> + 'static,
        finish: impl FnMut(&mut S) -> Result<Option<Output>> + 'static,
    ) -> Self {
        Self { binding, made, passes: Vec::new(), run: Box::new(Stateful { state, process, finish }) }
    }

    pub(crate) fn process(&mut self, batch: &wire::RecordBatch) -> Result<Output> {
        let batch = Batch::new(batch, &self.binding.fields)?;
        self.run.process(&Arguments::new(&self.binding, &batch))
    }

    pub(crate) fn finish(&mut self) -> Result<Option<Output>> {
        self.run.finish()
    }
}
