//! The connectors against real servers: the suite that every connector runs, types, refusals, and servers that go away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests end a test as its assertions do")]

mod lab;
mod mongodb;
mod mysql;
mod postgres;
mod pushed;
mod restart;
mod sqlite;
