//! HTTP, and nothing else: routes, bodies with limits, problem+json, content negotiation, server-sent events.
//!
//! What a request means is read by `azora_spec::wire`; what it does is done by `azora_jobs::Handle`. No engine, no disk
//! and no environment here. This is the only crate that knows HTTP statuses.

mod accept;
mod app;
mod body;
mod error;
mod locate;
mod openapi;
mod origin;
mod pace;
mod render;
mod reply;
mod router;
mod routes;
mod serve;

pub use app::{App, Options};
pub use router::router;
pub use serve::serve;
