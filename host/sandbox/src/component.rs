//! A compiled component, linked and ready to be instantiated. How it was compiled is `compile.rs`'s business.

use crate::aggregate::Aggregate;
use crate::capabilities::{Capabilities, Services};
use crate::connector::GuestConnector;
use crate::engine::Engine;
use crate::error::{Error, Origin, Result};
use crate::host::{self, Import};
use crate::manifest::{Capability, ConnectorDecl, Manifest};
use crate::store::{self, State, Surroundings};
use crate::transform::Transform;
use crate::{CancelFlag, Options};
use arrow::datatypes::SchemaRef;
use azora_spec::limits::GuestLimits;
use azora_spec::{Digest, Grants};
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, Instance, InstancePre, Linker};

const DESCRIBE: &str = "azora:plugin/describe@0.1.0";
const TRANSFORM: &str = "azora:plugin/transform@0.1.0";
const AGGREGATE: &str = "azora:plugin/aggregate@0.1.0";
const SOURCE: &str = "azora:plugin/source@0.1.0";
const SINK: &str = "azora:plugin/sink@0.1.0";

/// A compiled component. Clones are cheap.
#[derive(Clone)]
pub struct Component(Arc<Linked>);

struct Linked {
    digest: Digest,
    origin: Origin,
    engine: Engine,
    pre: InstancePre<State>,
    describe: Option<ComponentExportIndex>,
    transform: Option<TransformExports>,
    aggregate: Option<AggregateExports>,
    source: Option<SourceExports>,
    sink: Option<SinkExports>,
    services: Option<Services>,
    needs: Vec<Capability>,
    bounds: Bounds,
}

/// What no job's limits may go beyond.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) memory_bytes_max: usize,
    pub(crate) table_elements_max: usize,
    pub(crate) stack_bytes_max: usize,
}

impl From<&Options> for Bounds {
    fn from(options: &Options) -> Self {
        Self {
            memory_bytes_max: options.memory_bytes_max,
            table_elements_max: options.table_elements_max,
            stack_bytes_max: options.stack_bytes_max,
        }
    }
}

/// Where the functions of `transform` are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransformExports {
    pub(crate) open: ComponentExportIndex,
    pub(crate) process: ComponentExportIndex,
    pub(crate) finish: ComponentExportIndex,
}

/// Where the functions of `aggregate` are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AggregateExports {
    pub(crate) open: ComponentExportIndex,
    pub(crate) update: ComponentExportIndex,
    pub(crate) merge: ComponentExportIndex,
    pub(crate) state: ComponentExportIndex,
    pub(crate) evaluate: ComponentExportIndex,
}

/// Where the functions of `source` are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SourceExports {
    pub(crate) plan: ComponentExportIndex,
    pub(crate) open: ComponentExportIndex,
    pub(crate) read: ComponentExportIndex,
}

/// Where the functions of `sink` are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SinkExports {
    pub(crate) open: ComponentExportIndex,
    pub(crate) write: ComponentExportIndex,
    pub(crate) prepare: ComponentExportIndex,
    pub(crate) commit: ComponentExportIndex,
    pub(crate) abort: ComponentExportIndex,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("digest", &self.0.digest).field("origin", &self.0.origin).finish_non_exhaustive()
    }
}

impl Component {
    /// Links compiled code. Its imports get their right types, and none of them works before it is granted.
    pub(crate) fn link(
        engine: &Engine,
        linker: &Linker<State>,
        code: &wasmtime::component::Component,
        digest: Digest,
        origin: Origin,
        (bounds, services): (Bounds, Option<Services>),
    ) -> Result<Self> {
        let imports: Vec<String> = code.component_type().imports(engine.wasm()).map(|(name, _)| name.to_owned()).collect();
        let mut needs = Vec::new();
        for name in &imports {
            match host::import(name) {
                Some(Import::Types | Import::Log) => {}
                Some(Import::Capability(capability)) => needs.push(capability),
                None => return Err(Error::Import { name: name.escape_debug().to_string() }),
            }
        }
        let pre = linker.instantiate_pre(code).map_err(|error| mismatch(&imports, &error))?;
        let describe = export(code, DESCRIBE, "describe");
        let (transform, aggregate) = (TransformExports::of(code), AggregateExports::of(code));
        let (source, sink) = (SourceExports::of(code), SinkExports::of(code));
        let engine = engine.clone();
        Ok(Self(Arc::new(Linked { digest, origin, engine, pre, describe, transform, aggregate, source, sink, services, needs, bounds })))
    }

    /// SHA-256 of the component's bytes.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// Who wrote it.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.0.origin
    }

    /// Binds a function to its input columns and its configuration (JSON text): calls `open` once. The function of a
    /// lambda is the empty name.
    ///
    /// # Errors
    /// When the function refuses, its plan is wrong, a column's type cannot cross, or the component needs a capability.
    pub fn bind(&self, function: &str, input: &SchemaRef, config: &str, limits: GuestLimits) -> Result<Transform> {
        self.pure()?;
        Transform::bind(self, function, input, config, limits)
    }

    /// Binds an aggregate to its input columns and its configuration (JSON text): calls `open` once.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub fn bind_aggregate(&self, function: &str, input: &SchemaRef, config: &str, limits: GuestLimits) -> Result<Aggregate> {
        self.pure()?;
        Aggregate::bind(self, function, input, config, limits)
    }

    /// A connector of the plugin, with what it was granted. Nothing of the guest runs yet.
    #[must_use]
    pub fn connector(&self, manifest: &Manifest, decl: &ConnectorDecl, grants: Grants, limits: GuestLimits) -> GuestConnector {
        let capabilities = Capabilities::new(grants, self.0.services.clone(), manifest.name.clone());
        GuestConnector::new(self.clone(), manifest, decl, capabilities, self.clamp(limits))
    }

    /// Functions are recomputed after a crash, so they get nothing that could answer differently the second time.
    fn pure(&self) -> Result<()> {
        match self.0.needs.first() {
            Some(capability) => Err(Error::Impure { capability: capability.as_str() }),
            None => Ok(()),
        }
    }

    /// What the component asks for by its imports.
    pub(crate) fn needs(&self) -> &[Capability] {
        &self.0.needs
    }

    pub(crate) fn clamp(&self, limits: GuestLimits) -> GuestLimits {
        GuestLimits {
            memory_bytes_max: limits.memory_bytes_max.min(self.0.bounds.memory_bytes_max),
            table_elements_max: limits.table_elements_max.min(self.0.bounds.table_elements_max),
            ..limits
        }
    }

    pub(crate) fn transform(&self) -> Result<TransformExports> {
        self.0.transform.ok_or_else(|| Error::Export { name: "azora:plugin/transform".to_owned(), reason: "is missing" })
    }

    pub(crate) fn aggregate(&self) -> Result<AggregateExports> {
        self.0.aggregate.ok_or_else(|| Error::Export { name: "azora:plugin/aggregate".to_owned(), reason: "is missing" })
    }

    pub(crate) fn source(&self) -> Result<SourceExports> {
        self.0.source.ok_or_else(|| Error::Export { name: "azora:plugin/source".to_owned(), reason: "is missing" })
    }

    pub(crate) fn sink(&self) -> Result<SinkExports> {
        self.0.sink.ok_or_else(|| Error::Export { name: "azora:plugin/sink".to_owned(), reason: "is missing" })
    }

    pub(crate) fn describe(&self) -> Result<ComponentExportIndex> {
        self.0.describe.ok_or_else(|| Error::Export { name: "azora:plugin/describe".to_owned(), reason: "is missing" })
    }

    /// A fresh store and instance; start functions run under the limits of one call.
    pub(crate) fn instantiate(&self, limits: GuestLimits, cancel: CancelFlag) -> Result<(Store<State>, Instance)> {
        self.instantiate_with(limits, cancel, Arc::default())
    }

    /// The same with capabilities.
    pub(crate) fn instantiate_with(
        &self,
        limits: GuestLimits,
        cancel: CancelFlag,
        capabilities: Arc<Capabilities>,
    ) -> Result<(Store<State>, Instance)> {
        let surroundings = Surroundings { origin: self.0.origin, limits, stack_bytes_max: self.0.bounds.stack_bytes_max, capabilities };
        let mut store = store::new(&self.0.engine, surroundings, cancel);
        store::begin(&mut store)?;
        match self.0.pre.instantiate(&mut store) {
            Ok(instance) => Ok((store, instance)),
            Err(error) => Err(store::explain(&store, "instantiate", error)),
        }
    }
}

impl TransformExports {
    fn of(code: &wasmtime::component::Component) -> Option<Self> {
        let function = |name| export(code, TRANSFORM, name);
        Some(Self { open: function("open")?, process: function("process")?, finish: function("finish")? })
    }
}

impl AggregateExports {
    fn of(code: &wasmtime::component::Component) -> Option<Self> {
        let function = |name| export(code, AGGREGATE, name);
        Some(Self {
            open: function("open")?,
            update: function("update")?,
            merge: function("merge")?,
            state: function("state")?,
            evaluate: function("evaluate")?,
        })
    }
}

impl SourceExports {
    fn of(code: &wasmtime::component::Component) -> Option<Self> {
        let function = |name| export(code, SOURCE, name);
        Some(Self { plan: function("plan")?, open: function("open")?, read: function("read")? })
    }
}

impl SinkExports {
    fn of(code: &wasmtime::component::Component) -> Option<Self> {
        let function = |name| export(code, SINK, name);
        Some(Self {
            open: function("open")?,
            write: function("write")?,
            prepare: function("prepare")?,
            commit: function("commit")?,
            abort: function("abort")?,
        })
    }
}

fn export(code: &wasmtime::component::Component, interface: &str, name: &str) -> Option<ComponentExportIndex> {
    let interface = code.get_export_index(None, interface)?;
    code.get_export_index(Some(&interface), name)
}

/// wasmtime names the import in its text and nowhere else.
fn mismatch(imports: &[String], error: &wasmtime::Error) -> Error {
    let text = format!("{error:#}");
    tracing::debug!(error = text, "imports do not link");
    let name = imports.iter().find(|name| text.contains(name.as_str())).cloned();
    Error::ImportType { name: name.unwrap_or_else(|| imports.join(", ")) }
}
