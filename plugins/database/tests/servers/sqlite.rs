//! SQLite: real files, written by the library itself.

use crate::lab::{self, Case, Place, batch, files, prepare, read, sink, source, write};
use arrow::datatypes::{DataType, TimeUnit};
use azora_connect::conformance::{self, Expect, sample, texts};
use azora_connect::{Outcome, ReadRequest, Rejects};
use azora_spec::{Blame, Code, JobId, OnError};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn path(name: &str) -> PathBuf {
    files().roots[0].join(name)
}

/// A database file with what these statements make.
fn database(name: &str, sql: &str) -> Connection {
    let connection = Connection::open(path(name)).unwrap();
    connection.execute_batch(sql).unwrap();
    connection
}

fn one(connection: &Connection, sql: &str) -> String {
    connection.query_row(sql, [], |row| row.get::<_, Option<String>>(0)).unwrap().unwrap_or_default()
}

fn config(name: &str, mut more: Value) -> Value {
    more["path"] = name.into();
    more
}

struct File(&'static str);

impl Place for File {
    const CONNECTOR: &'static str = "sqlite";

    fn connection(&self) -> Value {
        json!({"path": self.0})
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_does_what_every_sink_must() {
    let case = Case { place: &File("sinks.db"), inside: json!({}), batches: sample::flat() };
    conformance::sink(&case).await.unwrap_or_else(|faults| panic!("{faults}"));
    let left = std::fs::read_dir(&files().staging).unwrap().count();
    // Other tests have rows of their own there, and none of them leaves as many.
    assert!(left < 3, "{left} staged files are left");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_does_what_every_source_must() {
    let table = sink("sqlite", config("source.db", json!({"table": "conform", "create": true}))).await.unwrap();
    write(&table, &sample::flat()).await.unwrap();
    let expect = Expect::of(&sample::flat());
    database(
        "source.db",
        "CREATE TABLE bare (id INTEGER PRIMARY KEY, name TEXT, price REAL, ok BOOLEAN) WITHOUT ROWID; INSERT INTO bare SELECT * FROM conform; \
         CREATE TABLE hidden (rowid INTEGER, oid INTEGER, _rowid_ INTEGER); CREATE VIEW seen AS SELECT * FROM conform; \
         CREATE TABLE logged AS SELECT * FROM conform; PRAGMA journal_mode = WAL",
    );
    for what in [
        json!({"table": "conform"}),
        json!({"table": "main.conform", "partitionColumn": "id"}),
        json!({"table": "bare"}),
        json!({"table": "seen"}),
        json!({"table": "seen", "partitionColumn": "id"}),
        json!({"query": "SELECT * FROM conform -- all of it"}),
        json!({"query": "WITH c AS (SELECT * FROM conform) SELECT * FROM c;", "partitionColumn": "id"}),
        json!({"query": "SELECT id, name || '' AS name, price * 1 AS price, ok FROM conform", "types": {"ok": "boolean"}}),
    ] {
        let source = source("sqlite", config("source.db", what.clone())).await.unwrap();
        conformance::source(&source, &expect).await.unwrap_or_else(|faults| panic!("{what}: {faults}"));
    }
    assert_eq!(lab::rows("sqlite", config("source.db", json!({"table": "hidden"}))).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn types_keep_their_values() {
    database(
        "types.db",
        "CREATE TABLE types (a INT, b BIGINT, c DOUBLE, d DECIMAL(12,2), e BOOLEAN, f TEXT, g BLOB, h DATE, i DATETIME, j TIMESTAMPTZ, k, \
         l NUMERIC, m DATE, n VARCHAR(3)); \
         INSERT INTO types VALUES (-1, 9007199254740993, -2.5, '-1234567890.12', 1, 'zażółć', X'00ff', '1969-12-31', '2024-02-29 01:02:03.000004', \
         '2024-02-29T03:02:03+02:00', 1, 0.5, 1700000000, 'abc'), \
         (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'two', 7, NULL, NULL)",
    );
    let source = source("sqlite", config("types.db", json!({"table": "types"}))).await.unwrap();
    let schema = source.schema();
    let of = |name: &str| schema.field_with_name(name).unwrap().data_type().clone();
    assert_eq!((of("a"), of("b"), of("c"), of("d")), (DataType::Int64, DataType::Int64, DataType::Float64, DataType::Decimal128(12, 2)));
    assert_eq!((of("e"), of("g"), of("h"), of("l")), (DataType::Boolean, DataType::Binary, DataType::Date32, DataType::Float64));
    assert_eq!(of("j"), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    // No dates in spite of what the declaration says.
    assert_eq!(of("m"), DataType::Int64);
    let rows = texts(&read(&source, 1).await.unwrap());
    let row: Value = serde_json::from_str(&rows[0]).unwrap();
    for (name, expect) in [
        ("a", json!(-1)),
        ("b", json!(9_007_199_254_740_993_i64)),
        ("e", json!(true)),
        ("f", json!("zażółć")),
        ("h", json!("1969-12-31")),
        ("k", json!(1)),
        ("l", json!(0.5)),
        ("m", json!(1_700_000_000)),
    ] {
        assert_eq!(row[name], expect, "{name}");
    }
    assert!(rows[0].contains("-1234567890.12") && rows[0].contains("2024-02-29T01:02:03"), "{}", rows[0]);
    assert_eq!(serde_json::from_str::<Value>(&rows[1]).unwrap()["k"], json!("two"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_that_is_written_comes_back() {
    let columns = json!({"d": "decimal(30,4)", "t": "timestamp", "day": "date", "list": "list<int64>", "raw": "binary", "f": "float32", "i": "int32"});
    let fields = azora_connect::json::told(columns.as_object().unwrap(), "").unwrap();
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    let values = [
        json!({"d": "12345678901234567890123456.7891", "t": "2024-02-29T01:02:03.5Z", "day": "0999-01-01", "list": [1, null], "f": 0.5, "i": 7}),
        json!({}),
    ];
    let rows = azora_connect::json::batch(&schema, &values).unwrap();
    let target = sink("sqlite", config("written.db", json!({"table": "t", "create": true}))).await.unwrap();
    write(&target, std::slice::from_ref(&rows)).await.unwrap();
    let told = json!({"table": "t", "types": {"list": "list<int64>", "t": "timestamp", "f": "float32", "i": "int32"}});
    let back = read(&source("sqlite", config("written.db", told)).await.unwrap(), 1).await.unwrap();
    for (name, column) in rows.schema().fields().iter().map(|field| field.name()).zip(rows.columns()) {
        assert_eq!(back[0].column_by_name(name).unwrap(), column, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_does_not_fit_is_a_bad_record() {
    database(
        "bad.db",
        "CREATE TABLE people (id INTEGER PRIMARY KEY, age INT); INSERT INTO people VALUES (1, 30), (2, 'old'), (3, 40), (4, x'00')",
    );
    let table = source("sqlite", config("bad.db", json!({"table": "people"}))).await.unwrap();
    let failure = read(&table, 1).await.unwrap_err();
    assert_eq!(failure.code, Code::RecordBad);
    for part in ["bad.db", "table people", "rowid 2", "'age'", "old", "whole number"] {
        assert!(failure.message.contains(part), "{failure} lacks {part}");
    }
    let rejects = Rejects::new(OnError::DeadLetter);
    let mut rows = 0;
    for split in table.plan(2).await.unwrap() {
        let request = ReadRequest { rejects: rejects.clone(), ..ReadRequest::new(100, 1 << 20) };
        let mut reader = table.open(&split, None, request).await.unwrap();
        while let Outcome::Batch(batch, _) = reader.read().await.unwrap() {
            rows += batch.num_rows();
        }
    }
    let kept = rejects.take();
    assert_eq!((rows, rejects.count(), kept.len()), (2, 2, 2));
    assert_eq!(kept[0].payload, b"{\"id\":2,\"age\":\"old\"}");
    // What the request tells comes before the declaration.
    let told = source("sqlite", config("bad.db", json!({"query": "SELECT age FROM people WHERE id < 4", "types": {"age": "utf8"}})))
        .await
        .unwrap();
    assert!(read(&told, 1).await.unwrap_err().message.contains("row 1 of a split"));
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_large_tables_cover_every_row_once() {
    database(
        "large.db",
        "CREATE TABLE large AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000) \
         SELECT i AS id, CASE WHEN i % 10 THEN datetime('2024-01-01', i || ' minutes') END AS at, printf('%0200d', i) AS pad FROM n",
    );
    for more in [json!({}), json!({"partitionColumn": "id"}), json!({"partitionColumn": "at"})] {
        let mut what = json!({"table": "large", "columns": ["id", "at"], "filter": "id % 2 = 0 OR id > 39999"});
        what.as_object_mut().unwrap().extend(lab::map(more.clone()));
        let source = source("sqlite", config("large.db", what)).await.unwrap();
        assert_eq!(source.plan(4).await.unwrap().len(), 4, "{more}");
        let batches = read(&source, 4).await.unwrap();
        assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 20_000, "{more}");
    }
    let failure =
        source("sqlite", config("large.db", json!({"table": "large", "partitionColumn": "pad"}))).await.unwrap().plan(4).await.unwrap_err();
    assert_eq!(failure.pointer.as_deref(), Some("/partitionColumn"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn upserts_overwrites_and_refusals() {
    let stock = database(
        "stock.db",
        "CREATE TABLE stock (sku TEXT PRIMARY KEY, n INT NOT NULL CHECK (n > 0), note TEXT DEFAULT 'new'); \
         INSERT INTO stock VALUES ('a', 1, 'old'), ('b', 2, 'old'); CREATE VIEW seen AS SELECT * FROM stock",
    );
    let upsert = sink("sqlite", config("stock.db", json!({"table": "stock", "keys": ["sku"]}))).await.unwrap();
    let first = batch(json!([{"sku": "b", "n": 20}, {"sku": "b", "n": 21}, {"sku": "c", "n": 3}]));
    write(&upsert, &[first, batch(json!([{"sku": "c", "n": 30}]))]).await.unwrap();
    let all = || one(&stock, "SELECT group_concat(sku || n || note ORDER BY sku) FROM stock");
    assert_eq!(all(), "a1old,b21old,c30new");
    let overwrite = sink("sqlite", config("stock.db", json!({"table": "stock", "mode": "overwrite"}))).await.unwrap();
    write(&overwrite, &[batch(json!([{"sku": "z", "n": 9}]))]).await.unwrap();
    assert_eq!(all(), "z9new");
    let append = sink("sqlite", config("stock.db", json!({"table": "stock"}))).await.unwrap();
    for (rows, word) in [
        (json!([{"sku": "y", "n": 1}, {"sku": "y", "n": 2}]), "UNIQUE"),
        (json!([{"sku": "y", "n": -1}]), "CHECK"),
        (json!([{"sku": "y", "n": "many"}]), "'n'"),
        (json!([{"sku": "y", "m": 1}]), "'m'"),
    ] {
        let failure = write(&append, &[batch(rows)]).await.unwrap_err();
        assert_eq!(failure.code, Code::DataInvalid, "{failure}");
        assert!(failure.message.contains(word), "{failure}");
    }
    assert_eq!(all(), "z9new");
    for (what, pointer) in [
        (json!({"table": "stock", "keys": ["n"]}), "/keys"),
        (json!({"table": "seen"}), "/table"),
        (json!({"table": "nowhere"}), "/table"),
        (json!({"table": "other.stock"}), "/schema"),
    ] {
        let failure = sink("sqlite", config("stock.db", what.clone())).await.unwrap_err();
        assert_eq!(failure.pointer.as_deref(), Some(pointer), "{what}: {failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_commit_is_done_whole_by_the_next() {
    let target = sink("sqlite", config("killed.db", json!({"table": "t", "create": true}))).await.unwrap();
    let rows: Vec<Value> = (0..5000).map(|id| json!({"id": id})).collect();
    let rows = batch(Value::from(rows));
    let job = JobId::generate();
    let tokens = prepare(&target, job, &[rows.clone(), rows.clone()]).await.unwrap();
    kill_in_the_middle("killed.db");
    for _ in 0..2 {
        let again = sink("sqlite", config("killed.db", json!({"table": "t", "create": true}))).await.unwrap();
        assert_eq!(again.commit(job, 0, rows.schema(), &tokens).await.unwrap().rows, 10_000);
    }
    let look = Connection::open(path("killed.db")).unwrap();
    assert_eq!(one(&look, "SELECT count(*) || ',' || count(DISTINCT id) FROM t"), "10000,5000");
    assert_eq!(one(&look, "SELECT group_concat(rows) FROM azora_commits"), "10000");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_writer_left_is_undone_before_reading() {
    database("torn.db", "CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1)");
    kill_in_the_middle("torn.db");
    assert_eq!(lab::rows("sqlite", config("torn.db", json!({"table": "t"}))).await, ["{\"id\":1}"]);
}

/// A program that writes to `t` and is killed: its journal is left behind.
fn kill_in_the_middle(name: &str) {
    let script = format!(
        "import sqlite3,os,signal\nc=sqlite3.connect({:?},isolation_level=None)\nc.execute('PRAGMA cache_size=1')\n\
         c.execute('CREATE TABLE IF NOT EXISTS t (id INTEGER)')\nc.execute('BEGIN IMMEDIATE')\n\
         [c.execute('INSERT INTO t VALUES (?)',(i,)) for i in range(20000)]\nos.kill(os.getpid(),signal.SIGKILL)",
        path(name).display().to_string()
    );
    let status = std::process::Command::new("python3").args(["-c", &script]).status().unwrap();
    assert!(!status.success() && path(&format!("{name}-journal")).exists(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_file_is_waited_for_no_longer_than_told() {
    let other = database("locked.db", "CREATE TABLE t (id INT)");
    let what = json!({"table": "t", "connection": {"path": "locked.db", "busyTimeoutMs": 300}});
    let target = sink("sqlite", what).await.unwrap();
    let rows = batch(json!([{"id": 1}]));
    let job = JobId::generate();
    let tokens = prepare(&target, job, std::slice::from_ref(&rows)).await.unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let began = Instant::now();
    let failure = target.commit(job, 0, rows.schema(), &tokens).await.unwrap_err();
    assert_eq!((failure.code, failure.blame()), (Code::ConnectorUnavailable, Blame::System), "{failure}");
    assert!(failure.message.contains("busyTimeoutMs") && began.elapsed() < Duration::from_secs(5), "{failure}");
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(target.commit(job, 0, rows.schema(), &tokens).await.unwrap().rows, 1);
    assert_eq!(one(&other, "SELECT group_concat(id) FROM t"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_only_reads_and_reaches_no_other_file() {
    let kept = database("kept.db", "CREATE TABLE kept (a INT); INSERT INTO kept VALUES (1)");
    let secret = files().roots[0].parent().unwrap().join("secret.db");
    Connection::open(&secret).unwrap().execute_batch("CREATE TABLE IF NOT EXISTS canary (a TEXT)").unwrap();
    std::os::unix::fs::symlink(&secret, path("link.db")).ok();
    let attach = format!("ATTACH '{}' AS s", secret.display());
    for query in [
        "DELETE FROM kept",
        "INSERT INTO kept VALUES (2) RETURNING a",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = DELETE",
        "VACUUM INTO '/tmp/azora-stolen.db'",
        "SELECT load_extension('/tmp/evil.so')",
        "SELECT * FROM kept; DROP TABLE kept",
        "SELECT 1) AS q; DROP TABLE kept; SELECT (1",
        "SELECT * FROM pragma_database_list",
        "SELECT fts3_tokenizer('simple', x'00')",
        "SELECT writefile('/tmp/azora-stolen', 'x')",
        "CREATE TEMP TABLE t (a)",
        attach.as_str(),
    ] {
        let outcome = match source("sqlite", config("kept.db", json!({"query": query}))).await {
            Ok(source) => read(&source, 1).await.map(|_| ()),
            Err(failure) => Err(failure),
        };
        let failure = outcome.unwrap_err();
        assert_eq!((failure.code, failure.pointer.as_deref()), (Code::ConnectorConfig, Some("/query")), "{query}: {failure}");
    }
    assert_eq!(one(&kept, "SELECT group_concat(a) FROM kept"), "1");
    for file in ["../secret.db", "link.db", secret.to_str().unwrap(), "/etc/passwd"] {
        for half in [
            source("sqlite", config(file, json!({"table": "canary"}))).await.map(|_| ()),
            sink("sqlite", config(file, json!({"table": "canary", "create": true}))).await.map(|_| ()),
        ] {
            assert_eq!(half.unwrap_err().code, Code::PathOutside, "{file}");
        }
    }
    std::fs::write(path("none.db"), "this is no database, whatever its name says").unwrap();
    let failure = source("sqlite", config("none.db", json!({"table": "t"}))).await.map(|_| ()).unwrap_err();
    assert_eq!((failure.code, failure.pointer.as_deref()), (Code::PathUnusable, Some("/path")), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_never_ends_is_stopped() {
    database("endless.db", "CREATE TABLE t (a INT)");
    let query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS c FROM n";
    let what = json!({"query": query, "types": {"c": "int64"}, "connection": {"path": "endless.db", "statementTimeoutMs": 300}});
    let began = Instant::now();
    let failure = read(&source("sqlite", what).await.unwrap(), 1).await.unwrap_err();
    assert!(failure.message.contains("statementTimeoutMs") && began.elapsed() < Duration::from_secs(10), "{failure}");
    // A reader that nobody waits for ends as soon, or the runtime could not.
    let source = source("sqlite", config("endless.db", json!({"query": query, "types": {"c": "int64"}}))).await.unwrap();
    let split = source.plan(1).await.unwrap().remove(0);
    let mut reader = source.open(&split, None, ReadRequest::new(10, 1 << 20)).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(100), reader.read()).await.is_err());
    drop(reader);
}
