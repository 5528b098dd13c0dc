//! The parts and how they are joined: store, catalog, sandbox, engine, jobs, HTTP.

use crate::config::Config;
use crate::error::{Error, Result};
use azora_api::App;
use azora_connect::{Connector, Policy, Registry, Setup};
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
pub(crate) async fn join(config: &Config) -> Result<(Handle, App, Engine)> {
    let data_dir = make(&config.data_dir)?;
    let roots = config.file_roots.iter().map(|root| root_of(config, &data_dir, root)).collect::<Result<Vec<_>>>()?;
    let registry = registry(config, &data_dir, &roots)?;
    let store = Store::open(&azora_store::Options::new(&data_dir)).map_err(|error| part("the store", (&error).into()))?;
    let catalog = Catalog::new(store.clone());
    let sandbox = sandbox(config, &data_dir, &setup(config))?;
    let engine = engine(config, &data_dir, roots, (sandbox.clone(), registry, catalog.clone()))?;
    let context = ContextOptions { parallelism: config.threads, threads: config.threads, memory_bytes: config.memory_bytes };
    let mut options = azora_jobs::Options::new(Arc::new(decode), context);
    options.queue_max = config.queue_jobs_max;
    options.running_max = config.running_jobs_max;
    options.processors = config.threads;
    let handle =
        azora_jobs::start(options, store, catalog, engine.clone(), sandbox).await.map_err(|failure| part("the job service", failure))?;
    let http = azora_api::Options {
        json_bytes_max: config.json_bytes_max,
        plugin_bytes_max: config.plugin_bytes_max,
        is_local: !config.is_remote_allowed,
        ..azora_api::Options::default()
    };
    Ok((handle.clone(), App::new(handle, http), engine))
}

/// A stored request was checked strictly when it came; what it says is read in the same way, whatever route it took.
fn decode(request: &Value) -> std::result::Result<azora_spec::JobSpec, Failure> {
    wire::job_spec(request, Unknown::Ignore)
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
    options.cache_memory_bytes = config.cache_memory_bytes as u64;
    options.cache_disk_bytes = config.cache_disk_bytes as u64;
    Engine::new(options, sandbox, registry, Arc::new(catalog)).map_err(|failure| part("the engine", failure))
}

/// What every connector gets: which servers it may reach, and the values of secrets.
fn setup(config: &Config) -> Setup {
    let policy = if config.is_remote_allowed { Policy::remote() } else { Policy::local() };
    // Entries were read when the configuration was; one that is none allows nothing.
    let policy = policy.clone().allow(config.network_allow.iter().map(String::as_str)).unwrap_or(policy);
    let network = if config.is_network_closed { policy.only_allowed() } else { policy };
    Setup { network, secrets: config.secrets.clone() }
}

/// The connectors beside files, which are the engine's own.
fn registry(config: &Config, data_dir: &Path, roots: &[PathBuf]) -> Result<Registry> {
    let setup = setup(config);
    let files = azora_database::Files { roots: roots.to_vec(), staging: data_dir.join("staging/sqlite") };
    let over_http = azora_http::connectors(&setup).map_err(|failure| part("the connectors over HTTP", failure))?;
    // One entry for each crate of connectors.
    let crates: [Vec<Arc<dyn Connector>>; 5] = [
        azora_database::connectors(&setup, &files),
        over_http,
        azora_kafka::connectors(&setup, config.kafka_brokers.as_deref(), data_dir.join("staging/kafka")),
        azora_object_store::connectors(&setup),
        azora_redis::connectors(&setup, config.redis_url.as_ref()),
    ];
    tracing::debug!(network = ?setup.network, "what connectors may reach");
    let mut registry = Registry::new();
    for connector in crates.into_iter().flatten() {
        registry.insert(connector);
    }
    Ok(registry)
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
