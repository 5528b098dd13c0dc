//! What operators and their tools ask: alive, ready, version, metrics.

use crate::App;
use crate::error::Result;
use crate::reply::ok;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use azora_spec::{Code, Failure};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::atomic::Ordering;

/// The process answers.
pub(crate) async fn alive() -> Response {
    ok(&json!({ "status": "alive" }))
}

/// New jobs are taken.
pub(crate) async fn ready(State(app): State<App>) -> Result {
    let health = app.handle.health();
    if health.is_draining {
        return Err(Failure::new(Code::ServerDraining, "the server is shutting down").into());
    }
    if health.is_storage_full {
        return Err(Failure::new(Code::StorageFull, "the disk is full").into());
    }
    Ok(ok(&json!({ "status": "ready", "jobsQueued": health.queued, "jobsRunning": health.running })))
}

/// What runs here.
pub(crate) async fn version(State(app): State<App>) -> Response {
    ok(&version_json(&app))
}

fn version_json(app: &App) -> Value {
    json!({ "service": "azora-spark", "version": env!("CARGO_PKG_VERSION"), "api": "v1", "build": app.options.build })
}

/// Prometheus text. Nothing here is labelled by job.
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    let health = app.handle.health();
    let mut text = String::new();
    let mut put = |name: &str, kind: &str, help: &str, samples: &[(String, u64)]| {
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _infallible = writeln!(text, "{name}{labels} {value}");
        }
    };
    let plain = |value: u64| vec![(String::new(), value)];
    put("azora_jobs_queued", "gauge", "Jobs that wait for a runner.", &plain(health.queued as u64));
    put("azora_jobs_running", "gauge", "Jobs that run.", &plain(health.running as u64));
    put("azora_draining", "gauge", "Whether the server is shutting down.", &plain(u64::from(health.is_draining)));
    put("azora_storage_full", "gauge", "Whether the disk is full.", &plain(u64::from(health.is_storage_full)));
    let counters = app.counters.by_class.iter().enumerate().skip(1);
    let answers: Vec<_> = counters.map(|(class, count)| (format!("{{class=\"{class}xx\"}}"), count.load(Ordering::Relaxed))).collect();
    put("azora_http_responses_total", "counter", "Answers by status class.", &answers);
    put("azora_build_info", "gauge", "Always 1.", &[(format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1)]);
    let mut response = text.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
    response
}
