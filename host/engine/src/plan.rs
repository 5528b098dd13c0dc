//! Operations to plan nodes: what each RDD operation means, in which order its rows come, and how its answer is shaped.
//! What the nodes do lives in `node`, which lambdas become one kernel in `fuse`.
//!
//! Order: rows keep the order of the input through every operation that Spark keeps it through. Where Spark promises
//! none (operations by key, `distinct`, `countByValue`), rows come in ascending order of their key or value, nulls last,
//! unless only operations follow to which order means nothing.

mod aggregate;
mod combine;
mod frame;
mod keyed;
mod numbers;
mod plugin;
mod rows;
pub(crate) mod sql;
mod statistics;
mod texts;
mod tiers;
mod unify;

use crate::cache::{Known, Release, is_repeatable};
use crate::fuse::{Chain, known};
use crate::input::inline::wants_pairs;
use crate::node::{Exchange, Gather, Glom, IndexMode, Keep, Meeting, NodePlanner, Project, SortKey, Source, Total};
use crate::relation::{Applied, PlanContext, Relation, Shape};
use azora_connect::element::{self, Element};
use azora_expression::{End, Lambda, Step};
use azora_sandbox::Haste;
use azora_spec::{Cached, Code, DatasetName, Digest, Failure, Function, OnError, Operation, SortOrder};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::dataframe::DataFrame;
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::physical_planner::ExtensionPlanner;
pub(crate) use frame::ValuesWanted;
pub(crate) use plugin::fitted;
use rows::Rows;
use std::sync::Arc;
pub(crate) use texts::Texts;

/// Memory for each of the sorts that run at the same time: below it one in a dozen found none for its merge.
const SORTER_BYTES: usize = 8 << 20;

/// Where the operations on a job's first input stand in the request.
const FIRST: &str = "/operations";
/// Columns that an operation adds and drops again start with this.
pub(crate) const HIDDEN: &str = "__azora_";
/// The place of a row, see [`IndexMode::Ordinal`].
const ORDINAL: &str = "__azora_ordinal";

/// What the operations make of the input. `others` are the second inputs of those that have one, in their order.
pub(crate) async fn apply(ctx: &PlanContext, input: Relation, others: Vec<Relation>, operations: &[Operation]) -> Result<Applied, Failure> {
    // Where an interpreted lambda asks for a sample, the sample is taken and the plan built anew: what was decided stays.
    loop {
        ctx.notes.begin();
        let mut builder = Builder::new(ctx, input.clone(), others.clone());
        match apply_all(&mut builder, operations, FIRST) {
            // Functions whose type nothing could show may not stay without one.
            Ok(_) if ctx.notes.settle_open() => {}
            Ok(answer) => {
                ctx.notes.close();
                let Rows { plan, schema, .. } = builder.rows;
                let frame = DataFrame::new(ctx.state.clone(), plan);
                return Ok(Applied { relation: Relation { frame, schema }, shape: answer.shape, on_empty: answer.on_empty });
            }
            Err(failure) => find_out(ctx, failure).await?,
        }
    }
}

/// Finds out what planning could not go on without; where that was nothing, the failure is the caller's.
async fn find_out(ctx: &PlanContext, failure: Failure) -> Result<(), Failure> {
    let notes = &ctx.notes;
    if notes.take_needs_interpreter() {
        // The first time takes seconds of computing, which threads that wait for callers must not do.
        let (lambdas, sandbox) = (Arc::clone(&ctx.lambdas), ctx.sandbox.clone());
        let preparing = ctx.cpu.spawn_blocking(move || lambdas.prepare(&sandbox, Haste::Now));
        preparing.await.map_err(|_| Failure::from(crate::Error::Panicked))??;
    } else if let Some(wanted) = notes.take_wanted() {
        let key = wanted.key.clone();
        let found = crate::lambda::take(ctx, wanted).await?;
        notes.learn(key, found);
    } else if let Some(wanted) = notes.take_wanted_values() {
        let key = wanted.key.clone();
        let found = frame::find_values(ctx, wanted).await?;
        notes.learn(key, found);
    } else if !notes.guess_again() && !notes.settle_open() {
        return Err(failure);
    }
    Ok(())
}

/// Applies operations that stand at a place in the request. Nothing waits afterwards.
fn apply_all(builder: &mut Builder<'_>, operations: &[Operation], pointer: &str) -> Result<Answer, Failure> {
    let mut answer = Answer::rows();
    for (at, operation) in operations.iter().enumerate() {
        let rest = operations.get(at + 1..).unwrap_or_default();
        builder.wants_pairs = wants_pairs(operations.get(at..).unwrap_or_default());
        let step = OperationAt { operation, pointer: format!("{pointer}/{at}"), is_order_seen: is_order_seen(rest) };
        // Second inputs keep nothing: which input they are is not in what rows are known by.
        let is_first = pointer == FIRST;
        let before = operations.get(..at).unwrap_or_default();
        match operation {
            Operation::Cache(cached) if is_first => builder.keep(cached, before)?,
            Operation::Unpersist(name) if is_first => builder.release(name.as_ref(), before),
            _ => {
                builder.before = if is_first && matches!(operation, Operation::Frame(_)) { before.to_vec() } else { Vec::new() };
                if let Some(given) = builder.operation(&step)? {
                    answer = given;
                }
            }
        }
    }
    builder.wants_pairs = false;
    builder.flush()?;
    Ok(answer)
}

/// How many partitions are sorted at the same time.
pub(crate) fn sorters_max(ctx: &PlanContext) -> usize {
    match ctx.state.runtime_env().memory_pool.memory_limit() {
        MemoryLimit::Finite(bytes) => (bytes / SORTER_BYTES).max(1),
        _ => usize::MAX,
    }
}

/// The planners of this crate's nodes.
pub(crate) fn extension_planners() -> Vec<Arc<dyn ExtensionPlanner + Send + Sync>> {
    vec![Arc::new(NodePlanner)]
}

/// Whether anybody sees the order of the rows that these operations get.
fn is_order_seen(rest: &[Operation]) -> bool {
    for operation in rest {
        match operation {
            Operation::Map(_)
            | Operation::Filter(_)
            | Operation::FlatMap(_)
            | Operation::MapValues(_)
            | Operation::KeyBy(_)
            | Operation::Keys
            | Operation::Values
            | Operation::Unpersist(_) => {}
            // What is kept has its order, whoever reads it.
            Operation::Cache(_) => return true,
            Operation::Count
            | Operation::CountDistinct
            | Operation::Min
            | Operation::Max
            | Operation::Mean
            | Operation::Sum
            | Operation::Stats
            | Operation::Histogram(_)
            | Operation::IsEmpty
            | Operation::Aggregates(_)
            | Operation::AggregateWith(_)
            | Operation::CountByKey
            | Operation::CountByValue
            | Operation::Distinct
            | Operation::TakeOrdered(_)
            | Operation::Top(_)
            | Operation::SortBy { function: None, .. } => return false,
            _ => return true,
        }
    }
    true
}

/// How the rows of an action become its answer.
struct Answer {
    shape: Shape,
    on_empty: Option<Failure>,
}

impl Answer {
    fn rows() -> Self {
        Self { shape: Shape::Rows, on_empty: None }
    }

    fn single() -> Self {
        Self { shape: Shape::Single, on_empty: None }
    }

    /// The one element, which an empty input does not have.
    fn existing(step: &OperationAt<'_>) -> Self {
        let failure = Failure::new(Code::OperationEmpty, format!("'{}' has no answer for no elements", step.operation.name()))
            .at(&step.pointer)
            .hint("use fold or aggregate with a start value, or take(1)");
        Self { shape: Shape::Single, on_empty: Some(failure) }
    }
}

/// An operation and its surroundings.
struct OperationAt<'a> {
    operation: &'a Operation,
    /// Of the operation in the request.
    pointer: String,
    is_order_seen: bool,
}

impl OperationAt<'_> {
    fn invalid(&self, message: impl Into<String>) -> Failure {
        Failure::new(Code::OperationInvalid, message).at(&self.pointer)
    }

    /// The text of a function that must be a lambda.
    fn lambda<'b>(&self, function: &'b Function, field: &str) -> Result<&'b str, Failure> {
        match function {
            Function::Lambda(text) | Function::Declared { text, .. } => Ok(text),
            Function::Plugin { .. } => Err(Failure::new(
                Code::OperationInvalid,
                format!("'{}' takes a lambda here, not a plugin's function", self.operation.name()),
            )
            .at(format!("{}/{field}", self.pointer))
            .hint("plugin functions work in map, filter, flatMap, mapPartitions, mapValues, keyBy and sortBy")),
        }
    }
}

/// The plan so far, and the lambdas that wait to join one kernel.
struct Builder<'a> {
    ctx: &'a PlanContext,
    rows: Rows,
    chain: Chain,
    /// Whether the operation in hand, or one behind it, takes elements for pairs.
    wants_pairs: bool,
    /// Second inputs of the operations that are to come.
    others: std::vec::IntoIter<Relation>,
    /// The operations before a frame.
    before: Vec<Operation>,
    /// What the rows of the last `cache` are known by.
    kept: Option<Digest>,
}

impl<'a> Builder<'a> {
    fn new(ctx: &'a PlanContext, input: Relation, others: Vec<Relation>) -> Self {
        let (_, plan) = input.frame.into_parts();
        let rows = Rows { plan, schema: input.schema, sorters_max: sorters_max(ctx) };
        Self { ctx, rows, chain: Chain::default(), wants_pairs: false, others: others.into_iter(), before: Vec::new(), kept: None }
    }
}

/// Whether the operation may end the kernel that waits.
const fn is_fused(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Reduce(_)
            | Operation::Fold { .. }
            | Operation::Aggregate { .. }
            | Operation::Aggregates(_)
            | Operation::Count
            | Operation::Sum
            | Operation::Min
            | Operation::Max
    )
}

impl Builder<'_> {
    /// Whether rows on which a function fails are left out.
    fn is_skipping(&self) -> bool {
        self.ctx.options.on_error != OnError::Fail
    }

    /// What the rows behind some operations are known by; none where they cannot be kept.
    fn key(&self, operations: &[Operation]) -> Option<Digest> {
        let scope = self.ctx.cache()?;
        is_repeatable(&self.rows.plan)
            .then(|| scope.key(operations, (self.ctx.partitions, self.rows.sorters_max), &self.ctx.known_plugins()))
    }

    /// `cache`, `persist`.
    fn keep(&mut self, cached: &Cached, before: &[Operation]) -> Result<(), Failure> {
        self.flush()?;
        let (Some(key), Some(scope)) = (self.key(before), self.ctx.cache()) else { return Ok(()) };
        self.kept = Some(key);
        let known = Known { key, name: cached.name.clone(), level: cached.level };
        self.rows.pass_through(Keep::new(Arc::clone(&scope.cache), known))
    }

    /// `unpersist`: what is kept under a name, else what is kept of the rows here, and what this job keeps.
    fn release(&mut self, name: Option<&DatasetName>, before: &[Operation]) {
        match name {
            Some(name) => self.ctx.release(Release::Name(name.clone())),
            None => {
                for key in self.key(before).into_iter().chain(self.kept.take()) {
                    self.ctx.release(Release::Key(key));
                }
            }
        }
    }

    /// Applies one operation; an action gives the shape of its answer.
    fn operation(&mut self, step: &OperationAt<'_>) -> Result<Option<Answer>, Failure> {
        if self.chain.push(step.operation, &step.pointer) {
            return Ok(None);
        }
        if self.is_skipping() && is_fused(step.operation) {
            // A kernel with an end has a state: rows that fail are left out in one of their own before it.
            self.flush()?;
        }
        match step.operation {
            Operation::Keys => self.chain.push_part(Step::Keys),
            Operation::Values => self.chain.push_part(Step::Values),
            // Of a second input; those of the first are `keep` and `release`.
            Operation::Cache(_) | Operation::Unpersist(_) => {}
            Operation::Reduce(_) | Operation::Fold { .. } | Operation::Aggregate { .. } => return self.fold(step).map(Some),
            Operation::Count | Operation::Sum | Operation::Min | Operation::Max => return self.total(step).map(Some),
            Operation::ReduceByKey { function, key, value } => self.reduce_by_key(step, function, key.as_ref(), value.as_ref())?,
            Operation::Aggregates(list) => return self.aggregates(step, list).map(Some),
            _ => {
                self.flush()?;
                return self.flushed(step);
            }
        }
        Ok(None)
    }

    /// Applies an operation for which nothing waits.
    fn flushed(&mut self, step: &OperationAt<'_>) -> Result<Option<Answer>, Failure> {
        match step.operation {
            Operation::Map(function)
            | Operation::Filter(function)
            | Operation::FlatMap(function)
            | Operation::MapPartitions(function)
            | Operation::MapValues(function)
            | Operation::KeyBy(function) => self.plugin(step, function)?,
            Operation::GroupByKey => self.group_by_key(step)?,
            Operation::AggregateByKey { zero, seq, comb: _ } => self.aggregate_by_key(step, zero, seq)?,
            Operation::AggregateWith(function) => return self.aggregate_with(step, function).map(Some),
            Operation::AggregateByKeyWith(function) => self.aggregate_by_key_with(step, function)?,
            Operation::CountByKey => return self.count_by_key(step).map(Some),
            Operation::CountByValue => return self.count_by_value(step).map(Some),
            Operation::Distinct => self.distinct(step)?,
            Operation::SortBy { function, order } => self.sort_by(step, function.as_ref(), *order)?,
            Operation::SortByKey(order) => {
                self.pair(step)?;
                self.sort_stably(&[element::part(0)], *order)?;
            }
            Operation::Sample { with_replacement, fraction, seed } => {
                let mode = IndexMode::Sample { fraction: *fraction, seed: *seed, with_replacement: *with_replacement };
                self.rows.index(mode, ORDINAL)?;
            }
            Operation::TakeSample { with_replacement, n, seed } => {
                self.take_sample(*with_replacement, *n, *seed)?;
                return Ok(Some(Answer::rows()));
            }
            Operation::Take(n) => {
                self.rows.pass_through(Gather::first(*n))?;
                return Ok(Some(Answer::rows()));
            }
            Operation::TakeOrdered(n) => return self.extremes(*n, false).map(Some),
            Operation::Top(n) => return self.extremes(*n, true).map(Some),
            Operation::First => {
                self.rows.pass_through(Gather::first(1))?;
                return Ok(Some(Answer::existing(step)));
            }
            Operation::ZipWithIndex => self.zip_with_index()?,
            Operation::CountDistinct => return self.count_distinct().map(Some),
            Operation::Mean => return self.mean(step).map(Some),
            Operation::Stats => return self.stats(step).map(Some),
            Operation::Histogram(buckets) => return self.histogram(step, buckets).map(Some),
            Operation::IsEmpty => return self.is_empty().map(Some),
            Operation::Repartition(partitions) => self.repartition(*partitions)?,
            Operation::Coalesce(partitions) => self.rows.pass_through(Gather::coalesce(*partitions))?,
            Operation::Glom => self.glom()?,
            Operation::Statistics => return self.statistics(step).map(Some),
            Operation::Frame(frame) => return self.framed(frame).map(Some),
            Operation::Sql(query) => return self.query(query).map(Some),
            Operation::Combine { how, other } => self.combine(step, *how, other)?,
            Operation::Collect | Operation::Write => return Ok(Some(Answer::rows())),
            other => return Err(step.invalid(format!("'{}' cannot stand here", other.name()))),
        }
        Ok(None)
    }

    /// `reduce`, `fold`, `aggregate`: one kernel per partition, then one over what they made, in the order of partitions.
    fn fold(&mut self, step: &OperationAt<'_>) -> Result<Answer, Failure> {
        match step.operation {
            Operation::Reduce(function) => {
                let text = step.lambda(function, "function")?;
                let partial = End::Reduce(self.chain.lambda(text, &step.pointer, "function"));
                self.end(partial, Meeting::Apart)?;
                let last = End::Reduce(self.chain.lambda(text, &step.pointer, "function"));
                self.end(last, Meeting::Combine)?;
                Ok(Answer::existing(step))
            }
            Operation::Fold { zero, function } => {
                let text = step.lambda(function, "function")?;
                // A sum or an extreme may be taken of parts. Any other function need not be associative, and its accumulator
                // need not be an element: it goes over the elements one by one, as it does in JavaScript.
                if zero.is_number() && known(text).is_some() && self.end_fits(End::Reduce(Lambda::new(text, 0)))? {
                    let partial = End::Reduce(self.chain.lambda(text, &step.pointer, "function"));
                    self.end(partial, Meeting::Apart)?;
                } else {
                    self.flush()?;
                }
                let seq = self.chain.lambda(text, &step.pointer, "function");
                let operation = seq.operation;
                self.end(End::Aggregate { zero: zero.clone(), seq, operation }, Meeting::Together)?;
                Ok(Answer::single())
            }
            Operation::Aggregate { zero, seq, comb } => {
                let (seq, comb) = (step.lambda(seq, "seq")?, step.lambda(comb, "comb")?);
                let seq = self.chain.lambda(seq, &step.pointer, "seq");
                let operation = seq.operation;
                self.end(End::Aggregate { zero: zero.clone(), seq, operation }, Meeting::Apart)?;
                let last = End::Reduce(self.chain.lambda(comb, &step.pointer, "comb"));
                self.end(last, Meeting::Combine)?;
                Ok(Answer::single())
            }
            other => Err(step.invalid(format!("'{}' cannot stand here", other.name()))),
        }
    }

    /// `count`, `sum`, `min`, `max`: at the end of the kernel that is there anyway, else by the engine.
    fn total(&mut self, step: &OperationAt<'_>) -> Result<Answer, Failure> {
        let waiting = !self.chain.is_empty();
        match step.operation {
            Operation::Count if waiting => {
                self.end(End::Count, Meeting::Apart)?;
                self.rows.pass_through(Total { pointer: step.pointer.clone() })?;
                Ok(Answer::single())
            }
            Operation::Count => self.count(),
            Operation::Sum => {
                self.end_or_blame(End::Sum, step)?;
                self.rows.pass_through(Total { pointer: step.pointer.clone() })?;
                Ok(Answer::single())
            }
            Operation::Min if waiting && self.end_fits(End::Min)? => {
                self.end(End::Min, Meeting::Apart)?;
                self.end(End::Min, Meeting::Combine)?;
                Ok(Answer::existing(step))
            }
            Operation::Max if waiting && self.end_fits(End::Max)? => {
                self.end(End::Max, Meeting::Apart)?;
                self.end(End::Max, Meeting::Combine)?;
                Ok(Answer::existing(step))
            }
            _ => {
                self.flush()?;
                self.extreme(step)
            }
        }
    }

    fn distinct(&mut self, step: &OperationAt<'_>) -> Result<(), Failure> {
        self.rows.distinct()?;
        if step.is_order_seen {
            let columns = self.rows.names();
            self.rows.sort(&columns, false, None)?;
        }
        Ok(())
    }

    fn sort_by(&mut self, step: &OperationAt<'_>, function: Option<&Function>, order: SortOrder) -> Result<(), Failure> {
        let is_descending = order == SortOrder::Descending;
        let Some(function) = function else {
            // Elements that compare equal are equal, so there are no ties to break.
            let columns = self.rows.names();
            return self.rows.sort(&columns, is_descending, None);
        };
        let (schema, keys) = (Arc::clone(&self.rows.schema), self.computed(step, function, "function", "__azora_key")?);
        self.sort_stably(&keys, order)?;
        self.rows.only(&schema)
    }

    /// Sorts by columns; rows that compare equal keep their order.
    fn sort_stably(&mut self, keys: &[String], order: SortOrder) -> Result<(), Failure> {
        let schema = Arc::clone(&self.rows.schema);
        self.rows.index(IndexMode::Ordinal, ORDINAL)?;
        self.rows.sort(keys, order == SortOrder::Descending, Some(ORDINAL))?;
        self.rows.only(&schema)
    }

    fn take_sample(&mut self, with_replacement: bool, n: usize, seed: u64) -> Result<(), Failure> {
        if n == 0 {
            return self.rows.pass_through(Gather::first(0));
        }
        let schema = Arc::clone(&self.rows.schema);
        let mode = if with_replacement { IndexMode::Draws { n, seed } } else { IndexMode::Shuffle { seed } };
        self.rows.index(mode, ORDINAL)?;
        self.rows.sort_hidden(vec![SortKey { column: ORDINAL.to_owned(), is_descending: false }], Some(n))?;
        self.rows.only(&schema)
    }

    fn extremes(&mut self, n: usize, is_descending: bool) -> Result<Answer, Failure> {
        if n == 0 {
            self.rows.pass_through(Gather::first(0))?;
        } else {
            let columns = self.rows.names();
            self.rows.sort_first(&columns, is_descending, n)?;
        }
        Ok(Answer::rows())
    }

    fn zip_with_index(&mut self) -> Result<(), Failure> {
        const INDEX: &str = "__azora_index";
        let (whole, source) = self.rows.packed(&element::part(0));
        self.rows.index(IndexMode::Position, INDEX)?;
        let schema = element::tuple(&[whole, Field::new(INDEX, DataType::Int64, false)]);
        self.rows.project(schema, vec![source, Source::column(INDEX)])
    }

    fn repartition(&mut self, partitions: usize) -> Result<(), Failure> {
        let schema = Arc::clone(&self.rows.schema);
        self.rows.index(IndexMode::Ordinal, ORDINAL)?;
        let order = vec![SortKey { column: ORDINAL.to_owned(), is_descending: false }];
        // By the place of a row, not its value: equal rows spread evenly, too.
        self.rows.pass_hidden(Exchange { partitions: partitions.max(1), hash: vec![ORDINAL.to_owned()], order })?;
        self.rows.only(&schema)
    }

    fn glom(&mut self) -> Result<(), Failure> {
        let (item, _) = self.rows.packed("item");
        let is_packed = Element::of(&self.rows.schema) != Element::Scalar;
        let schema = element::scalar(DataType::List(Arc::new(item.clone())), false);
        let glom = Glom { item: Arc::new(item), column: element::VALUE.to_owned(), is_packed };
        self.rows.replace(glom, schema)
    }

    /// Elements must be pairs.
    fn pair(&mut self, step: &OperationAt<'_>) -> Result<(), Failure> {
        let failure = step
            .invalid(format!("'{}' works on pairs, and elements are not pairs here", step.operation.name()))
            .hint("make pairs first: keyBy, or a map to [key, value]");
        self.rows.as_pairs(failure)
    }
}

impl Rows {
    /// Columns of a schema, in its order, and no others.
    fn only(&mut self, schema: &arrow::datatypes::SchemaRef) -> Result<(), Failure> {
        let sources = schema.fields().iter().map(|field| Source::column(field.name())).collect();
        self.project(Arc::clone(schema), sources)
    }

    /// Reshapes elements.
    fn project(&mut self, schema: arrow::datatypes::SchemaRef, sources: Vec<Source>) -> Result<(), Failure> {
        let columns = schema.fields().iter().map(|field| field.as_ref().clone()).zip(sources).collect::<Vec<_>>();
        self.replace(Project::new(columns), schema)
    }
}
