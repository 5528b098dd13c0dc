//! SQLite: a file below a configured root, opened by this process. Rows to write wait in files of the server until the
//! commit moves them into the database in one transaction.

mod column;
mod kind;
mod place;
mod session;
mod sink;
mod source;
mod staging;

pub(crate) use place::Roots;
pub(crate) use session::Server;
pub(crate) use sink::SqliteSink;
pub(crate) use source::SqliteSource;
pub(crate) use staging::Staging;
