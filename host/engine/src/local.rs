//! Runs plans in this process: one task per partition on the context's computing threads.

use crate::error::panic_failure;
use crate::letters::Ledger;
use crate::planned::Planned;
use crate::relation::RunScope;
use crate::stages::Stages;
use crate::{Error, Progress, RunContext, Runner, StageUpdate, failure_of};
use async_trait::async_trait;
use azora_connect::{Sink, Token, WriterId};
use azora_spec::{Code, Failure};
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use futures::{FutureExt, StreamExt};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;

/// How often counters go to the receiver of progress while partitions run.
const UPDATE_EVERY: Duration = Duration::from_millis(250);

/// Runs every partition here.
#[derive(Debug, Default)]
pub(crate) struct LocalRunner {}

#[async_trait]
impl Runner for LocalRunner {
    async fn run(&self, planned: &Planned, context: RunContext) -> Result<Vec<Token>, Failure> {
        let cancel = context.cancel.child_token();
        // Whatever way this future ends, nothing of it goes on.
        let _stop = cancel.clone().drop_guard();
        planned.current_run().begin(cancel.clone());
        let plan = reset_plan_states(Arc::clone(planned.plan())).map_err(failure_of)?;
        let stages = Arc::new(Stages::of(&plan));
        let mut tokens = resumed(planned, &context);
        if tokens.len() == planned.tokens() {
            return Ok(tokens.into_values().collect());
        }
        let ledger = planned.keeper().map(|keeper| Arc::new(Ledger::new(keeper.letters_max(), &planned.session().runtime.memory_pool)));
        let task_context = task_context(planned, &context.job.to_string(), &cancel, ledger.clone());
        let mut partitions = Partitions::new(planned, (&context, &tokens), (&plan, &task_context), &stages, &cancel);
        let deadline = sleep_until(Instant::now() + planned.time_max());
        tokio::pin!(deadline);
        let mut tick = interval_at(Instant::now() + UPDATE_EVERY, UPDATE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut failure: Option<Failure> = None;
        let mut is_stopping = false;
        loop {
            tokio::select! {
                biased;
                ended = partitions.running.join_next() => match ended {
                    None => break,
                    Some(Ok(Ok((partition, token)))) => {
                        tokens.insert(partition, token);
                        partitions.begin_next();
                    }
                    Some(Ok(Err(other))) => { failure.get_or_insert(other); cancel.cancel(); }
                    Some(Err(error)) => {
                        failure.get_or_insert_with(|| error.try_into_panic().map_or_else(|_| cancelled(), |payload| panic_failure(&*payload)));
                        cancel.cancel();
                    }
                },
                () = context.cancel.cancelled(), if !is_stopping => { is_stopping = true; failure.get_or_insert_with(cancelled); }
                () = &mut deadline, if !is_stopping => {
                    is_stopping = true;
                    failure.get_or_insert_with(|| overtime(planned.time_max()));
                    cancel.cancel();
                }
                _ = tick.tick() => {
                    stages.report(&*context.progress, false);
                    report(ledger.as_ref(), &context);
                }
            }
        }
        report(ledger.as_ref(), &context);
        if let Some(failure) = failure {
            return Err(failure);
        }
        stages.report(&*context.progress, true);
        if let (Some(keeper), Some(ledger)) = (planned.keeper(), &ledger) {
            let token = keeper.prepare(ledger, context.job, context.attempt).await?;
            context.progress.prepared(planned.partitions(), &token)?;
            tokens.insert(planned.partitions(), token);
        }
        if tokens.len() != planned.tokens() {
            return Err(Error::Broken("one token per partition").into());
        }
        Ok(tokens.into_values().collect())
    }
}

/// The partitions that an earlier attempt prepared and that need not run again.
///
/// What is left out may come from any partition of an earlier stage, so a job that leaves out rows runs whole or not at
/// all: its last token is written behind all others of the same attempt, and without it none of them counts.
fn resumed(planned: &Planned, context: &RunContext) -> BTreeMap<usize, Token> {
    let is_whole = planned.keeper().is_none() || context.prepared.contains_key(&planned.partitions());
    if is_whole { context.prepared.clone() } else { BTreeMap::new() }
}

fn report(ledger: Option<&Arc<Ledger>>, context: &RunContext) {
    if let Some(ledger) = ledger {
        context.progress.refused(ledger.refused());
    }
}

fn cancelled() -> Failure {
    Failure::new(Code::JobCancelled, "the job was cancelled")
}

fn overtime(time_max: Duration) -> Failure {
    Failure::new(Code::JobTimeout, format!("the job ran longer than its {} s", time_max.as_secs_f64()))
}

/// The partitions of one run: those at work, and those that wait for a place, in their order.
struct Partitions {
    waiting: VecDeque<Task>,
    running: JoinSet<Result<(usize, Token), Failure>>,
    cpu: Handle,
}

impl Partitions {
    fn new(
        planned: &Planned,
        (context, prepared): (&RunContext, &BTreeMap<usize, Token>),
        (plan, task_context): (&Arc<dyn ExecutionPlan>, &Arc<TaskContext>),
        stages: &Arc<Stages>,
        cancel: &CancellationToken,
    ) -> Self {
        // Without an exchange partitions are independent: running only as many as there are threads keeps memory small.
        // With one, all of them drain the same producers and have to run together.
        let places = if stages.len() == 1 { planned.session().threads().max(1) } else { usize::MAX };
        let waiting = (0..planned.partitions())
            .filter(|partition| !prepared.contains_key(partition))
            .map(|partition| Task {
                plan: Arc::clone(plan),
                task_context: Arc::clone(task_context),
                sink: Arc::clone(planned.sink()),
                schema: Arc::clone(planned.schema()),
                on_empty: planned.on_empty().cloned(),
                id: WriterId { job: context.job, partition, attempt: context.attempt, epoch: 0 },
                cancel: cancel.clone(),
                progress: Arc::clone(&context.progress),
                stages: Arc::clone(stages),
                partitions: planned.partitions(),
            })
            .collect();
        let cpu = planned.session().cpu().clone();
        let mut partitions = Self { waiting, running: JoinSet::new(), cpu };
        while partitions.running.len() < places && partitions.begin_next() {}
        partitions
    }

    /// Starts the next partition, where one waits. One that starts after the run was cancelled says so at once.
    fn begin_next(&mut self) -> bool {
        let next = self.waiting.pop_front();
        let is_begun = next.is_some();
        if let Some(task) = next {
            self.running.spawn_on(task.guarded(), &self.cpu);
        }
        is_begun
    }
}

/// What the nodes of a plan find around them.
pub(crate) fn task_context(planned: &Planned, id: &str, cancel: &CancellationToken, ledger: Option<Arc<Ledger>>) -> Arc<TaskContext> {
    let scope = RunScope { cancel: cancel.clone(), io: Handle::current(), ledger, run: Arc::clone(planned.current_run()) };
    let config = planned.config().clone().with_extension(Arc::new(scope));
    let runtime = Arc::clone(&planned.session().runtime);
    let empty = (HashMap::new(), HashMap::new(), HashMap::new(), HashMap::new());
    Arc::new(TaskContext::new(Some(id.to_owned()), id.to_owned(), config, empty.0, empty.1, empty.2, empty.3, runtime))
}

/// One partition on its way into the sink.
struct Task {
    plan: Arc<dyn ExecutionPlan>,
    task_context: Arc<TaskContext>,
    sink: Arc<dyn Sink>,
    schema: SchemaRef,
    on_empty: Option<Failure>,
    id: WriterId,
    cancel: CancellationToken,
    progress: Arc<dyn Progress>,
    stages: Arc<Stages>,
    partitions: usize,
}

impl Task {
    /// The whole way of a partition; a panic in it is a failure of the job.
    async fn guarded(self) -> Result<(usize, Token), Failure> {
        let (partition, progress, stages) = (self.id.partition, Arc::clone(&self.progress), Arc::clone(&self.stages));
        let (token, update) = AssertUnwindSafe(self.run()).catch_unwind().await.unwrap_or_else(|payload| Err(panic_failure(&*payload)))?;
        progress.prepared(partition, &token)?;
        stages.wrote(partition, update.rows_out, update.bytes);
        progress.update(update);
        Ok((partition, token))
    }

    async fn run(self) -> Result<(Token, StageUpdate), Failure> {
        let cancel = self.cancel.clone();
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(cancelled()),
            done = self.drain() => done,
        }
    }

    async fn drain(self) -> Result<(Token, StageUpdate), Failure> {
        let mut batches = self.plan.execute(self.id.partition, self.task_context).map_err(failure_of)?;
        let mut writer = self.sink.open(self.id, Arc::clone(&self.schema)).await?;
        let mut rows = 0;
        let mut bytes = 0;
        while let Some(batch) = batches.next().await {
            let batch = stamp(&self.schema, batch.map_err(failure_of)?)?;
            if batch.num_rows() == 0 {
                continue;
            }
            rows += batch.num_rows() as u64;
            bytes += batch.get_array_memory_size() as u64;
            writer.write(batch).await?;
        }
        // Frees what the operators hold before the sink flushes.
        drop(batches);
        if let Some(failure) = self.on_empty.filter(|_| rows == 0) {
            return Err(failure);
        }
        let token = writer.prepare().await?;
        let update = StageUpdate {
            stage: self.stages.len() - 1,
            stage_name: self.stages.last_name().to_owned(),
            partition: self.id.partition,
            partitions: self.partitions,
            rows_in: rows,
            rows_out: rows,
            bytes,
            guest_ns: 0,
            traps: 0,
            skipped: 0,
            is_done: true,
        };
        Ok((token, update))
    }
}

/// The rows with the metadata that plans do not carry.
pub(crate) fn stamp(schema: &SchemaRef, batch: RecordBatch) -> Result<RecordBatch, Failure> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let (_, columns, _) = batch.into_parts();
    let columns = columns
        .into_iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            // Field metadata inside of nested types may differ; the data is the same.
            if column.data_type() == field.data_type() { Ok(column) } else { cast(&column, field.data_type()) }
        })
        .collect::<Result<_, _>>();
    columns.and_then(|columns| RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)).map_err(|error| {
        tracing::error!(%error, "a batch does not fit the promised schema");
        Error::Broken("the columns of a batch").into()
    })
}
