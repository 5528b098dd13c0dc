//! PostgreSQL. Rows are read by `COPY (…) TO STDOUT` in binary, straight into columns, and written by `COPY … FROM STDIN`
//! into staging tables which one transaction moves into the target.

mod column;
mod copy;
mod kind;
mod plan;
mod session;
mod sink;
mod source;
mod target;
mod text;

pub(crate) use sink::PostgresSink;
pub(crate) use source::PostgresSource;
