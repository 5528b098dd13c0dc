//! The API that `examples/connector-rust-source` reads, as a real server that can be told to misbehave.

use crate::TOKEN;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Collections and their rows.
pub(crate) const COLLECTIONS: [(&str, i64); 3] = [("books", 1003), ("empty", 0), ("maps", 7)];

/// How the server behaves.
#[derive(Debug, Default)]
pub(crate) struct Behaviour {
    /// Whether it wants the token.
    pub(crate) is_private: bool,
    /// Every n-th answer is 503.
    pub(crate) fails_every: usize,
    /// Pages are never answered.
    pub(crate) hangs: bool,
    /// Pages send the caller there.
    pub(crate) redirects_to: Option<String>,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    state: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    behaviour: Behaviour,
    requests: AtomicUsize,
    hanging: AtomicUsize,
}

impl Api {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let state = Arc::new(Shared { behaviour, requests: AtomicUsize::new(0), hanging: AtomicUsize::new(0) });
        let router = Router::new().route("/v1", get(collections)).route("/v1/{name}", get(page)).with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(crate) fn grants(&self) -> Value {
        json!({"httpClient": {"hosts": [self.address.to_string()]}})
    }

    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Requests that are being kept waiting now.
    pub(crate) fn hanging(&self) -> usize {
        self.state.hanging.load(Ordering::SeqCst)
    }
}

/// The row of an id, as the API answers it.
pub(crate) fn item(id: i64) -> Value {
    let name = (id % 5 != 0).then(|| format!("item {id} ü"));
    json!({"id": id, "name": name, "price": (id % 3 != 0).then_some(id as f64 / 4.0), "tags": vec!["t"; usize::try_from(id % 4).unwrap()]})
}

fn refused(state: &Shared, headers: &HeaderMap) -> Option<Response> {
    let count = state.requests.fetch_add(1, Ordering::SeqCst) + 1;
    if state.behaviour.fails_every > 0 && count.is_multiple_of(state.behaviour.fails_every) {
        return Some((StatusCode::SERVICE_UNAVAILABLE, "busy").into_response());
    }
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // A careless server: it repeats what it was sent.
    (state.behaviour.is_private && given != format!("Bearer {TOKEN}"))
        .then(|| (StatusCode::UNAUTHORIZED, format!("'{given}' is not known")).into_response())
}

async fn collections(State(state): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(refused) = refused(&state, &headers) {
        return refused;
    }
    let all: Vec<Value> = COLLECTIONS.iter().map(|(name, rows)| json!({"name": name, "rows": rows})).collect();
    Json(json!({ "collections": all })).into_response()
}

struct Hanging<'a>(&'a AtomicUsize);

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn page(
    State(state): State<Arc<Shared>>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = refused(&state, &headers) {
        return refused;
    }
    if state.behaviour.hangs {
        state.hanging.fetch_add(1, Ordering::SeqCst);
        let _hanging = Hanging(&state.hanging);
        tokio::time::sleep(Duration::from_secs(120)).await;
    }
    if let Some(to) = &state.behaviour.redirects_to {
        return (StatusCode::FOUND, [(header::LOCATION, to.clone())]).into_response();
    }
    let Some((_, rows)) = COLLECTIONS.iter().find(|(known, _)| *known == name) else { return StatusCode::NOT_FOUND.into_response() };
    let limit: i64 = query["limit"].parse().unwrap();
    let from: i64 = query.get("after").map_or(0, |after| after.trim_start_matches("behind ").parse().unwrap());
    let to = (from + limit).min(*rows);
    let items: Vec<Value> = (from..to).map(item).collect();
    let mut answer = json!({ "items": items });
    if to < *rows {
        answer["next"] = json!(format!("behind {to}"));
    }
    Json(answer).into_response()
}
