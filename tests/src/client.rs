//! A client that takes an answer as it comes, and looks at every problem twice.

use anyhow::{Context, Result, ensure};
use reqwest::{Method, header};
use serde_json::Value;
use std::collections::BTreeMap;

/// Words of the inside that no answer may hold.
const INSIDE: &[&str] =
    &["panicked", "wasmtime", "wasm backtrace", "DataFusion error", "Arrow error", "ObjectStore", "src/", "RUST_BACKTRACE", "os error"];

/// Speaks to one server.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }
}

impl Client {
    /// A client of the server at a base URL.
    #[must_use]
    pub fn new(url: String) -> Self {
        Self { http: reqwest::Client::new(), url }
    }

    /// Sends one request. Whatever is wrong with every answer, whatever it was to, is an error: a problem without its
    /// members, a server error, a text from the inside.
    ///
    /// # Errors
    /// When there is no answer, or one that no answer may be.
    pub async fn send(&self, method: &str, path: &str, headers: &[(String, String)], body: Option<reqwest::Body>) -> Result<Answer> {
        let method = Method::from_bytes(method.as_bytes()).context("no method")?;
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.with_context(|| format!("no answer from {path}"))?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let bytes = response.bytes().await.with_context(|| format!("half an answer from {path}"))?.to_vec();
        let answer = Answer { status, headers, bytes };
        check(&answer).with_context(|| format!("{path} answered {status}: {}", answer.text()))?;
        Ok(answer)
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        self.send("POST", path, &headers, Some(body.to_string().into())).await
    }

    /// Gets.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send("GET", path, &[], None).await
    }
}

fn check(answer: &Answer) -> Result<()> {
    ensure!(answer.headers.contains_key("x-request-id"), "an answer without a request id");
    if answer.status < 400 {
        return Ok(());
    }
    ensure!(answer.status != 500, "a server error");
    let media_type = answer.headers.get(header::CONTENT_TYPE.as_str()).map(String::as_str);
    ensure!(media_type == Some("application/problem+json"), "a problem of media type {media_type:?}");
    let problem = answer.json();
    for member in ["type", "title", "detail", "code", "instance", "requestId"] {
        ensure!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "a problem without '{member}'");
    }
    ensure!(problem["status"] == answer.status, "a problem of another status");
    let text = answer.text();
    for word in INSIDE {
        ensure!(!text.contains(word), "'{word}' comes from the inside");
    }
    Ok(())
}
