//! What every handler shares, and the settings of the HTTP side.

use azora_jobs::Handle;
use azora_spec::limits::{BODY_BYTES_MAX, PLUGIN_BYTES_MAX};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Settings of the HTTP side.
#[derive(Debug, Clone)]
pub struct Options {
    /// Largest JSON body, in bytes.
    pub json_bytes_max: usize,
    /// Largest uploaded component, in bytes.
    pub plugin_bytes_max: usize,
    /// Bytes of all bodies that are being read or parsed at the same time. A body that would pass it is refused.
    pub bodies_bytes_max: usize,
    /// Requests being handled at the same time. One more is refused.
    pub requests_max: usize,
    /// Connections open at the same time. More wait in the listener's backlog.
    pub connections_max: usize,
    /// Longest wait for a request's head, also between two requests of a connection.
    pub head_time_max: Duration,
    /// Time that a body has whatever its size; beyond it the body must come at [`Options::body_bytes_per_second_min`].
    pub body_time_base: Duration,
    /// Slowest pace of a body.
    pub body_bytes_per_second_min: u64,
    /// Longest time that a client may take no byte of an answer.
    pub write_time_max: Duration,
    /// Longest time that `Prefer: wait` may ask for.
    pub wait_time_max: Duration,
    /// Time between two comments on an event stream on which nothing happens.
    pub heartbeat: Duration,
    /// Whether only this machine can reach the server. Then requests under a host name other than `localhost` are refused:
    /// a web page can make its own name point here.
    pub is_local: bool,
    /// Text of `/version`: the commit or build that this is, where it is known.
    pub build: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            json_bytes_max: BODY_BYTES_MAX,
            plugin_bytes_max: PLUGIN_BYTES_MAX,
            bodies_bytes_max: 512 << 20,
            requests_max: 4096,
            connections_max: 4096,
            head_time_max: Duration::from_secs(30),
            body_time_base: Duration::from_secs(20),
            body_bytes_per_second_min: 8 << 10,
            write_time_max: Duration::from_secs(30),
            wait_time_max: Duration::from_secs(300),
            heartbeat: Duration::from_secs(15),
            is_local: true,
            build: None,
        }
    }
}

/// What handlers share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) handle: Handle,
    pub(crate) options: Arc<Options>,
    /// One permit per KiB of body.
    pub(crate) body_kibibytes: Arc<Semaphore>,
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) counters: Arc<Counters>,
}

/// Answers by status class since the start, for `/metrics`.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) by_class: [AtomicU64; 6],
}

impl App {
    /// The shared part of a server's handlers.
    #[must_use]
    pub fn new(handle: Handle, options: Options) -> Self {
        Self {
            handle,
            body_kibibytes: Arc::new(Semaphore::new((options.bodies_bytes_max >> 10).min(Semaphore::MAX_PERMITS))),
            requests: Arc::new(Semaphore::new(options.requests_max.min(Semaphore::MAX_PERMITS))),
            counters: Arc::new(Counters::default()),
            options: Arc::new(options),
        }
    }
}
