//! What all jobs of one context share: memory, spill directory, computing threads and the DataFusion configuration.

use crate::files::Files;
use crate::memory::SharedPool;
use crate::udf::{constants, framed, joined};
use crate::{ContextOptions, Error, Options, failure_of};
use async_trait::async_trait;
use azora_spec::{Failure, limits};
use datafusion::catalog::Session as CatalogSession;
use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::context::{QueryPlanner, SessionState};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::SessionConfig;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use tokio::runtime::{Builder, Handle, Runtime};

/// Smallest memory of a context: below it not even one sorted run fits.
const MEMORY_BYTES_MIN: usize = 8 << 20;
/// What a sort keeps back for merging what it spilled, where the memory allows it.
const SORT_RESERVATION_BYTES: usize = 10 << 20;
/// Rows up to this size are sorted as one. Sorting piece by piece and merging in memory needs more than was reserved
/// for the rows, which a context with little memory does not have.
const SORT_WHOLE_BYTES: usize = 32 << 20;
/// Smallest piece in which rows are sorted.
const SORT_PIECE_BYTES: usize = 1 << 20;
/// Most spilled runs that one merge reads: without a bound the first sort to merge takes the memory of the others.
const MERGE_RUNS_MAX: usize = 16;
/// Memory of a partition for each row of its batches; from 16 MiB on they have their usual size.
const BYTES_PER_BATCH_ROW: usize = 2 << 10;
/// Smallest batches.
const BATCH_ROWS_MIN: usize = 512;

/// The sessions that are set up, the one used last in front.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<VecDeque<Arc<Session>>>);

impl Sessions {
    /// The session of some options. Jobs that hold one that was pushed out keep it until they end.
    pub(crate) fn get(&self, engine: &Options, files: &Files, options: ContextOptions) -> Result<Arc<Session>, Failure> {
        let mut sessions = self.0.lock();
        if let Some(at) = sessions.iter().position(|session| session.options == options) {
            if at > 0
                && let Some(session) = sessions.remove(at)
            {
                sessions.push_front(session);
            }
        } else {
            sessions.push_front(Arc::new(Session::new(engine, files, options)?));
            sessions.truncate(engine.sessions_max.max(1));
        }
        sessions.front().cloned().ok_or_else(|| Error::Broken("no session").into())
    }
}

/// One context's share of the machine.
pub(crate) struct Session {
    options: ContextOptions,
    /// Memory pool, spill directory and the stores of the roots.
    pub(crate) runtime: Arc<RuntimeEnv>,
    cpu: Cpu,
    template: SessionState,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Session {
    fn new(engine: &Options, files: &Files, options: ContextOptions) -> Result<Self, Failure> {
        let spill = engine.data_dir.join("spill");
        std::fs::create_dir_all(&spill).map_err(|error| Error::storage("make the spill directory", error))?;
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![spill]))
            .with_max_temp_directory_size(engine.spill_bytes_max)
            .with_max_spill_merge_fan_in(MERGE_RUNS_MAX);
        let memory = options.memory_bytes.max(MEMORY_BYTES_MIN);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(SharedPool::new(memory)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(failure_of)?;
        files.register(&runtime);
        let threads = options.threads.clamp(1, engine.threads.max(1));
        let template = SessionStateBuilder::new()
            .with_config(config(options))
            .with_runtime_env(Arc::clone(&runtime))
            .with_query_planner(Arc::new(Planner))
            .with_physical_optimizer_rules(crate::pushdown::rules())
            // DISTINCT ON becomes an aggregate that the optimizer looks for here.
            .with_aggregate_functions(vec![first_value_udaf()])
            .build();
        Ok(Self { options, runtime, cpu: Cpu::new(threads)?, template })
    }

    /// Threads that compute.
    pub(crate) fn cpu(&self) -> &Handle {
        &self.cpu.handle
    }

    /// How many of them there are.
    pub(crate) const fn threads(&self) -> usize {
        self.cpu.threads
    }

    /// A state that plans for so many partitions.
    pub(crate) fn state(&self, partitions: usize) -> SessionState {
        let mut state = self.template.clone();
        let memory = self.options.memory_bytes.max(MEMORY_BYTES_MIN);
        let options = state.config_mut().options_mut();
        options.execution.target_partitions = partitions.max(1);
        let share = memory / partitions.max(1);
        // Merging holds a batch of every spilled run: with little memory batches are small.
        let batch_rows = (share / BYTES_PER_BATCH_ROW).clamp(BATCH_ROWS_MIN, limits::BATCH_ROWS);
        if let Ok(batch_rows) = ConfigNonZeroUsize::try_new(batch_rows) {
            options.execution.batch_size = batch_rows;
        }
        // Each partition sorts at the same time. A third of the memory for merging was enough where an eighth failed.
        options.execution.sort_spill_reservation_bytes = SORT_RESERVATION_BYTES.min(share / 3);
        options.execution.sort_in_place_threshold_bytes = share.clamp(SORT_PIECE_BYTES, SORT_WHOLE_BYTES);
        state
    }
}

/// Settings under which what a partition holds depends on the job and its input alone: no round-robin exchange and no
/// stealing of files between partitions.
fn config(options: ContextOptions) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_batch_size(limits::BATCH_ROWS)
        .with_target_partitions(options.parallelism.max(1))
        .with_information_schema(false)
        .with_round_robin_repartition(false)
        .with_collect_statistics(false);
    let all = config.options_mut();
    all.execution.parquet.schema_force_view_types = false;
    all.execution.enable_file_stream_work_stealing = false;
    // Tables cut their files themselves. Cut by the optimizer, they get partitions that the nodes above do not know of.
    all.optimizer.repartition_file_scans = false;
    // What else stands in place of a union takes rows in the order in which they happen to come.
    all.optimizer.prefer_existing_union = true;
    // It asks twice for a column where a new one takes its name: `SELECT o['x'], upper(b) AS b`.
    all.optimizer.enable_leaf_expression_pushdown = false;
    // The two schemas that it compares differ in whether `x IS NOT TRUE` may be null, in DISTINCT for example.
    all.execution.skip_physical_aggregate_schema_check = true;
    all.sql_parser.map_string_types_to_utf8view = false;
    config
}

/// DataFusion's planner with the nodes of this crate.
#[derive(Debug)]
struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, state: &dyn CatalogSession) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let plan = crate::input::late_texts(plan.clone())?;
        let plan = framed::framed(joined::checked(constants::counted(plan)?)?)?;
        DefaultPhysicalPlanner::with_extension_planners(crate::plan::extension_planners()).create_physical_plan(&plan, state).await
    }
}

/// Threads for computing, apart from those that wait for networks and callers.
#[derive(Debug)]
struct Cpu {
    handle: Handle,
    threads: usize,
    runtime: Option<Runtime>,
}

impl Cpu {
    fn new(threads: usize) -> Result<Self, Failure> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("azora-cpu")
            .thread_stack_size(8 << 20)
            .enable_time()
            .build()
            .map_err(|error| Error::storage("start computing threads", error))?;
        Ok(Self { handle: runtime.handle().clone(), threads, runtime: Some(runtime) })
    }
}

impl Drop for Cpu {
    fn drop(&mut self) {
        // Waiting for the threads here would block, and panic inside another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
