//! Which connectors this server has, what is wrong with a configuration, and what a source looks like.

use crate::App;
use crate::body::Json;
use crate::error::Result;
use crate::locate::locate;
use crate::reply::ok;
use crate::routes::result;
use axum::extract::{Path, State};
use azora_jobs::{ConnectorView, Half};
use azora_spec::wire::{self, Fields, Unknown};
use azora_spec::{Failure, limits};
use serde_json::{Map, Value, json};

/// Rows of a preview that does not say how many.
const PREVIEW_ROWS: u64 = 20;
/// Longest time that a preview takes.
const PREVIEW_MS: u64 = 30_000;

fn shown(view: &ConnectorView) -> Value {
    json!({
        "name": view.name, "aliases": view.aliases, "kind": view.kind, "source": view.is_source, "sink": view.is_sink,
        "configSchema": view.config_schema,
    })
}

/// All of them: the server's own by name, then every version of every plugin's.
pub(crate) async fn list(State(app): State<App>) -> Result {
    let mut shown: Vec<Value> = app.handle.connectors().iter().map(shown).collect();
    for plugin in app.handle.plugins()? {
        let reference = format!("{}@{}", plugin.name, plugin.version);
        for connector in plugin.connectors {
            shown.push(json!({
                "name": "plugin", "plugin": reference, "connector": connector.name, "source": connector.is_source,
                "sink": !connector.is_source, "doc": connector.doc,
                "configSchema": connector.config_schema.unwrap_or_else(|| json!({"type": "object", "additionalProperties": false})),
            }));
        }
    }
    Ok(ok(&json!({ "connectors": shown })))
}

/// `GET /connectors/{name}`.
pub(crate) async fn one(State(app): State<App>, Path(name): Path<String>) -> Result {
    Ok(ok(&shown(&app.handle.connector(&name)?)))
}

/// `POST /connectors/{name}/validate`: every fault that can be told without connecting.
pub(crate) async fn validate(State(app): State<App>, Path(name): Path<String>, body: Json) -> Result {
    let view = app.handle.connector(&name)?;
    let mut fields = Fields::of(&body.value, "")?;
    let half = fields.choice("as", &[("source", Half::Source), ("sink", Half::Sink)])?;
    let half = half.unwrap_or(if view.is_source { Half::Source } else { Half::Sink });
    let config = fields.object("config")?.ok_or_else(|| fields.missing("config"))?;
    fields.finish(Unknown::Refuse)?;
    let faults = app.handle.check_connector(&view.name, half, &config)?;
    let errors: Vec<Value> = faults.iter().map(error).collect();
    Ok(ok(&json!({ "valid": errors.is_empty(), "errors": errors })))
}

fn error(failure: &Failure) -> Value {
    let mut shown = json!({
        "pointer": format!("/config{}", failure.pointer.as_deref().unwrap_or_default()),
        "code": failure.code.as_str(),
        "detail": failure.message,
    });
    if let (Some(members), Some(hint)) = (shown.as_object_mut(), &failure.hint) {
        members.insert("hint".to_owned(), Value::from(hint.as_str()));
    }
    shown
}

/// `POST /connectors/{name}/preview`: a small job that is waited for.
pub(crate) async fn preview(State(app): State<App>, Path(name): Path<String>, body: Json) -> Result {
    let view = app.handle.connector(&name)?;
    let mut fields = Fields::of(&body.value, "")?;
    let rows = fields.integer("rows", 1..=limits::PAGE_ROWS_MAX as u64)?.unwrap_or(PREVIEW_ROWS);
    let config: Map<String, Value> = fields.object("config")?.ok_or_else(|| fields.missing("config"))?;
    fields.finish(Unknown::Refuse)?;
    let request = json!({
        "name": format!("preview {}", view.name),
        "source": { "type": view.name, "config": config },
        "operations": [{ "type": "take", "n": rows }],
        "options": { "parallelism": 1, "timeoutMs": PREVIEW_MS },
    });
    let mut spec = wire::job_spec(&request, Unknown::Refuse)?;
    spec.options.is_look = true;
    let ended = app.handle.run(spec, request).await.map_err(|failure| locate(&body.value, failure))?;
    let Some(rows) = &ended.result else { return Ok(ok(&json!({ "columns": [], "rows": [] }))) };
    let columns: Vec<Value> = rows
        .schema
        .fields()
        .iter()
        .map(|field| json!({ "name": field.name(), "type": field.data_type().to_string(), "nullable": field.is_nullable() }))
        .collect();
    Ok(ok(&json!({ "columns": columns, "rows": result::value(rows).await? })))
}
