//! A job that is ready to run: its physical plan, its sink, and what a restart needs to plan it the same way again.

use crate::cache::Release;
use crate::concat::ConcatExec;
use crate::explain::Explained;
use crate::letters::Keeper;
use crate::notes::{Bound, Typed};
use crate::pins::Pins;
use crate::plan::Texts;
use crate::plan::sorters_max;
use crate::plan::sql::{built, of_plan};
use crate::relation::{Applied, CurrentRun, PlanContext, Read, Shape};
use crate::session::Session;
use crate::sink::{Kind, Target, description, folders};
use crate::udf::constants;
use crate::{Error, failure_of, stops};
use azora_connect::Sink;
use azora_spec::{DatasetName, Failure, limits};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Distinct, LogicalPlan};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, displayable};
use datafusion::prelude::SessionConfig;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A planned job. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Planned {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    session: Arc<Session>,
    config: SessionConfig,
    plan: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    shape: Shape,
    on_empty: Option<Failure>,
    target: Target,
    keeper: Option<Keeper>,
    pins: Pins,
    description: String,
    time_max: Duration,
    run: Arc<CurrentRun>,
    chains: Vec<Bound>,
    reads: Vec<Read>,
    releases: BTreeSet<Release>,
    typed: Vec<Typed>,
    texts: Texts,
}

impl Planned {
    /// What to keep with the job, so that a restart plans the same partitions.
    #[must_use]
    pub fn pins(&self) -> &Pins {
        &self.inner.pins
    }

    /// Partitions of the last stage.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.inner.pins.partitions
    }

    /// Tokens of a whole run: one for each partition, and one more where rows may be left out.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.partitions() + usize::from(self.inner.keeper.is_some())
    }

    /// The dataset that keeps what the job leaves out, where it keeps it.
    #[must_use]
    pub fn dead_letters(&self) -> Option<&DatasetName> {
        self.inner.keeper.as_ref().and_then(Keeper::name)
    }

    pub(crate) fn keeper(&self) -> Option<&Keeper> {
        self.inner.keeper.as_ref()
    }

    /// A small JSON text from which [`crate::Engine::result`] makes the answer, together with the tokens.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.inner.description
    }

    /// The columns of the answer, with the element conventions of `azora-connect`.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.inner.schema
    }

    /// Whether nothing outside of the engine changes before the answer is fetched: the sink is `collect`.
    #[must_use]
    pub fn is_collected(&self) -> bool {
        self.inner.target.kind == Kind::Collect
    }

    /// The physical plan as indented text, for people and tests.
    #[must_use]
    pub fn explain(&self) -> String {
        displayable(self.inner.plan.as_ref()).indent(false).to_string()
    }

    /// How its lambdas run, with the text of their WebAssembly.
    #[must_use]
    pub fn explained(&self) -> Explained {
        Explained::of(&self.inner.chains, self.schema(), self.explain())
    }

    pub(crate) fn sink(&self) -> &Arc<dyn Sink> {
        &self.inner.target.sink
    }

    pub(crate) fn reads(&self) -> &[Read] {
        &self.inner.reads
    }

    pub(crate) fn target(&self) -> &Target {
        &self.inner.target
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.inner.session
    }

    pub(crate) fn plan(&self) -> &Arc<dyn ExecutionPlan> {
        &self.inner.plan
    }

    pub(crate) fn on_empty(&self) -> Option<&Failure> {
        match self.inner.shape {
            Shape::Single => self.inner.on_empty.as_ref(),
            Shape::Rows | Shape::Value(_) => None,
        }
    }

    pub(crate) fn config(&self) -> &SessionConfig {
        &self.inner.config
    }

    pub(crate) fn current_run(&self) -> &Arc<CurrentRun> {
        &self.inner.run
    }

    pub(crate) fn releases(&self) -> &BTreeSet<Release> {
        &self.inner.releases
    }

    /// The pins of a plan that takes what did not fit this one's columns in the run that has just failed.
    pub(crate) fn widened(&self) -> Option<Pins> {
        self.inner.pins.widened(self.inner.run.take_misfits(), &self.inner.typed)
    }

    /// A failure of its run, at the place in the request that it must be about.
    pub(crate) fn located(&self, failure: Failure) -> Failure {
        self.inner.texts.locate(failure)
    }

    pub(crate) fn time_max(&self) -> Duration {
        self.inner.time_max
    }
}

/// Optimizes the plan and closes the pins.
pub(crate) async fn finish(
    session: Arc<Session>,
    mut context: PlanContext,
    applied: Applied,
    (target, keeper): (Target, Option<Keeper>),
    mut pins: Pins,
    time_max: Duration,
) -> Result<Planned, Failure> {
    let Applied { relation, shape, on_empty } = applied;
    let (state, logical) = relation.frame.into_parts();
    let config = state.config().clone();
    let is_picking = is_picking(&logical).map_err(failure_of)?;
    let plan = match state.optimize(&logical) {
        Ok(optimized) => {
            constants::check_lists(&optimized).map_err(|failure| context.texts.locate(failure))?;
            state.query_planner().create_physical_plan(&optimized, &state).await
        }
        Err(error) => Err(error),
    };
    // Constants are computed while plans are optimized, so what is wrong with a text may come out here.
    let texts = std::mem::take(&mut context.texts);
    let plan = match (pins.now_ms, texts.query()) {
        (None, _) => plan.map_err(failure_of)?,
        (Some(_), None) => built(plan).map_err(|failure| texts.locate(failure).or_at("/frame"))?,
        (Some(_), Some(text)) => plan.map_err(|error| texts.locate(of_plan(error, text)).or_at("/sql"))?,
    };
    let mut plan = crate::node::settle(plan).and_then(|plan| stops::add(plan, &context.run)).map_err(failure_of)?;
    if is_picking {
        plan = first_rows(plan).map_err(failure_of)?;
    }
    if !target.sorted_by.is_empty() {
        plan = folders::sorted(plan, &target.sorted_by, sorters_max(&context)).map_err(failure_of)?;
    }
    check_columns(&plan.schema(), &relation.schema)?;
    if (target.is_single || shape == Shape::Single || is_picking) && plan.output_partitioning().partition_count() > 1 {
        plan = Arc::new(ConcatExec::new(plan));
    }
    pins.partitions = plan.output_partitioning().partition_count();
    if pins.partitions > limits::PARTITIONS_MAX {
        return Err(Failure::new(
            azora_spec::Code::RequestField,
            format!("the job has {} partitions, at most {} are allowed", pins.partitions, limits::PARTITIONS_MAX),
        ));
    }
    let run = Arc::clone(&context.run);
    let reads = context.take_reads();
    let releases = context.take_releases();
    let (chains, typed);
    (pins.plugins, (pins.samples, typed), chains, pins.grants) = context.into_pins();
    pins.lambdas = chains.iter().map(|chain| chain.used.clone()).collect();
    pins.warnings = chains.iter().flat_map(|chain| chain.warnings.clone()).collect();
    let description = description::write(&target, &shape, &relation.schema, keeper.is_some().then_some(pins.partitions))?;
    let schema = relation.schema;
    Ok(Planned {
        inner: Arc::new(Inner {
            session,
            config,
            plan,
            schema,
            shape,
            on_empty,
            target,
            keeper,
            pins,
            description,
            time_max,
            run,
            chains,
            reads,
            releases,
            typed,
            texts,
        }),
    })
}

/// Whether which rows there are may depend on the order in which they happen to come: `LIMIT`, numbers of rows with equal
/// keys. Such rows are one partition in the end, so that a job that goes on after a crash has all of them or none.
fn is_picking(plan: &LogicalPlan) -> datafusion::error::Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= matches!(node, LogicalPlan::Limit(_) | LogicalPlan::Window(_) | LogicalPlan::Distinct(Distinct::On(_)));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Limits over several partitions take the rows of the first ones, and not of those that happen to be ready.
fn first_rows(plan: Arc<dyn ExecutionPlan>) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
    let replaced = plan.transform_up(|node| {
        let Some(coalesce) = node.downcast_ref::<CoalescePartitionsExec>() else { return Ok(Transformed::no(node)) };
        let Some(rows) = coalesce.fetch() else { return Ok(Transformed::no(node)) };
        let all = Arc::new(ConcatExec::new(Arc::clone(coalesce.input())));
        Ok(Transformed::yes(Arc::new(GlobalLimitExec::new(all, 0, Some(rows))) as Arc<dyn ExecutionPlan>))
    });
    replaced.data()
}

/// The plan's columns must be the ones that the relation promises, up to metadata and nullability.
fn check_columns(plan: &SchemaRef, promised: &SchemaRef) -> Result<(), Failure> {
    let is_same = plan.fields().len() == promised.fields().len()
        && plan.fields().iter().zip(promised.fields()).all(|(a, b)| a.name() == b.name() && a.data_type().equals_datatype(b.data_type()));
    if is_same {
        return Ok(());
    }
    tracing::error!(?plan, ?promised, "the plan's columns are not the promised ones");
    Err(Error::Broken("the columns of a plan").into())
}

/// Removes what a process that died had spilled.
pub(crate) fn clear_spill(data_dir: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(data_dir.join("spill")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::storage("clear the spill directory", error).into()),
        _ => Ok(()),
    }
}
