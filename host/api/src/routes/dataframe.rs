//! `POST /dataframe/create`: rows become a frame, operations work on it, and what comes out is a dataset or an answer.

use crate::App;
use crate::body::Json;
use crate::error::Result;
use crate::locate::{locate, outline};
use crate::reply::{ok, output};
use crate::routes::{result, seed};
use axum::extract::State;
use axum::response::Response;
use azora_jobs::{Ended, JobResult};
use azora_spec::wire::{self, Unknown};
use azora_spec::{Failure, JobId, JobSpec, Operation};
use serde_json::{Map, Value, json};

/// Members that a job has under the same name.
const SAME: &[&str] = &["schema", "options", "functions", "params", "sql", "sink"];
/// Members that say where rows come from, where `data` does not.
const INPUTS: &[&str] = &["dataset", "source", "input"];

/// `POST /dataframe/create`.
pub(crate) async fn create(State(app): State<App>, body: Json) -> Result {
    seed::require_context(&app, "Spark context not initialized")?;
    let Json { value, bytes, .. } = body;
    drop(bytes);
    let Value::Object(mut members) = value else {
        return Err(wire::job_spec(&value, Unknown::Ignore).err().unwrap_or_else(wrong_shape).into());
    };
    let shown = outline(&Value::Object(members.clone()));
    let place = Place::of(&members);
    let located = |failure| place.located(failure);
    let request = job(&app, &mut members).map_err(located)?;
    let spec = wire::job_spec(&request.value, Unknown::Ignore).map_err(located)?;
    let ended = app.handle.run(spec, request.value).await.map_err(|failure| locate(&shown, located(failure)))?;
    answer(&ended, request.dataset).await
}

fn wrong_shape() -> Failure {
    Failure::new(azora_spec::Code::RequestField, "expected an object")
}

/// A request of a job, and the dataset that it makes.
struct Request {
    value: Value,
    dataset: Option<String>,
}

/// The job that does what a request asks for.
fn job(app: &App, members: &mut Map<String, Value>) -> Result<Request, Failure> {
    let has_data = members.get("data").is_some_and(|data| !data.is_null());
    let has_input = has_data || INPUTS.iter().chain(&["sql"]).any(|name| members.get(*name).is_some_and(|value| !value.is_null()));
    if !has_input {
        wire::DataFrameRequest::read(&Value::Object(members.clone()))?;
    }
    let text = |members: &Map<String, Value>, name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
    let name = text(members, "name").or(if has_data { text(members, "dataset") } else { text(members, "as") });
    let mut job = Map::new();
    for name in SAME.iter().copied().chain(if has_data { &[][..] } else { INPUTS }.iter().copied()) {
        if let Some(value) = members.get(name) {
            job.insert(name.to_owned(), value.clone());
        }
    }
    job.insert("frame".to_owned(), members.get("operations").cloned().filter(|value| !value.is_null()).unwrap_or_else(|| json!([])));
    let mut value = Value::Object(job);
    add_functions(app, &mut value);
    // Rows are large and do not decide what kind of job this is.
    let asks = wire::job_spec(&value, Unknown::Ignore)?;
    let dataset = if is_answered(&asks) { None } else { Some(name.unwrap_or_else(|| format!("dataframe-{}", JobId::generate()))) };
    if let Some(job) = value.as_object_mut() {
        if let Some(name) = &dataset {
            let mode = members.get("mode").cloned().unwrap_or_else(|| json!("overwrite"));
            let mut sink = json!({ "type": "dataset", "name": name, "mode": mode });
            if let (Some(ttl), Some(sink)) = (members.get("ttlSeconds"), sink.as_object_mut()) {
                sink.insert("ttlSeconds".to_owned(), ttl.clone());
            }
            job.insert("sink".to_owned(), sink);
        }
        if has_data {
            job.insert("data".to_owned(), members.remove("data").unwrap_or_default());
        }
    }
    Ok(Request { value, dataset })
}

/// Whether an action says what becomes of the rows, or a sink does.
fn is_answered(spec: &JobSpec) -> bool {
    let is_action = |operation: &Operation| matches!(operation, Operation::Frame(frame) if frame.steps.last().is_some_and(azora_spec::FrameStep::is_action));
    spec.operations.last().is_some_and(is_action) || spec.sink != azora_spec::Sink::Collect
}

/// The functions of the context, where a job asks in SQL or in a frame. Those that the job names itself win.
pub(crate) fn add_functions(app: &App, job: &mut Value) {
    let Some(members) = job.as_object_mut() else { return };
    let functions = app.handle.functions();
    if functions.is_empty() || !(members.contains_key("sql") || members.contains_key("frame")) {
        return;
    }
    let named = members.entry("functions").or_insert_with(|| json!({}));
    if named.is_null() {
        *named = json!({});
    }
    if let Some(named) = named.as_object_mut() {
        for (name, function) in functions {
            named.entry(name).or_insert_with(|| wire::function_json(&function));
        }
    }
}

/// Where the parts of the job stand in the request.
struct Place {
    /// Of what becomes the job's sink: an operation that writes, or the request's own members; nothing where it is `sink`.
    sink: Option<String>,
    /// The member that names a dataset.
    name: &'static str,
}

impl Place {
    fn of(members: &Map<String, Value>) -> Self {
        let last = members.get("operations").and_then(Value::as_array).and_then(|all| all.len().checked_sub(1).zip(all.last()));
        let writes = |operation: &Value| matches!(operation.get("type").and_then(Value::as_str), Some("write" | "saveAsTable"));
        let name = |has: &dyn Fn(&str) -> bool| if has("dataset") { "dataset" } else { "name" };
        match last {
            Some((at, operation)) if writes(operation) => {
                Self { sink: Some(format!("/operations/{at}")), name: name(&|member| operation.get(member).is_some()) }
            }
            _ if members.contains_key("sink") => Self { sink: None, name: "name" },
            _ => Self { sink: Some(String::new()), name: name(&|member| members.contains_key(member) && !members.contains_key("name")) },
        }
    }

    /// Operations stand in `operations` here and in `frame` of a job.
    fn located(&self, failure: Failure) -> Failure {
        let Some(pointer) = failure.pointer.clone() else { return failure };
        match (pointer.strip_prefix("/frame"), pointer.strip_prefix("/sink"), &self.sink) {
            (Some(rest), _, _) => failure.at(format!("/operations{rest}")),
            (_, Some("/name"), Some(sink)) => failure.at(format!("{sink}/{}", self.name)),
            (_, Some(rest), Some(sink)) => failure.at(format!("{sink}{rest}")),
            _ => failure,
        }
    }
}

async fn answer(ended: &Ended, dataset: Option<String>) -> Result {
    let mut reply = Map::from_iter([
        ("success".to_owned(), json!(true)),
        ("message".to_owned(), json!("DataFrame created")),
        ("job".to_owned(), json!(ended.id.to_string())),
    ]);
    let mut count = ended.view.output.as_ref().map_or(0, |written| written.rows);
    match (&ended.result, &ended.view.output) {
        (Some(rows), _) => {
            let value = result::value(rows).await?;
            count = match &value {
                Value::Array(list) => list.len() as u64,
                Value::Null => 0,
                other => other.as_u64().unwrap_or(1),
            };
            reply.insert("schema".to_owned(), columns(rows));
            reply.insert("result".to_owned(), value);
        }
        (None, Some(written)) if dataset.is_none() => drop(reply.insert("result".to_owned(), output(written))),
        _ => {}
    }
    reply.insert("rowCount".to_owned(), json!(count));
    if let Some(name) = dataset {
        reply.insert("dataset".to_owned(), json!(name));
    }
    Ok(response(&Value::Object(reply)))
}

fn response(reply: &Value) -> Response {
    ok(reply)
}

/// The columns of rows: name, type, whether null may be in them.
pub(crate) fn columns(rows: &JobResult) -> Value {
    rows.columns().into_iter().map(|(name, of, is_nullable)| json!({ "name": name, "type": of, "nullable": is_nullable })).collect()
}
