//! What input, operations and sink hand to one another while a job is planned.

use crate::cache::{CacheScope, Release};
use crate::lambda::{Came, Found, Lambdas};
use crate::letters::{Ledger, Tolerance};
use crate::node::Kernel;
use crate::notes::{Bound, Notes, Sampled};
use crate::plan::Texts;
use crate::{Catalog, PluginEntry};
use azora_connect::{Source, Split};
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
    /// What is found out about lambdas.
    pub(crate) notes: Arc<Notes>,
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

impl PlanContext {
    pub(crate) fn new(
        (sandbox, catalog, lambdas): (Sandbox, Arc<dyn Catalog>, Arc<Lambdas>),
        (state, cpu): (SessionState, tokio::runtime::Handle),
        options: JobOptions,
        (plugins, found, grants): (BTreeMap<String, String>, BTreeMap<String, Found>, Grants),
    ) -> Self {
        let partitions = state.config().target_partitions();
        let notes = Arc::new(Notes::knowing(found));
        let (plugins, grants, run) = (Mutex::new(plugins), Mutex::new(grants), Arc::default());
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
            notes,
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
        let (sampled, uses) = self.notes.take();
        (self.plugins.into_inner(), sampled, uses, self.grants.into_inner())
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

    /// Whether it was cancelled, has failed elsewhere, or is over its time.
    pub(crate) fn is_over(&self) -> bool {
        self.cancel.lock().is_cancelled()
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
