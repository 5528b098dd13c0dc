//! Cases as data: a list of requests to a fresh server, each with what its answer must hold.
//!
//! ```json
//! {"about": "what it shows", "settings": {"json_body": "1m"}, "files": {"a.csv": "id\n1\n"},
//!  "steps": [{"about": "…", "request": {"method": "POST", "path": "/rdd/process", "headers": {}, "body": {}},
//!             "expect": {"status": 200, "body": {}, "headers": {}, "text": "…"}, "save": {"id": "/id"}}]}
//! ```
//!
//! - A request has a `body` (JSON), or `raw` (text, or `{"head", "repeat", "times", "tail"}`), or `guest` (a component that
//!   xtask built), or `hostile` (`healthy`, or a case of `tests/guests/hostile`); `"chunked": true` sends it without its
//!   length.
//! - `${name}` stands for what an earlier step saved, `${files}` for the root of files.
//! - A body must hold what is expected: objects may hold more, lists may not. `{"$any": true}`, `{"$contains": "text"}`,
//!   `{"$absent": true}` and `{"$least": 3}` stand for what cannot be written down.
//! - `"servers": ["redis"]` starts real servers beside it; see `neighbours` for what a case knows of them.
//! - `"until": {"/state": "succeeded"}` asks again until the body holds that.

use crate::neighbours::Neighbours;
use crate::{Answer, Client, Server, guests};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest wait of `until`.
const UNTIL_MAX: Duration = Duration::from_secs(60);
/// Pause between two questions of `until`.
const UNTIL_PAUSE: Duration = Duration::from_millis(10);
/// Longest answer that a failed step shows, in characters.
const SHOWN_CHARS_MAX: usize = 1200;

/// One file of `tests/cases/http`.
#[derive(Debug, Clone)]
pub struct Case {
    /// The file's name without its ending.
    pub name: String,
    json: Value,
}

/// A step that did not hold.
#[derive(Debug)]
pub struct Failed {
    /// Which step and what it is about.
    pub step: String,
    /// Why.
    pub reason: anyhow::Error,
}

impl Case {
    /// Every case of a folder, by name.
    ///
    /// # Errors
    /// A file that cannot be read or is not JSON.
    pub fn all(folder: &Path) -> Result<Vec<Self>> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let json = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
        let name = path.file_stem().context("a case without a name")?.to_string_lossy().into_owned();
        Ok(Self { name, json })
    }

    /// How many steps it has.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.json["steps"].as_array().map_or(0, Vec::len)
    }

    /// Runs it against a server of its own.
    ///
    /// # Errors
    /// When the server does not start, or the case is not written as it should be.
    pub async fn run(&self) -> Result<Vec<Failed>> {
        let settings: Vec<(&'static str, &str)> =
            members(&self.json["settings"]).map(|(name, value)| (leak(name), value.as_str().unwrap_or_default())).collect();
        let server = Server::with(&settings).await?;
        for (name, content) in members(&self.json["files"]) {
            let path = server.files().join(name);
            std::fs::create_dir_all(path.parent().context("a file without a folder")?)?;
            std::fs::write(path, content.as_str().context("a file's content is text")?)?;
        }
        let client = Client::new(server.url());
        let mut known = BTreeMap::from([("files".to_owned(), server.files().display().to_string())]);
        let _neighbours = Neighbours::start(&self.json["servers"], &mut known)?;
        let mut failed = Vec::new();
        for (at, step) in self.json["steps"].as_array().context("a case has steps")?.iter().enumerate() {
            if let Err(reason) = run(step, &client, &mut known).await {
                failed.push(Failed { step: format!("{at}: {}", step["about"].as_str().unwrap_or_default()), reason });
            }
        }
        server.stop().await;
        Ok(failed)
    }
}

/// Names of settings live as long as the process; the cases name a handful.
fn leak(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}

async fn run(step: &Value, client: &Client, known: &mut BTreeMap<String, String>) -> Result<()> {
    let request = filled(&step["request"], known);
    let expect = filled(&step["expect"], known);
    let answer = ask(&request, client).await?;
    let answer = match step["until"].as_object() {
        None => answer,
        Some(wanted) => until(wanted, &request, client, answer).await?,
    };
    let shown = || answer.text().chars().take(SHOWN_CHARS_MAX).collect::<String>();
    check(&expect, &answer)
        .with_context(|| format!("{} {} answered {}: {}", request["method"], request["path"], answer.status, shown()))?;
    let body = answer.json();
    for (name, from) in members(&step["save"]) {
        let from = from.as_str().context("save names a pointer or a header")?;
        let value = if from.starts_with('/') {
            body.pointer(from).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        } else {
            answer.headers.get(from).map(|value| target(value).to_owned())
        };
        known.insert(name.clone(), value.with_context(|| format!("nothing at {from} in {}", shown()))?);
    }
    Ok(())
}

async fn until(wanted: &Map<String, Value>, request: &Value, client: &Client, mut answer: Answer) -> Result<Answer> {
    let began = Instant::now();
    loop {
        let body = answer.json();
        if wanted.iter().all(|(pointer, value)| body.pointer(pointer) == Some(value)) {
            return Ok(answer);
        }
        let is_stuck = ["failed", "cancelled"].iter().any(|state| body["state"] == *state);
        ensure!(!is_stuck && began.elapsed() < UNTIL_MAX, "it never became {wanted:?}: {}", answer.text());
        tokio::time::sleep(UNTIL_PAUSE).await;
        answer = ask(request, client).await?;
    }
}

/// Where a `link` leads; any other header as it is.
fn target(value: &str) -> &str {
    value.strip_prefix('<').and_then(|rest| rest.split_once('>')).map_or(value, |(target, _)| target)
}

async fn ask(request: &Value, client: &Client) -> Result<Answer> {
    let path = request["path"].as_str().context("a request has a path")?;
    let mut headers: Vec<(String, String)> =
        members(&request["headers"]).map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    let mut bytes = None;
    let mut media_type = "application/json";
    if let Some(body) = request.get("body") {
        bytes = Some(body.to_string().into_bytes());
    } else if let Some(raw) = request.get("raw") {
        bytes = Some(text(raw)?.into_bytes());
    } else if let Some(guest) = request["guest"].as_str() {
        (bytes, media_type) = (Some(guests::component(guest)?), "application/wasm");
    } else if let Some(name) = request["hostile"].as_str() {
        (bytes, media_type) = (Some(guests::hostile(name)?), "application/wasm");
    }
    let names_type = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if bytes.is_some() && !names_type {
        headers.push(("content-type".to_owned(), media_type.to_owned()));
    }
    // An empty type in a case means that the header is left out.
    headers.retain(|(_, value)| !value.is_empty());
    let is_chunked = request["chunked"] == true;
    let body = bytes.map(|bytes| if is_chunked { chunked(bytes) } else { bytes.into() });
    client.send(request["method"].as_str().unwrap_or("GET"), path, &headers, body).await
}

fn chunked(bytes: Vec<u8>) -> reqwest::Body {
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> = bytes.chunks(1 << 16).map(|piece| Ok(piece.to_vec())).collect();
    reqwest::Body::wrap_stream(futures::stream::iter(pieces))
}

fn text(raw: &Value) -> Result<String> {
    if let Some(text) = raw.as_str() {
        return Ok(text.to_owned());
    }
    let times = raw["times"].as_u64().and_then(|times| usize::try_from(times).ok()).context("raw has times")?;
    let part = |name: &str| raw[name].as_str().unwrap_or_default();
    Ok(format!("{}{}{}", part("head"), part("repeat").repeat(times), part("tail")))
}

fn check(expect: &Value, answer: &Answer) -> Result<()> {
    let status = expect["status"].as_u64().unwrap_or(200);
    ensure!(u64::from(answer.status) == status, "status {status} was expected");
    for (name, value) in members(&expect["headers"]) {
        holds(value, answer.headers.get(name).map(|text| Value::from(text.as_str())).as_ref(), name)?;
    }
    if let Some(body) = expect.get("body") {
        holds(body, Some(&answer.json()), "")?;
    }
    if let Some(wanted) = expect.get("text") {
        holds(wanted, Some(&Value::from(answer.text())), "the text")?;
    }
    Ok(())
}

fn holds(wanted: &Value, found: Option<&Value>, place: &str) -> Result<()> {
    if let Some((word, value)) = wanted.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next()) {
        match word.as_str() {
            "$absent" => return if found.is_none() { Ok(()) } else { bail!("{place} is there") },
            "$any" => return if found.is_some() { Ok(()) } else { bail!("{place} is missing") },
            "$contains" => {
                let text = found.map(|found| found.as_str().map_or_else(|| found.to_string(), str::to_owned)).unwrap_or_default();
                ensure!(value.as_str().is_some_and(|part| text.contains(part)), "{place} lacks {value}: {text}");
                return Ok(());
            }
            "$least" => {
                ensure!(found.and_then(Value::as_f64) >= value.as_f64(), "{place} is less than {value}: {found:?}");
                return Ok(());
            }
            _ => {}
        }
    }
    let Some(found) = found else { bail!("{place} is missing") };
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.iter().try_for_each(|(name, value)| holds(value, found.get(name), &format!("{place}/{name}")))
        }
        (Value::Array(wanted), Value::Array(found)) => {
            ensure!(wanted.len() == found.len(), "{place} has {} elements, {} were expected", found.len(), wanted.len());
            wanted.iter().zip(found).enumerate().try_for_each(|(at, (wanted, found))| holds(wanted, Some(found), &format!("{place}/{at}")))
        }
        _ => {
            // 2 and 2.0 are different texts: an answer must have the one that was asked for.
            ensure!(wanted == found, "{place} is {found}, {wanted} was expected");
            Ok(())
        }
    }
}

/// Puts saved values in the place of their names.
fn filled(value: &Value, known: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => {
            let filled = known.iter().fold(text.clone(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value));
            Value::from(filled)
        }
        Value::Array(values) => values.iter().map(|value| filled(value, known)).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), filled(value, known))).collect::<Map<_, _>>().into(),
        other => other.clone(),
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
