//! `POST /api/v1/sql`: a query that is waited for, its rows in the format that the caller wants.

use crate::App;
use crate::accept;
use crate::body::Json;
use crate::error::Result;
use crate::locate::{locate, outline};
use crate::reply::{ok, output};
use crate::routes::dataframe::{add_functions, columns};
use crate::routes::query::Query;
use crate::routes::result as rows;
use axum::extract::State;
use azora_spec::wire::{self, SqlRequest, Unknown};
use azora_spec::{Failure, FileFormat};
use serde_json::json;

/// `POST /sql`.
pub(crate) async fn run(State(app): State<App>, query: Query, body: Json) -> Result {
    let query = query.only(&["format"])?;
    let format = accept::format(&body.headers, query.text("format"))?;
    let mut request = SqlRequest::read(&body.value)?;
    drop(body.bytes);
    let outlined = outline(&body.value);
    if request.statements.query.is_none() {
        let names: Vec<String> = request.statements.functions.keys().cloned().collect();
        app.handle.add_functions(request.statements.functions)?;
        return Ok(ok(&json!({ "success": true, "functions": names })));
    }
    add_functions(&app, &mut request.job);
    let spec = wire::job_spec(&request.job, Unknown::Refuse).map_err(located)?;
    let ended = app.handle.run(spec, request.job).await.map_err(|failure| locate(&outlined, located(failure)))?;
    match (&ended.result, &ended.view.output) {
        (Some(result), _) if request.wants_schema && format == FileFormat::Json => {
            let value = rows::value(result).await?;
            Ok(ok(&json!({ "schema": columns(result), "rows": value })))
        }
        (Some(result), _) => rows::stream(result, format, ()),
        (None, Some(written)) => {
            let dataset = request.statements.table.map(|(name, _)| name.to_string());
            Ok(ok(&json!({ "success": true, "dataset": dataset, "written": output(written) })))
        }
        (None, None) => Ok(ok(&json!({ "success": true }))),
    }
}

/// The text stands in `query` here and in `sql` of a job, and a table that it makes in `sink`.
fn located(failure: Failure) -> Failure {
    let is_of_text = failure.pointer.as_deref().is_some_and(|pointer| pointer == "/sql" || pointer.starts_with("/sink"));
    if is_of_text { failure.at("/query") } else { failure }
}
