//! The steps of the tour: what is sent, and how the answers are shown.

use crate::server::Server;
use crate::steps::{heading, say};
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest wait for the job of the tour.
const JOB_MAX: Duration = Duration::from_secs(600);
/// Rows shown of an answer.
const SHOWN_ROWS: usize = 10;

/// Walks through it against a running server.
pub(crate) fn walk(server: &Server, component: &Path, folder: &Path) -> Result<()> {
    let data = crate::steps::root().join("examples/data/shakespeare.csv.gz");
    opening(server)?;
    let plugin = upload(server, component)?;
    ingest(server, &data)?;
    word_count(server)?;
    mixed(server, &plugin)?;
    durable_job(server, &plugin, &folder.join("out"))
}

fn opening(server: &Server) -> Result<()> {
    heading("Open a context, run the smallest job");
    send(server, "/spark/init", &json!({"appName": "tour", "master": "local[*]", "executorMemory": "1g"}))?;
    let answer = send(
        server,
        "/rdd/process",
        &json!({"data": [1, 2, 3, 4, 5], "operations": [
            {"type": "map", "function": "x => x * 2"},
            {"type": "filter", "function": "x => x > 5"},
            {"type": "count"}]}),
    )?;
    if answer["result"] != json!(3) {
        bail!("expected 3, got {}", answer["result"]);
    }
    say(&format!("   → {}", answer["result"]));
    Ok(())
}

fn upload(server: &Server, component: &Path) -> Result<String> {
    heading("Upload a plugin: Rust functions as a sandboxed component");
    let bytes = std::fs::read(component).with_context(|| format!("cannot read {}", component.display()))?;
    say(&format!(
        "$ curl -X POST {}/api/v1/plugins -H 'content-type: application/wasm' --data-binary @{}",
        server.url(),
        component.display()
    ));
    let size = bytes.len();
    let answer = server.upload("/api/v1/plugins", "application/wasm", bytes)?;
    let name = answer["name"].as_str().context("the plugin has no name")?;
    let version = answer["version"].as_str().context("the plugin has no version")?;
    say(&format!("   → {name}@{version}, {size} bytes, {}", answer["digest"].as_str().unwrap_or_default()));
    for function in answer["functions"].as_array().into_iter().flatten() {
        let doc = function["doc"].as_str().unwrap_or_default().lines().next().unwrap_or_default();
        say(&format!("     {:<14} {}", function["name"].as_str().unwrap_or_default(), doc));
    }
    Ok(format!("{name}@{version}"))
}

fn ingest(server: &Server, data: &Path) -> Result<()> {
    heading("Ingest a data set: the works of Shakespeare, one row a line");
    let answer = send(server, "/ingest", &json!({"type": "file", "dataset": "shakespeare", "config": {"path": data, "format": "csv"}}))?;
    say(&format!("   → {} rows", answer["recordCount"]));
    Ok(())
}

fn word_count(server: &Server) -> Result<()> {
    heading("Count words with lambdas");
    let answer = send(
        server,
        "/rdd/process",
        &json!({"dataset": "shakespeare", "operations": [
            {"type": "flatMap", "function": "row => row.text.toLowerCase().split(' ')"},
            {"type": "filter", "function": "word => word.length > 4"},
            {"type": "map", "function": "word => [word, 1]"},
            {"type": "reduceByKey", "function": "(a, b) => a + b"},
            {"type": "sortBy", "function": "pair => pair[1]", "ascending": false},
            {"type": "take", "n": SHOWN_ROWS}]}),
    )?;
    bars(&answer["result"])
}

fn mixed(server: &Server, plugin: &str) -> Result<()> {
    heading("Mix lambdas and the plugin in one job");
    let answer = send(
        server,
        "/rdd/process",
        &json!({"dataset": "shakespeare", "operations": [
            {"type": "filter", "function": "row => row.text.length > 20"},
            {"type": "flatMap", "function": {"plugin": plugin, "function": "tokens", "columns": ["text"]}},
            {"type": "filter", "function": "word => word.length >= 12"},
            {"type": "map", "function": {"plugin": plugin, "function": "title_case"}},
            {"type": "map", "function": "word => [word, 1]"},
            {"type": "reduceByKey", "function": "(a, b) => a + b"},
            {"type": "sortBy", "function": "pair => pair[1]", "ascending": false},
            {"type": "take", "n": SHOWN_ROWS}]}),
    )?;
    bars(&answer["result"])
}

fn durable_job(server: &Server, plugin: &str, out: &Path) -> Result<()> {
    heading("Submit a durable job that writes Parquet, and follow it");
    let submitted = send(
        server,
        "/api/v1/jobs",
        &json!({"name": "tour", "dataset": "shakespeare", "operations": [
            {"type": "filter", "function": "row => row.text.includes('love')"},
            {"type": "map", "function": {"plugin": plugin, "function": "title_case", "columns": ["text"], "as": "title"}}],
            "sink": {"type": "parquet", "path": out}}),
    )?;
    let id = submitted["id"].as_str().context("the job has no id")?.to_owned();
    let job = follow(server, &id)?;
    say(&format!("   → {}: {} rows in {}", job["state"].as_str().unwrap_or_default(), job["rows"], out.display()));
    let answer =
        send(server, "/rdd/process", &json!({"source": {"type": "parquet", "path": out}, "operations": [{"type": "take", "n": 3}]}))?;
    for row in answer["result"].as_array().into_iter().flatten() {
        say(&format!("   {row}"));
    }
    Ok(())
}

/// Polls a job until it has ended, with a bar of its rows.
fn follow(server: &Server, id: &str) -> Result<Value> {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("   {spinner} {msg}") {
        bar.set_style(style);
    }
    let began = Instant::now();
    loop {
        let job = server.get(&format!("/api/v1/jobs/{id}"))?;
        match job["state"].as_str() {
            Some("succeeded") => {
                bar.finish_and_clear();
                return Ok(job);
            }
            Some("failed" | "cancelled") => bail!("the job did not succeed: {job}"),
            _ if began.elapsed() > JOB_MAX => bail!("the job did not end in {JOB_MAX:?}"),
            state => bar.set_message(state.unwrap_or_default().to_owned()),
        }
        bar.tick();
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Shows the curl line, sends, says how long it took.
fn send(server: &Server, path: &str, body: &Value) -> Result<Value> {
    say(&format!("$ curl {}{path} -H 'content-type: application/json' -d '{}'", server.url(), body.to_string().replace('\'', r"'\''")));
    let began = Instant::now();
    let answer = server.post(path, body)?;
    say(&format!("   {:.1} ms", began.elapsed().as_secs_f64() * 1e3));
    Ok(answer)
}

/// Pairs of a name and a number as a bar chart.
fn bars(pairs: &Value) -> Result<()> {
    const WIDTH: f64 = 40.0;
    let pairs: Vec<(&str, f64)> =
        pairs.as_array().context("the result is no list")?.iter().filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_f64()?))).collect();
    let most = pairs.iter().map(|pair| pair.1).fold(1.0, f64::max);
    if pairs.len() != SHOWN_ROWS {
        bail!("expected {SHOWN_ROWS} pairs, got {}", pairs.len());
    }
    for (name, count) in pairs {
        let blocks = "█".repeat((count / most * WIDTH).ceil() as usize);
        say(&format!("   {name:<20} {count:>6} {blocks}"));
    }
    Ok(())
}
