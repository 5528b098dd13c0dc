//! Connectors of plugins over REST: uploaded, granted, read from and written to, against real servers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the servers of this test are written as a test's")]

#[path = "../../../host/sandbox/tests/connectors/api.rs"]
#[expect(dead_code, reason = "it has more users")]
mod api;
#[path = "../../../host/sandbox/tests/connectors/shelf.rs"]
mod shelf;

use anyhow::{Context, Result, ensure};
use api::{Api, Behaviour};
use azora_tests::{Client, Server, component};
use serde_json::{Value, json};
use shelf::Shelf;
use std::time::Duration;

/// Rows of all collections of the API.
const ROWS: usize = 1010;

/// Everything, in order; the answer is how many steps there were.
pub(crate) async fn run() -> Result<usize> {
    let mut server = Server::start().await?;
    let mut client = Client::new(server.url());
    let (api, shelf) = (Api::start(Behaviour::default()).await, Shelf::start().await);
    upload(&client, "feed").await?;
    upload(&client, "shelf").await?;
    listed(&client).await?;
    refused_without_a_grant(&client, &api).await?;
    granted(&client, "feed", &api.grants()).await?;
    granted(&client, "shelf", &shelf.grants()).await?;
    ingested(&client, &api).await?;
    narrowed(&client, &api).await?;
    looked_at(&client, &api).await?;
    from_plugin_to_plugin(&client, &api, &shelf).await?;
    wrong_configurations_are_located(&client, &api).await?;
    ingested_natively(&client, &api).await?;
    server = server.restart().await?;
    client = Client::new(server.url());
    let kept = client.get("/api/v1/plugins/feed/1.0.0/grants").await?.json();
    ensure!(kept["grants"] == api.grants() && kept["asked"] == json!(["http-client", "secrets"]), "grants after a restart: {kept}");
    ingested(&client, &api).await?;
    granted(&client, "feed", &json!({})).await?;
    refused_without_a_grant(&client, &api).await?;
    server.stop().await;
    Ok(15)
}

async fn upload(client: &Client, name: &str) -> Result<()> {
    let headers = [("content-type".to_owned(), "application/wasm".to_owned())];
    let answer = client.send("POST", "/api/v1/plugins", &headers, Some(component(name)?.into())).await?;
    ensure!(answer.status == 201, "uploading {name}: {}", answer.text());
    Ok(())
}

async fn put(client: &Client, path: &str, body: &Value) -> Result<(u16, Value)> {
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    let answer = client.send("PUT", path, &headers, Some(body.to_string().into())).await?;
    Ok((answer.status, answer.json()))
}

async fn granted(client: &Client, name: &str, grants: &Value) -> Result<()> {
    let path = format!("/api/v1/plugins/{name}/1.0.0/grants");
    let (status, problem) = put(client, &path, &json!({"clock": true})).await?;
    ensure!(status == 400 && problem["code"] == "request.field", "a grant that nobody asked for: {problem}");
    let (status, answer) = put(client, &path, grants).await?;
    ensure!(status == 200 && answer["grants"] == *grants, "granting {grants}: {answer}");
    Ok(())
}

async fn listed(client: &Client) -> Result<()> {
    let answer = client.get("/api/v1/connectors").await?.json();
    let all = answer["connectors"].as_array().context("connectors")?;
    let feed = all.iter().find(|each| each["plugin"] == "feed@1.0.0").context("the source is not listed")?;
    ensure!(feed["connector"] == "pages" && feed["source"] == true && feed["sink"] == false, "{feed}");
    ensure!(feed["configSchema"]["properties"]["pageRows"]["type"] == "integer", "{feed}");
    ensure!(all.iter().any(|each| each["plugin"] == "shelf@1.0.0" && each["sink"] == true), "the sink is not listed");
    Ok(())
}

/// Every fault of a plugin's configuration is told with its place, and a preview shows rows and their columns.
async fn looked_at(client: &Client, api: &Api) -> Result<()> {
    let check = async |half: &str, config: Value| -> Result<Vec<String>> {
        let answer = client.post("/api/v1/connectors/plugin/validate", &json!({"as": half, "config": config})).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        let answer = answer.json();
        let place = |fault: &Value| fault["pointer"].as_str().unwrap_or_default().to_owned();
        Ok(answer["errors"].as_array().context("errors")?.iter().map(place).collect())
    };
    let feed = |own: Value| json!({"plugin": "feed@1.0.0", "connector": "pages", "config": own});
    ensure!(check("source", feed(json!({"url": api.url()}))).await?.is_empty(), "a right one is refused");
    let mut faults = check("source", feed(json!({"url": 5, "pageRows": -1, "tokenSecrets": "x"}))).await?;
    faults.sort_unstable();
    ensure!(faults == ["/config/config/pageRows", "/config/config/tokenSecrets", "/config/config/url"], "{faults:?}");
    ensure!(check("source", feed(json!({}))).await? == ["/config/config"], "what is missing has no place");
    ensure!(check("sink", json!({"plugin": "feed@1.0.0"})).await? == ["/config/plugin"], "a source is no sink");
    ensure!(check("source", json!({"plugin": "fed@1.0.0"})).await? == ["/config/plugin"], "an unknown plugin has no place");
    ensure!(check("source", json!({"plugin": "feed@1.0.0", "connector": "page"})).await? == ["/config/connector"], "an unknown connector");
    let answer = client.post("/api/v1/connectors/plugin/preview", &json!({"config": feed(json!({"url": api.url()})), "rows": 3})).await?;
    let shown = answer.json();
    ensure!(answer.status == 200 && shown["rows"].as_array().is_some_and(|rows| rows.len() == 3), "{shown}");
    ensure!(shown["columns"][0] == json!({"name": "id", "type": "Int64", "nullable": false}), "{shown}");
    Ok(())
}

fn ingest(api: &Api) -> Value {
    json!({"type": "plugin", "batchSize": 10, "dataset": "fed",
        "config": {"plugin": "feed@1.0.0", "connector": "pages", "config": {"url": api.url()}}})
}

async fn context(client: &Client) -> Result<()> {
    ensure!(client.post("/spark/init", &json!({})).await?.status == 200, "no context");
    Ok(())
}

async fn refused_without_a_grant(client: &Client, api: &Api) -> Result<()> {
    context(client).await?;
    let before = api.requests();
    let answer = client.post("/ingest", &ingest(api)).await?;
    let problem = answer.json();
    ensure!(answer.status == 403 && problem["code"] == "plugin.not_granted", "{problem}");
    ensure!(problem["detail"].as_str().is_some_and(|text| text.contains("http-client")), "{problem}");
    ensure!(api.requests() == before, "the server was asked");
    Ok(())
}

async fn ingested(client: &Client, api: &Api) -> Result<()> {
    context(client).await?;
    let answer = client.post("/ingest", &ingest(api)).await?;
    let body = answer.json();
    ensure!(answer.status == 200 && body["recordCount"] == ROWS, "{body}");
    ensure!(body["metadata"]["source"] == "plugin://feed@1.0.0/pages", "{body}");
    let counted = client.post("/rdd/process", &json!({"dataset": "fed", "operations": [{"type": "count"}]})).await?.json();
    ensure!(counted["result"] == ROWS, "{counted}");
    Ok(())
}

/// The same API without a plugin, as existing callers ask for one.
async fn ingested_natively(client: &Client, api: &Api) -> Result<()> {
    let config = json!({"url": format!("{}/books?limit=100", api.url()), "rows": "items", "headers": {"x-from": "a test"},
        "pagination": {"type": "cursor", "cursorParam": "after", "maxPages": 5}});
    let answer = client.post("/ingest", &json!({"type": "api", "batchSize": 50, "config": config})).await?;
    let body = answer.json();
    ensure!(answer.status == 200 && body["recordCount"] == 500, "five pages: {body}");
    ensure!(body["metadata"]["source"] == format!("api://{}/v1/books", api.address), "{body}");
    let refused = client.post("/ingest", &json!({"type": "api", "config": {"url": "http://169.254.169.254/latest"}})).await?;
    ensure!(refused.status == 403 && refused.json()["code"] == "network.refused", "{}", refused.text());
    Ok(())
}

async fn narrowed(client: &Client, api: &Api) -> Result<()> {
    let job = |grants: Value| json!({"source": {"plugin": "feed", "config": {"url": api.url()}, "grants": grants}, "operations": [{"type": "count"}]});
    let wider = client.post("/rdd/process", &job(json!({"httpClient": {"hosts": ["example.com"]}}))).await?;
    ensure!(wider.status == 403 && wider.json()["code"] == "plugin.not_granted", "{}", wider.text());
    let nothing = client.post("/rdd/process", &job(json!({}))).await?;
    ensure!(nothing.status == 403, "{}", nothing.text());
    let same = client.post("/rdd/process", &job(api.grants())).await?;
    ensure!(same.json()["result"] == ROWS, "{}", same.text());
    Ok(())
}

async fn from_plugin_to_plugin(client: &Client, api: &Api, shelf: &Shelf) -> Result<()> {
    let job = json!({
        "source": {"plugin": "feed@1.0.0", "connector": "pages", "config": {"url": api.url(), "pageRows": 70, "collections": ["books"]}},
        "operations": [{"type": "filter", "function": "x => x.id % 2 === 0"}, {"type": "map", "function": "x => ({id: x.id, twice: x.id * 2})"}],
        "sink": {"plugin": "shelf@1.0.0", "config": shelf.config()},
        "options": {"parallelism": 3},
    });
    let answer = client.post("/api/v1/jobs", &job).await?;
    ensure!(answer.status == 202, "{}", answer.text());
    let path = answer.headers.get("location").context("no location")?.clone();
    let ended = loop {
        let view = client.get(&path).await?.json();
        match view["state"].as_str() {
            Some("succeeded" | "failed" | "cancelled") => break view,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    ensure!(ended["state"] == "succeeded", "{ended}");
    ensure!(ended["output"]["rows"] == 502 && ended["output"]["outputs"] == json!(["shelf@1.0.0/parts"]), "{ended}");
    let mut rows = shelf.rows();
    rows.sort_by_key(|row| row["id"].as_i64());
    let expected: Vec<Value> = (0..502).map(|at| json!({"id": at * 2, "twice": at * 4})).collect();
    ensure!(rows == expected, "{} rows on the shelf", rows.len());
    ensure!(shelf.parts.lock().staged.is_empty(), "something is left");
    Ok(())
}

async fn wrong_configurations_are_located(client: &Client, api: &Api) -> Result<()> {
    let run = async |source: Value| client.post("/rdd/process", &json!({"source": source, "operations": [{"type": "count"}]})).await;
    let pointer = |problem: &Value| problem["errors"][0]["pointer"].as_str().map(str::to_owned);
    let problem = run(json!({"plugin": "feed", "config": {"url": 7}})).await?.json();
    ensure!(problem["code"] == "connector.config" && pointer(&problem).as_deref() == Some("/source/config/url"), "{problem}");
    let problem = run(json!({"plugin": "feed", "connector": "page", "config": {"url": api.url()}})).await?.json();
    ensure!(problem["code"] == "connector.unknown" && problem.to_string().contains("pages"), "{problem}");
    let problem = run(json!({"plugin": "fed@1.0.0"})).await?.json();
    ensure!(problem["code"] == "plugin.unknown", "{problem}");
    let problem = run(json!({"plugin": "shelf"})).await?.json();
    ensure!(problem["code"] == "connector.unknown", "{problem}");
    Ok(())
}
