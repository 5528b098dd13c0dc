//! Apache Kafka as a source and a sink, by librdkafka.
//!
//! Reading is bounded: the offsets to read are found once and recorded in the splits, so a restart reads the same records.
//! Only what transactions committed is read. A consumer group is where offsets are looked up, and is moved on when a job has
//! succeeded; nobody joins it, so it is one job's at a time, and a group with members of its own is refused. Writing is one
//! transaction for each commit, with a marker in it that says that it happened. What messages mean (JSON to columns) is the
//! business of `azora-connect`.

mod client;
mod config;
mod connector;
mod error;
mod groups;
mod sink;
mod source;

pub use connector::{KafkaConnector, connectors};
