//! Servers that are killed in the middle of a read and of commits, and come back: what was read is read on, what was
//! prepared is committed, and no row is lost or doubled.

use crate::lab::{Place, batch, prepare, read, sink, source};
use crate::mongodb::fill;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use azora_connect::{Outcome, ReadRequest, Sink, Token};
use azora_services::{FerretDb, MariaDb, Postgres, Process};
use azora_spec::{Blame, Code, JobId};
use mongodb::bson::doc;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When the server is killed, counted from the beginning of a commit.
const MOMENTS_MS: [u64; 3] = [1, 20, 120];
/// Longest that a source or a sink may take to notice; it may wait as long as its connect time-out for a server.
const PATIENCE: Duration = Duration::from_secs(15);
/// Rows of each partition of a commit.
const ROWS: i64 = 1500;

/// A server that can be killed and started again over the same data.
#[async_trait]
trait Restarts: Place {
    fn process(&mut self) -> &mut Process;

    fn kill(&mut self) {
        self.process().kill().unwrap();
    }

    fn again(&mut self) {
        self.process().again().unwrap();
    }

    /// Makes `origin`: ids from 0 and a text of 1,000 bytes, more than fits on the way to a reader. The number of its rows.
    async fn fill(&self) -> i64;
}

#[async_trait]
impl Restarts for Postgres {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn again(&mut self) {
        // Sessions of the one that was killed hold its memory until they notice.
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = Postgres::again(self) {
            assert!(Instant::now() < deadline, "{error:#}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    async fn fill(&self) -> i64 {
        self.run("CREATE TABLE origin AS SELECT g::bigint AS id, repeat('x', 1000) AS pad FROM generate_series(0, 99999) g").unwrap();
        100_000
    }
}

#[async_trait]
impl Restarts for MariaDb {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    async fn fill(&self) -> i64 {
        self.run("CREATE TABLE origin (id BIGINT PRIMARY KEY, pad TEXT) AS SELECT seq AS id, REPEAT('x', 1000) AS pad FROM seq_0_to_59999")
            .unwrap();
        60_000
    }
}

#[async_trait]
impl Restarts for FerretDb {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    async fn fill(&self) -> i64 {
        // Killed while it makes a collection, FerretDB leaves half of one behind and can neither make nor find it afterwards.
        let database = crate::mongodb::database(self, FerretDb::DATABASE).await;
        for collection in ["target", "azora_commits"] {
            database.create_collection(collection).await.unwrap();
        }
        fill(self, "origin", (0..3000_i64).map(|id| doc! {"_id": id, "id": id, "pad": "x".repeat(1000)}).collect()).await;
        3000
    }
}

fn ids(batches: &[RecordBatch]) -> Vec<i64> {
    let column = |batch: &RecordBatch| batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().to_vec();
    batches.iter().flat_map(column).collect()
}

async fn survives<S: Restarts>(mut server: S) {
    let rows = server.fill().await;
    reading(&mut server, rows).await;
    let mut expect = 0;
    for moment in MOMENTS_MS {
        let from = expect;
        expect += 2 * ROWS;
        committing(&mut server, moment, from).await;
        let target = source(S::CONNECTOR, server.config(json!({(S::TABLE): "target", "columns": ["id"]}))).await.unwrap();
        let mut seen = ids(&read(&target, 1).await.unwrap());
        seen.sort_unstable();
        assert_eq!(seen.len() as i64, expect, "killed after {moment} ms");
        assert!(seen.iter().enumerate().all(|(at, id)| at as i64 == *id), "killed after {moment} ms: rows are lost and others doubled");
    }
}

/// Reads until the server is gone, and on from there when it is back.
async fn reading<S: Restarts>(server: &mut S, rows: i64) {
    let table = source(S::CONNECTOR, server.config(json!({(S::TABLE): "origin", "columns": ["id", "pad"]}))).await.unwrap();
    let split = table.plan(1).await.unwrap().remove(0);
    let request = ReadRequest::new(500, 8 << 20);
    let mut reader = table.open(&split, None, request.clone()).await.unwrap();
    let Outcome::Batch(first, mut position) = reader.read().await.unwrap() else { panic!("no rows") };
    let mut seen = ids(&[first]);
    server.kill();
    let began = Instant::now();
    let failure = loop {
        match reader.read().await {
            Ok(Outcome::End) => panic!("the rows ended as if all were there"),
            Ok(Outcome::Batch(batch, behind)) => {
                seen.extend(ids(&[batch]));
                position = behind;
            }
            Ok(Outcome::Idle(_)) => panic!("a bounded source idles"),
            Err(failure) => break failure,
        }
    };
    assert_eq!((failure.code, failure.blame()), (Code::ConnectorUnavailable, Blame::System), "{failure}");
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    server.again();
    let mut reader = table.open(&split, Some(&position), request).await.unwrap();
    while let Outcome::Batch(batch, _) = reader.read().await.unwrap() {
        seen.extend(ids(&[batch]));
    }
    assert_eq!(seen.len() as i64, rows);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len() as i64, rows, "rows were read twice");
}

/// Commits while the server is killed, and again when it is back, as a restarted job would.
async fn committing<S: Restarts>(server: &mut S, moment_ms: u64, from: i64) {
    let open = async |server: &S| sink(S::CONNECTOR, server.config(json!({(S::TABLE): "target", "create": true}))).await.unwrap();
    let part = |from: i64| batch(Value::from((from..from + ROWS).map(|id| json!({"id": id, "text": "a row"})).collect::<Vec<_>>()));
    let batches = [part(from), part(from + ROWS)];
    let (job, schema) = (JobId::generate(), batches[0].schema());
    let target: Arc<dyn Sink> = open(&*server).await;
    let tokens: Vec<Token> = prepare(&target, job, &batches).await.unwrap();
    let commit = tokio::spawn({
        let (target, schema, tokens) = (Arc::clone(&target), Arc::clone(&schema), tokens.clone());
        async move { target.commit(job, 0, schema, &tokens).await }
    });
    tokio::time::sleep(Duration::from_millis(moment_ms)).await;
    server.kill();
    let ended = tokio::time::timeout(PATIENCE, commit).await.expect("the commit does not notice").unwrap();
    if let Err(failure) = ended {
        assert_eq!(failure.blame(), Blame::System, "killed after {moment_ms} ms: {failure}");
    }
    server.again();
    for again in [target, open(&*server).await] {
        let receipt = again.commit(job, 0, Arc::clone(&schema), &tokens).await;
        assert_eq!(receipt.unwrap().rows as i64, 2 * ROWS, "killed after {moment_ms} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_killed_and_comes_back() {
    survives(Postgres::start().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_is_killed_and_comes_back() {
    survives(MariaDb::start().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_is_killed_and_comes_back() {
    survives(FerretDb::start().unwrap()).await;
}
