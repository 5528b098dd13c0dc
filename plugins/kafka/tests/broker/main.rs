//! The connector against a real Apache Kafka: what it reads, what it writes, and what it says where that is not possible.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests end a test as its assertions do")]

mod failures;
mod reading;
mod suite;
mod support;
mod writing;
