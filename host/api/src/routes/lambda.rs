//! `/api/v1/lambda`: how lambdas would run.

use crate::App;
use crate::body::Json;
use crate::error::Result;
use crate::reply::ok;
use axum::extract::State;
use azora_spec::wire::{self, Unknown};
use serde_json::json;

/// `POST /lambda/explain`: `{lambda | operations, schema | data | dataset | source}`. Nothing runs but a sample of the
/// elements, where an interpreted lambda's types depend on it. What is wrong with a lambda is a problem, as for a job.
pub(crate) async fn explain(State(app): State<App>, body: Json) -> Result {
    let job = wire::explained_job(&body.value)?;
    let spec = wire::job_spec(&job, Unknown::Refuse)?;
    drop(body);
    Ok(ok(&json!(app.handle.explain(spec).await?)))
}
