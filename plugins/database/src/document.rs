//! MongoDB and servers that speak its protocol. Documents become rows by types that a sample has, and rows become documents;
//! without transactions of the server, each step of a commit can be done again.

mod array;
mod conditions;
mod encode;
mod kind;
mod relay;
mod session;
mod sink;
mod source;

pub(crate) use sink::MongoSink;
pub(crate) use source::MongoSource;
