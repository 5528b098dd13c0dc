//! The parts and how they are joined: store, catalog, sandbox, engine, jobs, HTTP.

use crate::config::Config;
use crate::error::{Error, Result};
use azora_api::{App, ConnectorInfo};
use azora_connect::{ConnectorKind, Policy, Registry, Secrets, Setup};
use azora_engine::{ContextOptions, Engine};
use azora_jobs::{Catalog, Handle};
use azora_sandbox::{CompilerCommand, Sandbox, Services};
use azora_spec::Failure;
use azora_spec::wire::{self, Unknown};
use azora_store::Store;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The subcommand of this program that compiles one upload.
pub(crate) const COMPILE_COMPONENT: &str = "compile-component";

/// Starts everything but the listener.
pub(crate) async fn join(config: &Config) -> Result<(Handle, App)> {
    let data_dir = make(&config.data_dir)?;
    let roots = config.file_roots.iter().map(|root| root_of(config, &data_dir, root)).collect::<Result<Vec<_>>>()?;
    let registry = registry(&setup(config))?;
    let connectors = shown(&registry);
    let store = Store::open(&azora_store::Options::new(&data_dir)).map_err(|error| part("the store", (&error).into()))?;
    let catalog = Catalog::new(store.clone());
    let sandbox = sandbox(config, &data_dir, &setup(config))?;
    let engine = engine(config, &data_dir, roots, (sandbox.clone(), registry, catalog.clone()))?;
    let context = ContextOptions { parallelism: config.threads, threads: config.threads, memory_bytes: config.memory_bytes };
    let mut options = azora_jobs::Options::new(Arc::new(decode), context);
    options.queue_max = config.queue_jobs_max;
    options.running_max = config.running_jobs_max;
    options.processors = config.threads;
    let handle = azora_jobs::start(options, store, catalog, engine, sandbox).await.map_err(|failure| part("the job service", failure))?;
    let http = azora_api::Options {
        json_bytes_max: config.json_bytes_max,
        plugin_bytes_max: config.plugin_bytes_max,
        is_local: !config.is_remote_allowed,
        ..azora_api::Options::default()
    };
    Ok((handle.clone(), App::new(handle, connectors, http)))
}

/// A stored request was checked strictly when it came; what it says is read in the same way, whatever route it took.
fn decode(request: &Value) -> std::result::Result<azora_spec::JobSpec, Failure> {
    wire::job_spec(request, Unknown::Ignore)
}

/// Which servers connectors may reach: a server that only this machine can reach also lets jobs reach this machine.
fn setup(config: &Config) -> Setup {
    let network = if config.is_remote_allowed { Policy::remote() } else { Policy::local() };
    Setup { network, secrets: Secrets::default() }
}

fn sandbox(config: &Config, data_dir: &Path, setup: &Setup) -> Result<Sandbox> {
    let program = match &config.compiler {
        Some(program) => program.clone(),
        None => std::env::current_exe().map_err(|source| Error::Program { source })?,
    };
    let compiler = CompilerCommand { program, args: vec![COMPILE_COMPONENT.to_owned()] };
    let mut options = azora_sandbox::Options::new(data_dir.join("compiled"), compiler);
    options.instances_max = config.instances_max;
    options.services = Some(Services {
        policy: setup.network.clone(),
        secrets: setup.secrets.clone(),
        state_dir: data_dir.join("plugin-state"),
        io: tokio::runtime::Handle::current(),
    });
    Sandbox::new(options).map_err(|error| part("the sandbox", (&error).into()))
}

fn engine(config: &Config, data_dir: &Path, roots: Vec<PathBuf>, parts: (Sandbox, Registry, Catalog)) -> Result<Engine> {
    let (sandbox, registry, catalog) = parts;
    let mut options = azora_engine::Options::new(data_dir);
    options.roots = roots;
    options.threads = config.threads;
    options.memory_bytes = config.memory_bytes;
    Engine::new(options, sandbox, registry, Arc::new(catalog)).map_err(|failure| part("the engine", failure))
}

/// The connectors beside files, which are the engine's own.
fn registry(setup: &Setup) -> Result<Registry> {
    let mut registry = Registry::new();
    for connector in azora_http::connectors(setup).map_err(|failure| part("the connectors over HTTP", failure))? {
        registry.insert(connector);
    }
    for connector in azora_database::connectors(setup) {
        registry.insert(connector);
    }
    Ok(registry)
}

fn shown(registry: &Registry) -> Vec<ConnectorInfo> {
    let file = ConnectorInfo { name: "file".to_owned(), is_source: true, is_sink: true, config_schema: file_schema() };
    let others = registry.iter().map(|connector| ConnectorInfo {
        name: connector.name().to_owned(),
        is_source: matches!(connector.kind(), ConnectorKind::Source | ConnectorKind::Both),
        is_sink: matches!(connector.kind(), ConnectorKind::Sink | ConnectorKind::Both),
        config_schema: connector.config_schema(),
    });
    std::iter::once(file).chain(others).collect()
}

/// The members of a file source that every format has.
fn file_schema() -> Value {
    serde_json::json!({
        "type": "object",
        "required": ["path"],
        "properties": {
            "path": { "type": "string", "description": "a file, a directory or a glob below a configured root" },
            "format": { "enum": ["json", "ndjson", "csv", "text", "parquet", "arrow"] },
            "columns": { "type": "array", "items": { "type": "string" } },
            "types": { "type": "array", "items": { "type": "string" } },
            "delimiter": { "type": "string" },
            "header": { "type": "boolean" },
        },
    })
}

/// Makes a directory that only this user may enter, and gives its absolute path.
fn make(folder: &Path) -> Result<PathBuf> {
    let unusable = |source| Error::Path { path: folder.to_owned(), source };
    if !folder.exists() {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
    }
    folder.canonicalize().map_err(unusable)
}

/// The default root is made; one that somebody named must be there.
fn root_of(config: &Config, data_dir: &Path, root: &Path) -> Result<PathBuf> {
    let is_ours = root.parent().is_some_and(|parent| parent == config.data_dir || parent == data_dir);
    if is_ours {
        return make(root);
    }
    root.canonicalize().map_err(|source| Error::Path { path: root.to_owned(), source })
}

fn part(part: &'static str, failure: Failure) -> Error {
    Error::Part { part, failure }
}
