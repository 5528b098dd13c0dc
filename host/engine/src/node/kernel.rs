//! A function of a component bound to its input columns, and one running instance of it. What becomes of its columns is
//! decided by the operators that use it.

use crate::relation::{CurrentRun, Misfit, RunScope};
use crate::stages::{GUEST_NS, SKIPPED, TRAPS};
use azora_sandbox::{CancelFlag, Column, Fault, Instance, Kept, Origin, Plan, Processed, Stats, Transform};
use azora_spec::limits::GuestLimits;
use azora_spec::{Digest, Failure};
use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use datafusion::arrow::compute::{CastOptions, FilterBuilder, cast_with_options, take};
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::{Result, internal_err};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, Time};
use std::sync::Arc;

use super::{batch, external, position};

/// Metric: rows handed to guests.
pub(crate) const ROWS_IN: &str = "guest_rows";
/// Metric: calls of guests.
pub(crate) const CALLS: &str = "guest_calls";

/// Which function, by what names it: enough to bind it again elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KernelSource {
    pub(crate) origin: Origin,
    /// Of the component's bytes.
    pub(crate) digest: Digest,
    /// Empty for a lambda.
    pub(crate) function: String,
    /// JSON.
    pub(crate) config: String,
    /// For people.
    pub(crate) label: String,
}

/// A bound function. Shared by all partitions and, where it is a lambda, by all jobs that say the same.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) source: KernelSource,
    pub(crate) limits: GuestLimits,
    /// The columns that it was bound to.
    pub(crate) bound: SchemaRef,
    /// Their names in the plan.
    pub(crate) names: Vec<String>,
    transform: Transform,
    /// Of the needed columns, in the order in which the guest wants them.
    needed: SchemaRef,
}

impl Kernel {
    /// A bound function whose columns have the same names in the plan.
    pub(crate) fn new(source: KernelSource, limits: GuestLimits, bound: SchemaRef, transform: Transform) -> Result<Self> {
        let names = bound.fields().iter().map(|field| field.name().clone()).collect();
        Self::named(source, limits, (bound, names), transform)
    }

    /// A bound function whose columns have other names in the plan.
    pub(crate) fn named(
        source: KernelSource,
        limits: GuestLimits,
        (bound, names): (SchemaRef, Vec<String>),
        transform: Transform,
    ) -> Result<Self> {
        let needed = Arc::new(bound.project(&transform.plan().needs)?);
        Ok(Self { source, limits, bound, names, transform, needed })
    }

    /// The bound function itself, for calls outside of a plan's nodes.
    pub(crate) const fn transform(&self) -> &Transform {
        &self.transform
    }

    /// What binding decided.
    pub(crate) fn plan(&self) -> &Plan {
        self.transform.plan()
    }

    /// The names in the plan of the needed columns, in the order in which the guest wants them.
    pub(crate) fn needed(&self) -> impl Iterator<Item = &str> {
        self.plan().needs.iter().filter_map(|&at| self.names.get(at)).map(String::as_str)
    }

    /// The name in the plan of a bound column.
    pub(crate) fn bound_name(&self, at: usize) -> Result<&str> {
        match self.names.get(at) {
            Some(name) => Ok(name),
            None => internal_err!("a function passes a column that it was not bound to"),
        }
    }

    /// Starts an instance for one partition. Its failures point to a place in the request: those that name a lambda by its
    /// number to the place of that one.
    pub(crate) fn start(
        self: &Arc<Self>,
        context: &TaskContext,
        metrics: &GuestMetrics,
        (pointer, pointers): (&str, &[String]),
    ) -> Result<Guest> {
        let scope = context.session_config().get_extension::<RunScope>();
        let flag = scope.as_ref().map_or_else(CancelFlag::new, |scope| CancelFlag::from(scope.cancel.clone()));
        let run = scope.map(|scope| Arc::clone(&scope.run));
        let instance = self.transform.start_with(flag).map_err(|error| failed(error, pointer))?;
        let (metrics, pointer, pointers) = (metrics.clone(), pointer.to_owned(), pointers.to_vec());
        Ok(Guest { kernel: Arc::clone(self), instance, metrics, pointer, pointers, seen: Stats::default(), failed_row: None, run })
    }

    /// An instance outside of a plan.
    pub(crate) fn instance(&self) -> std::result::Result<Instance, azora_sandbox::Error> {
        self.transform.start()
    }

    /// The needed columns of a batch whose columns are those that the function was bound to, as the guest wants them.
    pub(crate) fn project(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let mut needed = Vec::with_capacity(self.needed.fields().len());
        for (&at, field) in self.plan().needs.iter().zip(self.needed.fields()) {
            needed.push(converted(rows.column(at), field)?);
        }
        batch(&self.needed, needed, rows.num_rows())
    }
}

fn failed(error: azora_sandbox::Error, pointer: &str) -> datafusion::error::DataFusionError {
    // A row of the batch in hand says nothing to the caller.
    let failure = Failure { row: None, ..Failure::from(error) };
    external(if failure.pointer.is_none() && !pointer.is_empty() { failure.at(pointer) } else { failure })
}

/// The counters of one operator and partition.
#[derive(Debug, Clone)]
pub(crate) struct GuestMetrics {
    rows: Count,
    calls: Count,
    time: Time,
    traps: Count,
    skipped: Count,
}

impl GuestMetrics {
    /// Notes a call that failed and is tried again with fewer rows.
    pub(crate) fn trapped(&self) {
        self.traps.add(1);
    }

    /// Notes rows that are left out.
    pub(crate) fn skipped(&self, rows: usize) {
        self.skipped.add(rows);
    }

    pub(crate) fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        Self {
            rows: MetricBuilder::new(metrics).counter(ROWS_IN, partition),
            calls: MetricBuilder::new(metrics).counter(CALLS, partition),
            time: MetricBuilder::new(metrics).subset_time(GUEST_NS, partition),
            traps: MetricBuilder::new(metrics).counter(TRAPS, partition),
            skipped: MetricBuilder::new(metrics).counter(SKIPPED, partition),
        }
    }
}

/// A living instance.
pub(crate) struct Guest {
    kernel: Arc<Kernel>,
    instance: Instance,
    metrics: GuestMetrics,
    pointer: String,
    pointers: Vec<String>,
    seen: Stats,
    /// The row of the last batch that the guest blamed for its failure.
    failed_row: Option<u64>,
    run: Option<Arc<CurrentRun>>,
}

impl Guest {
    /// Hands in the needed columns (already in their order, any type that can be cast) and takes what comes back.
    pub(crate) fn process(&mut self, columns: &[ArrayRef], rows: usize) -> Result<Processed> {
        let mut needed = Vec::with_capacity(columns.len());
        for (column, field) in columns.iter().zip(self.kernel.needed.fields()) {
            needed.push(converted(column, field)?);
        }
        let needed = batch(&self.kernel.needed, needed, rows)?;
        let processed = self.instance.process(&needed);
        self.count();
        processed.map_err(|error| {
            if let azora_sandbox::Error::Guest { fault: Fault::Failed { row, .. }, .. } = &error {
                self.failed_row = *row;
            }
            self.failed(error)
        })
    }

    /// The row of the last batch that the guest blamed for its failure, where it blamed one.
    pub(crate) const fn failed_row(&self) -> Option<u64> {
        self.failed_row
    }

    /// Ends the partition.
    pub(crate) fn finish(&mut self) -> Result<Option<RecordBatch>> {
        let rest = self.instance.finish();
        self.count();
        rest.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: azora_sandbox::Error) -> datafusion::error::DataFusionError {
        let Some(told) = crate::lambda::said(&self.kernel.source, &error, true) else { return failed(error, &self.pointer) };
        if let (Some(wider), Some(run)) = (told.wider, &self.run) {
            run.misfit(Misfit { kernel: Arc::clone(&self.kernel), wider });
        }
        external(told.failure.at(self.pointers.get(told.lambda).unwrap_or(&self.pointer)))
    }

    fn count(&mut self) {
        let stats = self.instance.stats();
        let since = |now: u64, then: u64| usize::try_from(now.saturating_sub(then)).unwrap_or(usize::MAX);
        self.metrics.rows.add(since(stats.rows_in, self.seen.rows_in));
        self.metrics.calls.add(since(stats.calls, self.seen.calls));
        self.metrics.time.add_duration(std::time::Duration::from_nanos(stats.guest_ns.saturating_sub(self.seen.guest_ns)));
        self.seen = stats;
    }
}

/// A column as the type that a guest was bound to. A value that the type cannot hold is an error, never null.
fn converted(column: &ArrayRef, field: &FieldRef) -> Result<ArrayRef> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(column, field.data_type(), &options)?)
}

/// Chooses rows of the columns that the host kept back.
pub(crate) enum Keeper {
    All,
    Filter(arrow::compute::FilterPredicate),
    Take(arrow::array::UInt32Array),
}

impl Keeper {
    pub(crate) fn new(kept: Kept, rows: usize) -> Result<Self> {
        Ok(match kept {
            Kept::All => Self::All,
            Kept::Bitmap(bits) if bits.len() == rows => Self::of_mask(BooleanArray::new(bits, None)),
            Kept::Bitmap(_) => return internal_err!("a bitmap of another length than its batch"),
            Kept::Indices(indices) => Self::Take(indices),
        })
    }

    pub(crate) fn of_mask(mask: BooleanArray) -> Self {
        Self::Filter(FilterBuilder::new(&mask).optimize().build())
    }

    /// Rows that come out of so many.
    pub(crate) fn rows(&self, of: usize) -> usize {
        match self {
            Self::All => of,
            Self::Filter(predicate) => predicate.count(),
            Self::Take(indices) => indices.values().len(),
        }
    }

    pub(crate) fn keep(&self, column: &ArrayRef) -> Result<ArrayRef> {
        Ok(match self {
            Self::All => Arc::clone(column),
            Self::Filter(predicate) => predicate.filter(column)?,
            Self::Take(indices) => take(column, indices, None)?,
        })
    }
}

/// Where an output column of a transform comes from, by names in the plan.
pub(crate) enum Origins<'a> {
    Made(usize),
    Passed(&'a str),
}

impl Kernel {
    /// The plan's columns with the names that they have here.
    pub(crate) fn columns(&self) -> impl Iterator<Item = Result<(Origins<'_>, &FieldRef)>> {
        let plan = self.plan();
        plan.columns.iter().zip(plan.output.fields()).map(|(column, field)| match column {
            Column::Made(at) => Ok((Origins::Made(*at), field)),
            Column::Passed { input, .. } => Ok((Origins::Passed(self.bound_name(*input)?), field)),
        })
    }

    /// Positions of the needed columns in a schema.
    pub(crate) fn positions(&self, schema: &Schema) -> Result<Vec<usize>> {
        self.needed().map(|name| position(schema, name)).collect()
    }
}
