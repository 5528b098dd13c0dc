//! The engine: plans a validated job, runs the plan through its runner, commits or aborts, and reads results.

use crate::cache::{Cache, CacheScope, CacheView, Limits, Release};
use crate::files::Files;
use crate::input::Inputs;
use crate::lambda::Lambdas;
use crate::letters::{self, Keeper};
use crate::local::LocalRunner;
use crate::pins::Pins;
use crate::plan;
use crate::planned::{self, Planned};
use crate::relation::PlanContext;
use crate::result::JobResult;
use crate::session::Sessions;
use crate::sink::{self, Sinks, Target};
use crate::{Catalog, ContextOptions, DatasetEntry, Error, Options, Refused, RunContext, Runner, input};
use azora_connect::{Finish, Receipt, Registry, Token};
use azora_sandbox::{Haste, Sandbox};
use azora_spec::{Code, DatasetName, Digest, Failure, Input, JobId, JobSpec, OnError, Operation};
use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// Plans and runs jobs. Clones share everything.
#[derive(Debug, Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: Options,
    sandbox: Sandbox,
    registry: Registry,
    catalog: Arc<dyn Catalog>,
    lambdas: Arc<Lambdas>,
    files: Arc<Files>,
    sessions: Sessions,
    cache: Arc<Cache>,
    runner: Arc<dyn Runner>,
}

impl Engine {
    /// An engine over a data directory. What a crashed process spilled there is removed.
    ///
    /// # Errors
    /// Where the data directory or a root cannot be made or opened.
    pub fn new(options: Options, sandbox: Sandbox, registry: Registry, catalog: Arc<dyn Catalog>) -> Result<Self, Failure> {
        let files = Arc::new(Files::new(&options)?);
        planned::clear_spill(&options.data_dir)?;
        let limits = Limits { memory_bytes: options.cache_memory_bytes, disk_bytes: options.cache_disk_bytes };
        let cache = Cache::open(&options.data_dir, limits)?;
        let inner = Inner {
            options,
            sandbox,
            registry,
            catalog,
            lambdas: Arc::default(),
            files,
            sessions: Sessions::default(),
            cache,
            runner: Arc::new(LocalRunner::default()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Makes the second tier of lambdas ready, at low priority, so that the first job that needs it does not wait: what an
    /// earlier process compiled is loaded, else it is compiled in a child. Blocks for seconds.
    ///
    /// # Errors
    /// Where that fails; a job that needs it tries again.
    pub fn prepare_interpreter(&self) -> Result<(), Failure> {
        self.inner.lambdas.prepare(&self.inner.sandbox, Haste::Aside)
    }

    /// Plans a job: everything that is the caller's fault comes out here. With pins the decisions of the first planning
    /// are kept, and the sink's target is not checked again.
    ///
    /// # Errors
    /// The failure that the caller gets; its pointer leads into the request.
    pub async fn plan(&self, spec: &JobSpec, context: &ContextOptions, pins: Option<&Pins>) -> Result<Planned, Failure> {
        let planned = self.planned_on(spec, context, pins).await?;
        match pins {
            // Tokens of an earlier attempt would name other rows.
            Some(pins) if pins.partitions != planned.partitions() => Err(Error::Broken("a job is planned the same way again").into()),
            _ => Ok(planned),
        }
    }

    /// Plans a job again whose run failed with [`azora_spec::Code::LambdaResultType`], with columns that take what did not
    /// fit. Nothing that the failed run prepared belongs to the new plan. None where the columns take anything already;
    /// that is the case after a few times at most.
    ///
    /// # Errors
    /// Where what comes behind the lambda does not take such columns.
    pub async fn replan(&self, spec: &JobSpec, context: &ContextOptions, planned: &Planned) -> Result<Option<Planned>, Failure> {
        match planned.widened() {
            Some(pins) => self.planned_on(spec, context, Some(&pins)).await.map(Some),
            None => Ok(None),
        }
    }

    async fn planned_on(&self, spec: &JobSpec, context: &ContextOptions, pins: Option<&Pins>) -> Result<Planned, Failure> {
        if is_written(spec) { crate::stack::deep(self.planned(spec, context, pins)).await } else { self.planned(spec, context, pins).await }
    }

    async fn planned(&self, spec: &JobSpec, context: &ContextOptions, pins: Option<&Pins>) -> Result<Planned, Failure> {
        let inner = &*self.inner;
        let session = inner.sessions.get(&inner.options, &inner.files, *context)?;
        let parallelism = match pins {
            Some(pins) => pins.parallelism,
            None => input::parallelism(spec, &*inner.catalog, context.parallelism),
        };
        let mut state = session.state(parallelism);
        let now_ms = pins.and_then(|pins| pins.now_ms).unwrap_or_else(|| Utc::now().timestamp_millis());
        state.execution_props_mut().query_execution_start_time = DateTime::from_timestamp_millis(now_ms);
        let parts = (inner.sandbox.clone(), Arc::clone(&inner.catalog), Arc::clone(&inner.lambdas));
        let decided = pins.map(|pins| (pins.plugins.clone(), pins.samples.clone(), pins.grants.clone())).unwrap_or_default();
        let mut plan_context = PlanContext::new(parts, (state.clone(), session.cpu().clone()), spec.options.clone(), decided);
        plan_context.texts = plan::Texts::of(&spec.operations);
        let inputs = Inputs {
            files: &inner.files,
            registry: &inner.registry,
            catalog: &*inner.catalog,
            options: &inner.options,
            guests: &plan_context,
        };
        let (relation, input_pins) = inputs.of_job(spec, &state, pins.map(|pins| &pins.input)).await?;
        let (others, other_pins) = inputs.others(&spec.operations, &state, pins.map(|pins| pins.others.as_slice())).await?;
        if let Some(scope) = CacheScope::of(&inner.cache, spec, &input_pins, &other_pins)? {
            plan_context.set_cache(scope);
        }
        let applied = plan::apply(&plan_context, relation, others, &spec.operations).await?;
        let sinks = Sinks { files: &inner.files, registry: &inner.registry, catalog: &inner.catalog, guests: &plan_context };
        let applied = sinks.fitted(&spec.sink, applied)?;
        let target = sinks.target(&spec.sink, &applied).await?;
        let mut decided = Pins::new(parallelism, input_pins, other_pins);
        decided.is_left = match pins {
            Some(pins) => pins.is_left,
            None => is_left(&target).await?,
        };
        let (applied, target) = if decided.is_left { (applied.nothing()?, target.left()) } else { (applied, target) };
        let keeper = self.keeper(spec, &plan_context, target.dataset.as_ref(), pins.is_none())?;
        decided.now_ms = is_written(spec).then_some(now_ms);
        decided.widenings = pins.map(|pins| pins.widenings.clone()).unwrap_or_default();
        planned::finish(session, plan_context, applied, (target, keeper), decided, spec.options.time_max).await
    }

    /// What becomes of rows that the job leaves out.
    fn keeper(&self, spec: &JobSpec, context: &PlanContext, own: Option<&DatasetName>, is_first: bool) -> Result<Option<Keeper>, Failure> {
        let inner = &*self.inner;
        let mut tolerance = context.tolerance.lock();
        let (policy, name) = (spec.options.on_error, spec.options.dead_letters.clone());
        // A source may keep what functions do not.
        let policy = if policy == OnError::Fail && tolerance.is_keeping() { OnError::DeadLetter } else { policy };
        tolerance.note(policy, name).map_err(|failure| failure.at("/options/deadLetters"))?;
        let keeper = Keeper::new(&tolerance, own, (&inner.files, &inner.catalog), inner.options.dead_letters_max)?;
        if let Some(keeper) = keeper.as_ref().filter(|_| is_first) {
            keeper.check(&inner.files, &*inner.catalog)?;
        }
        Ok(keeper)
    }

    /// Runs every partition that `context.prepared` lacks, up to `prepare`. [`Planned::tokens`] of them, in their order.
    ///
    /// # Errors
    /// The first failure; everything of this run has stopped then. What was prepared stays until commit or abort.
    pub async fn run(&self, planned: &Planned, context: RunContext) -> Result<Vec<Token>, Failure> {
        // Before, so that this job computes; and after, since it may have kept them itself.
        self.release(planned);
        let tokens = self.inner.runner.run(planned, context).await;
        self.release(planned);
        tokens.map_err(|failure| planned.located(failure))
    }

    fn release(&self, planned: &Planned) {
        for what in planned.releases() {
            let _sets = self.inner.cache.release(what);
        }
    }

    /// The rows that `cache` and `persist` keep.
    #[must_use]
    pub fn cache(&self) -> CacheView {
        self.inner.cache.view()
    }

    /// Lets go of rows that are kept, by their id or name, or of all of them, and answers how many sets there were.
    #[must_use]
    pub fn clear_cache(&self, which: Option<&str>) -> usize {
        let what = match which {
            None => Some(Release::All),
            Some(text) => Digest::parse(text).map(Release::Key).or_else(|| text.parse().ok().map(Release::Name)),
        };
        what.map_or(0, |what| self.inner.cache.release(&what))
    }

    /// Makes the job's rows visible. May be called again after a crash with the same tokens. Commits to one dataset
    /// must not overlap with one another, nor with recording their outcome in the catalog.
    ///
    /// # Errors
    /// What kept the target from changing; it has not changed then, or the next call completes it.
    pub async fn commit(&self, planned: &Planned, job: JobId, tokens: &[Token]) -> Result<Receipt, Failure> {
        let (tokens, left_out) = parted(planned, tokens)?;
        if let (Some(keeper), Some(token)) = (planned.keeper(), left_out) {
            // First, because it can be taken back: nobody sees a version that the catalog does not name.
            keeper.commit(job, token).await?;
        }
        planned.sink().commit(job, 0, Arc::clone(planned.schema()), tokens).await
    }

    /// Removes what the job prepared, also what crashed writers left. Not for a job whose commit has begun.
    ///
    /// # Errors
    /// What kept the rows from being removed.
    pub async fn abort(&self, planned: &Planned, job: JobId, tokens: &[Token]) -> Result<(), Failure> {
        if let Some(keeper) = planned.keeper() {
            keeper.abort(job).await?;
        }
        let own = tokens.get(..planned.partitions()).unwrap_or(tokens);
        planned.sink().abort(job, 0, own).await
    }

    /// Tells the connectors that the job reads from how it ended. Only after that is durable; may be called again. Gives what
    /// kept some of them from noting it; the others are told all the same.
    pub async fn finish(&self, planned: &Planned, finish: Finish) -> Vec<Failure> {
        let mut failed = Vec::new();
        for read in planned.reads() {
            failed.extend(read.source.finished(&read.splits, finish).await.err());
        }
        failed
    }

    /// The dataset version that a committed job made, if its sink is a dataset.
    ///
    /// # Errors
    /// Where the version is not there or damaged.
    pub fn dataset(&self, planned: &Planned, job: JobId) -> Result<Option<DatasetEntry>, Failure> {
        let target = planned.target();
        let files = &self.inner.files;
        match &target.dataset {
            Some(name) if target.may_be_left && !sink::dataset::exists(files, name, job) => Ok(None),
            Some(name) => sink::dataset::entry(files, name, job).map(Some),
            None => Ok(None),
        }
    }

    /// The version of the dead letters' dataset that a committed job made; none where it has no dead letters.
    ///
    /// # Errors
    /// Where the version is not there or damaged.
    pub fn dead_letters(&self, planned: &Planned, job: JobId, tokens: &[Token]) -> Result<Option<DatasetEntry>, Failure> {
        match (planned.keeper(), parted(planned, tokens)?.1) {
            (Some(keeper), Some(token)) => keeper.entry(&self.inner.files, job, token),
            _ => Ok(None),
        }
    }

    /// What a job left out, from the tokens of a whole run.
    ///
    /// # Errors
    /// Where they are damaged.
    pub fn refused(planned: &Planned, tokens: &[Token]) -> Result<Vec<Refused>, Failure> {
        parted(planned, tokens)?.1.map_or_else(|| Ok(Vec::new()), letters::refused)
    }

    /// A dataset's version by the name of its directory, as [`Pins::datasets`] gives it. Its files are looked at: a catalog
    /// that lost its records can be made again from them.
    ///
    /// # Errors
    /// Where the version is not there or damaged.
    pub fn dataset_version(&self, name: &DatasetName, version: &str) -> Result<DatasetEntry, Failure> {
        sink::dataset::entry_of(&self.inner.files, name, version)
    }

    /// Removes one version of a dataset from the disk. Removing one that is gone is no error.
    ///
    /// # Errors
    /// What kept it from being removed.
    pub fn remove_dataset(&self, entry: &DatasetEntry) -> Result<(), Failure> {
        sink::dataset::remove(&self.inner.files, entry)
    }

    /// The answer of a job that was committed, from [`Planned::description`] and its tokens.
    ///
    /// # Errors
    /// Where either is damaged.
    pub fn result(&self, job: JobId, description: &str, tokens: &[Token]) -> Result<JobResult, Failure> {
        sink::description::result(&self.inner.files, job, description, tokens)
    }

    /// The rows of a plan as an answer that is computed while it is read, past its sink. What the plan reads must stay as
    /// long. `rows` and `bytes` are what is known of it.
    #[must_use]
    pub fn read(&self, planned: &Planned, rows: u64, bytes: u64) -> JobResult {
        let schema = Arc::clone(planned.schema());
        JobResult { shape: crate::Shape::Rows, schema, rows, bytes, parts: vec![crate::result::Part::Plan(planned.clone())], window: None }
    }

    /// The columns of a dataset, from the first of its files. Blocks.
    ///
    /// # Errors
    /// Where the file is not there or damaged.
    pub fn dataset_schema(&self, entry: &DatasetEntry) -> Result<SchemaRef, Failure> {
        input::dataset_schema(&self.inner.files, entry)
    }

    /// Removes a job's kept result from the disk. Removing one that is gone is no error.
    ///
    /// # Errors
    /// What kept it from being removed.
    pub fn remove_result(&self, job: JobId) -> Result<(), Failure> {
        sink::collect::remove(&self.inner.files, job)
    }

    /// Inline rows as Arrow, with the conventions that jobs have.
    ///
    /// # Errors
    /// [`azora_spec::Code::DataMixed`], naming the row.
    pub fn rows(values: &[serde_json::Value]) -> Result<JobResult, Failure> {
        let (schema, batch) = input::inline::batch(values, false)?;
        Ok(JobResult::of_batches(crate::Shape::Rows, schema, vec![batch]))
    }

    /// The connectors beside files, which are the engine's own.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// JSON Schema of a file source.
    #[must_use]
    pub fn file_schema() -> serde_json::Value {
        input::file_schema()
    }

    /// What is wrong with the configuration of a file source, without looking at files.
    #[must_use]
    pub fn file_fault(config: &serde_json::Map<String, serde_json::Value>) -> Option<Failure> {
        input::file_fault(config)
    }

    /// The types that a source may have besides those of the registry's connectors.
    #[must_use]
    pub fn is_file_source(connector: &str) -> bool {
        input::is_file(connector)
    }

    /// The input of a spec with [`Input::LastDataset`] resolved, so that a job records what it reads.
    ///
    /// # Errors
    /// [`azora_spec::Code::DatasetNone`].
    pub fn resolve(&self, input: &Input) -> Result<Input, Failure> {
        input::resolve(&*self.inner.catalog, input)
    }
}

/// Whether a job holds what people have written as texts: SQL, or the expressions of a frame.
fn is_written(spec: &JobSpec) -> bool {
    spec.operations.iter().any(|operation| matches!(operation, Operation::Sql(_) | Operation::Frame(_)))
}

/// Whether a job writes nothing because of what is there; refuses what cannot be written.
async fn is_left(target: &Target) -> Result<bool, Failure> {
    match target.sink.check().await {
        Err(failure) if target.may_be_left && matches!(failure.code, Code::SinkExists | Code::DatasetExists) => Ok(true),
        checked => checked.map(|()| false),
    }
}

/// The tokens of partitions, and the one of what was left out.
fn parted<'a>(planned: &Planned, tokens: &'a [Token]) -> Result<(&'a [Token], Option<&'a Token>), Failure> {
    if tokens.len() != planned.tokens() {
        return Err(Error::Broken("one token per partition").into());
    }
    let (own, left_out) = tokens.split_at(planned.partitions());
    Ok((own, left_out.first()))
}

#[cfg(test)]
mod tests;
