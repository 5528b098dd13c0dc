//! Every connector times every fault that its server can have: nobody there, a wrong password, a missing object, rows of
//! another type, records that are none. Each is asked for by `/ingest`, as a preview and, for sinks, as a job; each answer
//! has its status and code, names host and object, and repeats no secret.

#[path = "faults/servers.rs"]
mod servers;
#[path = "faults/silence.rs"]
mod silence;
#[path = "faults/table.rs"]
mod table;

use anyhow::{Result, ensure};
use azora_tests::{Client, Failed, Server};
use serde_json::{Value, json};
use servers::Servers;
use std::time::{Duration, Instant};
use table::{Fault, Half};

/// What stands in the place of every secret that a fault has.
const CANARY: &str = "canary-of-faults";

/// How it went.
pub(crate) struct Faults {
    pub(crate) total: usize,
    pub(crate) failed: Vec<Failed>,
}

/// All of them, against one server.
pub(crate) async fn run() -> Result<Faults> {
    let server = Server::start().await?;
    let client = Client::new(server.url());
    ensure!(client.post("/spark/init", &json!({})).await?.status == 200, "no context");
    let servers = Servers::start(&server.files()).await?;
    fill(&client, &servers).await?;
    let faults = table::faults(&servers);
    let mut failed = Vec::new();
    for fault in &faults {
        let began = Instant::now();
        let mut outcome = check(&client, fault).await;
        if let Some(time_max) = fault.time_max {
            let took = began.elapsed();
            outcome = outcome.and_then(|()| {
                ensure!(took < time_max, "it was told after {took:?}");
                Ok(())
            });
        }
        if let Err(reason) = outcome {
            failed.push(Failed { step: format!("{}: {}", fault.kind, fault.what), reason });
        }
    }
    server.stop().await;
    Ok(Faults { total: faults.len(), failed })
}

/// Rows for the faults that need some; each job must succeed.
async fn fill(client: &Client, servers: &Servers) -> Result<()> {
    for job in table::rows(servers) {
        let ended = job_ended(client, &job).await?;
        ensure!(ended["state"] == "succeeded", "{job} ended as {ended}");
    }
    Ok(())
}

async fn check(client: &Client, fault: &Fault) -> Result<()> {
    let preview = format!("/api/v1/connectors/{}/preview", fault.kind);
    match fault.half {
        Half::Source => {
            let (answer, shown) = (client.post("/ingest", &json!({"type": fault.kind, "config": fault.config})).await?, "/ingest");
            fault.check(shown, answer.status, &answer.json())?;
            let answer = client.post(&preview, &json!({"config": fault.config})).await?;
            fault.check("the preview", answer.status, &answer.json())?;
        }
        Half::Sink => {
            let job = json!({"data": fault.rows, "sink": {"type": fault.kind, "config": fault.config}});
            let ended = job_ended(client, &job).await?;
            // What is found out while planning refuses the job; what only rows show makes it fail.
            let (status, failure) = match ended["status"].as_u64() {
                Some(status) => (u16::try_from(status)?, ended.clone()),
                None => (fault.status, ended["failure"].clone()),
            };
            fault.check("the job", status, &failure)?;
        }
    }
    let half = if fault.half == Half::Sink { "sink" } else { "source" };
    let validate = format!("/api/v1/connectors/{}/validate", fault.kind);
    let answer = client.post(&validate, &json!({"as": half, "config": fault.config})).await?;
    ensure!(answer.status == 200 && answer.json()["valid"] == true, "the configuration is said to be wrong: {}", answer.text());
    ensure!(!answer.text().contains(CANARY), "validating repeats a secret: {}", answer.text());
    Ok(())
}

/// The end of a job, or the problem by which it was refused.
async fn job_ended(client: &Client, job: &Value) -> Result<Value> {
    let answer = client.post("/api/v1/jobs", job).await?;
    if answer.status >= 400 {
        return Ok(answer.json());
    }
    let path = format!("/api/v1/jobs/{}", answer.json()["id"].as_str().unwrap_or_default());
    loop {
        let view = client.get(&path).await?.json();
        match view["state"].as_str() {
            Some("succeeded" | "failed" | "cancelled") => return Ok(view),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
