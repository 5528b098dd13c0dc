//! Views as JSON: the success shapes of the contract. Problems are in `render`.

use crate::render::failure_json;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use azora_jobs::{ColumnView, DatasetView, FunctionView, JobView, OutputView, PluginConnectorView, PluginView, Refused, StageView};
use azora_spec::wire;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response {
    let mut response = json_text(value.to_string().into_bytes());
    *response.status_mut() = status;
    response
}

/// A JSON answer with status 200 whose text is there already.
pub(crate) fn json_text(text: Vec<u8>) -> Response {
    let mut response = Body::from(text).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A JSON answer with status 200.
pub(crate) fn ok(value: &Value) -> Response {
    json(StatusCode::OK, value)
}

/// The same with a header; a value that no header can hold is left out.
pub(crate) fn with(mut response: Response, name: header::HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// Milliseconds since 1970 as RFC 3339.
pub(crate) fn time(at_ms: u64) -> Value {
    let time = i64::try_from(at_ms).ok().and_then(DateTime::from_timestamp_millis);
    time.map_or(Value::Null, |time| Value::from(time.to_rfc3339_opts(SecondsFormat::Millis, true)))
}

fn time_or_null(at_ms: Option<u64>) -> Value {
    at_ms.map_or(Value::Null, time)
}

/// A job with everything that is known of it.
pub(crate) fn job(view: &JobView) -> Value {
    let id = view.id.to_string();
    let links = json!({
        "self": format!("/api/v1/jobs/{id}"),
        "events": format!("/api/v1/jobs/{id}/events"),
        "cancel": format!("/api/v1/jobs/{id}/cancel"),
        "result": format!("/api/v1/jobs/{id}/result"),
    });
    json!({
        "id": id,
        "name": view.name,
        "state": view.state.as_str(),
        "attempts": view.attempts,
        "acceptedAt": time(view.accepted_at_ms),
        "plannedAt": time_or_null(view.planned_at_ms),
        "startedAt": time_or_null(view.started_at_ms),
        "endedAt": time_or_null(view.ended_at_ms),
        "cancelRequested": view.is_cancel_requested,
        "progress": {
            "partitions": view.partitions,
            "partitionsPrepared": view.partitions_prepared,
            "skippedRows": view.stages.iter().map(|stage| stage.skipped).sum::<u64>(),
            "stages": view.stages.iter().map(stage).collect::<Vec<_>>(),
        },
        "leftOut": left_out(view),
        "lambdas": view.lambdas,
        "warnings": view.warnings,
        "failure": view.failure.as_ref().map(failure_json),
        "rows": view.output.as_ref().map(|written| written.rows),
        "output": view.output.as_ref().map(output),
        "hasResult": view.has_result,
        "links": links,
    })
}

/// Rows and records that a job went on without; null where it may not.
fn left_out(view: &JobView) -> Value {
    if view.refused.is_empty() && view.dead_letters.is_none() {
        return Value::Null;
    }
    let reason = |refused: &Refused| json!({ "code": refused.code.as_str(), "reason": refused.reason, "rows": refused.rows });
    json!({
        "rows": view.refused.iter().map(|refused| refused.rows).sum::<u64>(),
        "reasons": view.refused.iter().map(reason).collect::<Vec<_>>(),
        "deadLetters": view.dead_letters.as_ref().map(ToString::to_string),
    })
}

fn stage(view: &StageView) -> Value {
    let partitions: Vec<Value> = view
        .partition_views
        .iter()
        .map(|view| {
            json!({
                "partition": view.partition, "done": view.is_done, "rowsIn": view.rows_in, "rowsOut": view.rows_out,
                "bytes": view.bytes, "guestMs": millis(view.guest_ns), "traps": view.traps, "skippedRows": view.skipped,
            })
        })
        .collect();
    json!({
        "stage": view.stage, "name": view.name, "partitions": view.partitions, "partitionsDone": view.partitions_done,
        "rowsIn": view.rows_in, "rowsOut": view.rows_out, "bytes": view.bytes, "guestMs": millis(view.guest_ns),
        "traps": view.traps, "skippedRows": view.skipped, "partitionDetails": partitions,
    })
}

/// Milliseconds with three decimals.
fn millis(ns: u64) -> Value {
    let micros = u32::try_from(ns / 1000).unwrap_or(u32::MAX);
    Value::from(f64::from(micros) / 1000.0)
}

/// What a job wrote.
pub(crate) fn output(view: &OutputView) -> Value {
    json!({ "rows": view.rows, "bytes": view.bytes, "outputs": view.outputs })
}

/// A plugin with its functions and their signatures.
pub(crate) fn plugin(view: &PluginView) -> Value {
    json!({
        "name": view.name.as_str(),
        "version": view.version.to_string(),
        "digest": view.digest.to_string(),
        "bytes": view.bytes,
        "doc": view.doc,
        "functions": view.functions.iter().map(function).collect::<Vec<_>>(),
        "connectors": view.connectors.iter().map(connector).collect::<Vec<_>>(),
        "capabilities": view.capabilities,
        "grants": wire::grants_json(&view.grants),
        "imports": view.imports,
        "exports": view.exports,
        "uploadedAt": time(view.uploaded_at_ms),
        "links": { "self": plugin_path(view) },
    })
}

/// Where one version of a plugin is found.
pub(crate) fn plugin_path(view: &PluginView) -> String {
    // A version may hold a `+`, which stands for itself in a path; names are plain ASCII.
    format!("/api/v1/plugins/{}/{}", view.name, view.version)
}

fn connector(view: &PluginConnectorView) -> Value {
    json!({
        "name": view.name,
        "kind": if view.is_source { "source" } else { "sink" },
        "doc": view.doc,
        "configSchema": view.config_schema,
    })
}

fn function(view: &FunctionView) -> Value {
    let mut shown = Map::new();
    shown.insert("name".to_owned(), Value::from(view.name.as_str()));
    shown.insert("kind".to_owned(), Value::from(view.kind.as_str()));
    shown.insert("doc".to_owned(), Value::from(view.doc.as_str()));
    shown.insert("params".to_owned(), columns(&view.params));
    shown.insert("output".to_owned(), columns(&view.output));
    if let Some(schema) = &view.config_schema {
        shown.insert("configSchema".to_owned(), schema.clone());
    }
    Value::Object(shown)
}

fn columns(views: &[ColumnView]) -> Value {
    views.iter().map(|view| json!({ "name": view.name, "type": view.data_type, "nullable": view.is_nullable })).collect()
}

/// A dataset, with its columns where they are known.
pub(crate) fn dataset(view: &DatasetView, columns_of: Option<&[ColumnView]>) -> Value {
    let path = format!("/api/v1/datasets/{}", view.name);
    json!({
        "name": view.name.as_str(), "rows": view.rows, "bytes": view.bytes, "files": view.files,
        "columns": columns_of.map(columns), "version": view.version,
        "committedAt": time(view.committed_at_ms), "expiresAt": view.expires_at_ms.map(time), "job": view.job.to_string(), "last": view.is_last,
        "links": {
            "self": path, "preview": format!("{path}/preview"), "rows": format!("{path}/rows"),
            "statistics": format!("{path}/statistics"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::{millis, time};
    use serde_json::json;

    #[test]
    fn times_are_rfc_3339_and_durations_milliseconds() {
        assert_eq!(time(1_795_392_000_123), json!("2026-11-23T00:00:00.123Z"));
        assert_eq!(time(u64::MAX), json!(null));
        assert_eq!(millis(1_234_567), json!(1.234));
    }
}
