//! The paths, fields and texts that existing callers use, unchanged.

use crate::App;
use crate::body::{Json, OptionalJson};
use crate::error::Result;
use crate::locate::{locate, outline};
use crate::reply::{json_text, ok, output, time};
use crate::routes::result;
use axum::extract::State;
use axum::response::Response;
use azora_jobs::{ContextView, Ended};
use azora_spec::wire::{self, Unknown};
use azora_spec::{Code, Failure};
use serde_json::{Value, json};

/// `GET /health`.
pub(crate) async fn health(State(app): State<App>) -> Response {
    let context = if app.handle.context().is_some() { "running" } else { "stopped" };
    ok(&json!({ "status": "healthy", "service": "azora-spark", "version": env!("CARGO_PKG_VERSION"), "sparkContext": context }))
}

/// `POST /spark/init`.
pub(crate) async fn init(State(app): State<App>, OptionalJson(body): OptionalJson) -> Result {
    let context = app.handle.init_context(wire::ContextRequest::read(&body)?)?;
    Ok(ok(&json!({ "success": true, "message": "Spark context initialized", "config": config(&context) })))
}

fn config(context: &ContextView) -> Value {
    json!({
        "appName": context.app_name, "master": context.master, "executorMemory": context.executor_memory,
        "executorCores": context.executor_cores, "numExecutors": context.num_executors,
        "defaultParallelism": context.default_parallelism, "ingestionEngines": context.ingestion_engines,
        "enableStreaming": context.enable_streaming, "enableML": context.enable_ml,
    })
}

/// `POST /spark/stop`; there need not be a context.
pub(crate) async fn stop(State(app): State<App>) -> Response {
    let was_open = app.handle.stop_context();
    tracing::debug!(was_open, "context stopped");
    ok(&json!({ "success": true, "message": "Spark context stopped" }))
}

/// `GET /cluster/status`.
pub(crate) async fn status(State(app): State<App>) -> Response {
    let Some(context) = app.handle.context() else {
        return ok(&json!({ "status": "stopped", "executors": 0 }));
    };
    let details: Vec<Value> = (0..context.executors).map(|at| json!({ "id": format!("executor-{at}"), "status": "active" })).collect();
    ok(&json!({ "status": "running", "executors": context.executors, "executorDetails": details }))
}

/// Refuses a request where no context is open.
pub(super) fn require_context(app: &App, message: &str) -> Result<(), Failure> {
    match app.handle.context() {
        Some(_) => Ok(()),
        None => Err(Failure::new(Code::ContextMissing, message).hint("POST /spark/init opens a context; its body may be {}")),
    }
}

/// `POST /ingest`.
pub(crate) async fn ingest(State(app): State<App>, body: Json) -> Result {
    require_context(&app, "Spark context not initialized. Call /spark/init first")?;
    let request = wire::IngestRequest::read(&body.value)?;
    let view = app.handle.ingest(request).await.map_err(|failure| locate(&body.value, failure))?;
    let metadata = json!({ "source": view.source, "records": view.rows, "timestamp": view.at_ms, "partitions": view.partitions });
    Ok(ok(&json!({
        "success": true, "metadata": metadata, "recordCount": view.rows, "dataset": view.dataset.as_str(),
        "job": view.job.to_string(), "time": time(view.at_ms),
    })))
}

/// `POST /rdd/process`: a job that is waited for.
pub(crate) async fn process(State(app): State<App>, body: Json) -> Result {
    require_context(&app, "Spark context not initialized")?;
    let spec = wire::job_spec(&body.value, Unknown::Ignore)?;
    let Json { value, bytes, .. } = body;
    drop(bytes);
    let outline = outline(&value);
    let ended = app.handle.run(spec, value).await.map_err(|failure| locate(&outline, failure))?;
    let answer = answer(&ended).await?;
    let mut text = Vec::with_capacity(answer.len() + BEFORE.len() + 1);
    text.extend_from_slice(BEFORE);
    text.extend_from_slice(&answer);
    text.push(b'}');
    Ok(json_text(text))
}

/// What stands before the result in an answer; a brace follows it.
const BEFORE: &[u8] = br#"{"success":true,"result":"#;

/// The rows of a job that collects, what was written of one that writes; as JSON.
async fn answer(ended: &Ended) -> Result<Vec<u8>, Failure> {
    match (&ended.result, &ended.view.output) {
        (Some(rows), _) => result::text(rows).await,
        (None, Some(written)) => Ok(output(written).to_string().into_bytes()),
        (None, None) => Ok(b"null".to_vec()),
    }
}

/// `POST /streaming/start`: read and checked, and then refused, since this version runs no streams.
pub(crate) async fn start(State(app): State<App>, body: Json) -> Result {
    require_context(&app, "Spark context not initialized")?;
    let read = wire::StreamingRequest::read(&body.value)?;
    tracing::debug!(batch_interval_ms = read.batch_interval_ms, "a stream was asked for");
    let failure = Failure::new(Code::FeatureUnavailable, "streams are not available in this version");
    Err(failure.hint("submit a job over the rows that are there: POST /api/v1/jobs").into())
}
