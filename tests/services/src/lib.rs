//! Real servers for tests: each starts on a free port of 127.0.0.1 with its data in a temporary folder, and is gone with
//! the test process, also where that is killed. What connectors do with them lives in the connectors' own tests.
//!
//! A server that cannot be had is an error that names it and its packages, never a silent skip.

mod account;
mod azure;
mod dead;
mod ferretdb;
mod gcs;
mod kafka;
mod mariadb;
mod postgres;
mod process;
mod redis;
mod rest;
mod s3;
mod tls;

pub use azure::Azure;
pub use dead::Dead;
pub use ferretdb::FerretDb;
pub use gcs::Gcs;
pub use kafka::Kafka;
pub use mariadb::MariaDb;
pub use postgres::Postgres;
pub use process::{Process, free_port};
pub use redis::Redis;
pub use s3::S3;
pub use tls::Authority;
