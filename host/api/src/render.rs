//! The outermost layer of the router: request ids, the bound on requests in flight, the access log, and the body of every
//! problem. Which failure maps to which status is in `error`.

use crate::error::{Problem, code_of, status};
use crate::{App, body, origin};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use azora_spec::{Blame, Code, Failure, RequestId};
use serde_json::{Map, Value, json};
use std::any::Any;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Names one request in logs and answers.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What `Retry-After` says where a retry may help, in seconds.
const RETRY_AFTER_SECONDS: u32 = 1;
/// Longest path that an answer repeats, in bytes.
const INSTANCE_BYTES_MAX: usize = 512;

/// Wraps the whole router.
pub(crate) async fn render(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = match (origin::check(request.headers(), app.options.is_local), app.requests.try_acquire()) {
        (Err(failure), _) => {
            body::drain(request.into_body()).await;
            Problem(failure).into_response()
        }
        (_, Err(_)) => Problem(Failure::new(Code::ServerBusy, "too many requests are in flight, try again")).into_response(),
        (Ok(()), Ok(_permit)) => next.run(request).await,
    };
    if let Some(problem) = problem_of(&response) {
        if problem.0.blame() == Blame::System {
            tracing::warn!(request = %id, code = %problem.0.code, message = %problem.0.message, "request failed");
        }
        response = write(&problem.0, &path, id.as_str(), response.headers());
    }
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let status = response.status();
    if let Some(counter) = app.counters.by_class.get(usize::from(status.as_u16() / 100)) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(request = %id, %method, path, status = status.as_u16(), micros, "answered");
    response
}

/// What a panicking handler answers. The panic's text goes to the log only.
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("no text"), "a handler panicked");
    Problem(Failure::new(Code::Internal, "a defect of the server; its log has the details under the request's id")).into_response()
}

fn request_id(headers: &HeaderMap) -> RequestId {
    let given = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    given.and_then(RequestId::chosen).unwrap_or_else(RequestId::generate)
}

/// The failure that an answer carries, or that its bare status stands for.
fn problem_of(response: &Response) -> Option<Problem> {
    if let Some(problem) = response.extensions().get::<Problem>() {
        return Some(problem.clone());
    }
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let message = match status {
        StatusCode::NOT_FOUND => "there is nothing under this path".to_owned(),
        StatusCode::METHOD_NOT_ALLOWED => "this path does not take this method".to_owned(),
        _ => status.canonical_reason().unwrap_or("the request cannot be answered").to_lowercase(),
    };
    Some(Problem(Failure::new(code_of(status), message)))
}

fn write(failure: &Failure, path: &str, id: &str, from: &HeaderMap) -> Response {
    let status = status(failure);
    let body = Value::Object(document(failure, path, id)).to_string();
    let mut response = (status, Body::from(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for name in [header::ALLOW, header::CONNECTION] {
        if let Some(value) = from.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    if matches!(failure.code, Code::JobQueueFull | Code::ServerBusy | Code::ServerDraining | Code::StorageFull) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    }
    response
}

/// RFC 9457, and on the paths that existing callers use the two members that they know.
fn document(failure: &Failure, path: &str, id: &str) -> Map<String, Value> {
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| {
        document.insert(name.to_owned(), value);
    };
    if !path.starts_with("/api/") {
        put("success", Value::from(false));
        put("error", Value::from(failure.message.as_str()));
    }
    put("type", Value::from(format!("/api/v1/problems/{}", failure.code)));
    put("title", Value::from(title(failure.code)));
    put("status", Value::from(status(failure).as_u16()));
    put("detail", Value::from(failure.message.as_str()));
    put("code", Value::from(failure.code.as_str()));
    put("blame", Value::from(failure.blame().as_str()));
    if let Some(hint) = &failure.hint {
        put("hint", Value::from(hint.as_str()));
    }
    let end = (0..=INSTANCE_BYTES_MAX).rev().find(|end| path.is_char_boundary(*end)).unwrap_or_default();
    put("instance", Value::from(path.get(..end).unwrap_or(path)));
    put("requestId", Value::from(id));
    if failure.pointer.is_some() || failure.position.is_some() || failure.row.is_some() {
        put("errors", json!([place(failure)]));
    }
    document
}

/// The place of a mistake: an entry of `errors`.
fn place(failure: &Failure) -> Value {
    let mut place = Map::new();
    place.insert("detail".to_owned(), Value::from(failure.message.as_str()));
    if let Some(pointer) = &failure.pointer {
        place.insert("pointer".to_owned(), Value::from(pointer.as_str()));
    }
    if let Some(position) = &failure.position {
        let position = json!({ "line": position.line, "column": position.column, "excerpt": position.excerpt });
        place.insert("position".to_owned(), position);
    }
    if let Some(row) = failure.row {
        place.insert("row".to_owned(), Value::from(row));
    }
    if let Some(hint) = &failure.hint {
        place.insert("hint".to_owned(), Value::from(hint.as_str()));
    }
    Value::Object(place)
}

/// A failure that is part of an answer which is itself no failure, for example of a failed job.
pub(crate) fn failure_json(failure: &Failure) -> Value {
    let mut shown = Map::new();
    shown.insert("code".to_owned(), Value::from(failure.code.as_str()));
    shown.insert("blame".to_owned(), Value::from(failure.blame().as_str()));
    if let Value::Object(place) = place(failure) {
        shown.extend(place);
    }
    Value::Object(shown)
}

/// `lambda.unknown_name` is titled "Lambda: unknown name".
pub(crate) fn title(code: Code) -> String {
    let words = code.as_str().replacen('.', ": ", 1).replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::{document, title};
    use azora_spec::{Code, Failure, Position};
    use serde_json::{Value, json};

    #[test]
    fn a_problem_says_what_where_and_what_to_do() {
        let position = Position { line: 1, column: 8, excerpt: "x => x +\n       ^".to_owned() };
        let failure =
            Failure::new(Code::LambdaSyntax, "unexpected end").hint("add an operand").at("/operations/0/function").position(position);
        let place = json!({"detail": "unexpected end", "pointer": "/operations/0/function",
            "position": {"line": 1, "column": 8, "excerpt": "x => x +\n       ^"}, "hint": "add an operand"});
        let expect = json!({"success": false, "error": "unexpected end", "type": "/api/v1/problems/lambda.syntax",
            "title": "Lambda: syntax", "status": 400, "detail": "unexpected end", "code": "lambda.syntax", "blame": "caller",
            "hint": "add an operand", "instance": "/rdd/process", "requestId": "r1", "errors": [place]});
        assert_eq!(Value::Object(document(&failure, "/rdd/process", "r1")), expect);
        assert!(!document(&failure, "/api/v1/jobs", "r1").contains_key("success"));
        let long = format!("/{}é", "a".repeat(510));
        assert_eq!(document(&failure, &long, "r1")["instance"].as_str().map(str::len), Some(511));
    }

    #[test]
    fn titles_are_readable() {
        assert_eq!(title(Code::LambdaUnknownName), "Lambda: unknown name");
        assert_eq!(title(Code::Internal), "Internal");
    }
}
