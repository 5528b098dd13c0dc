//! What input, operations and sink hand to one another while a job is planned.

use crate::cache::{CacheScope, Release};
use crate::lambda::{Came, Found, Lambdas, Wanted};
use crate::letters::{Ledger, Tolerance};
use crate::node::Kernel;
use crate::plan::{Texts, ValuesWanted};
use crate::{Catalog, PluginEntry};
use azora_connect::{Source, Split};
use azora_expression::Pipeline;
use azora_sandbox::{CancelFlag, Sandbox};
use azora_spec::{Digest, Failure, JobOptions, PluginRef};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::dataframe::DataFrame;
use datafusion::execution::session_state::SessionState;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// Elements and the plan that makes them.
///
/// Column names and types of `schema` are those of `frame`, in order. The metadata (`azora:element`, `azora:tuple`) is
/// kept in `schema` only: schema-level metadata inside a plan would have to survive every optimizer rule.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    pub(crate) frame: DataFrame,
    pub(crate) schema: SchemaRef,
}

/// What the operations of a job made of its input.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    pub(crate) relation: Relation,
    pub(crate) shape: Shape,
    /// For [`Shape::Single`]: how the job fails where there is no row. Where absent, no row answers null.
    pub(crate) on_empty: Option<Failure>,
}

impl Applied {
    /// The same without any row.
    pub(crate) fn nothing(self) -> Result<Self, Failure> {
        let frame = self.relation.frame.limit(0, Some(0)).map_err(crate::failure_of)?;
        Ok(Self { relation: Relation { frame, ..self.relation }, ..self })
    }
}

/// How rows become the answer of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "shape", content = "value", rename_all = "snake_case")]
pub enum Shape {
    /// A list of elements.
    Rows,
    /// The one element itself; null where there is none.
    Single,
    /// Known without rows.
    Value(serde_json::Value),
}

/// Connectors of plugins, and what each was granted.
type Grants = BTreeMap<String, serde_json::Value>;
/// What planning decided: plugins, samples, how lambdas run, grants.
type Decided = (BTreeMap<String, String>, Sampled, Vec<Bound>, Grants);

/// What planning operations may use.
#[derive(Debug)]
pub(crate) struct PlanContext {
    pub(crate) sandbox: Sandbox,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) lambdas: Arc<Lambdas>,
    /// Makes further frames over the same runtime; its `target_partitions` is `partitions`.
    pub(crate) state: SessionState,
    /// How many partitions the job aims at.
    pub(crate) partitions: usize,
    pub(crate) options: JobOptions,
    pub(crate) run: Arc<CurrentRun>,
    /// Where samples are computed.
    pub(crate) cpu: tokio::runtime::Handle,
    cache: OnceLock<CacheScope>,
    releases: Mutex<BTreeSet<Release>>,
    plugins: Mutex<BTreeMap<String, String>>,
    grants: Mutex<Grants>,
    samples: Mutex<Samples>,
    uses: Mutex<Vec<Bound>>,
    reads: Mutex<Vec<Read>>,
    /// Which rows the job may leave out.
    pub(crate) tolerance: Mutex<Tolerance>,
    /// The job's SQL, for failures of values.
    pub(crate) texts: Texts,
}

/// A connector's source and the splits of it that a job reads.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) splits: Vec<Split>,
}

/// A chain of lambdas, and the kernel that it became.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) used: LambdaUse,
    pub(crate) kernel: Arc<Kernel>,
    /// What was compiled; none for the interpreter.
    pub(crate) pipeline: Option<Pipeline>,
}

/// What samples decided, and the kernels whose columns are of a sample.
pub(crate) type Sampled = (BTreeMap<String, Found>, Vec<Typed>);

/// A kernel whose columns a sample decided.
#[derive(Debug, Clone)]
pub(crate) struct Typed {
    pub(crate) kernel: Arc<Kernel>,
    /// What the sample is known by.
    pub(crate) key: String,
    /// Where in the request its first lambda stands.
    pub(crate) pointer: String,
    /// Whether its answer is one column whatever it is.
    pub(crate) is_one: bool,
}

/// What was found out about interpreted lambdas, and what has to be.
#[derive(Debug, Default)]
struct Samples {
    found: BTreeMap<String, Found>,
    wanted: Option<Wanted>,
    values: Option<ValuesWanted>,
    /// Whether the interpreter has to be made ready.
    needs_interpreter: bool,
    typed: Vec<Typed>,
}

/// How a job runs the lambdas of one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LambdaUse {
    /// Where in the request the first of them stands.
    pub pointer: String,
    /// Their text, in a line, cut where it is long.
    pub text: String,
    /// `compiled`, or `interpreted`.
    pub tier: String,
    /// For [`Self::tier`] `interpreted`: why the compiler does not take them.
    pub reason: Option<String>,
}

impl PlanContext {
    pub(crate) fn new(
        (sandbox, catalog, lambdas): (Sandbox, Arc<dyn Catalog>, Arc<Lambdas>),
        (state, cpu): (SessionState, tokio::runtime::Handle),
        options: JobOptions,
        (plugins, found, grants): (BTreeMap<String, String>, BTreeMap<String, Found>, Grants),
    ) -> Self {
        let partitions = state.config().target_partitions();
        let samples = Mutex::new(Samples { found, ..Samples::default() });
        let (plugins, grants, run, uses) = (Mutex::new(plugins), Mutex::new(grants), Arc::default(), Mutex::default());
        let (reads, tolerance) = (Mutex::default(), Mutex::default());
        let (cache, releases) = (OnceLock::new(), Mutex::default());
        Self {
            sandbox,
            catalog,
            lambdas,
            state,
            partitions,
            options,
            run,
            cpu,
            cache,
            releases,
            plugins,
            grants,
            samples,
            uses,
            reads,
            tolerance,
            texts: Texts::default(),
        }
    }

    /// Says what rows of this job are known by. Once for a job.
    pub(crate) fn set_cache(&self, scope: CacheScope) {
        let _is_first = self.cache.set(scope).is_ok();
    }

    /// Where rows are kept; none where nothing of this job can be.
    pub(crate) fn cache(&self) -> Option<&CacheScope> {
        self.cache.get()
    }

    /// Notes that rows are to be let go.
    pub(crate) fn release(&self, what: Release) {
        self.releases.lock().insert(what);
    }

    /// Which rows are to be let go.
    pub(crate) fn take_releases(&self) -> BTreeSet<Release> {
        std::mem::take(&mut self.releases.lock())
    }

    /// What references to plugins mean, as far as they were asked for.
    pub(crate) fn known_plugins(&self) -> BTreeMap<String, String> {
        self.plugins.lock().clone()
    }

    /// What a sample decided; none where it was not taken yet.
    pub(crate) fn found(&self, key: &str) -> Option<Found> {
        self.samples.lock().found.get(key).cloned()
    }

    /// Says that planning cannot go on without a sample.
    pub(crate) fn want(&self, wanted: Wanted) {
        self.samples.lock().wanted = Some(wanted);
    }

    /// The sample that planning cannot go on without.
    pub(crate) fn take_wanted(&self) -> Option<Wanted> {
        self.samples.lock().wanted.take()
    }

    /// Says that planning cannot go on without the values of a column.
    pub(crate) fn want_values(&self, wanted: ValuesWanted) {
        self.samples.lock().values = Some(wanted);
    }

    /// The values that planning cannot go on without.
    pub(crate) fn take_wanted_values(&self) -> Option<ValuesWanted> {
        self.samples.lock().values.take()
    }

    /// Says that planning cannot go on without the interpreter.
    pub(crate) fn want_interpreter(&self) {
        self.samples.lock().needs_interpreter = true;
    }

    /// Whether planning cannot go on without the interpreter.
    pub(crate) fn take_needs_interpreter(&self) -> bool {
        std::mem::take(&mut self.samples.lock().needs_interpreter)
    }

    /// Remembers what a sample decided.
    pub(crate) fn learn(&self, key: String, found: Found) {
        self.samples.lock().found.insert(key, found);
    }

    /// Notes how lambdas run.
    pub(crate) fn note(&self, bound: Bound) {
        let mut uses = self.uses.lock();
        // A chain may be bound several times before it is clear how it ends.
        match uses.iter_mut().find(|known| known.used.pointer == bound.used.pointer) {
            Some(known) => *known = bound,
            None => uses.push(bound),
        }
    }

    /// Notes a kernel whose columns a sample decided.
    pub(crate) fn note_typed(&self, typed: Typed) {
        self.samples.lock().typed.push(typed);
    }

    /// Forgets what was noted: the plan is built anew.
    pub(crate) fn forget_notes(&self) {
        self.uses.lock().clear();
        self.samples.lock().typed.clear();
    }

    /// The plugin of a reference: the one that an earlier planning of the job got, else the catalog's.
    pub(crate) fn plugin(&self, reference: &PluginRef) -> Result<PluginEntry, Failure> {
        let text = reference.to_string();
        let pinned = self.plugins.lock().get(&text).and_then(|digest| Digest::parse(digest));
        match pinned {
            Some(digest) => self.catalog.plugin(&PluginRef::Digest(digest)),
            None => {
                let entry = self.catalog.plugin(reference)?;
                self.plugins.lock().insert(text, entry.digest.to_string());
                Ok(entry)
            }
        }
    }

    /// Notes what a connector is to be read of.
    pub(crate) fn keep_read(&self, read: Read) {
        self.reads.lock().push(read);
    }

    /// What connectors are read of.
    pub(crate) fn take_reads(&self) -> Vec<Read> {
        std::mem::take(&mut self.reads.lock())
    }

    /// What a connector of a plugin was granted by an earlier planning of the job.
    pub(crate) fn grants(&self, key: &str) -> Option<serde_json::Value> {
        self.grants.lock().get(key).cloned()
    }

    /// Notes what a connector of a plugin is granted.
    pub(crate) fn keep_grants(&self, key: String, grants: serde_json::Value) {
        self.grants.lock().insert(key, grants);
    }

    /// Every plugin that was asked for, every sample's decision, how lambdas run, and what connectors of plugins were granted.
    pub(crate) fn into_pins(self) -> Decided {
        let Samples { found, typed, .. } = self.samples.into_inner();
        (self.plugins.into_inner(), (found, typed), self.uses.into_inner(), self.grants.into_inner())
    }
}

/// What a node of a running plan may ask of its run. Nodes find it with
/// `context.session_config().get_extension::<RunScope>()`.
#[derive(Debug)]
pub(crate) struct RunScope {
    /// Set when the job is cancelled, has failed elsewhere, or is over its time.
    pub(crate) cancel: CancellationToken,
    /// Where network connectors run; computing threads must not wait for them.
    pub(crate) io: tokio::runtime::Handle,
    /// Takes note of what the run leaves out; nobody does where nothing comes of the rows.
    pub(crate) ledger: Option<Arc<Ledger>>,
    /// The run itself.
    pub(crate) run: Arc<CurrentRun>,
}

/// The run of a plan that is under way: also for functions that DataFusion starts without telling them of their task.
#[derive(Debug, Default)]
pub(crate) struct CurrentRun {
    cancel: Mutex<CancellationToken>,
    misfits: Mutex<Vec<Misfit>>,
}

/// An answer that did not fit the columns that a sample decided.
#[derive(Debug)]
pub(crate) struct Misfit {
    pub(crate) kernel: Arc<Kernel>,
    /// What comes out where that answer is counted in.
    pub(crate) wider: Came,
}

/// Misfits of one run that are kept: each partition has one at most, and one is enough to go on with.
const MISFITS_MAX: usize = 64;

impl CurrentRun {
    /// A run begins that ends when this is set.
    pub(crate) fn begin(&self, cancel: CancellationToken) {
        *self.cancel.lock() = cancel;
        self.misfits.lock().clear();
    }

    /// A flag for guests, set when the run under way is cancelled, has failed elsewhere, or is over its time.
    pub(crate) fn flag(&self) -> CancelFlag {
        self.cancel.lock().clone().into()
    }

    /// Notes an answer that did not fit.
    pub(crate) fn misfit(&self, misfit: Misfit) {
        let mut misfits = self.misfits.lock();
        if misfits.len() < MISFITS_MAX {
            misfits.push(misfit);
        }
    }

    /// The answers that did not fit.
    pub(crate) fn take_misfits(&self) -> Vec<Misfit> {
        std::mem::take(&mut self.misfits.lock())
    }
}
