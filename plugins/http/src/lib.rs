//! HTTP APIs as sources and sinks (`api`), and sources that speak until they are left: WebSockets (`websocket`) and lines of
//! a TCP connection (`socket`).
//!
//! Every address, redirects and links of answers included, is asked of the server's policy. Requests, pages and rows here;
//! one exchange is `azora_connect::fetch`'s business.

mod api;
mod auth;
mod config;
mod feed;
mod pace;
mod page;
mod sink;
mod source;
mod stream;

use azora_connect::{Connector, Setup};
use azora_spec::Failure;
use std::sync::Arc;

/// The connectors of this crate.
///
/// # Errors
/// Where TLS cannot be set up.
pub fn connectors(setup: &Setup) -> Result<Vec<Arc<dyn Connector>>, Failure> {
    Ok(vec![
        Arc::new(api::ApiConnector::new(setup)?),
        Arc::new(stream::StreamConnector::web(setup)),
        Arc::new(stream::StreamConnector::lines(setup)),
    ])
}
