//! The server that `examples/connector-rust-sink` writes to.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{post, put};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) staged: BTreeMap<String, String>,
    pub(crate) visible: BTreeMap<String, String>,
    pub(crate) commits: usize,
    /// So many commits are answered 503 after they were done.
    pub(crate) forgetful: usize,
}

#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) address: SocketAddr,
    pub(crate) parts: Arc<Mutex<Parts>>,
}

type Shared = State<Arc<Mutex<Parts>>>;

impl Shelf {
    pub(crate) async fn start() -> Self {
        let parts: Arc<Mutex<Parts>> = Arc::default();
        let router =
            Router::new().route("/staging/{part}", put(stage).delete(forget)).route("/commit", post(commit)).with_state(Arc::clone(&parts));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, parts }
    }

    pub(crate) fn config(&self) -> Value {
        json!({"url": format!("http://{}", self.address)})
    }

    pub(crate) fn grants(&self) -> Value {
        json!({"httpClient": {"hosts": [self.address.to_string()]}})
    }

    /// All visible rows, in order of their text.
    pub(crate) fn rows(&self) -> Vec<Value> {
        let parts = self.parts.lock();
        let mut lines: Vec<&str> = parts.visible.values().flat_map(|part| part.lines()).collect();
        lines.sort_unstable();
        lines.into_iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

async fn stage(State(parts): Shared, Path(part): Path<String>, body: Bytes) -> StatusCode {
    parts.lock().staged.insert(part, String::from_utf8(body.to_vec()).unwrap());
    StatusCode::NO_CONTENT
}

async fn forget(State(parts): Shared, Path(part): Path<String>) -> StatusCode {
    match parts.lock().staged.remove(&part) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}

async fn commit(State(parts): Shared, body: Bytes) -> (StatusCode, &'static str) {
    let named: Value = serde_json::from_slice(&body).unwrap();
    let mut parts = parts.lock();
    for name in named["parts"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        match parts.staged.remove(name) {
            Some(rows) => drop(parts.visible.insert(name.to_owned(), rows)),
            None if parts.visible.contains_key(name) => {}
            None => return (StatusCode::CONFLICT, "no such part"),
        }
    }
    parts.commits += 1;
    if parts.forgetful > 0 {
        parts.forgetful -= 1;
        return (StatusCode::SERVICE_UNAVAILABLE, "lost the answer");
    }
    (StatusCode::OK, "")
}
