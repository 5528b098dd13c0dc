//! Databases as sources and sinks: PostgreSQL, MySQL and MariaDB, SQLite, MongoDB. Queries are pushed down as they are
//! written; planning them is the engine's business, and the connections of other kinds are other crates'.

mod cells;
mod config;
mod connector;
mod dial;
mod document;
mod error;
mod mysql;
mod postgres;
mod schema;
mod sink;
mod source;
mod sql;
mod sqlite;
mod tls;

pub use connector::{Files, connectors};
