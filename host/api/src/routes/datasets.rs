//! `/api/v1/datasets`: list, get, delete, look inside, download.

use crate::App;
use crate::accept;
use crate::body::Json;
use crate::error::Result;
use crate::reply::{dataset, ok};
use crate::routes::page::{self, Page};
use crate::routes::query::Query;
use crate::routes::result;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use azora_spec::limits::TTL_SECONDS_MAX;
use azora_spec::wire::{self, Fields, Unknown};
use azora_spec::{Code, DatasetName, Failure};
use serde_json::{Value, json};
use std::time::Duration;

/// Rows of a preview where the request does not say.
const PREVIEW_ROWS_DEFAULT: usize = 20;
/// Most rows of a preview.
const PREVIEW_ROWS_MAX: usize = 1000;

/// `GET /datasets`.
pub(crate) async fn list(State(app): State<App>) -> Result {
    let datasets = app.handle.datasets()?;
    let columns = app.handle.dataset_columns(datasets.iter().map(|view| view.name.clone()).collect()).await?;
    let shown: Vec<Value> = datasets.iter().zip(columns).map(|(view, columns)| dataset(view, columns.as_deref())).collect();
    Ok(ok(&json!({ "datasets": shown })))
}

/// `GET /datasets/{name}`.
pub(crate) async fn one(State(app): State<App>, Path(name): Path<String>) -> Result {
    Ok(ok(&shown(&app, &known(&name)?).await?))
}

async fn shown(app: &App, name: &DatasetName) -> Result<Value, Failure> {
    let view = app.handle.dataset(name)?;
    let columns = app.handle.dataset_columns(vec![name.clone()]).await?.into_iter().next().flatten();
    Ok(dataset(&view, columns.as_deref()))
}

/// `GET /datasets/{name}/rows?format=&limit=&cursor=`: all of them or a page, as they are read.
pub(crate) async fn rows(State(app): State<App>, Path(name): Path<String>, headers: HeaderMap, query: Query) -> Result {
    let query = query.only(&page::NAMES)?;
    let kind = accept::format(&headers, query.text("format"))?;
    let reading = app.handle.read_dataset(&known(&name)?).await?;
    let (total, version) = (reading.view.rows, reading.view.version);
    let Some(page) = Page::of(&query, &version)? else { return result::stream(&reading.result, kind, reading.held) };
    let mut response = result::stream(&page.rows(&reading.result)?, kind, reading.held)?;
    page.link(&mut response, (&format!("/api/v1/datasets/{}/rows", reading.view.name), &version), query.text("format"), total);
    Ok(response)
}

/// `PATCH /datasets/{name}`: how long it lives from now on, `{"ttlSeconds": 3600}`, or without end, `{"ttlSeconds": null}`.
pub(crate) async fn change(State(app): State<App>, Path(name): Path<String>, body: Json) -> Result {
    let mut fields = Fields::of(&body.value, "")?;
    let ttl = match fields.present("ttlSeconds") {
        None => return Err(fields.missing("ttlSeconds").hint(r#"for example {"ttlSeconds":3600}, or null for no end"#).into()),
        Some(Value::Null) => None,
        Some(_) => fields.integer("ttlSeconds", 1..=TTL_SECONDS_MAX)?.map(Duration::from_secs),
    };
    fields.finish(Unknown::Refuse)?;
    let name = known(&name)?;
    app.handle.expire_dataset(&name, ttl).await?;
    Ok(ok(&shown(&app, &name).await?))
}

/// `GET /datasets/{name}/statistics`: a pass over all of its rows.
pub(crate) async fn statistics(State(app): State<App>, Path(name): Path<String>) -> Result {
    let name = known(&name)?;
    let statistics = app.handle.dataset_statistics(&name).await?;
    Ok(ok(&json!({ "dataset": name.as_str(), "rows": statistics["rows"], "columns": statistics["columns"] })))
}

/// `DELETE /datasets/{name}`.
pub(crate) async fn delete(State(app): State<App>, Path(name): Path<String>) -> Result {
    app.handle.delete_dataset(&known(&name)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /datasets/{name}/preview?limit=`: its first rows, read by a job like any other.
pub(crate) async fn preview(State(app): State<App>, Path(name): Path<String>, query: Query) -> Result {
    let query = query.only(&["limit"])?;
    let limit = query.number("limit", (1, PREVIEW_ROWS_MAX), PREVIEW_ROWS_DEFAULT)?;
    let name = known(&name)?;
    let about = shown(&app, &name).await?;
    let request = json!({ "name": "preview", "dataset": name.as_str(), "operations": [{ "type": "take", "n": limit }] });
    let ended = app.handle.run(wire::job_spec(&request, Unknown::Refuse)?, request).await?;
    let rows = match &ended.result {
        Some(rows) => result::value(rows).await?,
        None => Value::Array(Vec::new()),
    };
    Ok(ok(&json!({ "dataset": about, "rows": rows })))
}

/// A name in a path that no dataset can have is not found.
fn known(name: &str) -> Result<DatasetName, Failure> {
    name.parse().map_err(|failure: Failure| Failure::new(Code::DatasetUnknown, "no dataset can have this name").hint(failure.message))
}
