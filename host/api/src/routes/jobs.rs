//! `/api/v1/jobs`: submit, list, get, cancel, delete, follow, fetch the result.

use crate::App;
use crate::accept;
use crate::body::Json;
use crate::error::Result;
use crate::locate::{locate, outline};
use crate::render::failure_json;
use crate::reply::{job, json, ok, time, with};
use crate::routes::dataframe;
use crate::routes::page::{self, Page};
use crate::routes::query::Query;
use crate::routes::result as rows;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use azora_jobs::{Idempotency, JobEvent, JobView, ListQuery, Submission};
use azora_spec::limits::{IDEMPOTENCY_KEY_BYTES_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use azora_spec::wire::{self, Unknown, suggestion};
use azora_spec::{Code, Digest, Failure, JobId, JobState};
use futures::StreamExt;
use serde_json::json;
use std::convert::Infallible;
use std::time::Duration;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// `POST /jobs`: 202 once the job is durable; with `Prefer: wait=n` 200 where it ends within that many seconds.
pub(crate) async fn submit(State(app): State<App>, query: Query, mut body: Json) -> Result {
    query.only(&[])?;
    dataframe::add_functions(&app, &mut body.value);
    let spec = wire::job_spec(&body.value, Unknown::Refuse)?;
    let idempotency = idempotency(&body.headers, &body.bytes)?;
    let wait = wait(&body.headers, app.options.wait_time_max);
    let Json { value, bytes, .. } = body;
    drop(bytes);
    let outline = outline(&value);
    let submission = Submission { spec, request: value, idempotency };
    let submitted = app.handle.submit(submission).await.map_err(|failure| locate(&outline, failure))?;
    let view = match wait {
        None => app.handle.get(submitted.id).await?,
        Some(time_max) => match tokio::time::timeout(time_max, app.handle.wait(submitted.id)).await {
            Ok(ended) => ended?,
            Err(_) => app.handle.get(submitted.id).await?,
        },
    };
    let status = if wait.is_some() && view.state.is_ended() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut response = with(json(status, &job(&view)), header::LOCATION, &format!("/api/v1/jobs/{}", view.id));
    if submitted.is_replay {
        response = with(response, IDEMPOTENCY_REPLAYED, "true");
    }
    if let Some(time_max) = wait {
        response = with(response, PREFERENCE_APPLIED, &format!("wait={}", time_max.as_secs()));
    }
    Ok(response)
}

fn idempotency(headers: &HeaderMap, body: &[u8]) -> Result<Option<Idempotency>, Failure> {
    let Some(value) = headers.get(&IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().unwrap_or_default().trim();
    let is_key = !key.is_empty() && key.len() <= IDEMPOTENCY_KEY_BYTES_MAX && key.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_key || headers.get_all(&IDEMPOTENCY_KEY).iter().count() > 1 {
        let message = format!("an 'idempotency-key' is 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters, given once");
        return Err(Failure::new(Code::RequestField, message));
    }
    Ok(Some(Idempotency { key: key.to_owned(), body_digest: Digest::of(body) }))
}

/// RFC 7240: preferences that cannot be read or are unknown are ignored.
fn wait(headers: &HeaderMap, time_max: Duration) -> Option<Duration> {
    let preferences = headers.get_all(&PREFER).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    let seconds = preferences.filter_map(|text| text.trim().strip_prefix("wait=")).find_map(|text| text.trim().parse().ok())?;
    Some(Duration::from_secs(seconds).min(time_max))
}

/// `GET /jobs?limit=&cursor=&state=`: newest first.
pub(crate) async fn list(State(app): State<App>, query: Query) -> Result {
    let query = query.only(&["limit", "cursor", "state"])?;
    let limit = query.number("limit", (1, PAGE_ROWS_MAX), PAGE_ROWS_DEFAULT)?;
    let state = query.text("state").map(state).transpose()?;
    let page = app.handle.list(ListQuery { limit, cursor: query.text("cursor").map(str::to_owned), state }).await?;
    let response = ok(&json!({ "jobs": page.jobs.iter().map(job).collect::<Vec<_>>(), "next": page.next }));
    let Some(next) = page.next else { return Ok(response) };
    let filter = state.map(|state| format!("&state={state}")).unwrap_or_default();
    Ok(with(response, header::LINK, &format!("</api/v1/jobs?limit={limit}&cursor={next}{filter}>; rel=\"next\"")))
}

fn state(text: &str) -> Result<JobState, Failure> {
    JobState::parse(text).ok_or_else(|| {
        let failure = Failure::new(Code::RequestField, "unknown 'state'");
        failure.hint(suggestion(text, JobState::ALL.iter().map(|state| state.as_str()), "states are"))
    })
}

/// `GET /jobs/{id}`.
pub(crate) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result {
    Ok(ok(&job(&app.handle.get(id.parse()?).await?)))
}

/// `GET /jobs/{id}/request`: what was submitted.
pub(crate) async fn request(State(app): State<App>, Path(id): Path<String>) -> Result {
    Ok(ok(&app.handle.request(id.parse()?).await?))
}

/// `POST /jobs/{id}/cancel`: asked, not yet done; a job that ended stays as it is.
pub(crate) async fn cancel(State(app): State<App>, Path(id): Path<String>) -> Result {
    Ok(json(StatusCode::ACCEPTED, &job(&app.handle.cancel(id.parse()?).await?)))
}

/// `DELETE /jobs/{id}`: only of a job that ended.
pub(crate) async fn delete(State(app): State<App>, Path(id): Path<String>) -> Result {
    app.handle.delete(id.parse()?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /jobs/{id}/events`: server-sent events, from the start or behind `Last-Event-ID` (or `?after=`), until the job ends.
pub(crate) async fn events(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap, query: Query) -> Result {
    let query = query.only(&["after"])?;
    if !accept::allows(&headers, "text/event-stream") {
        return Err(Failure::new(Code::RequestNotAcceptable, "events are sent as text/event-stream").into());
    }
    let id: JobId = id.parse()?;
    let after = query.number("after", (0, u64::MAX), 0)?.max(last_event(&headers)?);
    let events = app.handle.events(id, after).await?.map(|event| Ok::<_, Infallible>(sent(&event)));
    let heartbeat = KeepAlive::new().interval(app.options.heartbeat).text("still here");
    Ok(Sse::new(events).keep_alive(heartbeat).into_response())
}

fn last_event(headers: &HeaderMap) -> Result<u64, Failure> {
    match headers.get(&LAST_EVENT_ID).map(|value| value.to_str().unwrap_or_default()) {
        None | Some("") => Ok(0),
        Some(text) => text.parse().map_err(|_| Failure::new(Code::RequestField, "'last-event-id' is not the id of an event")),
    }
}

fn sent(event: &JobEvent) -> Event {
    let data = json!({ "seq": event.seq, "kind": event.kind, "at": time(event.at_ms), "data": event.data });
    Event::default().id(event.seq.to_string()).event(event.kind).data(data.to_string())
}

/// `GET /jobs/{id}/result`: rows in the format that `Accept` or `?format=` names, streamed.
pub(crate) async fn result(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap, query: Query) -> Result {
    let query = query.only(&page::NAMES)?;
    let format = accept::format(&headers, query.text("format"))?;
    let id: JobId = id.parse()?;
    let of = id.to_string();
    let page = Page::of(&query, &of)?;
    match app.handle.result(id).await {
        Ok(result) => match page {
            None => rows::stream(&result, format, ()),
            Some(page) => {
                let mut response = rows::stream(&page.rows(&result)?, format, ())?;
                page.link(&mut response, (&format!("/api/v1/jobs/{of}/result"), &of), query.text("format"), result.rows);
                Ok(response)
            }
        },
        Err(failure) if failure.code == Code::JobNoResult => Err(explained(&app, id, failure).await.into()),
        Err(failure) => Err(failure.into()),
    }
}

/// Says why there is no result, where the job knows.
async fn explained(app: &App, id: JobId, failure: Failure) -> Failure {
    let reason = |view: JobView| view.failure.map(|reason| failure_json(&reason)["detail"].as_str().unwrap_or_default().to_owned());
    match app.handle.get(id).await.ok().and_then(reason) {
        Some(reason) if failure.hint.is_none() => failure.hint(format!("the job ended with: {reason}")),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::{idempotency, wait};
    use axum::http::{HeaderMap, HeaderName, HeaderValue};
    use std::time::Duration;

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header"))).collect()
    }

    #[test]
    fn a_preference_is_bounded_and_nonsense_is_ignored() {
        let check = |values: &[&str], expect: Option<u64>| {
            assert_eq!(wait(&headers("prefer", values), Duration::from_secs(60)), expect.map(Duration::from_secs), "{values:?}");
        };
        check(&["wait=5"], Some(5));
        check(&["respond-async, wait=5"], Some(5));
        check(&["respond-async", "wait=7"], Some(7));
        check(&["wait=9000"], Some(60));
        check(&["wait=soon"], None);
        check(&["wait=-1"], None);
        check(&[], None);
    }

    #[test]
    fn idempotency_keys_are_visible_ascii() {
        let check = |values: &[&str]| idempotency(&headers("idempotency-key", values), b"{}");
        assert_eq!(check(&["abc"]).expect("a key").map(|key| key.key), Some("abc".to_owned()));
        assert_eq!(check(&[]).expect("no key"), None);
        assert!(check(&[""]).is_err() && check(&["a b"]).is_err() && check(&["a", "b"]).is_err());
        assert!(check(&[&"k".repeat(256)]).is_err());
    }
}
