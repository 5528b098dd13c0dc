//! Every hostile component over HTTP: each ends as a refused upload or a failed job with its code, and a neighbour's job
//! keeps its answer. The components themselves are in `hostile`.

use crate::hostile::{self, Case, Stage};
use crate::{Answer, Client, Failed, Server, guests};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::path::Path;

/// Longest call of a guest; attacks that run for ever end there.
const CALL_TIME_MS: u64 = 300;

/// What a run of all attacks came to.
#[derive(Debug)]
pub struct Attacks {
    /// How many there were.
    pub total: usize,
    /// Those that did not end as they should.
    pub failed: Vec<Failed>,
}

/// Runs all of them against one server.
///
/// # Errors
/// When the server or the healthy neighbour does not even start.
pub async fn run() -> Result<Attacks> {
    let server = Server::start().await?;
    let client = Client::new(server.url());
    client.post("/spark/init", &json!({})).await?;
    let healthy = upload(&client, guests::hostile("healthy")?).await?;
    ensure!(healthy.status == 201, "the neighbour was refused: {}", healthy.text());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("tests/ has a parent")?;
    let cases = hostile::cases(root)?;
    let mut failed = Vec::new();
    for case in &cases {
        let outcome = match attack(&client, case).await {
            Ok(()) => neighbour(&client).await.context("the neighbour"),
            Err(error) => Err(error),
        };
        if let Err(reason) = outcome {
            failed.push(Failed { step: case.name.clone(), reason });
        }
    }
    server.stop().await;
    Ok(Attacks { total: cases.len(), failed })
}

async fn upload(client: &Client, bytes: Vec<u8>) -> Result<Answer> {
    let headers = [("content-type".to_owned(), "application/wasm".to_owned())];
    client.send("POST", "/api/v1/plugins", &headers, Some(bytes.into())).await
}

async fn attack(client: &Client, case: &Case) -> Result<()> {
    let uploaded = upload(client, case.bytes.clone()).await?;
    if case.stage == Stage::Upload {
        return is_refused(&uploaded, case);
    }
    ensure!(uploaded.status == 201, "it struck at its upload already: {}", uploaded.text());
    let digest = uploaded.json()["digest"].as_str().context("an upload has a digest")?.to_owned();
    let answer = client.post("/rdd/process", &job(&digest)).await?;
    is_refused(&answer, case)
}

fn job(plugin: &str) -> Value {
    json!({
        "data": [1, 2, 3],
        "operations": [{ "type": "map", "function": { "plugin": plugin, "function": "double" } }],
        "options": { "limits": { "callTimeMs": CALL_TIME_MS } },
    })
}

fn is_refused(answer: &Answer, case: &Case) -> Result<()> {
    let problem = answer.json();
    if !(400..500).contains(&answer.status) || problem["code"] != case.code.as_str() {
        bail!("{} was expected at {:?}, the answer was {}: {}", case.code, case.stage, answer.status, answer.text());
    }
    Ok(())
}

async fn neighbour(client: &Client) -> Result<()> {
    let answer = client.post("/rdd/process", &job("hostile@1.0.100")).await?;
    ensure!(answer.json()["result"] == json!([2, 4, 6]), "{}", answer.text());
    Ok(())
}
