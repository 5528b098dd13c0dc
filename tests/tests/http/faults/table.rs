//! The table: which configuration meets which fault, and what is to be said of it.

use super::CANARY;
use super::servers::Servers;
use super::silence;
use anyhow::{Result, ensure};
use azora_services::{Azure, FerretDb, Gcs, Kafka, MariaDb, Postgres, S3};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::Duration;

/// Which half of a connector is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    Source,
    Sink,
}

/// One fault of one connector.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: &'static str,
    pub(crate) what: &'static str,
    pub(crate) half: Half,
    pub(crate) config: Value,
    /// Of a sink: the rows that it is given.
    pub(crate) rows: Value,
    pub(crate) status: u16,
    code: &'static str,
    /// What the text has to name: host and object.
    words: Vec<String>,
    /// How long all answers together may take, where that is what the fault is about.
    pub(crate) time_max: Option<Duration>,
    /// What the hint has to name.
    hint: &'static str,
}

impl Fault {
    /// Whether an answer says what it has to.
    pub(crate) fn check(&self, place: &str, status: u16, problem: &Value) -> Result<()> {
        let text = problem["detail"].as_str().or(problem["message"].as_str()).unwrap_or_default();
        ensure!(status == self.status && problem["code"] == self.code, "{place} answered {status}: {problem}");
        let missing: Vec<&String> = self.words.iter().filter(|word| !text.contains(word.as_str())).collect();
        ensure!(missing.is_empty(), "{place} does not name {missing:?}: {text}");
        let hint = problem["hint"].as_str().unwrap_or_default();
        ensure!(hint.contains(self.hint), "{place} does not hint at {:?}: {problem}", self.hint);
        ensure!(!problem.to_string().contains(CANARY), "{place} repeats a secret: {problem}");
        Ok(())
    }

    /// The same fault of the sink, with rows for it.
    pub(super) fn of_sink(mut self, rows: Value) -> Self {
        (self.half, self.rows) = (Half::Sink, rows);
        self
    }

    /// The same fault, with what its hint names.
    pub(super) const fn hinted(mut self, hint: &'static str) -> Self {
        self.hint = hint;
        self
    }

    /// The same fault, told in time.
    pub(super) const fn within(mut self, time_max: Duration) -> Self {
        self.time_max = Some(time_max);
        self
    }
}

/// A configuration with more members, also those of its connection.
pub(super) fn with(config: &Value, more: Value) -> Value {
    let mut config = config.clone();
    for (name, value) in more.as_object().into_iter().flatten() {
        match (config.get_mut(name), value) {
            (Some(Value::Object(inner)), Value::Object(more)) => inner.extend(more.clone()),
            _ => config[name] = value.clone(),
        }
    }
    config
}

pub(super) fn fault(kind: &'static str, what: &'static str, config: Value, (status, code): (u16, &'static str), words: &[&str]) -> Fault {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    Fault { kind, what, half: Half::Source, config, rows: Value::Null, status, code, words, time_max: None, hint: "" }
}

pub(super) const UNAVAILABLE: (u16, &str) = (424, "connector.unavailable");
const DENIED: (u16, &str) = (422, "connector.denied");
const MISSING: (u16, &str) = (422, "connector.missing");
const BAD: (u16, &str) = (422, "record.bad");
const INVALID: (u16, &str) = (422, "data.invalid");
const ANSWER: (u16, &str) = (422, "connector.answer");

/// Jobs that put rows where faults are met in them.
pub(crate) fn rows(servers: &Servers) -> Vec<Value> {
    let kafka =
        |topic: &str| json!({"type": "kafka", "config": {"topic": topic, "brokers": [servers.kafka.brokers()], "valueColumn": "value"}});
    vec![
        json!({"data": ["{\"id\":1}", "{\"id\":\"many\"}"], "sink": kafka("other")}),
        json!({"data": ["{\"id\":1}", "no record"], "sink": kafka("broken")}),
        json!({"data": [{"id": 1}, {"id": 2}], "sink": {"type": "mongodb", "config": with(&mongodb(servers), json!({"collection": "other", "create": true}))}}),
        json!({"data": [{"id": "many"}], "sink": {"type": "mongodb", "config": with(&mongodb(servers), json!({"collection": "other"}))}}),
        json!({"data": [{"id": "many"}], "sink": {"type": "sqlite", "config": {"path": "some.db", "table": "texts", "create": true}}}),
    ]
}

fn mongodb(servers: &Servers) -> Value {
    json!({"connection": {"host": "127.0.0.1", "port": servers.mongodb.process.port(), "user": FerretDb::USER, "password": FerretDb::PASSWORD,
        "database": FerretDb::DATABASE, "authSource": "admin"}})
}

/// All faults.
pub(crate) fn faults(servers: &Servers) -> Vec<Fault> {
    let dead = format!("127.0.0.1:{}", servers.dead);
    [
        kafka(servers, &dead),
        redis(servers, &dead),
        databases(servers, &dead),
        documents(servers, &dead),
        files(),
        stores(servers, &dead),
        clouds(servers, &dead),
        feeds(servers, &dead),
        silence::faults(servers),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn kafka(servers: &Servers, dead: &str) -> Vec<Fault> {
    let brokers = servers.kafka.brokers();
    let sasl = servers.kafka.sasl_brokers();
    let at = |brokers: &str, topic: &str| json!({"brokers": [brokers], "topic": topic, "connectTimeoutMs": 3000});
    let password = json!({"security": {"protocol": "SASL_PLAINTEXT", "username": Kafka::USER, "password": CANARY}});
    let columns = json!({"rows": "values", "columns": {"id": "int64"}});
    let one = || json!([{"id": 1}]);
    vec![
        fault("kafka", "nobody there", with(&at(dead, "other"), password.clone()), UNAVAILABLE, &[dead]),
        fault("kafka", "a wrong password", with(&at(&sasl, "other"), password.clone()), DENIED, &[&sasl, "password"]),
        fault("kafka", "a missing topic", at(&brokers, "nowhere"), MISSING, &[&brokers, "'nowhere'"]),
        fault("kafka", "another type", with(&at(&brokers, "other"), columns.clone()), BAD, &[&brokers, "other/0/1"]),
        fault("kafka", "no record", with(&at(&brokers, "broken"), columns), BAD, &[&brokers, "broken/0/1"]),
        fault("kafka", "nobody to write to", with(&at(dead, "other"), password.clone()), UNAVAILABLE, &[dead]).of_sink(one()),
        fault("kafka", "a wrong password of a sink", with(&at(&sasl, "other"), password), DENIED, &[&sasl]).of_sink(one()),
        fault("kafka", "a missing topic of a sink", at(&brokers, "nowhere"), MISSING, &[&brokers, "'nowhere'"]).of_sink(one()),
    ]
}

fn redis(servers: &Servers, dead: &str) -> Vec<Fault> {
    let (open, closed) = (servers.redis.process.address().to_string(), servers.closed_redis.process.address().to_string());
    let at = |address: &str| json!({"redisUrl": format!("redis://{address}/"), "connectTimeoutMs": 3000});
    let secret = |address: &str| json!({"redisUrl": format!("redis://:{CANARY}@{address}/"), "connectTimeoutMs": 3000});
    let one = || json!([{"key": "text", "value": 1}]);
    vec![
        fault("redis", "nobody there", secret(dead), UNAVAILABLE, &[dead]),
        fault("redis", "a wrong password", secret(&closed), DENIED, &[&closed]),
        fault("redis", "a missing stream", with(&at(&open), json!({"stream": "nowhere"})), MISSING, &[&open, "'nowhere'"]),
        fault("redis", "a group of no stream", with(&at(&open), json!({"stream": "text", "groupId": "g"})), ANSWER, &[&open, "'text'"]),
        fault("redis", "a key of another type", with(&at(&open), json!({"stream": "text"})), ANSWER, &[&open, "'text'", "string"]),
        fault("redis", "no record", with(&at(&open), json!({"keys": ["broken"]})), BAD, &[&open, "broken"]),
        fault("redis", "nobody to write to", with(&secret(dead), json!({"keyColumn": "key"})), UNAVAILABLE, &[dead]).of_sink(one()),
        fault("redis", "a wrong password of a sink", with(&secret(&closed), json!({"keyColumn": "key"})), DENIED, &[&closed])
            .of_sink(one()),
        fault(
            "redis",
            "a key to write to of another type",
            with(&at(&open), json!({"write": "hashes", "keyColumn": "key"})),
            ANSWER,
            &[&open, "'text'"],
        )
        .of_sink(one()),
    ]
}

fn databases(servers: &Servers, dead: &str) -> Vec<Fault> {
    let postgres = json!({"host": "127.0.0.1", "port": servers.postgres.process.port(), "user": Postgres::USER, "password": Postgres::PASSWORD, "database": "postgres"});
    let mysql = json!({"host": "127.0.0.1", "port": servers.mariadb.process.port(), "user": MariaDb::USER, "password": MariaDb::PASSWORD, "database": MariaDb::DATABASE});
    let mut faults = Vec::new();
    for (kind, connection, place) in
        [("postgresql", postgres, servers.postgres.process.address()), ("mysql", mysql, servers.mariadb.process.address())]
    {
        let place = place.to_string();
        let table = |table: &str, more: Value| with(&json!({"table": table, "connection": connection}), json!({"connection": more}));
        let secret = || json!({"password": CANARY});
        let away = || json!({"password": CANARY, "port": servers.dead});
        let many = || json!([{"id": "many"}]);
        faults.extend([
            fault(kind, "nobody there", table("numbers", away()), UNAVAILABLE, &[dead]),
            fault(kind, "a wrong password", table("numbers", secret()), DENIED, &[&place, "azora"]),
            fault(kind, "a missing database", table("numbers", json!({"database": "nowhere"})), MISSING, &[&place, "'nowhere'"]),
            fault(kind, "a missing table", table("nowhere", json!({})), MISSING, &[&place, "nowhere"]),
            fault(kind, "nobody to write to", table("numbers", away()), UNAVAILABLE, &[dead]).of_sink(many()),
            fault(kind, "a wrong password of a sink", table("numbers", secret()), DENIED, &[&place]).of_sink(many()),
            fault(kind, "a missing table of a sink", table("nowhere", json!({})), MISSING, &[&place, "nowhere"]).of_sink(many()),
            fault(kind, "another type", table("numbers", json!({})), INVALID, &[&place, "id"]).of_sink(many()),
            fault(kind, "another column", table("numbers", json!({})), INVALID, &[&place, "numbers", "'more'"])
                .of_sink(json!([{"more": 1}])),
        ]);
    }
    faults
}

fn documents(servers: &Servers, dead: &str) -> Vec<Fault> {
    let place = servers.mongodb.process.address().to_string();
    let of = |collection: &str, more: Value| with(&with(&mongodb(servers), json!({"collection": collection})), json!({"connection": more}));
    let secret = || json!({"password": CANARY});
    let away = || json!({"password": CANARY, "port": servers.dead});
    let typed = with(&of("other", json!({})), json!({"types": {"id": "int64"}, "columns": ["id"]}));
    vec![
        fault("mongodb", "nobody there", of("other", away()), UNAVAILABLE, &[dead]),
        fault("mongodb", "a wrong password", of("other", secret()), DENIED, &[&place, "azora"]),
        fault("mongodb", "a missing collection", of("nowhere", json!({})), MISSING, &[&place, "'nowhere'"]),
        fault("mongodb", "another type", typed, BAD, &["127.0.0.1", "other"]),
        fault("mongodb", "nobody to write to", of("other", away()), UNAVAILABLE, &[dead]).of_sink(json!([{"id": 1}])),
        fault("mongodb", "a wrong password of a sink", of("other", secret()), DENIED, &[&place]).of_sink(json!([{"id": 1}])),
        fault("mongodb", "a missing collection of a sink", of("nowhere", json!({})), MISSING, &[&place, "'nowhere'"])
            .of_sink(json!([{"id": 1}])),
    ]
}

/// Files have no server and no password.
fn files() -> Vec<Fault> {
    let file = |path: &str| json!({"path": path});
    let told = |path: &str| json!({"path": path, "schema": {"id": "int64"}});
    let table = |path: &str, table: &str| json!({"path": path, "table": table});
    vec![
        fault("file", "a missing file", file("nowhere.csv"), (400, "path.missing"), &["nowhere.csv"]),
        fault("file", "another type", told("other.ndjson"), (400, "data.mixed_types"), &["'other.ndjson'", "row 1", "'id'"]),
        fault("file", "no record", told("broken.ndjson"), (422, "file.format"), &["'broken.ndjson'", "row 1"]),
        fault("file", "another format", file("none.parquet"), (422, "file.format"), &["none.parquet"]),
        fault("sqlite", "a missing file", table("nowhere.db", "t"), (400, "path.missing"), &["nowhere.db"]),
        fault("sqlite", "a missing table", table("some.db", "nowhere"), MISSING, &["some.db", "'nowhere'"]),
        fault("sqlite", "another type", with(&table("some.db", "texts"), json!({"types": {"id": "int64"}})), BAD, &["some.db"]),
        fault("sqlite", "another format", table("none.db", "t"), (400, "path.unusable"), &["none.db"]),
        fault("sqlite", "a missing table of a sink", table("some.db", "nowhere"), MISSING, &["some.db", "'nowhere'"])
            .of_sink(json!([{"id": 1}])),
        fault("sqlite", "another column", table("some.db", "texts"), INVALID, &["some.db", "'texts'", "'more'"])
            .of_sink(json!([{"more": 1}])),
    ]
}

fn stores(servers: &Servers, dead: &str) -> Vec<Fault> {
    let (open, closed) = (servers.s3.process.address().to_string(), servers.closed_s3.process.address().to_string());
    let at = |address: &str, key: &str| json!({"endpoint": format!("http://{address}"), "bucket": S3::BUCKET, "key": key, "accessKeyId": "id", "secretAccessKey": CANARY});
    let told = json!({"schema": {"id": "int64"}});
    let one = || json!([{"id": 1}]);
    vec![
        fault("s3", "nobody there", at(dead, "a.json"), UNAVAILABLE, &[dead, "s3://rows/a.json"]),
        fault("s3", "a wrong key", at(&closed, "a.json"), DENIED, &[&closed, "s3://rows/a.json"]).hinted("secretAccessKey"),
        fault("s3", "a missing bucket", with(&at(&open, "a/"), json!({"bucket": "nowhere"})), MISSING, &[&open, "s3://nowhere/"]),
        fault("s3", "a missing object", at(&open, "nowhere.json"), MISSING, &[&open, "s3://rows/nowhere.json"]),
        fault("s3", "another type", with(&at(&open, "other.ndjson"), told.clone()), BAD, &[&open, "s3://rows/other.ndjson"]),
        fault("s3", "no record", with(&at(&open, "broken.ndjson"), told), BAD, &[&open, "s3://rows/broken.ndjson"]),
        fault("s3", "another format", at(&open, "none.parquet"), (422, "file.format"), &[&open, "none.parquet"]),
        fault("s3", "nobody to write to", with(&at(dead, "a/"), json!({"format": "json"})), UNAVAILABLE, &[dead, "s3://rows/a"])
            .of_sink(one()),
        fault("s3", "a wrong key of a sink", with(&at(&closed, "a/"), json!({"format": "json"})), DENIED, &[&closed, "s3://rows/a"])
            .of_sink(one()),
        fault(
            "s3",
            "a missing bucket of a sink",
            with(&at(&open, "a/"), json!({"format": "json", "bucket": "nowhere"})),
            MISSING,
            &[&open, "s3://nowhere/"],
        )
        .of_sink(one()),
    ]
}

/// The stores of Google and Azure, each with its own words for who asks and for a bucket.
fn clouds(servers: &Servers, dead: &str) -> Vec<Fault> {
    let (gcs, azure) = (servers.gcs.process.address().to_string(), servers.azure.process.address().to_string());
    let (web, account) = (servers.web.to_string(), Azure::ACCOUNT);
    let told = json!({"schema": {"id": "int64"}});
    let of_gcs = |place: &str| json!({"endpoint": format!("http://{place}"), "bucket": Gcs::BUCKET, "serviceAccountKey": Gcs::KEY.replace("canary-secret", CANARY)});
    let of_azure = |place: &str| json!({"endpoint": format!("http://{place}/{account}"), "account": account, "container": Azure::CONTAINER, "accessKey": Azure::KEY});
    let mut faults = Vec::new();
    let wrong = json!({"accessKey": STANDARD.encode(CANARY)});
    let kinds = [
        ("gcs", of_gcs(&gcs), of_gcs(dead), of_gcs(&format!("{web}/closed")), gcs, web, "bucket", "serviceAccountKey"),
        ("azure", of_azure(&azure), of_azure(dead), with(&of_azure(&azure), wrong), azure.clone(), azure.clone(), "container", "accessKey"),
    ];
    for (kind, open, away, closed, place, guard, bucket, key) in kinds {
        let object = |key: &str| format!("{kind}://rows/{key}");
        let at = |config: &Value, key: &str| with(config, json!({"key": key}));
        let parts = |config: &Value| with(config, json!({"key": "a/", "format": "json"}));
        let nowhere = |config: &Value| with(config, json!({bucket: "nowhere"}));
        let of_nowhere = format!("the {bucket} of '{kind}://nowhere/");
        let one = || json!([{"id": 1}]);
        faults.extend([
            fault(kind, "nobody there", at(&away, "a.json"), UNAVAILABLE, &[dead, &object("a.json"), "nobody listens"]).hinted("endpoint"),
            fault(kind, "a wrong key", at(&closed, "a.json"), DENIED, &[&guard, &object("a.json")]).hinted(key),
            fault(kind, "a missing bucket", nowhere(&at(&open, "a/")), MISSING, &[&place, &of_nowhere]).hinted(bucket),
            fault(kind, "a missing object", at(&open, "nowhere.json"), MISSING, &[&place, &object("nowhere.json")]),
            fault(kind, "another type", with(&at(&open, "other.ndjson"), told.clone()), BAD, &[&place, &object("other.ndjson")]),
            fault(kind, "no record", with(&at(&open, "broken.ndjson"), told.clone()), BAD, &[&place, &object("broken.ndjson")]),
            fault(kind, "another format", at(&open, "none.parquet"), (422, "file.format"), &[&place, &object("none.parquet")]),
            fault(kind, "nobody to write to", parts(&away), UNAVAILABLE, &[dead, &object("a"), "nobody listens"]).of_sink(one()),
            fault(kind, "a wrong key of a sink", parts(&closed), DENIED, &[&guard, &object("a")]).of_sink(one()).hinted(key),
            fault(kind, "a missing bucket of a sink", nowhere(&parts(&open)), MISSING, &[&place, &of_nowhere]).of_sink(one()),
        ]);
    }
    faults
}

fn feeds(servers: &Servers, dead: &str) -> Vec<Fault> {
    let web = servers.web.to_string();
    let told = || json!({"columns": {"id": "int64"}});
    let auth = || json!({"auth": {"type": "bearer", "token": CANARY}});
    let api = |address: &str, path: &str| with(&json!({"url": format!("http://{address}/{path}?key={CANARY}"), "retries": 0}), auth());
    let socket = |address: &str, path: &str| with(&json!({"url": format!("ws://{address}/{path}?key={CANARY}"), "maxRows": 2}), auth());
    let lines = |port: u16, rows: u64| json!({"host": "127.0.0.1", "port": port, "format": "json", "maxRows": rows, "subscribe": CANARY});
    let [other, broken] = servers.feeds.map(|address| address.to_string());
    let line = servers.lines.to_string();
    vec![
        fault("api", "nobody there", api(dead, "other"), UNAVAILABLE, &[dead]),
        fault("api", "a wrong token", api(&web, "private"), DENIED, &[&web, "/private", "401"]),
        fault("api", "a missing path", api(&web, "nowhere"), MISSING, &[&web, "/nowhere", "404"]),
        fault("api", "another type", with(&api(&web, "other"), told()), BAD, &[&web, "/other"]),
        fault("api", "no record", api(&web, "text"), BAD, &[&web, "/text"]),
        fault("api", "nobody to write to", api(dead, "other"), UNAVAILABLE, &[dead]).of_sink(json!([1])),
        fault("api", "a wrong token of a sink", api(&web, "private"), DENIED, &[&web, "/private"]).of_sink(json!([1])),
        fault("api", "a missing path of a sink", api(&web, "nowhere"), MISSING, &[&web, "/nowhere"]).of_sink(json!([1])),
        fault("websocket", "nobody there", socket(dead, ""), UNAVAILABLE, &[dead]),
        fault("websocket", "a wrong token", socket(&web, "private"), DENIED, &[&web, "/private", "401"]),
        fault("websocket", "a missing path", socket(&web, "nowhere"), MISSING, &[&web, "/nowhere", "404"]),
        fault("websocket", "no WebSocket", socket(&web, "text"), ANSWER, &[&web, "/text"]),
        fault("websocket", "another type", with(&socket(&other, ""), told()), BAD, &[&other]),
        fault("websocket", "no record", with(&socket(&broken, ""), told()), BAD, &[&broken]),
        fault("socket", "nobody there", lines(servers.dead, 2), UNAVAILABLE, &[dead]),
        fault("socket", "another type", with(&lines(servers.lines.port(), 2), told()), BAD, &[&line]),
        fault("socket", "no record", lines(servers.lines.port(), 3), BAD, &[&line]),
    ]
}
