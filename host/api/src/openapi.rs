//! `GET /openapi.json`: the contract for machines, OpenAPI 3.1. Written from one table; a test holds it against the router.

use crate::reply::ok;
use axum::response::Response;
use azora_spec::Code;
use serde_json::{Map, Value, json};

/// What a route takes.
#[derive(Clone, Copy)]
enum Takes {
    Nothing,
    Json,
    Component,
}

/// Method, path, what it takes, success statuses, what it does.
type Row = (&'static str, &'static str, Takes, &'static [u16], &'static str);

/// Every route.
const TABLE: &[Row] = &[
    ("get", "/health", Takes::Nothing, &[200], "Whether the service answers and a context is open."),
    ("post", "/spark/init", Takes::Json, &[200], "Open a context."),
    ("post", "/spark/stop", Takes::Nothing, &[200], "Close the context."),
    ("get", "/cluster/status", Takes::Nothing, &[200], "The executors of the context."),
    ("post", "/ingest", Takes::Json, &[200], "Keep a source's rows as a dataset."),
    ("post", "/rdd/process", Takes::Json, &[200], "Run a job and wait for its answer."),
    ("post", "/dataframe/create", Takes::Json, &[200], "Work on rows as a frame: keep them as a dataset, or answer."),
    ("post", "/streaming/start", Takes::Json, &[200], "Start a stream; refused by this version."),
    ("get", "/healthz", Takes::Nothing, &[200], "The process answers."),
    ("get", "/readyz", Takes::Nothing, &[200], "New jobs are taken."),
    ("get", "/version", Takes::Nothing, &[200], "What runs here."),
    ("get", "/metrics", Takes::Nothing, &[200], "Prometheus text."),
    ("get", "/openapi.json", Takes::Nothing, &[200], "This document."),
    ("get", "/api/v1/jobs", Takes::Nothing, &[200], "Jobs, newest first, by pages."),
    ("post", "/api/v1/jobs", Takes::Json, &[202, 200], "Submit a job; durable when answered."),
    ("get", "/api/v1/jobs/{id}", Takes::Nothing, &[200], "One job with its progress."),
    ("delete", "/api/v1/jobs/{id}", Takes::Nothing, &[204], "Forget an ended job and its result."),
    ("post", "/api/v1/jobs/{id}/cancel", Takes::Nothing, &[202], "Ask a job to stop."),
    ("get", "/api/v1/jobs/{id}/events", Takes::Nothing, &[200], "Server-sent events until the job ends."),
    ("get", "/api/v1/jobs/{id}/request", Takes::Nothing, &[200], "What was submitted."),
    ("get", "/api/v1/jobs/{id}/result", Takes::Nothing, &[200], "The rows, in the format that Accept names."),
    ("post", "/api/v1/lambda/explain", Takes::Json, &[200], "How lambdas would run: types, tier, kernels, columns, WebAssembly."),
    ("get", "/api/v1/plugins", Takes::Nothing, &[200], "Every version of every plugin."),
    ("post", "/api/v1/plugins", Takes::Component, &[201, 200], "Upload a component."),
    ("get", "/api/v1/plugins/{name}", Takes::Nothing, &[200], "The newest version, name@version, or a digest."),
    ("delete", "/api/v1/plugins/{name}", Takes::Nothing, &[204], "Delete the only version."),
    ("post", "/api/v1/plugins/{name}/try", Takes::Json, &[200], "Call a function on a few rows."),
    ("put", "/api/v1/plugins/{name}/{version}", Takes::Component, &[201, 200], "Upload under this name and version."),
    ("get", "/api/v1/plugins/{name}/{version}", Takes::Nothing, &[200], "One version."),
    ("delete", "/api/v1/plugins/{name}/{version}", Takes::Nothing, &[204], "Delete one version."),
    ("get", "/api/v1/plugins/{name}/{version}/grants", Takes::Nothing, &[200], "What its connectors may use."),
    ("put", "/api/v1/plugins/{name}/{version}/grants", Takes::Json, &[200], "Set what its connectors may use."),
    ("post", "/api/v1/plugins/{name}/{version}/try", Takes::Json, &[200], "Call a function on a few rows."),
    ("get", "/api/v1/cache", Takes::Nothing, &[200], "The rows that cache and persist keep for later jobs."),
    ("delete", "/api/v1/cache", Takes::Nothing, &[204], "Let all of them go."),
    ("delete", "/api/v1/cache/{id}", Takes::Nothing, &[204], "Let those of an id or a name go."),
    ("get", "/api/v1/datasets", Takes::Nothing, &[200], "All datasets."),
    ("get", "/api/v1/datasets/{name}", Takes::Nothing, &[200], "One dataset."),
    ("patch", "/api/v1/datasets/{name}", Takes::Json, &[200], "Say how long a dataset lives from now on."),
    ("delete", "/api/v1/datasets/{name}", Takes::Nothing, &[204], "Forget a dataset."),
    ("get", "/api/v1/datasets/{name}/preview", Takes::Nothing, &[200], "Its first rows."),
    ("get", "/api/v1/datasets/{name}/rows", Takes::Nothing, &[200], "All of its rows, in the format that Accept names."),
    ("get", "/api/v1/datasets/{name}/statistics", Takes::Nothing, &[200], "Nulls, distinct values and extremes of its columns."),
    ("post", "/api/v1/sql", Takes::Json, &[200], "Run a query; its rows in the format that Accept names."),
    ("get", "/api/v1/connectors", Takes::Nothing, &[200], "Sources and sinks of this server."),
    ("get", "/api/v1/connectors/{name}", Takes::Nothing, &[200], "One of them."),
    ("post", "/api/v1/connectors/{name}/validate", Takes::Json, &[200], "Every fault of a configuration, with its place."),
    ("post", "/api/v1/connectors/{name}/preview", Takes::Json, &[200], "The first rows of a source and their columns."),
    ("get", "/api/v1/problems", Takes::Nothing, &[200], "Every code that a problem can have."),
    ("get", "/api/v1/problems/{code}", Takes::Nothing, &[200], "What one code means."),
];

/// `GET /openapi.json`.
pub(crate) async fn document() -> Response {
    ok(&openapi())
}

fn openapi() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for row in TABLE {
        let path = paths.entry(row.1).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(row.0.to_owned(), operation(row));
        }
    }
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let problem = json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "blame", "instance", "requestId"],
        "properties": {
            "type": { "type": "string" }, "title": { "type": "string" }, "status": { "type": "integer" },
            "detail": { "type": "string" }, "code": { "enum": codes }, "blame": { "enum": ["caller", "plugin", "system"] },
            "hint": { "type": "string" }, "instance": { "type": "string" }, "requestId": { "type": "string" },
            "errors": { "type": "array", "items": { "type": "object" } },
        },
    });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Azora Spark", "version": env!("CARGO_PKG_VERSION"), "license": { "name": "Apache-2.0" } },
        "paths": paths,
        "components": { "schemas": { "Problem": problem } },
    })
}

fn operation((_, path, takes, statuses, summary): &Row) -> Value {
    let mut responses: Map<String, Value> =
        statuses.iter().map(|status| (status.to_string(), json!({ "description": "success" }))).collect();
    let content = json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
    responses.insert("default".to_owned(), json!({ "description": "a problem", "content": content }));
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Vec<Value> =
        names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })).collect();
    let mut operation = json!({ "summary": summary, "parameters": parameters, "responses": responses });
    let body = match takes {
        Takes::Nothing => return operation,
        Takes::Json => json!({ "content": { "application/json": { "schema": { "type": "object" } } } }),
        Takes::Component => {
            let bytes = json!({ "schema": { "type": "string", "format": "binary" } });
            json!({ "required": true, "content": { "application/wasm": bytes, "multipart/form-data": bytes } })
        }
    };
    if let Some(members) = operation.as_object_mut() {
        members.insert("requestBody".to_owned(), body);
    }
    operation
}

#[cfg(test)]
mod tests {
    use super::TABLE;
    use std::collections::BTreeSet;

    /// The routes of the router's own text: `.route("/path", get(…).post(…))`, nested or not.
    fn routes() -> BTreeSet<(String, String)> {
        let text = include_str!("router.rs");
        let mut prefix = "";
        let mut found = BTreeSet::new();
        for line in text.lines() {
            prefix = if line.contains("let api =") { "/api/v1" } else { prefix };
            let Some((path, methods)) = line.trim().strip_prefix(".route(\"").and_then(|rest| rest.split_once('"')) else { continue };
            for method in ["get", "post", "put", "patch", "delete"] {
                if methods.contains(&format!("{method}(")) {
                    found.insert((method.to_owned(), format!("{prefix}{path}")));
                }
            }
        }
        found
    }

    #[test]
    fn every_route_is_in_the_table_and_nothing_else() {
        let table: BTreeSet<(String, String)> = TABLE.iter().map(|row| (row.0.to_owned(), row.1.to_owned())).collect();
        assert_eq!(table.len(), TABLE.len(), "a route stands twice");
        assert_eq!(table, routes());
    }
}
