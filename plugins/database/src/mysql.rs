//! MySQL and MariaDB. Rows are read by the binary protocol and written by INSERTs of many rows into staging tables, which
//! one transaction moves into the target.

mod kind;
mod session;
mod sink;
mod source;

pub(crate) use sink::MySqlSink;
pub(crate) use source::MySqlSource;
