//! Handlers, one file per family of routes. Each reads its request, asks the handle, and shapes the answer.

pub(crate) mod cache;
pub(crate) mod connectors;
pub(crate) mod dataframe;
pub(crate) mod datasets;
pub(crate) mod health;
pub(crate) mod jobs;
pub(crate) mod lambda;
mod page;
pub(crate) mod plugins;
pub(crate) mod problems;
mod query;
pub(crate) mod result;
pub(crate) mod seed;
pub(crate) mod sql;
