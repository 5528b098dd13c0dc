//! `/api/v1/datasets`: list, get, delete, look inside.

use crate::App;
use crate::error::Result;
use crate::reply::{dataset, ok};
use crate::routes::query::Query;
use crate::routes::result;
use axum::extract::{Path, State};
use axum::http::StatusCode;
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
    Ok(ok(&json!({ "datasets": datasets.iter().map(dataset).collect::<Vec<_>>() })))
}

/// `GET /datasets/{name}`.
pub(crate) async fn one(State(app): State<App>, Path(name): Path<String>) -> Result {
    Ok(ok(&dataset(&app.handle.dataset(&known(&name)?)?)))
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
    let about = app.handle.dataset(&name)?;
    let request = json!({ "name": "preview", "dataset": name.as_str(), "operations": [{ "type": "take", "n": limit }] });
    let ended = app.handle.run(wire::job_spec(&request, Unknown::Refuse)?, request).await?;
    let rows = match &ended.result {
        Some(rows) => result::value(rows).await?,
        None => Value::Array(Vec::new()),
    };
    Ok(ok(&json!({ "dataset": dataset(&about), "rows": rows })))
}

/// A name in a path that no dataset can have is not found.
fn known(name: &str) -> Result<DatasetName, Failure> {
    name.parse().map_err(|failure: Failure| Failure::new(Code::DatasetUnknown, "no dataset can have this name").hint(failure.message))
}
