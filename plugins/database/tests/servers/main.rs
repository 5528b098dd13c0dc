//! The connectors against real servers: the suite that every connector runs, types, refusals, and servers that go away.

mod lab;
mod mysql;
mod postgres;
