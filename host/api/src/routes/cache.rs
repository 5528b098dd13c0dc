//! `/api/v1/cache`: the rows that `cache` and `persist` keep for later jobs.

use crate::App;
use crate::error::Result;
use crate::reply::{ok, time};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use azora_jobs::CacheEntryView;
use azora_spec::{Code, Failure};
use serde_json::{Value, json};

/// `GET /cache`.
pub(crate) async fn list(State(app): State<App>) -> Result {
    let view = app.handle.cache();
    Ok(ok(&json!({
        "memoryBytes": view.memory_bytes, "memoryBytesMax": view.memory_bytes_max,
        "diskBytes": view.disk_bytes, "diskBytesMax": view.disk_bytes_max,
        "misses": view.misses, "evictions": view.evictions,
        "entries": view.entries.iter().map(entry).collect::<Vec<_>>(),
    })))
}

fn entry(view: &CacheEntryView) -> Value {
    let id = view.id.to_hex();
    json!({
        "id": id, "name": view.name.as_ref().map(|name| name.as_str()), "level": view.level.as_str(),
        "partitions": view.partitions, "rows": view.rows, "memoryBytes": view.memory_bytes, "diskBytes": view.disk_bytes,
        "hits": view.hits, "keptAt": time(view.made_at_ms), "usedAt": time(view.used_at_ms),
        "links": { "self": format!("/api/v1/cache/{id}") },
    })
}

/// `DELETE /cache`: all of them. Jobs that read them read on.
pub(crate) async fn clear(State(app): State<App>) -> Result {
    let _sets = app.handle.clear_cache(None);
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `DELETE /cache/{id}`: those of an id, or of a name.
pub(crate) async fn delete(State(app): State<App>, Path(id): Path<String>) -> Result {
    match app.handle.clear_cache(Some(&id)) {
        0 => Err(Failure::new(Code::RouteUnknown, "no rows are kept under this id or name").hint("GET /api/v1/cache lists them").into()),
        _ => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}
