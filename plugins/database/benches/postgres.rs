//! A million rows from PostgreSQL into columns, as a ratio to psql copying the same rows out in binary: both in one run, in
//! turns, on one server.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot start has nothing to say, and says it on a terminal"
)]

use azora_connect::{Outcome, ReadRequest, Setup, Source};
use azora_services::Postgres;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROWS: usize = 1_000_000;
const ROUNDS: usize = 5;

fn main() {
    let server = Postgres::start().unwrap();
    let table = format!(
        "CREATE TABLE orders AS SELECT g::bigint AS id, (g % 1000)::int AS customer, (g * 1.01)::numeric(12,2) AS amount, \
         'order number ' || g AS note, g * 0.5::float8 AS weight, g % 3 = 0 AS paid, \
         timestamptz '2024-01-01' + g * interval '1 second' AS at FROM generate_series(1, {ROWS}) g; VACUUM ANALYZE orders"
    );
    for statement in table.split("; ") {
        server.run(statement).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let source = runtime.block_on(source(&server));
    let mut best = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        let times = [psql(&server), runtime.block_on(read(&source, 1)), runtime.block_on(read(&source, 2))];
        for (best, time) in best.iter_mut().zip(times) {
            *best = (*best).min(time);
        }
    }
    let [psql, one, two] = best.map(|time| time.as_secs_f64());
    println!("psql, COPY in binary: {psql:.3} s");
    println!("one split:  {one:.3} s, {:.2} times psql", one / psql);
    println!("two splits: {two:.3} s, {:.2} times psql", two / psql);
}

async fn source(server: &Postgres) -> Arc<dyn Source> {
    let connectors = azora_database::connectors(&Setup::local(), &azora_database::Files::default());
    let connector = connectors.iter().find(|connector| connector.name() == "postgresql").unwrap();
    let config = serde_json::json!({"table": "orders", "connection": {"host": "127.0.0.1", "port": server.process.port(),
        "user": Postgres::USER, "password": Postgres::PASSWORD, "database": "postgres"}});
    connector.source(config.as_object().unwrap()).await.unwrap()
}

async fn read(source: &Arc<dyn Source>, parallelism: usize) -> Duration {
    let began = Instant::now();
    let mut tasks = Vec::new();
    for split in source.plan(parallelism).await.unwrap() {
        let source = Arc::clone(source);
        tasks.push(tokio::spawn(async move {
            let mut rows = 0;
            let mut reader = source.open(&split, None, ReadRequest::new(8192, 8 << 20)).await.unwrap();
            while let Outcome::Batch(batch, _) = reader.read().await.unwrap() {
                rows += batch.num_rows();
            }
            rows
        }));
    }
    let mut rows = 0;
    for task in tasks {
        rows += task.await.unwrap();
    }
    assert_eq!(rows, ROWS);
    began.elapsed()
}

fn psql(server: &Postgres) -> Duration {
    let began = Instant::now();
    let status = Command::new("psql")
        .args(["-X", "-q", "-h", "127.0.0.1", "-U", Postgres::USER, "-d", "postgres", "-p", &server.process.port().to_string()])
        .args(["-c", "COPY (SELECT * FROM orders) TO STDOUT (FORMAT BINARY)"])
        .env("PGPASSWORD", Postgres::PASSWORD)
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    began.elapsed()
}
