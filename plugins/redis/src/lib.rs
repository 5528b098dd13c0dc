//! Redis as a source and a sink: keys of every type, streams, and rows written as strings, hashes, lists or streams.
//!
//! Keys are found by SCAN, never by KEYS. Redis keeps no snapshots: a key is read once, as it is at that moment. Writing
//! is staged in Redis and made visible by one script, which leaves a marker that a repeated commit finds. One server is
//! spoken to, by TCP or TLS; clusters are not.

mod client;
mod config;
mod connector;
mod error;
mod sink;
mod source;
mod tls;

pub use connector::{RedisConnector, connectors};
