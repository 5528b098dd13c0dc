//! The configuration: every setting with its name, its variable, its flag, its default and its origin. This is the only
//! reader of the environment.

mod layers;
mod secrets;
mod value;

pub use layers::{Origin, Setting};

use crate::error::{Error, Result};
use azora_connect::Secrets;
use azora_spec::Secret;
use azora_spec::limits::{BODY_BYTES_MAX, PLUGIN_BYTES_MAX, QUEUE_JOBS_MAX, RUNNING_JOBS_MAX};
use layers::Layers;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Everything that a server is told from outside.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub address: SocketAddr,
    /// Whether an address that other machines can reach is allowed.
    pub is_remote_allowed: bool,
    /// Where state, datasets, results and spilled rows go.
    pub data_dir: PathBuf,
    /// Directories below which jobs may read and write files.
    pub file_roots: Vec<PathBuf>,
    /// Threads that compute.
    pub threads: usize,
    /// Memory of the operators of a context that does not say, in bytes.
    pub memory_bytes: usize,
    /// Memory of the rows that `cache` and `persist` keep, in bytes.
    pub cache_memory_bytes: usize,
    /// Disk space of those rows, in bytes.
    pub cache_disk_bytes: usize,
    /// Jobs that run at the same time.
    pub running_jobs_max: usize,
    /// Jobs that wait for a runner.
    pub queue_jobs_max: usize,
    /// Largest JSON body, in bytes.
    pub json_bytes_max: usize,
    /// Largest uploaded component, in bytes.
    pub plugin_bytes_max: usize,
    /// Guest instances alive at the same time.
    pub instances_max: usize,
    /// How long jobs may go on after a signal to stop. What has not ended by then continues after the next start.
    pub drain: Duration,
    /// A file that gets the port once the server listens.
    pub port_file: Option<PathBuf>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged, in the syntax of `RUST_LOG`.
    pub log_filter: String,
    /// The program whose `compile-component` compiles uploads; this one where absent.
    pub compiler: Option<PathBuf>,
    /// Whether the interpreter of lambdas is made ready at the start, at low priority, in place of by the first job that
    /// needs it.
    pub is_interpreter_prepared: bool,
    /// Brokers of Kafka sources and sinks that do not say.
    pub kafka_brokers: Option<String>,
    /// Server of Redis sources and sinks that do not say. It may hold a password.
    pub redis_url: Option<Secret>,
    /// Places that connectors may reach beyond the usual ones.
    pub network_allow: Vec<String>,
    /// Whether connectors may reach those places only.
    pub is_network_closed: bool,
    /// Secrets that requests may name.
    pub secrets: Secrets,
    settings: Vec<Setting>,
}

/// Values given on the command line, by the name of their setting, and the configuration file that it names.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// Everything else.
    pub values: BTreeMap<&'static str, String>,
}

impl Config {
    /// Reads the configuration of this process: flag, then environment, then file, then default.
    ///
    /// # Errors
    /// [`Error`] names the flag, variable or file at fault.
    pub fn load(flags: Flags) -> Result<Self> {
        let mut config = Self::of(flags, &|name| std::env::var(name).ok())?;
        // A variable beats the file, as for every other setting.
        config.secrets = config.secrets.and(std::env::vars().filter_map(|(name, value)| secrets::of_variable(&name, value)));
        Ok(config)
    }

    /// The same with another environment.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn of(flags: Flags, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut layers = Layers::new(flags, environment)?;
        let host = layers.read("host", "127.0.0.1", "an IP address such as 127.0.0.1, or localhost", value::host)?;
        let port = layers.read("port", "4301", "a port from 0 to 65535", |text| text.parse::<u16>().ok())?;
        let is_remote_allowed = layers.read("allow_remote", "false", value::FLAG, value::flag)?;
        let data_dir = layers.read("data_dir", "azora-data", "a directory", value::path)?;
        let default_root = data_dir.join("files");
        let file_roots = layers.read("file_roots", &default_root.display().to_string(), "directories, separated by ':'", value::paths)?;
        let threads =
            layers.read("threads", &threads_default().to_string(), "a number from 1 to 1024", |text| value::between(text, 1, 1024))?;
        let memory_bytes =
            layers.read("memory", "2g", value::BYTES, |text| value::bytes(text).filter(|bytes| *bytes >= MEMORY_BYTES_MIN))?;
        let cache_memory_bytes = layers.read("cache_memory", "256m", value::BYTES, value::bytes)?;
        let cache_disk_bytes = layers.read("cache_disk", "4g", value::BYTES, value::bytes)?;
        let positive = |text: &str| value::between(text, 1, 1_000_000);
        let running_jobs_max = layers.read("running_jobs", &RUNNING_JOBS_MAX.to_string(), value::POSITIVE, positive)?;
        let queue_jobs_max = layers.read("queued_jobs", &QUEUE_JOBS_MAX.to_string(), value::POSITIVE, positive)?;
        let json_bytes_max = layers.read("json_body", &format!("{}m", BODY_BYTES_MAX >> 20), value::BYTES, value::bytes)?;
        let plugin_bytes_max = layers.read("plugin_body", &format!("{}m", PLUGIN_BYTES_MAX >> 20), value::BYTES, value::bytes)?;
        let instances_max = layers.read("instances", "1024", "a number from 1 to 16384", |text| value::between(text, 1, 16_384))?;
        let drain = layers.read("drain_seconds", "10", "seconds from 0 to 86400", |text| value::between(text, 0, 86_400))?;
        let port_file = layers.read("port_file", "", "a file", value::optional_path)?;
        let log_format = layers.read("log_format", "text", "text or json", value::log_format)?;
        let log_filter = layers.read("log", "info", "a filter such as info or azora_jobs=debug", |text| Some(text.to_owned()))?;
        let compiler = layers.read("compiler", "", "a program", value::optional_path)?;
        let is_interpreter_prepared = layers.read("prepare_interpreter", "true", value::FLAG, value::flag)?;
        let kafka_brokers = layers.read("kafka_brokers", "", "brokers such as localhost:9092", value::optional_text)?;
        let redis_url = layers.read("redis_url", "", "a URL such as redis://localhost:6379", value::optional_text)?;
        let network_allow = layers.read("network_allow", "", "hosts, addresses or networks, separated by ','", value::places)?;
        let is_network_closed = layers.read("network_closed", "false", value::FLAG, value::flag)?;
        let secrets = match layers.read("secrets_file", "", "a file", value::optional_path)? {
            Some(path) => secrets::of_file(&path)?,
            None => Secrets::default(),
        };
        Ok(Self {
            kafka_brokers,
            redis_url: redis_url.map(Secret::new),
            network_allow,
            is_network_closed,
            secrets,
            address: checked(SocketAddr::new(host, port), is_remote_allowed)?,
            is_remote_allowed,
            data_dir,
            file_roots,
            threads,
            memory_bytes,
            cache_memory_bytes,
            cache_disk_bytes,
            running_jobs_max,
            queue_jobs_max,
            json_bytes_max,
            plugin_bytes_max,
            instances_max,
            drain: Duration::from_secs(drain as u64),
            port_file,
            log_format,
            log_filter,
            compiler,
            is_interpreter_prepared,
            settings: layers.finish()?,
        })
    }

    /// The usual configuration over a data directory, on a free port, without looking at flags, environment or files.
    ///
    /// # Errors
    /// None of the defaults is at fault; the type is that of [`Self::of`].
    pub fn embedded(data_dir: &Path) -> Result<Self> {
        let values = BTreeMap::from([("port", "0".to_owned()), ("data_dir", data_dir.display().to_string())]);
        let nothing = |_: &str| None;
        Self::of(Flags { config: Some(PathBuf::new()), values }, &nothing)
    }

    /// Every setting, with its value and where that came from, in the order of the documentation.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }
}

/// Less memory than this makes every job fail.
const MEMORY_BYTES_MIN: usize = 16 << 20;

fn threads_default() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn checked(address: SocketAddr, is_remote_allowed: bool) -> Result<SocketAddr> {
    let is_local = match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback(),
    };
    if is_local || is_remote_allowed { Ok(address) } else { Err(Error::RemoteAddress { address }) }
}

#[cfg(test)]
mod tests;
