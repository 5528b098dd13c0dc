//! MySQL's protocol, spoken by MariaDB.

use crate::lab::{self, Case, Place, Shared, batch, read, sink, source, write};
use arrow::datatypes::{DataType, TimeUnit};
use azora_connect::conformance::{self, Expect, sample, texts};
use azora_services::MariaDb;
use azora_spec::Code;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

static SERVER: Shared<MariaDb> = Shared::new();

fn server() -> Arc<MariaDb> {
    SERVER.get(MariaDb::start)
}

impl Place for MariaDb {
    const CONNECTOR: &'static str = "mysql";

    fn connection(&self) -> Value {
        json!({"host": "127.0.0.1", "port": self.process.port(), "user": MariaDb::USER, "password": MariaDb::PASSWORD,
            "database": MariaDb::DATABASE})
    }
}

fn config(server: &MariaDb, more: Value) -> Value {
    server.config(more)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_does_what_every_sink_must() {
    let server = server();
    server.run("CREATE DATABASE sinks").unwrap();
    let case = Case { place: &*server, inside: json!({"schema": "sinks"}), batches: sample::flat() };
    conformance::sink(&case).await.unwrap_or_else(|faults| panic!("{faults}"));
    let left =
        server.run("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'sinks' AND table_name LIKE 'azs\\_%'").unwrap();
    assert_eq!(left, "0", "staging tables are left");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_does_what_every_source_must() {
    let server = server();
    let table = sink("mysql", config(&server, json!({"table": "conform", "create": true}))).await.unwrap();
    write(&table, &sample::flat()).await.unwrap();
    let expect = Expect::of(&sample::flat());
    server.run("CREATE TABLE keyed LIKE conform; ALTER TABLE keyed MODIFY id BIGINT NOT NULL PRIMARY KEY; INSERT INTO keyed SELECT * FROM conform").unwrap();
    for what in [
        json!({"table": "conform"}),
        json!({"table": "keyed"}),
        json!({"table": "conform", "partitionColumn": "id"}),
        json!({"query": "SELECT * FROM conform -- all of it"}),
        json!({"query": "SELECT * FROM conform;", "partitionColumn": "id"}),
    ] {
        let source = source("mysql", config(&server, what.clone())).await.unwrap();
        conformance::source(&source, &expect).await.unwrap_or_else(|faults| panic!("{what}: {faults}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn types_keep_their_values() {
    let server = server();
    server
        .run(
            "CREATE TABLE types (a TINYINT, b SMALLINT UNSIGNED, c INT, d BIGINT UNSIGNED, e FLOAT, f DOUBLE, g DECIMAL(12,2), \
             h TINYINT(1), i TEXT, j VARCHAR(10), k BLOB, l DATE, m TIME(6), n DATETIME(6), o TIMESTAMP(6) NULL, p JSON, \
             q ENUM('sad','ok'), r BIT(9), s YEAR, t DECIMAL(60,3), u BIGINT, v VARBINARY(5)) CHARACTER SET utf8mb4; \
             SET time_zone = '+00:00'; INSERT INTO types VALUES (-1, 65535, -2, 18446744073709551615, 1.5, -2.5, -1234567890.12, 1, 'zażółć', \
             'v', X'00ff', '1969-12-31', '12:34:56.789', '2024-02-29 01:02:03.000004', '2024-02-29 01:02:03', '{\"a\": 1}', 'ok', \
             b'100000001', 2024, 12345678901234567890123456789012345678901234567890.125, 9007199254740993, X'61'); \
             INSERT INTO types (a) VALUES (NULL)",
        )
        .unwrap();
    let source = source("mysql", config(&server, json!({"table": "types"}))).await.unwrap();
    let schema = source.schema();
    let of = |name: &str| schema.field_with_name(name).unwrap().data_type().clone();
    assert_eq!(of("g"), DataType::Decimal128(12, 2));
    assert_eq!((of("d"), of("h"), of("i"), of("k")), (DataType::UInt64, DataType::Boolean, DataType::Utf8, DataType::Binary));
    assert_eq!((of("n"), of("p"), of("t")), (DataType::Timestamp(TimeUnit::Microsecond, None), DataType::Utf8, DataType::Utf8));
    let rows = texts(&read(&source, 1).await.unwrap());
    let row: Value = serde_json::from_str(&rows[0]).unwrap();
    let check = |name: &str, expect: Value| assert_eq!(row[name], expect, "{name}");
    check("a", json!(-1));
    check("b", json!(65535));
    check("d", json!(18_446_744_073_709_551_615_u64));
    check("h", json!(true));
    check("i", json!("zażółć"));
    check("l", json!("1969-12-31"));
    check("p", json!("{\"a\": 1}"));
    check("q", json!("ok"));
    check("r", json!(257));
    check("s", json!(2024));
    check("t", json!("12345678901234567890123456789012345678901234567890.125"));
    check("u", json!(9_007_199_254_740_993_i64));
    assert!(rows[0].contains("-1234567890.12"));
    assert!(row["o"].as_str().unwrap().starts_with("2024-02-29T01:02:03"), "{}", row["o"]);
    let nulls: Value = serde_json::from_str(&rows[1]).unwrap();
    assert!(nulls.as_object().unwrap().values().all(Value::is_null), "{nulls}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_large_tables_cover_every_row_once() {
    let server = server();
    server
        .run(
            "CREATE TABLE large (id INT PRIMARY KEY, at DATETIME(6), pad VARCHAR(200)) AS SELECT seq AS id, \
             IF(seq % 10 = 0, NULL, '2024-01-01' + INTERVAL seq MINUTE) AS at, REPEAT('x', 200) AS pad FROM seq_1_to_40000",
        )
        .unwrap();
    for more in [json!({}), json!({"partitionColumn": "id"}), json!({"partitionColumn": "at"})] {
        let mut what = json!({"table": "large", "columns": ["id", "at"], "filter": "id % 2 = 0 OR id > 39999"});
        what.as_object_mut().unwrap().extend(lab::map(more.clone()));
        let source = source("mysql", config(&server, what)).await.unwrap();
        assert_eq!(source.plan(4).await.unwrap().len(), 4, "{more}");
        let batches = read(&source, 4).await.unwrap();
        assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 20_000, "{more}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upserts_overwrites_and_refusals() {
    let server = server();
    server.run("CREATE TABLE stock (sku VARCHAR(9) PRIMARY KEY, n INT NOT NULL CHECK (n > 0), note VARCHAR(9) DEFAULT 'new')").unwrap();
    server.run("INSERT INTO stock VALUES ('a', 1, 'old'), ('b', 2, 'old')").unwrap();
    let upsert = sink("mysql", config(&server, json!({"table": "stock", "keys": ["sku"]}))).await.unwrap();
    let first = batch(json!([{"sku": "b", "n": 20}, {"sku": "b", "n": 21}, {"sku": "c", "n": 3}]));
    write(&upsert, &[first, batch(json!([{"sku": "c", "n": 30}]))]).await.unwrap();
    let all = || server.run("SELECT GROUP_CONCAT(CONCAT(sku, n, note) ORDER BY sku) FROM stock").unwrap();
    assert_eq!(all(), "a1old,b21old,c30new");
    let overwrite = sink("mysql", config(&server, json!({"table": "stock", "mode": "overwrite"}))).await.unwrap();
    write(&overwrite, &[batch(json!([{"sku": "z", "n": 9}]))]).await.unwrap();
    assert_eq!(all(), "z9new");
    let append = sink("mysql", config(&server, json!({"table": "stock"}))).await.unwrap();
    for (rows, word) in [
        (json!([{"sku": "y", "n": 1}, {"sku": "y", "n": 2}]), "Duplicate"),
        (json!([{"sku": "y", "n": -1}]), "CONSTRAINT"),
        (json!([{"sku": "y", "n": "many"}]), "`n`"),
        (json!([{"sku": "y", "m": 1}]), "'m'"),
    ] {
        let failure = write(&append, &[batch(rows)]).await.unwrap_err();
        assert_eq!(failure.code, Code::DataInvalid, "{failure}");
        assert!(failure.message.contains(word), "{failure}");
    }
    assert_eq!(all(), "z9new");
    server.run("CREATE TABLE loose (a INT) ENGINE=MyISAM").unwrap();
    let failure = sink("mysql", config(&server, json!({"table": "loose"}))).await.unwrap_err();
    assert!(failure.message.contains("InnoDB"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_host_and_object_and_never_the_secret() {
    let server = server();
    let place = format!("127.0.0.1:{}", server.process.port());
    let check = async |what: Value, code: Code, pointer: &str, words: &[&str]| {
        let began = Instant::now();
        let failure = source("mysql", what.clone()).await.map(|_| ()).unwrap_err();
        assert_eq!((failure.code, failure.pointer.as_deref().unwrap_or_default()), (code, pointer), "{what}: {failure}");
        assert!(words.iter().all(|word| failure.message.contains(word)), "{what}: {failure}");
        assert!(!format!("{failure:?}").contains("hunter2") && !format!("{failure:?}").contains(MariaDb::PASSWORD));
        assert!(began.elapsed() < Duration::from_secs(11));
    };
    let with = |member: &str, value: Value| {
        let mut config = config(&server, json!({"table": "t"}));
        config["connection"][member] = value;
        config
    };
    check(with("password", json!("hunter2")), Code::ConnectorDenied, "/connection/password", &[&place, "azora"]).await;
    check(with("database", json!("nowhere")), Code::ConnectorMissing, "/connection/database", &[&place, "nowhere"]).await;
    check(with("port", json!(1)), Code::ConnectorUnavailable, "", &["127.0.0.1:1"]).await;
    check(config(&server, json!({"table": "nowhere"})), Code::ConnectorMissing, "/table", &[&place, "nowhere"]).await;
    check(config(&server, json!({"query": "SELEC 1"})), Code::ConnectorConfig, "/query", &["syntax"]).await;
    check(config(&server, json!({"query": "SELECT 1) AS q; DROP TABLE x; SELECT (1"})), Code::ConnectorConfig, "/query", &["syntax"]).await;
    let tables = json!({"query": "SELECT 1 AS a", "filter": "a >"});
    check(config(&server, tables), Code::ConnectorConfig, "/filter", &["syntax"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_cannot_write() {
    let server = server();
    server.run("CREATE TABLE kept (a INT); INSERT INTO kept VALUES (1); CREATE SEQUENCE counter").unwrap();
    let source = source("mysql", config(&server, json!({"query": "SELECT NEXTVAL(counter) AS a"}))).await.unwrap();
    let failure = read(&source, 1).await.unwrap_err();
    assert!(failure.message.contains("only reads"), "{failure}");
    assert_eq!(server.run("SELECT COUNT(*) FROM kept").unwrap(), "1");
}
