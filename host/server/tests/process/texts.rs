//! SQL whose server is killed in the middle: `now()` keeps its moment, and a plugin's function in FROM makes its rows once.

use super::{FILES, LOOK, PATIENCE, Place, ROWS, Server};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Jobs that run when the server is killed.
const JOBS: usize = 4;
/// How often a kill may meet no job that runs.
const ROUNDS_MAX: usize = 10;

fn now_ms() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

/// A query over the numbers of the files, into Parquet.
fn query(place: &Place, sql: &str, name: &str) -> Value {
    let source = json!({"type": "file", "format": "csv", "path": place.dir.path().join("files/in")});
    json!({
        "sql": sql,
        "tables": {"numbers": {"source": source}},
        "sink": {"type": "parquet", "path": place.outputs().join(name)},
        "options": {"parallelism": FILES},
    })
}

/// What a query over such a directory answers.
fn asked(place: &Place, server: &Server, sql: &str, name: &str) -> Result<Value> {
    let source = json!({"type": "file", "format": "parquet", "path": place.outputs().join(name)});
    let request = json!({"query": sql, "tables": {"rows": {"source": source}}});
    let (status, answer) = server.send(reqwest::Method::POST, "/api/v1/sql", Some(&request))?;
    ensure!(status == 200, "reading the output answered {status}: {answer}");
    answer.get(0).cloned().context("one row")
}

/// Waits until a job computes. One that was faster than the look has ended.
fn running(server: &Server, id: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let state = server.job(id)?["state"].clone();
        if state == "running" || state == "succeeded" {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "a job is {state} and does not run");
        std::thread::sleep(LOOK);
    }
}

/// A server that was started again, the moments before and after the jobs were accepted, and the names of those that it had
/// to run again.
type Killed = (Server, (u64, u64), Vec<String>);

/// Jobs that are killed while they run.
fn killed(place: &Place, mut server: Server, sql: &str, name: &str) -> Result<Killed> {
    for round in 0..ROUNDS_MAX {
        let before = now_ms()?;
        let names: Vec<String> = (0..JOBS).map(|at| format!("{name}-{round}-{at}")).collect();
        let ids = names.iter().map(|name| server.submit(&query(place, sql, name))).collect::<Result<Vec<_>>>()?;
        let after = now_ms()?;
        running(&server, ids.first().context("a job")?)?;
        server.kill()?;
        server = place.start()?;
        let mut again = Vec::new();
        for (name, id) in names.into_iter().zip(&ids) {
            let job = server.ended(id)?;
            ensure!(job["state"] == "succeeded", "{name} ended as {job}");
            if job["attempts"].as_u64() > Some(1) {
                again.push(name);
            }
        }
        if !again.is_empty() {
            return Ok((server, (before, after), again));
        }
    }
    anyhow::bail!("no job was killed while it ran")
}

#[test]
fn now_is_the_moment_of_acceptance_after_a_kill() -> Result<()> {
    let place = Place::new()?;
    let (server, (before, after), names) = killed(&place, place.start()?, "SELECT id, now() AS at FROM numbers", "moments")?;
    for name in &names {
        let sql = "SELECT count(*) AS n, count(DISTINCT id) AS ids, count(DISTINCT at) AS moments, \
            CAST(arrow_cast(min(at), 'Timestamp(Millisecond, None)') AS BIGINT) AS at FROM rows";
        let found = asked(&place, &server, sql, name)?;
        let all = FILES * ROWS;
        ensure!(found["n"] == all && found["ids"] == all && found["moments"] == 1, "{name}: {found}");
        let at = found["at"].as_u64().context("a moment")?;
        ensure!((before..=after).contains(&at), "{name}: {at} is not between {before} and {after}");
    }
    Ok(())
}

#[test]
fn a_function_of_whole_partitions_makes_its_rows_once() -> Result<()> {
    const SQL: &str = "SELECT value FROM types.running((SELECT id FROM numbers)) AS sums(value)";
    let guests = std::env::var("AZORA_TEST_GUESTS").context("AZORA_TEST_GUESTS is not set: run the tests by `cargo xtask test`")?;
    let place = Place::new()?;
    let server = place.start()?;
    server.upload(std::fs::read(std::path::Path::new(&guests).join("types.wasm"))?)?;
    let undisturbed = server.ended(&server.submit(&query(&place, SQL, "undisturbed"))?)?;
    ensure!(undisturbed["state"] == "succeeded", "the undisturbed job ended as {undisturbed}");
    let sums = "SELECT count(*) AS n, sum(value) AS sum, count(DISTINCT value) AS values FROM rows";
    let expect = asked(&place, &server, sums, "undisturbed")?;
    // A sum for two rows of a partition.
    ensure!(expect["n"] == FILES * ROWS / 2, "{expect}");
    let (server, _, names) = killed(&place, server, SQL, "sums")?;
    for name in &names {
        let found = asked(&place, &server, sums, name)?;
        ensure!(found == expect, "{name}: {found} is not {expect}");
    }
    Ok(())
}

#[test]
fn rows_that_are_kept_on_disk_by_wish_are_found_after_a_kill() -> Result<()> {
    let place = Place::new()?;
    let server = place.start()?;
    let request = |level: &str| {
        json!({
            "source": {"type": "file", "format": "csv", "path": place.dir.path().join("files/in")},
            "operations": [{"type": "map", "function": "row => row.id"}, {"type": "persist", "level": level, "name": level}, {"type": "sum"}],
            "options": {"parallelism": FILES},
        })
    };
    let sum = |server: &Server, level: &str| -> Result<Value> {
        let id = server.submit(&request(level))?;
        let job = server.ended(&id)?;
        ensure!(job["state"] == "succeeded", "the job ended as {job}");
        let (_, result) = server.send(reqwest::Method::GET, &format!("/api/v1/jobs/{id}/result"), None)?;
        Ok(result)
    };
    let kept = |server: &Server| -> Result<Vec<Value>> {
        let (_, view) = server.send(reqwest::Method::GET, "/api/v1/cache", None)?;
        Ok(view["entries"].as_array().cloned().unwrap_or_default())
    };
    let expect = (sum(&server, "DISK")?, sum(&server, "MEMORY")?);
    server.kill()?;
    let server = place.start()?;
    let entries = kept(&server)?;
    ensure!(entries.len() == 1 && entries[0]["name"] == "DISK" && entries[0]["rows"] == FILES * ROWS, "{entries:?}");
    ensure!((sum(&server, "DISK")?, sum(&server, "MEMORY")?) == expect);
    let entries = kept(&server)?;
    let disk = entries.iter().find(|entry| entry["name"] == "DISK").context("the rows on disk")?;
    ensure!(disk["hits"].as_u64() >= Some(FILES), "the rows were computed again: {disk}");
    Ok(())
}
