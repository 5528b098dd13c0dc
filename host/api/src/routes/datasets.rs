//! `/api/v1/datasets`: list, get, delete, look inside, download.

use crate::App;
use crate::accept;
use crate::error::Result;
use crate::reply::{dataset, ok};
use crate::routes::query::Query;
use crate::routes::result;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use azora_spec::wire::{self, Unknown};
use azora_spec::{Code, DatasetName, Failure};
use serde_json::{Value, json};

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

/// `GET /datasets/{name}/rows?format=`: all of them, as they are read.
pub(crate) async fn rows(State(app): State<App>, Path(name): Path<String>, headers: HeaderMap, query: Query) -> Result {
    let query = query.only(&["format"])?;
    let kind = accept::format(&headers, query.text("format"))?;
    let reading = app.handle.read_dataset(&known(&name)?).await?;
    result::stream(&reading.result, kind, reading.held)
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
