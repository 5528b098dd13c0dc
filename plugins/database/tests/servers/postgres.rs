//! PostgreSQL.

use crate::lab::{self, Case, Place, Shared, batch, read, rows, sink, source, write};
use arrow::datatypes::{DataType, TimeUnit};
use azora_connect::conformance::{self, Expect, sample, texts};
use azora_services::Postgres;
use azora_spec::Code;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

static SERVER: Shared<Postgres> = Shared::new();

fn server() -> Arc<Postgres> {
    SERVER.get(Postgres::start)
}

impl Place for Postgres {
    const CONNECTOR: &'static str = "postgresql";

    fn connection(&self) -> Value {
        json!({"host": "127.0.0.1", "port": self.process.port(), "user": Postgres::USER, "password": Postgres::PASSWORD,
            "database": "postgres"})
    }
}

fn config(server: &Postgres, more: Value) -> Value {
    server.config(more)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_does_what_every_sink_must() {
    let server = server();
    server.run("CREATE SCHEMA sinks").unwrap();
    let case = Case { place: &*server, inside: json!({"schema": "sinks"}), batches: sample::flat() };
    conformance::sink(&case).await.unwrap_or_else(|faults| panic!("{faults}"));
    let left = server.run("SELECT count(*) FROM pg_class WHERE relnamespace = 'sinks'::regnamespace AND relname LIKE 'azs\\_%'").unwrap();
    assert_eq!(left, "0", "staging tables are left");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_does_what_every_source_must() {
    let server = server();
    let table = sink("postgresql", config(&server, json!({"table": "conform", "create": true}))).await.unwrap();
    write(&table, &sample::flat()).await.unwrap();
    let expect = Expect::of(&sample::flat());
    let with_key = "CREATE TABLE keyed AS TABLE conform; ALTER TABLE keyed ALTER id SET NOT NULL, ADD PRIMARY KEY (id)";
    server.run(with_key).unwrap();
    for what in [
        json!({"table": "conform"}),
        json!({"table": "keyed", "partitionColumn": "id"}),
        json!({"table": "conform", "partitionColumn": "id"}),
        json!({"query": "SELECT * FROM conform -- all of it"}),
        json!({"query": "SELECT * FROM conform;", "partitionColumn": "id"}),
    ] {
        let source = source("postgresql", config(&server, what.clone())).await.unwrap();
        conformance::source(&source, &expect).await.unwrap_or_else(|faults| panic!("{what}: {faults}"));
    }
    let none = source("postgresql", config(&server, json!({"table": "conform", "filter": "false -- none"}))).await.unwrap();
    conformance::source(&none, &Expect::of(&[])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn types_keep_their_values() {
    let server = server();
    server
        .run(
            "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN positive AS int CHECK (value > 0); CREATE TABLE types ( \
             a smallint, b integer, c bigint, d real, e double precision, f numeric(12,2), g numeric, h boolean, i text, j varchar(10), \
             k char(4), l bytea, m date, n time, o timestamp, p timestamptz, q uuid, r json, s jsonb, t int[], u text[], v mood, \
             w positive, x inet, y interval, z numeric(10,2)[], aa money, bb point, cc oid, dd int4range)",
        )
        .unwrap();
    server
        .run(
            "INSERT INTO types VALUES (-1, 2, 9007199254740993, 1.5, 'NaN', 1234567890.12, 1e40, true, 'zażółć', 'v', 'c', '\\x00ff', \
             '1969-12-31', '12:34:56.789', '2024-02-29 01:02:03.000004', '2024-02-29 01:02:03+02', \
             '123e4567-e89b-12d3-a456-426614174000', '{\"a\": 1}', '{\"a\": 1}', '{1,NULL,3}', '{\"x y\",NULL}', 'ok', 7, '10.0.0.1', \
             '1 day', '{1.50,NULL}', 1.5, '(1,2)', 42, '[1,3)'); \
             INSERT INTO types DEFAULT VALUES",
        )
        .unwrap();
    let source = source("postgresql", config(&server, json!({"table": "types"}))).await.unwrap();
    let schema = source.schema();
    let of = |name: &str| schema.field_with_name(name).unwrap().data_type().clone();
    assert_eq!(of("f"), DataType::Decimal128(12, 2));
    assert_eq!(of("g"), DataType::Utf8);
    assert_eq!(of("p"), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    assert_eq!((of("a"), of("d"), of("l"), of("m")), (DataType::Int16, DataType::Float32, DataType::Binary, DataType::Date32));
    let rows = texts(&read(&source, 1).await.unwrap());
    let row: Value = serde_json::from_str(&rows[0]).unwrap();
    let check = |name: &str, expect: Value| assert_eq!(row[name], expect, "{name}");
    check("a", json!(-1));
    check("c", json!(9_007_199_254_740_993_i64));
    assert!(rows[0].contains("1234567890.12"));
    check("g", json!(format!("1{}", "0".repeat(40))));
    check("i", json!("zażółć"));
    check("k", json!("c   "));
    check("m", json!("1969-12-31"));
    assert!(row["p"].as_str().unwrap().starts_with("2024-02-28T23:02:03"), "{}", row["p"]);
    check("q", json!("123e4567-e89b-12d3-a456-426614174000"));
    check("s", json!("{\"a\": 1}"));
    check("t", json!([1, null, 3]));
    check("u", json!(["x y", null]));
    check("v", json!("ok"));
    check("w", json!(7));
    check("x", json!("10.0.0.1/32"));
    check("y", json!("1 day"));
    check("cc", json!(42));
    check("dd", json!("[1,3)"));
    let nulls: Value = serde_json::from_str(&rows[1]).unwrap();
    assert!(nulls.as_object().unwrap().values().all(Value::is_null), "{nulls}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_large_tables_cover_every_row_once() {
    let server = server();
    server
        .run(
            "CREATE TABLE large AS SELECT g AS id, CASE WHEN g % 10 <> 0 THEN timestamp '2024-01-01' + g * interval '1 minute' END AS at, \
             repeat('x', 500) AS pad FROM generate_series(1, 60000) g; ANALYZE large",
        )
        .unwrap();
    for (more, least) in [(json!({}), 3), (json!({"partitionColumn": "id"}), 4), (json!({"partitionColumn": "at"}), 4)] {
        let mut what = json!({"table": "large", "columns": ["id", "at"], "filter": "id % 2 = 0 OR id > 59999"});
        what.as_object_mut().unwrap().extend(lab::map(more.clone()));
        let source = source("postgresql", config(&server, what)).await.unwrap();
        let splits = source.plan(4).await.unwrap();
        assert!(splits.len() >= least, "{more}: {splits:?}");
        let batches = read(&source, 4).await.unwrap();
        assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 30_000, "{more}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upserts_and_overwrites_replace() {
    let server = server();
    server.run("CREATE TABLE stock (sku text PRIMARY KEY, n int NOT NULL, note text DEFAULT 'new')").unwrap();
    server.run("INSERT INTO stock VALUES ('a', 1, 'old'), ('b', 2, 'old')").unwrap();
    let upsert = sink("postgresql", config(&server, json!({"table": "public.stock", "keys": ["sku"]}))).await.unwrap();
    // The later row of a key wins, within a partition and among partitions.
    let first = batch(json!([{"sku": "b", "n": 20}, {"sku": "b", "n": 21}, {"sku": "c", "n": 3}]));
    let second = batch(json!([{"sku": "c", "n": 30}]));
    write(&upsert, &[first, second]).await.unwrap();
    let all = || server.run("SELECT string_agg(sku || n || note, ',' ORDER BY sku) FROM stock").unwrap();
    assert_eq!(all(), "a1old,b21old,c30new");
    let failure = write(&upsert, &[batch(json!([{"sku": null, "n": 1}, {"sku": "x", "n": 1}]))]).await.unwrap_err();
    assert!(failure.message.contains("'sku'"), "{failure}");
    let overwrite = sink("postgresql", config(&server, json!({"table": "stock", "mode": "overwrite"}))).await.unwrap();
    write(&overwrite, &[batch(json!([{"sku": "z", "n": 9}]))]).await.unwrap();
    assert_eq!(all(), "z9new");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_target_refuses_is_named_and_nothing_stays() {
    let server = server();
    server.run("CREATE TABLE strict (id int PRIMARY KEY, n int CHECK (n > 0))").unwrap();
    let table = sink("postgresql", config(&server, json!({"table": "strict"}))).await.unwrap();
    let check = async |rows: Value, word: &str| {
        let failure = write(&table, &[batch(rows)]).await.unwrap_err();
        assert_eq!(failure.code, Code::DataInvalid, "{failure}");
        assert!(failure.message.contains(word), "{failure}");
    };
    check(json!([{"id": 1, "n": 1}, {"id": 1, "n": 2}]), "strict_pkey").await;
    check(json!([{"id": 1, "n": -1}]), "strict_n_check").await;
    check(json!([{"id": 1, "n": "many"}]), "column 'n'").await;
    check(json!([{"id": 1, "m": 1}]), "'m'").await;
    assert_eq!(server.run("SELECT count(*) FROM strict").unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_host_and_object_and_never_the_secret() {
    let server = server();
    let place = format!("127.0.0.1:{}", server.process.port());
    let check = async |what: Value, code: Code, pointer: &str, words: &[&str]| {
        let began = Instant::now();
        let failure = source("postgresql", what.clone()).await.map(|_| ()).unwrap_err();
        assert_eq!((failure.code, failure.pointer.as_deref().unwrap_or_default()), (code, pointer), "{what}: {failure}");
        assert!(words.iter().all(|word| failure.message.contains(word)), "{what}: {failure}");
        assert!(!format!("{failure:?}").contains("hunter2") && !format!("{failure:?}").contains(Postgres::PASSWORD));
        assert!(began.elapsed() < Duration::from_secs(11));
    };
    let with = |member: &str, value: Value| {
        let mut config = config(&server, json!({"table": "t"}));
        config["connection"][member] = value;
        config
    };
    check(with("password", json!("hunter2")), Code::ConnectorDenied, "/connection/password", &[&place, "azora"]).await;
    check(with("user", json!("nobody")), Code::ConnectorDenied, "/connection/password", &[&place, "nobody"]).await;
    check(with("database", json!("nowhere")), Code::ConnectorMissing, "/connection/database", &[&place, "nowhere"]).await;
    check(with("tls", json!("require")), Code::ConnectorConfig, "/connection/tls", &[&place]).await;
    check(with("port", json!(1)), Code::ConnectorUnavailable, "", &["127.0.0.1:1"]).await;
    check(with("host", json!("169.254.169.254")), Code::NetworkRefused, "/connection/host", &["169.254.169.254"]).await;
    check(config(&server, json!({"table": "no.where"})), Code::ConnectorMissing, "/table", &[&place, "no.where"]).await;
    check(config(&server, json!({"table": "pg_class", "columns": ["relname", "nix"]})), Code::ConnectorConfig, "/columns", &["nix"]).await;
    check(config(&server, json!({"table": "pg_class", "filter": "relname >"})), Code::ConnectorConfig, "/filter", &["syntax"]).await;
    check(config(&server, json!({"query": "SELEC 1"})), Code::ConnectorConfig, "/query", &["syntax"]).await;
    let escape = json!({"query": "SELECT 1) TO STDOUT; DROP TABLE x; COPY (SELECT 1"});
    check(config(&server, escape), Code::ConnectorConfig, "/query", &["syntax"]).await;
    let column = json!({"table": "pg_class", "partitionColumn": "relname"});
    check(config(&server, column), Code::ConnectorConfig, "/partitionColumn", &["relname"]).await;
    // A black hole: the connect time-out holds.
    let began = Instant::now();
    let mut hole = with("connectTimeoutMs", json!(300));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    hole["connection"]["port"] = json!(listener.local_addr().unwrap().port());
    check(hole, Code::ConnectorUnavailable, "", &["127.0.0.1"]).await;
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_cannot_write() {
    let server = server();
    server.run("CREATE TABLE kept (a int); CREATE FUNCTION spoil() RETURNS int LANGUAGE sql AS 'DELETE FROM kept; SELECT 1'").unwrap();
    for what in [json!({"query": "SELECT spoil()"}), json!({"table": "kept", "filter": "spoil() = 1"})] {
        server.run("INSERT INTO kept VALUES (1)").unwrap();
        let source = source("postgresql", config(&server, what)).await.unwrap();
        let failure = read(&source, 1).await.unwrap_err();
        assert!(failure.message.contains("only reads"), "{failure}");
    }
    assert_eq!(server.run("SELECT count(*) FROM kept").unwrap(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_request_is_read() {
    let server = server();
    let mut config = config(&server, json!({"query": "SELECT 1 AS a", "databaseType": "postgres", "parallelism": 8}));
    assert_eq!(rows("database", config.clone()).await, ["{\"a\":1}"]);
    config["connection"] =
        json!(format!("postgres://azora:{}@127.0.0.1:{}/postgres", Postgres::PASSWORD.replace(' ', "%20"), server.process.port()));
    assert_eq!(rows("database", config).await, ["{\"a\":1}"]);
}
