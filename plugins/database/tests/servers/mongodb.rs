//! MongoDB's protocol, spoken by FerretDB.

use crate::lab::{self, Case, Place, Shared, batch, prepare, read, sink, source, write};
use arrow::datatypes::{DataType, TimeUnit};
use azora_connect::conformance::{self, Expect, sample, texts};
use azora_connect::{Outcome, ReadRequest, Rejects};
use azora_services::FerretDb;
use azora_spec::{Code, JobId, OnError};
use mongodb::bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NESTED: [&str; 6] = ["id", "name", "price", "ok", "tags", "place"];

static SERVER: Shared<FerretDb> = Shared::new();

pub(crate) fn server() -> Arc<FerretDb> {
    SERVER.get(FerretDb::start)
}

impl Place for FerretDb {
    const CONNECTOR: &'static str = "mongodb";
    const TABLE: &'static str = "collection";

    fn connection(&self) -> Value {
        json!({"host": "127.0.0.1", "port": self.process.port(), "user": FerretDb::USER, "password": FerretDb::PASSWORD,
            "database": FerretDb::DATABASE, "authSource": "admin", "connectTimeoutMs": 3000})
    }
}

fn config(server: &FerretDb, more: Value) -> Value {
    server.config(more)
}

/// A look past the connector.
pub(crate) async fn database(server: &FerretDb, name: &str) -> Database {
    let port = server.process.port();
    let url = format!("mongodb://azora:correct%20horse@127.0.0.1:{port}/?directConnection=true&authSource=admin");
    Client::with_options(ClientOptions::parse(url).await.unwrap()).unwrap().database(name)
}

pub(crate) async fn fill(server: &FerretDb, collection: &str, documents: Vec<Document>) {
    database(server, FerretDb::DATABASE).await.collection(collection).insert_many(documents).await.unwrap();
}

async fn all(database: &Database, collection: &str, sort: &str) -> Vec<Document> {
    let mut cursor = database.collection::<Document>(collection).find(doc! {}).sort(doc! {sort: 1}).await.unwrap();
    let mut all = Vec::new();
    while cursor.advance().await.unwrap() {
        all.push(cursor.deserialize_current().unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_does_what_every_sink_must() {
    let server = server();
    let case = Case { place: &*server, inside: json!({"connection": {"database": "sinks"}}), batches: sample::nested() };
    conformance::sink(&case).await.unwrap_or_else(|faults| panic!("{faults}"));
    let names = database(&server, "sinks").await.list_collection_names().await.unwrap();
    assert!(names.iter().all(|name| !name.starts_with("azs_")), "staging collections are left: {names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_does_what_every_source_must() {
    let server = server();
    let table = sink("mongodb", config(&server, json!({"collection": "conform", "create": true}))).await.unwrap();
    write(&table, &sample::nested()).await.unwrap();
    let expect = Expect::of(&sample::nested());
    let copies = all(&database(&server, FerretDb::DATABASE).await, "conform", "id").await;
    let mixed = copies.into_iter().enumerate().map(|(at, mut copy)| {
        copy.insert("_id", if at % 2 == 0 { Bson::Int64(at as i64) } else { Bson::String(at.to_string()) });
        copy
    });
    fill(&server, "mixed", mixed.collect()).await;
    for what in [
        json!({"collection": "conform", "columns": NESTED}),
        json!({"collection": "mixed", "projection": {"_id": 0}, "query": {"id": {"$gte": 0}}}),
    ] {
        let source = source("mongodb", config(&server, what.clone())).await.unwrap();
        conformance::source(&source, &expect).await.unwrap_or_else(|faults| panic!("{what}: {faults}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn types_keep_their_values() {
    let server = server();
    let id = ObjectId::parse_str("65a000000000000000000001").unwrap();
    let first = doc! {
        "_id": id, "n": 9_007_199_254_740_993_i64, "small": 7, "f": -2.5, "at": DateTime::from_millis(1_700_000_000_123), "ok": true,
        "list": [1, 2], "deep": {"a": {"b": ["x"]}}, "any": 1, "raw": mongodb::bson::Binary { subtype: mongodb::bson::spec::BinarySubtype::Generic, bytes: vec![0, 255] },
    };
    fill(&server, "types", vec![first, doc! {"any": "two", "list": Bson::Null, "late": {"x": 1}}]).await;
    let source = source("mongodb", config(&server, json!({"collection": "types"}))).await.unwrap();
    let schema = source.schema();
    let of = |name: &str| schema.field_with_name(name).unwrap().data_type().clone();
    assert_eq!((of("_id"), of("n"), of("f"), of("raw")), (DataType::Utf8, DataType::Int64, DataType::Float64, DataType::Binary));
    assert_eq!(of("at"), DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())));
    assert!(azora_connect::element::is_json(schema.field_with_name("any").unwrap()));
    let rows = texts(&read(&source, 1).await.unwrap());
    let row: Value = rows.iter().map(|row| serde_json::from_str(row).unwrap()).find(|row: &Value| row["n"].is_i64()).unwrap();
    for (name, expect) in [
        ("_id", json!("65a000000000000000000001")),
        ("n", json!(9_007_199_254_740_993_i64)),
        ("list", json!([1, 2])),
        ("deep", json!({"a": {"b": ["x"]}})),
        ("any", json!(1)),
        ("late", json!(null)),
    ] {
        assert_eq!(row[name], expect, "{name}");
    }
    assert!(row["at"].as_str().unwrap().starts_with("2023-11-14T22:13:20.123"), "{row}");
    // The request's types come before those that were found.
    let told = json!({"collection": "types", "columns": ["any", "small"], "types": {"any": "json", "small": "float64", "more": "int64"}});
    let rows = lab::rows("mongodb", config(&server, told)).await;
    assert!(rows.contains(&"{\"any\":1,\"small\":7,\"more\":null}".to_owned()), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_does_not_fit_is_a_bad_record() {
    let server = server();
    let mut people: Vec<Document> = (0..1200).map(|id| doc! {"_id": id, "age": 30}).collect();
    people.push(doc! {"_id": 5000, "age": "old"});
    fill(&server, "people", people).await;
    let table = source("mongodb", config(&server, json!({"collection": "people"}))).await.unwrap();
    let failure = read(&table, 1).await.unwrap_err();
    assert_eq!(failure.code, Code::RecordBad);
    for part in [&format!("127.0.0.1:{}", server.process.port()), "collection people", "_id 5000", "'age'", "old", "Int64"] {
        assert!(failure.message.contains(part), "{failure} lacks {part}");
    }
    let rejects = Rejects::new(OnError::DeadLetter);
    let request = ReadRequest { rejects: rejects.clone(), ..ReadRequest::new(100, 1 << 20) };
    let mut rows = 0;
    for split in table.plan(3).await.unwrap() {
        let mut reader = table.open(&split, None, request.clone()).await.unwrap();
        while let Outcome::Batch(batch, _) = reader.read().await.unwrap() {
            rows += batch.num_rows();
        }
    }
    let kept = rejects.take();
    assert_eq!((rows, kept.len(), kept[0].payload.as_slice()), (1200, 1, b"{\"_id\":5000,\"age\":\"old\"}".as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_cover_every_document_once_whatever_its_id() {
    let server = server();
    type Id = fn(i64) -> Bson;
    let ids: [(&str, Id); 5] = [
        ("objects", |_| Bson::ObjectId(ObjectId::new())),
        ("numbers", |at| if at % 2 == 0 { Bson::Int64(at) } else { Bson::Double(at as f64 + 0.5) }),
        ("texts", |at| Bson::String(format!("k{at}"))),
        ("dates", |at| Bson::DateTime(DateTime::from_millis(at * 1000))),
        ("documents", |at| Bson::Document(doc! {"at": at})),
    ];
    for (name, id) in ids {
        fill(&server, name, (0..400).map(|n: i64| doc! {"_id": id(n), "n": n, "deep": {"a": n, "b": 0}}).collect()).await;
        let what = json!({"collection": name, "columns": ["n"], "filter": "{\"n\": {\"$lt\": 300}}"});
        let source = source("mongodb", config(&server, what)).await.unwrap();
        let splits = source.plan(4).await.unwrap();
        // Documents as ids are not compared in every server's order of them.
        assert_eq!(splits.len(), if name == "documents" { 1 } else { 4 }, "{name}");
        let mut rows = Vec::new();
        for split in &splits {
            let request = ReadRequest::new(7, 1 << 20);
            let mut reader = source.open(split, None, request.clone()).await.unwrap();
            // A new reader for every batch goes on where the last one was.
            while let Outcome::Batch(batch, position) = reader.read().await.unwrap() {
                rows.extend(texts(&[batch]));
                if rows.len() % 5 == 0 {
                    reader = source.open(split, Some(&position), request.clone()).await.unwrap();
                }
            }
        }
        rows.sort();
        let mut expect: Vec<String> = (0..300).map(|n| format!("{{\"n\":{n}}}")).collect();
        expect.sort();
        assert_eq!(rows, expect, "{name}");
    }
    let deep =
        lab::rows("mongodb", config(&server, json!({"collection": "texts", "query": {"n": 7}, "projection": {"deep.a": 1, "_id": 0}})))
            .await;
    assert_eq!(deep, ["{\"deep\":{\"a\":7}}"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn upserts_overwrites_and_refusals() {
    let server = server();
    let shop = database(&server, FerretDb::DATABASE).await;
    let target = |more: Value| {
        let mut what = json!({"collection": "stock"});
        what.as_object_mut().unwrap().extend(lab::map(more));
        sink("mongodb", config(&server, what))
    };
    let upsert = target(json!({"keys": ["sku"], "create": true})).await.unwrap();
    write(&upsert, &[batch(json!([{"sku": "a", "n": 1, "note": "old"}, {"sku": "b", "n": 2, "note": "old"}]))]).await.unwrap();
    let first = batch(json!([{"sku": "b", "n": 20}, {"sku": "b", "n": 21}, {"sku": "c", "n": 3}]));
    write(&upsert, &[first, batch(json!([{"sku": "c", "n": 30}]))]).await.unwrap();
    let shown = async || {
        let show = |row: &Document| {
            format!("{}{}{}", row.get_str("sku").unwrap(), row.get_i64("n").unwrap(), row.get_str("note").unwrap_or_default())
        };
        all(&shop, "stock", "sku").await.iter().map(show).collect::<Vec<_>>().join(",")
    };
    assert_eq!(shown().await, "a1old,b21old,c30");
    // A second row of a key that an index holds unique: nothing of the append stays.
    let append = target(json!({})).await.unwrap();
    let rows = [batch(json!([{"sku": "x", "n": 1}])), batch(json!([{"sku": "y", "n": 1}, {"sku": "a", "n": 2}]))];
    let failure = write(&append, &rows).await.unwrap_err();
    assert_eq!((failure.code, failure.message.contains("duplicate key")), (Code::DataInvalid, true), "{failure}");
    assert_eq!(shown().await, "a1old,b21old,c30");
    let given = batch(json!([{"_id": "one", "sku": "one", "n": 1}]));
    write(&append, std::slice::from_ref(&given)).await.unwrap();
    let failure = write(&append, &[given]).await.unwrap_err();
    assert!(failure.message.contains("\"one\" is there already"), "{failure}");
    let overwrite = target(json!({"mode": "replace"})).await.unwrap();
    write(&overwrite, &[batch(json!([{"sku": "z", "n": 9}]))]).await.unwrap();
    assert_eq!(shown().await, "z9");
    for (what, pointer) in [(json!({"keys": ["n"]}), "/keys"), (json!({"collection": "nowhere"}), "/collection")] {
        let failure = target(what.clone()).await.unwrap_err();
        assert_eq!(failure.pointer.as_deref(), Some(pointer), "{what}: {failure}");
    }
    let failure = write(&append, &[batch(json!([{"a.b": 1}]))]).await.unwrap_err();
    assert_eq!((failure.code, failure.message.contains("'a.b'")), (Code::DataInvalid, true), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_broken_off_is_done_once() {
    let server = server();
    let shop = database(&server, FerretDb::DATABASE).await;
    let target = sink("mongodb", config(&server, json!({"collection": "broken", "create": true}))).await.unwrap();
    let rows = batch(Value::from((0..2500).map(|id| json!({"_id": id, "x": id % 7})).collect::<Vec<_>>()));
    let job = JobId::generate();
    let tokens = prepare(&target, job, std::slice::from_ref(&rows)).await.unwrap();
    // As far as a commit gets that dies after its first thousand rows and half of the next.
    shop.collection("azora_commits").insert_one(doc! {"_id": format!("{job}/0"), "state": "begun"}).await.unwrap();
    fill(&server, "broken", (0..1500).map(|id: i64| doc! {"_id": id, "x": id % 7}).collect()).await;
    for _ in 0..2 {
        assert_eq!(target.commit(job, 0, rows.schema(), &tokens).await.unwrap().rows, 2500);
    }
    assert_eq!(all(&shop, "broken", "_id").await.len(), 2500);
    let mark = shop.collection::<Document>("azora_commits").find_one(doc! {"_id": format!("{job}/0")}).await.unwrap().unwrap();
    assert_eq!((mark.get_str("state").unwrap(), mark.get_i64("rows").unwrap()), ("done", 2500));
    // Broken off and then given up: what was there before stays, what came is gone.
    let job = JobId::generate();
    let later = batch(json!([{"_id": 9000, "x": 1}, {"_id": 9001, "x": 1}]));
    let _tokens = prepare(&target, job, std::slice::from_ref(&later)).await.unwrap();
    shop.collection("azora_commits").insert_one(doc! {"_id": format!("{job}/0"), "state": "begun"}).await.unwrap();
    fill(&server, "broken", vec![doc! {"_id": 9000_i64, "x": 1_i64}]).await;
    target.abort(job, 0, &[]).await.unwrap();
    assert_eq!(all(&shop, "broken", "_id").await.len(), 2500);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_host_and_object_and_never_the_secret() {
    let server = server();
    fill(&server, "there", vec![doc! {"a": 1}]).await;
    let place = format!("127.0.0.1:{}", server.process.port());
    let check = async |what: Value, code: Code, pointer: &str, words: &[&str]| {
        let began = Instant::now();
        let failure = source("mongodb", what.clone()).await.map(|_| ()).unwrap_err();
        assert_eq!((failure.code, failure.pointer.as_deref().unwrap_or_default()), (code, pointer), "{what}: {failure}");
        assert!(words.iter().all(|word| failure.message.contains(word)), "{what}: {failure}");
        assert!(!format!("{failure:?}").contains("hunter2") && !format!("{failure:?}").contains(FerretDb::PASSWORD));
        assert!(began.elapsed() < Duration::from_secs(11));
    };
    let with = |member: &str, value: Value| {
        let mut config = config(&server, json!({"collection": "there"}));
        config["connection"][member] = value;
        config
    };
    check(with("password", json!("hunter2")), Code::ConnectorDenied, "/connection/password", &[&place, "azora"]).await;
    check(with("user", json!("nobody")), Code::ConnectorDenied, "/connection/password", &[&place, "nobody"]).await;
    check(with("port", json!(1)), Code::ConnectorUnavailable, "", &["127.0.0.1:1"]).await;
    check(with("tls", json!("require")), Code::ConnectorConfig, "/connection/tls", &[&place]).await;
    check(config(&server, json!({"collection": "nowhere"})), Code::ConnectorMissing, "/collection", &[&place, "nowhere"]).await;
    check(config(&server, json!({"collection": "there", "query": {"$where": "1"}})), Code::ConnectorConfig, "/query", &["$where"]).await;
    let url = format!("mongodb+srv://azora:hunter2@{place}/shop");
    check(json!({"connection": url, "collection": "there"}), Code::ConnectorConfig, "/connection/url", &["mongodb+srv"]).await;
    let anonymous = json!({"connection": {"host": "127.0.0.1", "port": server.process.port(), "database": "shop"}, "collection": "there"});
    check(anonymous, Code::ConnectorDenied, "/connection", &[&place]).await;
    let metadata = json!({"connection": "mongodb://a:hunter2@169.254.169.254/shop", "collection": "there"});
    check(metadata, Code::NetworkRefused, "/connection/host", &["169.254.169.254"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_request_is_read() {
    let server = server();
    fill(&server, "seed", vec![doc! {"_id": 1, "age": 17}, doc! {"_id": 2, "age": 30}]).await;
    let url = format!("mongodb://azora:correct%20horse@127.0.0.1:{}/?authSource=admin", server.process.port());
    let what = json!({"databaseType": "mongodb", "connection": {"url": url}, "database": "shop", "collection": "seed", "query": {"age": {"$gt": 18}}, "parallelism": 8});
    assert_eq!(lab::rows("database", what).await, ["{\"_id\":2,\"age\":30}"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_connections_look_at_the_certificate() {
    let server = FerretDb::encrypted(include_str!("tls/certificate.pem"), include_str!("tls/key.pem")).unwrap();
    let with = |host: &str, authority: Option<&str>| {
        let mut config = config(&server, json!({"collection": "secret", "create": true}));
        config["connection"]["host"] = host.into();
        config["connection"]["tls"] = "require".into();
        config["connection"]["caCertificate"] = authority.into();
        config
    };
    let authority = Some(include_str!("tls/authority.pem"));
    let target = sink("mongodb", with("localhost", authority)).await.unwrap();
    write(&target, &[batch(json!([{"_id": 1, "x": "y"}]))]).await.unwrap();
    let mut what = with("localhost", authority);
    what.as_object_mut().unwrap().remove("create");
    assert_eq!(lab::rows("mongodb", what).await, ["{\"_id\":1,\"x\":\"y\"}"]);
    for (host, authority) in [("localhost", None), ("127.0.0.1", authority)] {
        let failure = sink("mongodb", with(host, authority)).await.unwrap_err();
        assert_eq!((failure.code, failure.pointer.as_deref()), (Code::ConnectorConfig, Some("/connection/tls")), "{host}: {failure}");
    }
}
