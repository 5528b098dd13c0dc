//! The connector against a real Apache Kafka: what it reads, what it writes, and what it says where that is not possible.

mod entering;
mod failures;
mod faults;
mod groups;
mod reading;
mod suite;
mod support;
mod writing;
