//! Object stores as connectors: S3 and what speaks its protocol, Google Cloud Storage, Azure. Objects of every file format
//! are read by prefix or pattern; a sink writes parts under unique names and publishes them by one commit object.
//!
//! A store has no rename, so what a reader sees is decided by `_azora/commits/` below the prefix: where there is such a
//! list, only the objects in it are read. Other programs see parts before their commit; `_SUCCESS` is written last for them.
//! Files below a root of the server are the engine's business.

mod client;
mod config;
mod connector;
mod error;
mod format;
mod listing;
mod manifest;
mod provider;
mod prune;
mod reader;
mod sink;
mod source;

use azora_connect::{Connector, Setup};
use connector::ObjectConnector;
use provider::Provider;
use std::sync::Arc;

/// The connectors of this crate: `s3`, `gcs` and `azure`.
#[must_use]
pub fn connectors(setup: &Setup) -> Vec<Arc<dyn Connector>> {
    let make = |provider| Arc::new(ObjectConnector::new(provider, setup.clone())) as Arc<dyn Connector>;
    [Provider::S3, Provider::Gcs, Provider::Azure].map(make).into()
}
