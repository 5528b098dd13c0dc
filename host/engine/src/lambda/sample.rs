//! Types of interpreted answers: the first elements go through the chain while the job is planned, and what comes out
//! decides the columns. What was decided is pinned, so that a restart decides the same.

use super::START;
use super::interpret::{Probed, Shape};
use crate::node::{Gather, Kernel, Node, settle};
use crate::relation::{CurrentRun, PlanContext, RunScope};
use crate::{Error, failure_of, stops};
use azora_connect::element;
use azora_spec::Failure;
use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array, make_comparator};
use datafusion::arrow::compute::{SortOptions, concat_batches, take_record_batch};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::collect;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Elements of a sample.
const ROWS_MAX: usize = 1024;
/// How many of them go through in one call: few first, so that a slow lambda still shows something.
const CHUNKS: [usize; 3] = [16, 240, ROWS_MAX - 256];
/// How long making the elements may take. Behind it columns are made for any value.
const TIME_MAX: Duration = Duration::from_secs(10);
/// How long one call of a probe may take.
pub(crate) const CALL_TIME_MAX: Duration = Duration::from_secs(1);

/// What a sample decided; kept in the job's pins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "found", content = "value", rename_all = "snake_case")]
pub(crate) enum Found {
    /// The answer's columns.
    Shape(Shape),
    /// No element went through: the compiler was right.
    Nothing,
    /// The values of a column, see `plan::frame`.
    Values(Vec<serde_json::Value>),
}

/// A sample that planning cannot go on without.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// What it will be known by.
    pub(crate) key: String,
    /// What the elements come from.
    pub(crate) plan: LogicalPlan,
    /// A probe.
    pub(crate) kernel: Arc<Kernel>,
    /// What has to come out for the compiler to be wrong.
    pub(crate) proof: Proof,
    /// Whether the answer is one column whatever it is.
    pub(crate) is_one: bool,
}

/// What a sample has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing: the compiler has no objection.
    None,
    /// An element that goes through.
    Passes,
    /// That not every element throws; none at all may come by.
    Survives,
}

impl Proof {
    fn is_given(self, probed: Option<&Probed>) -> bool {
        match self {
            Self::None => true,
            Self::Passes => probed.is_some_and(|probed| probed.passed > 0),
            Self::Survives => probed.is_none_or(|probed| probed.passed > 0 || probed.failed.is_none()),
        }
    }
}

/// Takes a sample.
pub(crate) async fn take(ctx: &PlanContext, wanted: Wanted) -> std::result::Result<Found, Failure> {
    let rows = match tokio::time::timeout(TIME_MAX, elements(ctx, wanted.plan)).await {
        Ok(Ok(rows)) => rows,
        // Whatever is wrong there is the job's to say, when it runs.
        Ok(Err(error)) => {
            tracing::debug!(%error, "no sample");
            Vec::new()
        }
        Err(_) => Vec::new(),
    };
    let (kernel, proof, is_one) = (wanted.kernel, wanted.proof, wanted.is_one);
    let probed = ctx.cpu.spawn_blocking(move || probe(&kernel, &rows)).await.map_err(|_| Failure::from(Error::Panicked))?;
    Ok(match probed.map_err(failure_of)? {
        probed if !proof.is_given(probed.as_ref()) => Found::Nothing,
        Some(probed) => Found::Shape(probed.came.shape(is_one)),
        None => Found::Shape(Shape::json()),
    })
}

async fn elements(ctx: &PlanContext, plan: LogicalPlan) -> Result<Vec<RecordBatch>> {
    run(ctx, Node::plan(Arc::new(Gather::first(ROWS_MAX)), plan)?).await
}

/// All rows of a plan, while a job is planned.
pub(crate) async fn run(ctx: &PlanContext, plan: LogicalPlan) -> Result<Vec<RecordBatch>> {
    let cancel = CancellationToken::new();
    let _stop = cancel.clone().drop_guard();
    // Its own: what does not fit the columns of a lambda before this one is not learned of here, but when the job runs.
    let run = Arc::new(CurrentRun::default());
    run.begin(cancel.clone());
    let plan = stops::add(settle(ctx.state.create_physical_plan(&plan).await?)?, &run)?;
    let scope = RunScope { cancel, io: tokio::runtime::Handle::current(), ledger: None, run };
    let config = ctx.state.config().clone().with_extension(Arc::new(scope));
    let none = (HashMap::new(), HashMap::new(), HashMap::new(), HashMap::new());
    let runtime = Arc::clone(ctx.state.runtime_env());
    let task = TaskContext::new(None, "sample".to_owned(), config, none.0, none.1, none.2, none.3, runtime);
    let running = AbortOnDropHandle::new(ctx.cpu.spawn(async move { collect(plan, Arc::new(task)).await }));
    running.await.map_err(|_| crate::node::external(Failure::from(Error::Panicked)))?
}

/// Sends elements through a probe; what the last call that came back says.
fn probe(kernel: &Kernel, batches: &[RecordBatch]) -> Result<Option<Probed>> {
    let Some(first) = batches.first() else { return Ok(None) };
    let rows = bound(kernel, &concat_batches(&first.schema(), batches)?)?;
    let mut found = None;
    let Ok(mut instance) = kernel.instance() else { return Ok(None) };
    let mut from = 0;
    for chunk in CHUNKS {
        let rows = rows.slice(from, chunk.min(rows.num_rows() - from));
        if rows.num_rows() == 0 {
            break;
        }
        match instance.process(&kernel.project(&rows)?) {
            Ok(processed) => {
                let text = processed.made.columns().first().and_then(|column| column.as_string_opt::<i32>()).map(|texts| texts.value(0));
                found = text.and_then(|text| serde_json::from_str(text).ok());
            }
            Err(error) => {
                tracing::debug!(%error, "a probe ended early");
                break;
            }
        }
        from += rows.num_rows();
    }
    Ok(found)
}

fn has_runs(kernel: &Kernel) -> bool {
    kernel.bound.column_with_name(START).is_some()
}

/// The columns that the probe was bound to; where it wants runs of equal keys, the elements in runs.
fn bound(kernel: &Kernel, rows: &RecordBatch) -> Result<RecordBatch> {
    let (rows, starts) = if has_runs(kernel) { in_runs(rows)? } else { (rows.clone(), None) };
    let mut columns = Vec::with_capacity(kernel.bound.fields().len());
    let mut fields = Vec::with_capacity(columns.capacity());
    for field in kernel.bound.fields() {
        let column = match (rows.column_by_name(field.name()), &starts) {
            (Some(column), _) => Arc::clone(column),
            (None, Some(starts)) => Arc::clone(starts),
            (None, None) => return datafusion::common::internal_err!("a sample lacks a column"),
        };
        fields.push(field.as_ref().clone().with_data_type(column.data_type().clone()).with_nullable(true));
        columns.push(column);
    }
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    crate::node::batch(&schema, columns, rows.num_rows())
}

fn in_runs(rows: &RecordBatch) -> Result<(RecordBatch, Option<ArrayRef>)> {
    let Some(keys) = rows.column_by_name(&element::part(0)) else { return Ok((rows.clone(), None)) };
    let compare = make_comparator(keys, keys, SortOptions::default())?;
    let mut order: Vec<usize> = (0..rows.num_rows()).collect();
    order.sort_by(|a, b| compare(*a, *b));
    let starts = order.iter().enumerate().map(|(at, row)| match at.checked_sub(1).and_then(|before| order.get(before)) {
        Some(before) => Some(compare(*before, *row).is_ne()),
        None => Some(true),
    });
    let starts: BooleanArray = starts.collect();
    let order = UInt32Array::from_iter_values(order.into_iter().filter_map(|row| u32::try_from(row).ok()));
    Ok((take_record_batch(rows, &order)?, Some(Arc::new(starts))))
}
