//! The program `azora`: flags in, exit codes out. Everything that lasts is in the library beside it.

#![allow(
    rustdoc::broken_intra_doc_links,
    rustdoc::invalid_html_tags,
    reason = "comments of flags are the help that people read: [NAME] is a variable"
)]

use anyhow::{Context, Result};
use azora_server::{Config, Flags, Signals, examine, init_logging, start};
use clap::{Args, Parser, Subcommand};
use mimalloc::MiMalloc;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

// Batches are allocated on one thread and freed on another, and guests' columns are copied into fresh buffers of megabytes:
// the system's allocator gives such memory back too eagerly and takes it again with page faults.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// A job platform: data jobs over REST, with logic as JavaScript lambdas or WebAssembly components.
#[derive(Parser)]
#[command(name = "azora", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Keep a server until SIGTERM or SIGINT.
    Serve(Settings),
    /// Look at the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Examine what a server would need.
    Doctor(Settings),
    /// Compile one upload; started by the server, with limits.
    #[command(hide = true)]
    CompileComponent {
        /// What the server says to its child.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print each setting with its value and where that came from.
    Show(Settings),
}

/// Every flag wins over its variable, that over the file (./azora.toml, ~/.config/azora/azora.toml, /etc/azora/azora.toml).
#[derive(Args)]
struct Settings {
    /// Read this configuration file and no other [AZORA_CONFIG]
    #[arg(long)]
    config: Option<PathBuf>,
    /// Address to listen on [AZORA_HOST, 127.0.0.1]
    #[arg(long)]
    host: Option<String>,
    /// Port to listen on, 0 for a free one [AZORA_SPARK_PORT, 4301]
    #[arg(long)]
    port: Option<String>,
    /// Listen on an address that other machines can reach, without authentication [AZORA_ALLOW_REMOTE]
    #[arg(long)]
    allow_remote: bool,
    /// Where state, datasets and results go [AZORA_DATA_DIR, azora-data]
    #[arg(long)]
    data_dir: Option<String>,
    /// A directory below which jobs may read and write files; may be repeated [AZORA_FILE_ROOTS, <data dir>/files]
    #[arg(long = "file-root")]
    file_roots: Vec<String>,
    /// Threads that compute [AZORA_THREADS, one for each processor]
    #[arg(long)]
    threads: Option<String>,
    /// Memory of operators, such as 2g; beyond it they spill [AZORA_MEMORY, 2g]
    #[arg(long)]
    memory: Option<String>,
    /// Memory of rows that cache and persist keep [AZORA_CACHE_MEMORY, 256m]
    #[arg(long)]
    cache_memory: Option<String>,
    /// Disk space of those rows [AZORA_CACHE_DISK, 4g]
    #[arg(long)]
    cache_disk: Option<String>,
    /// Jobs that run at the same time [AZORA_RUNNING_JOBS]
    #[arg(long)]
    running_jobs: Option<String>,
    /// Jobs that wait [AZORA_QUEUED_JOBS]
    #[arg(long)]
    queued_jobs: Option<String>,
    /// Largest JSON body [AZORA_JSON_BODY, 64m]
    #[arg(long)]
    json_body: Option<String>,
    /// Largest uploaded component [AZORA_PLUGIN_BODY, 32m]
    #[arg(long)]
    plugin_body: Option<String>,
    /// Guest instances alive at the same time [AZORA_INSTANCES, 1024]
    #[arg(long)]
    instances: Option<String>,
    /// How long jobs may go on after a signal to stop [AZORA_DRAIN_SECONDS, 10]
    #[arg(long)]
    drain_seconds: Option<String>,
    /// A file that gets the port once the server listens [AZORA_PORT_FILE]
    #[arg(long)]
    port_file: Option<String>,
    /// text or json [AZORA_LOG_FORMAT, text]
    #[arg(long)]
    log_format: Option<String>,
    /// What is logged, such as info or azora_jobs=debug [RUST_LOG, info]
    #[arg(long)]
    log: Option<String>,
    /// The program that compiles uploads, as `<program> compile-component` [AZORA_COMPILER, this one]
    #[arg(long)]
    compiler: Option<String>,
    /// Make the interpreter of lambdas ready at the start, true or false [AZORA_PREPARE_INTERPRETER, true]
    #[arg(long)]
    prepare_interpreter: Option<String>,
}

impl Settings {
    fn flags(self) -> Flags {
        let mut values = BTreeMap::new();
        let mut put = |name, value: Option<String>| {
            if let Some(value) = value {
                values.insert(name, value);
            }
        };
        put("host", self.host);
        put("port", self.port);
        put("allow_remote", self.allow_remote.then(|| "true".to_owned()));
        put("data_dir", self.data_dir);
        put("file_roots", (!self.file_roots.is_empty()).then(|| self.file_roots.join(":")));
        put("threads", self.threads);
        put("memory", self.memory);
        put("cache_memory", self.cache_memory);
        put("cache_disk", self.cache_disk);
        put("running_jobs", self.running_jobs);
        put("queued_jobs", self.queued_jobs);
        put("json_body", self.json_body);
        put("plugin_body", self.plugin_body);
        put("instances", self.instances);
        put("drain_seconds", self.drain_seconds);
        put("port_file", self.port_file);
        put("log_format", self.log_format);
        put("log", self.log);
        put("compiler", self.compiler);
        put("prepare_interpreter", self.prepare_interpreter);
        Flags { config: self.config, values }
    }
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(settings) => serve(settings),
        Command::Config { command: ConfigCommand::Show(settings) } => show(settings),
        Command::Doctor(settings) => doctor(settings),
        Command::CompileComponent { .. } => return exit(azora_sandbox::compile_main()),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // Nothing is left to tell of an error that cannot be written.
            let _unwritable = writeln!(std::io::stderr(), "azora: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(settings: Settings) -> Result<ExitCode> {
    #[cfg(debug_assertions)]
    die_where_told()?;
    let config = Config::load(settings.flags())?;
    init_logging(&config)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("azora-io").build().context("cannot start threads")?;
    runtime.block_on(async {
        let signals = Signals::listen();
        let server = start(config).await?;
        say(&format!("listening on {}", server.url()))?;
        let signal = signals.received().await;
        tracing::info!(signal, "stopping");
        server.shutdown().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// For tests, and in no release build: ends the process at once where a point on the way of a job is passed for the n-th
/// time. `AZORA_TEST_DIE_AT` is `commit begun`, or `prepared:2`.
#[cfg(debug_assertions)]
fn die_where_told() -> Result<()> {
    use rustix::process::{Signal, getpid, kill_process};
    use std::sync::atomic::{AtomicU64, Ordering};
    let Ok(told) = std::env::var("AZORA_TEST_DIE_AT") else { return Ok(()) };
    let (name, nth) = told.split_once(':').unwrap_or((told.as_str(), "1"));
    let (name, nth): (String, u64) = (name.to_owned(), nth.parse().context("AZORA_TEST_DIE_AT is NAME or NAME:NUMBER")?);
    let passed = AtomicU64::new(0);
    azora_spec::milestone::watch(move |point| {
        if point == name && passed.fetch_add(1, Ordering::Relaxed) + 1 == nth {
            // As `kill -9` does it: nothing is written any more, nobody is told.
            while kill_process(getpid(), Signal::KILL).is_ok() {}
        }
    });
    Ok(())
}

fn show(settings: Settings) -> Result<ExitCode> {
    let config = Config::load(settings.flags())?;
    for setting in config.settings() {
        say(&format!("{:<14} {:<24} {} ({})", setting.name, setting.value, setting.origin, setting.variable))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn doctor(settings: Settings) -> Result<ExitCode> {
    let (report, is_well) = examine(&Config::load(settings.flags())?);
    say(report.trim_end())?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("cannot write to stdout")
}

fn exit(code: i32) -> ExitCode {
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
