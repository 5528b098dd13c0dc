//! From Kafka to Kafka and to Redis, while the server or the broker is killed: every row arrives once.
//!
//! `AZORA_TEST_BROKER_KILLS` (6) says how often.

use crate::{Place, Server, random, setting};
use anyhow::{Context as _, Result, ensure};
use azora_services::{Kafka, Redis};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Rows of the topic that is read.
const ROWS: u64 = 20_000;
/// Every so many kills it is the broker's turn.
const BROKER_EVERY: u64 = 3;

fn kafka_config(kafka: &Kafka, topic: &str) -> Value {
    json!({"topic": topic, "brokers": [kafka.brokers()], "outageTimeoutMs": 60_000})
}

/// Rows of the input topic with the name of the job.
fn job(kafka: &Kafka, name: &str, sink: &Value) -> Value {
    let mut config = kafka_config(kafka, "in");
    config["rows"] = json!("values");
    config["groupId"] = json!(name);
    config["startOffsets"] = json!("group");
    json!({
        "name": name,
        "source": {"type": "kafka", "config": config},
        "operations": [{"type": "map", "function": format!("r => ({{job: '{name}', id: r.id}})")}],
        "sink": sink,
        "options": {"parallelism": 2},
    })
}

fn to_kafka(kafka: &Kafka) -> Value {
    json!({"type": "kafka", "config": kafka_config(kafka, "out")})
}

fn to_redis(redis: &Redis) -> Value {
    json!({"type": "redis", "config": {"redisUrl": redis.url(), "write": "lists", "key": "out"}})
}

/// How often each job's rows are there: rows, different ones, and their sum, by job.
fn counted(server: &Server, source: &Value) -> Result<Vec<Value>> {
    server.send(reqwest::Method::POST, "/spark/init", Some(&json!({})))?;
    let query = "SELECT job, count(*) AS n, count(DISTINCT id) AS ids, sum(id) AS total FROM input GROUP BY job ORDER BY job";
    let request = json!({"query": query, "source": source});
    let (status, answer) = server.send(reqwest::Method::POST, "/api/v1/sql", Some(&request))?;
    ensure!(status == 200, "counting answered {status}: {answer}");
    answer.as_array().cloned().with_context(|| format!("no rows in {answer}"))
}

/// The same of the list in Redis.
fn listed(redis: &Redis) -> Result<Vec<Value>> {
    let port = redis.process.port().to_string();
    let output = Command::new("redis-cli").args(["-p", &port, "--raw", "LRANGE", "out", "0", "-1"]).output()?;
    ensure!(output.status.success(), "redis-cli ended with {}", output.status);
    let mut by_job: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let row: Value = serde_json::from_str(line)?;
        let (job, id) = (row["job"].as_str().context("no job")?, row["id"].as_u64().context("no id")?);
        by_job.entry(job.to_owned()).or_default().push(id);
    }
    let count = |(job, ids): (String, Vec<u64>)| {
        let different: BTreeSet<u64> = ids.iter().copied().collect();
        json!({"job": job, "n": ids.len(), "ids": different.len(), "total": ids.iter().sum::<u64>()})
    };
    Ok(by_job.into_iter().map(count).collect())
}

fn expected(names: &[String]) -> Vec<Value> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.iter().map(|name| json!({"job": name, "n": ROWS, "ids": ROWS, "total": ROWS * (ROWS - 1) / 2})).collect()
}

fn ended(server: &Server, id: &str) -> Result<Value> {
    let job = server.ended(id)?;
    ensure!(job["state"] == "succeeded", "a job ended as {job}");
    Ok(job)
}

/// Puts the numbers into the input topic.
fn fill(place: &Place, server: &Server, kafka: &Kafka) -> Result<()> {
    let numbers: String = (0..ROWS).map(|id| format!("{id}\n")).collect();
    fs::write(place.dir.path().join("files/numbers.csv"), format!("id\n{numbers}"))?;
    let source = json!({"type": "file", "format": "csv", "path": place.dir.path().join("files/numbers.csv")});
    let filling = json!({"source": source, "sink": {"type": "kafka", "config": kafka_config(kafka, "in")}});
    ended(server, &server.submit(&filling)?).map(|_| ())
}

#[test]
fn killed_between_two_brokers_every_row_arrives_once() -> Result<()> {
    let kills = setting("AZORA_TEST_BROKER_KILLS", 6)?;
    let seed = setting("AZORA_TEST_SEED", SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    sweep(kills, seed).with_context(|| format!("AZORA_TEST_SEED={seed} AZORA_TEST_BROKER_KILLS={kills}"))
}

fn sweep(kills: u64, seed: u64) -> Result<()> {
    let mut random_state = seed;
    let (mut kafka, redis, place) = (Kafka::start()?, Redis::durable()?, Place::new()?);
    kafka.topic("in", 2)?;
    kafka.topic("out", 2)?;
    let mut server = place.start()?;
    fill(&place, &server, &kafka)?;
    let began = Instant::now();
    let first = server.submit(&job(&kafka, "undisturbed", &to_kafka(&kafka)))?;
    ended(&server, &first)?;
    let usual = began.elapsed().max(Duration::from_millis(200));
    let mut names = vec!["undisturbed".to_owned()];
    let (mut jobs, mut to_list) = (Vec::new(), Vec::new());
    for kill in 0..kills {
        let name = format!("job{kill:02}");
        jobs.push(server.submit(&job(&kafka, &name, &to_kafka(&kafka)))?);
        let list = format!("list{kill:02}");
        jobs.push(server.submit(&job(&kafka, &list, &to_redis(&redis)))?);
        names.push(name);
        to_list.push(list);
        // Anywhere from before the run to after the commit.
        std::thread::sleep(usual.mul_f64(1.3 * random(&mut random_state)));
        if kill % BROKER_EVERY == BROKER_EVERY - 1 {
            kafka.process.kill()?;
            kafka.process.again()?;
        } else {
            server.kill()?;
            server = place.start()?;
        }
        if random(&mut random_state) < 0.5 {
            jobs.iter().try_for_each(|id| ended(&server, id).map(|_| ()))?;
        }
    }
    let mut attempts = 0;
    for id in &jobs {
        attempts += ended(&server, id)?["attempts"].as_u64().unwrap_or_default();
    }
    ensure!(attempts >= jobs.len() as u64, "{attempts} runs of {} jobs", jobs.len());
    let mut out = kafka_config(&kafka, "out");
    out["rows"] = json!("values");
    out["columns"] = json!({"job": "utf8", "id": "int64"});
    let found = counted(&server, &json!({"type": "kafka", "config": out}))?;
    ensure!(found == expected(&names), "in the topic are {found:?}");
    let found = listed(&redis)?;
    ensure!(found == expected(&to_list), "in the list are {found:?}");
    // A job that succeeded moved its group, or died before it could: what is read again is all or nothing.
    for name in &names {
        let again = json!({"source": job(&kafka, name, &Value::Null)["source"], "operations": [{"type": "count"}]});
        let (status, answer) = server.send(reqwest::Method::POST, "/rdd/process", Some(&again))?;
        ensure!(status == 200 && (answer["result"] == 0 || answer["result"] == ROWS), "the group of {name} has {answer} before it");
    }
    Ok(())
}

/// Submits a job, however often it is refused because another one reads for its group.
fn submit_in_turn(server: &Server, job: &Value) -> Result<String> {
    let began = Instant::now();
    loop {
        let (status, answer) = server.send(reqwest::Method::POST, "/api/v1/jobs", Some(job))?;
        if status == 202 {
            return Ok(answer["id"].as_str().context("a job has an id")?.to_owned());
        }
        ensure!((status, answer["code"].as_str()) == (409, Some("connector.busy")), "submitting answered {status}: {answer}");
        ensure!(began.elapsed() < crate::PATIENCE, "the group is never free: {answer}");
    }
}

/// Two jobs of one group, the second of which comes while the first one reads, and once right after a kill: together they
/// read every record once.
#[test]
fn two_jobs_of_one_group_share_no_record() -> Result<()> {
    let (kafka, place) = (Kafka::start()?, Place::new()?);
    kafka.topic("in", 2)?;
    kafka.topic("out", 2)?;
    let mut server = place.start()?;
    let of_group = |name: &str| {
        let mut job = job(&kafka, name, &to_kafka(&kafka));
        job["source"]["config"]["groupId"] = json!("both");
        job["source"]["config"]["connectTimeoutMs"] = json!(5000);
        job
    };
    for round in 0..2 {
        fill(&place, &server, &kafka)?;
        let first = submit_in_turn(&server, &of_group(&format!("first{round}")))?;
        if round == 1 {
            server.kill()?;
            server = place.start()?;
        }
        let second = submit_in_turn(&server, &of_group(&format!("second{round}")))?;
        // After a kill the second one may have been faster than the recovery of the first one, which is told so then.
        let left_out = server.ended(&first)?;
        let is_told = round == 1 && left_out["failure"]["code"] == "connector.busy";
        ensure!(left_out["state"] == "succeeded" || is_told, "the first job ended as {left_out}");
        ended(&server, &second)?;
        let mut out = kafka_config(&kafka, "out");
        out["rows"] = json!("values");
        out["columns"] = json!({"job": "utf8", "id": "int64"});
        let query = "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM input";
        let request = json!({"query": query, "source": {"type": "kafka", "config": out}});
        let (_, answer) = server.send(reqwest::Method::POST, "/api/v1/sql", Some(&request))?;
        ensure!(answer == json!([{"n": ROWS * (round + 1), "ids": ROWS}]), "in the topic are {answer}");
    }
    server.kill()
}
