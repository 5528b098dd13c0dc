//! Going over all partitions of a plan before, or in place of, streaming them: a bounded number at a time, each on a
//! task of its own. Operators that need totals first (`zipWithIndex`, `sample`, `histogram`) run their input twice, as
//! Spark does: components are deterministic, so both passes see the same rows.

use datafusion::arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{StreamExt, TryStreamExt, stream};
use std::fmt;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Partitions that run at the same time below an operator which needs all of them.
pub(crate) fn window() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 64)
}

/// What a first pass learns about one partition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Survey {
    /// How many rows it has.
    pub(crate) rows: u64,
    /// The smallest number; positive infinity where there is none.
    pub(crate) least: f64,
    /// The largest number; negative infinity where there is none.
    pub(crate) greatest: f64,
}

impl Default for Survey {
    fn default() -> Self {
        Self { rows: 0, least: f64::INFINITY, greatest: f64::NEG_INFINITY }
    }
}

/// A pass over a copy of the input that runs at most once, however many partitions ask for it.
pub(crate) struct FirstPass {
    input: Arc<dyn ExecutionPlan>,
    surveys: OnceCell<Arc<[Survey]>>,
}

impl fmt::Debug for FirstPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstPass").field("surveys", &self.surveys.get()).finish_non_exhaustive()
    }
}

impl FirstPass {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input, surveys: OnceCell::new() }
    }

    /// One survey per partition of the input.
    pub(crate) async fn run(&self, context: &Arc<TaskContext>, look: fn(&mut Survey, &RecordBatch) -> Result<()>) -> Result<Arc<[Survey]>> {
        let surveys = self.surveys.get_or_try_init(|| async {
            let copy = reset_plan_states(Arc::clone(&self.input))?;
            fold_partitions(&copy, context, Survey::default, look).await.map(Arc::from)
        });
        surveys.await.cloned()
    }
}

/// Folds every partition of a plan; the answers come in the order of the partitions.
pub(crate) async fn fold_partitions<T, F>(
    plan: &Arc<dyn ExecutionPlan>,
    context: &Arc<TaskContext>,
    start: impl Fn() -> T,
    fold: F,
) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Fn(&mut T, &RecordBatch) -> Result<()> + Clone + Send + Sync + 'static,
{
    let partitions = plan.output_partitioning().partition_count();
    stream::iter(0..partitions)
        .map(|partition| {
            let rows = plan.execute(partition, Arc::clone(context));
            let (mut folded, fold) = (start(), fold.clone());
            SpawnedTask::spawn(async move {
                let mut rows = rows?;
                while let Some(batch) = rows.next().await {
                    fold(&mut folded, &batch?)?;
                }
                Ok::<T, DataFusionError>(folded)
            })
        })
        .map(|task| async move { task.join_unwind().await.map_err(|error| DataFusionError::External(Box::new(error)))? })
        .buffered(window())
        .try_collect()
        .await
}
