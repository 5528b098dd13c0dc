//! The connector against a real Redis: what it reads, what it writes, and what it says where that is not possible.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests end a test as its assertions do")]

mod channels;
mod groups;
mod sealed;

use async_trait::async_trait;
use azora_connect::conformance::{self, Expect, Promise, SinkCase, sample};
use azora_connect::{Connector, Half, ReadRequest, Rejects, Setup, Sink, Source, WriterId};
use azora_redis::RedisConnector;
use azora_services::{Redis, free_port};
use azora_spec::{Code, Failure, JobId, OnError, Secret};
use redis::{Commands, Connection};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn raw(redis: &Redis) -> Connection {
    redis::Client::open(redis.url()).unwrap().get_connection().unwrap()
}

async fn source(redis: &Redis, config: Value) -> Result<Arc<dyn Source>, Failure> {
    RedisConnector::new(Setup::local(), Some(Secret::new(redis.url()))).source(&object(config)).await
}

async fn sink(redis: &Redis, config: Value) -> Result<Arc<dyn Sink>, Failure> {
    RedisConnector::new(Setup::local(), Some(Secret::new(redis.url()))).sink(&object(config)).await
}

async fn rows_of(source: &Arc<dyn Source>, request: &ReadRequest) -> Result<Vec<Value>, Failure> {
    let mut rows = Vec::new();
    for split in source.plan(3).await? {
        let mut reader = source.open(&split, None, request.clone()).await?;
        while let azora_connect::Outcome::Batch(batch, _) = reader.read().await? {
            rows.extend(conformance::texts(&[batch]).iter().map(|text| serde_json::from_str::<Value>(text).unwrap()));
        }
    }
    Ok(rows)
}

async fn rows(redis: &Redis, config: Value) -> Vec<Value> {
    rows_of(&source(redis, config).await.unwrap(), &ReadRequest::new(8192, 8 << 20)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_every_type_are_rows_as_the_seed_had_them() {
    let redis = Redis::start().unwrap();
    let mut server = raw(&redis);
    let _: () = server.set("a:json", r#"{"x": [1, 2.5]}"#).unwrap();
    let _: () = server.set("a:text", "plain").unwrap();
    let _: () = server.hset_multiple("a:hash", &[("f", "1"), ("g", "two")]).unwrap();
    let _: () = server.rpush("a:list", &["b", "a", "b"]).unwrap();
    let _: () = server.sadd("a:set", &["z", "m"]).unwrap();
    let _: () = server.zadd_multiple("a:zset", &[(1.5, "one"), (2.0, "two")]).unwrap();
    let _: () = server.set("b:other", "7").unwrap();
    let read = rows(&redis, json!({"pattern": "a:*"})).await;
    let by_key = |row: &Value| (row["key"].as_str().unwrap().to_owned(), row["value"].clone());
    // Values of several types are one column of JSON texts, with numbers as JavaScript writes them.
    let value = |value: Value| if let Value::String(text) = &value { serde_json::from_str(text).unwrap_or(value) } else { value };
    let found: Vec<(String, Value)> = read.iter().map(by_key).map(|(key, of)| (key, value(of))).collect();
    let expected = [
        ("a:hash", json!({"f": "1", "g": "two"})),
        ("a:json", json!({"x": [1, 2.5]})),
        ("a:list", json!(["b", "a", "b"])),
        ("a:set", json!(["m", "z"])),
        ("a:text", json!("plain")),
        ("a:zset", json!([{"member": "one", "score": 1.5}, {"member": "two", "score": 2}])),
    ];
    assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value)));
    assert!(read.iter().all(|row| row["timestamp"].as_i64().unwrap() > 1_600_000_000_000));
    let named = rows(&redis, json!({"keys": ["b:other", "nowhere"]})).await;
    assert_eq!((named.len(), &named[0]["value"]), (1, &json!(7)));
    assert_eq!(rows(&redis, json!({})).await.len(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_source_conforms() {
    let redis = Redis::start().unwrap();
    let mut server = raw(&redis);
    let values = sample::values();
    for (at, value) in values.iter().enumerate() {
        let _: () = server.set(format!("row:{at:02}"), value.to_string()).unwrap();
    }
    let source_of_keys = source(&redis, json!({"pattern": "row:*"})).await.unwrap();
    let texts = conformance::texts(&sample::nested());
    let rows = texts.iter().map(|text| format!(r#"{{"value":{text}}}"#)).collect();
    conformance::source(&source_of_keys, &Expect { rows, columns: None }.columns(&["value"])).await.unwrap();
    let _: () = redis::cmd("FLUSHALL").query(&mut server).unwrap();
    let empty = source(&redis, json!({})).await.unwrap();
    conformance::source(&empty, &Expect { rows: Vec::new(), columns: None }).await.unwrap();
    for at in 0..700 {
        let _: String = redis::cmd("XADD").arg("s").arg(format!("{}-1", at + 1)).arg("n").arg(at).query(&mut server).unwrap();
    }
    let stream = source(&redis, json!({"stream": "s"})).await.unwrap();
    let rows = (0..700).map(|at| format!(r#"{{"id":"{}-1","value":{{"n":"{at}"}}}}"#, at + 1)).collect();
    conformance::source(&stream, &Expect { rows, columns: None }.columns(&["id", "value"])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_where_they_ended_when_planned_and_groups_know_where_they_are() {
    let redis = Redis::start().unwrap();
    let mut server = raw(&redis);
    let mut add = |id: &str| {
        let _: String = redis::cmd("XADD").arg("events").arg(id).arg("f").arg(id).query(&mut server).unwrap();
    };
    add("5-1");
    add("6-1");
    let events = source(&redis, json!({"stream": "events"})).await.unwrap();
    let split = events.plan(1).await.unwrap().remove(0);
    add("7-1");
    let mut reader = events.open(&split, None, ReadRequest::new(100, 1 << 20)).await.unwrap();
    let azora_connect::Outcome::Batch(batch, position) = reader.read().await.unwrap() else { panic!("no rows") };
    assert_eq!((batch.num_rows(), position.0.as_str()), (2, "6-1"));
    let mut server = raw(&redis);
    let _: () = redis::cmd("XGROUP").arg("CREATE").arg("events").arg("g").arg("6-1").query(&mut server).unwrap();
    let read = rows(&redis, json!({"stream": "events", "groupId": "g"})).await;
    assert_eq!(read, [json!({"stream": "events", "id": "7-1", "timestamp": 7, "value": {"f": "7-1"}})]);
    let missing = source(&redis, json!({"stream": "events", "groupId": "h"})).await.unwrap_err();
    assert!(missing.code == Code::ConnectorMissing && missing.message.contains("'h'"), "{missing}");
    assert_eq!(source(&redis, json!({"stream": "nope"})).await.unwrap_err().code, Code::ConnectorMissing);
}

struct Case {
    redis: Redis,
}

#[async_trait]
impl SinkCase for Case {
    async fn sink(&self, target: &str) -> Arc<dyn Sink> {
        sink(&self.redis, json!({"write": "lists", "key": target})).await.unwrap()
    }

    async fn rows(&self, target: &str) -> Vec<String> {
        raw(&self.redis).lrange(target, 0, -1).unwrap()
    }

    fn promise(&self) -> Promise {
        Promise::ExactlyOnce
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sink_conforms() {
    let case = Case { redis: Redis::start().unwrap() };
    conformance::sink(&case).await.unwrap();
    let left: Vec<String> = raw(&case.redis).keys("azora:*rows*").unwrap();
    assert!(left.is_empty(), "{left:?}");
}

async fn write(redis: &Redis, config: Value, values: &[Value]) -> Result<u64, Failure> {
    let schema = azora_connect::json::infer(values, azora_connect::json::MixedTypes::Refuse).unwrap();
    let batch = azora_connect::json::batch(&schema, values).unwrap();
    let target = sink(redis, config).await?;
    target.check().await?;
    let job = JobId::generate();
    let mut writer = target.open(WriterId { job, partition: 0, attempt: 0, epoch: 0 }, Arc::clone(&schema)).await?;
    writer.write(batch).await?;
    let token = writer.prepare().await?;
    Ok(target.commit(job, 0, schema, &[token]).await?.rows)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_become_strings_hashes_and_entries() {
    let redis = Redis::start().unwrap();
    let mut server = raw(&redis);
    let values = [json!({"k": "a", "n": 1, "t": "x"}), json!({"k": "b", "n": 2, "t": null})];
    assert_eq!(write(&redis, json!({"keyColumn": "k", "keyPrefix": "s:", "ttlMs": 60_000}), &values).await.unwrap(), 2);
    let text: String = server.get("s:a").unwrap();
    assert_eq!(text, r#"{"k":"a","n":1,"t":"x"}"#);
    let left: i64 = server.pttl("s:b").unwrap();
    assert!((1..=60_000).contains(&left), "{left}");
    write(&redis, json!({"write": "hashes", "keyColumn": "k", "keyPrefix": "h:"}), &values).await.unwrap();
    let fields: Vec<(String, String)> = server.hgetall("h:a").unwrap();
    assert_eq!(fields, [("n".to_owned(), "1".to_owned()), ("t".to_owned(), "x".to_owned())]);
    write(&redis, json!({"write": "streams", "key": "log"}), &values).await.unwrap();
    assert_eq!(rows(&redis, json!({"stream": "log"})).await[1]["value"], json!({"k": "b", "n": "2", "t": null}));
    // Where one key is of another type, nothing at all is written.
    let values = [json!({"k": "new", "n": 1}), json!({"k": "s:a", "n": 2})];
    let failure = write(&redis, json!({"write": "hashes", "keyColumn": "k"}), &values).await.unwrap_err();
    assert_eq!(failure.code, Code::ConnectorAnswer);
    assert!(failure.message.contains("another type") && !server.exists::<_, bool>("new").unwrap(), "{failure}");
    let failure = write(&redis, json!({"keyColumn": "nope"}), &values).await.unwrap_err();
    assert_eq!(failure.pointer.as_deref(), Some("/keyColumn"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staged_rows_outlive_a_restart_or_the_commit_says_so() {
    for is_durable in [true, false] {
        let mut redis = if is_durable { Redis::durable() } else { Redis::start() }.unwrap();
        let target = sink(&redis, json!({"write": "lists", "key": "out"})).await.unwrap();
        let (job, batches) = (JobId::generate(), sample::flat());
        let mut writer = target.open(WriterId { job, partition: 0, attempt: 0, epoch: 0 }, batches[0].schema()).await.unwrap();
        writer.write(batches[0].clone()).await.unwrap();
        let token = writer.prepare().await.unwrap();
        redis.process.stop().unwrap();
        let failure = target.commit(job, 0, batches[0].schema(), std::slice::from_ref(&token)).await.unwrap_err();
        assert_eq!(failure.code, Code::ConnectorUnavailable);
        redis.process.again().unwrap();
        let committed = target.commit(job, 0, batches[0].schema(), std::slice::from_ref(&token)).await;
        let there: usize = raw(&redis).llen("out").unwrap();
        if is_durable {
            assert_eq!((committed.unwrap().rows, there), (7, 7));
        } else {
            assert!(committed.unwrap_err().message.contains("not on"), "rows that are gone were committed");
            assert_eq!(there, 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_name_the_server_and_never_the_password() {
    let port = free_port().unwrap();
    let connector = RedisConnector::new(Setup::local(), None);
    let began = Instant::now();
    let dead = connector.source(&object(json!({"redisUrl": format!("redis://:canary@127.0.0.1:{port}")}))).await.unwrap_err();
    assert_eq!(dead.code, Code::ConnectorUnavailable);
    assert!(dead.message.contains(&format!("127.0.0.1:{port}")) && !format!("{dead:?}").contains("canary"), "{dead:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    let redis = Redis::start().unwrap();
    let _: () = redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("right").query(&mut raw(&redis)).unwrap();
    for url in [format!("redis://:canary@127.0.0.1:{}", redis.process.port()), redis.url()] {
        let denied = connector.source(&object(json!({"redisUrl": url}))).await.unwrap_err();
        assert_eq!(denied.code, Code::ConnectorDenied, "{denied}");
        assert!(!format!("{denied:?}").contains("canary") && denied.message.contains(&redis.process.port().to_string()), "{denied:?}");
    }
    let right = json!({"redisUrl": redis.url(), "password": "right"});
    connector.source(&object(right.clone())).await.unwrap();
    assert!(connector.check(Half::Source, &object(right)).is_empty());
    assert_eq!(connector.label(&object(json!({"redisUrl": "redis://:canary@h:1/2"}))), "redis://h:1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_keys_and_values_are_told_apart() {
    let redis = Redis::start().unwrap();
    let mut server = raw(&redis);
    let _: () = server.set("a", "1").unwrap();
    let _: () = server.set("b", &[0xff_u8, 0xfe][..]).unwrap();
    let _: () = server.set(&[0xff_u8][..], "2").unwrap();
    let all = source(&redis, json!({})).await.unwrap();
    let fail = rows_of(&all, &ReadRequest::new(10, 1 << 20)).await.unwrap_err();
    assert!(fail.code == Code::RecordBad && fail.message.starts_with("b: the value is not UTF-8"), "{fail}");
    let skip = ReadRequest { rejects: Rejects::new(OnError::Skip), ..ReadRequest::new(10, 1 << 20) };
    assert_eq!((rows_of(&all, &skip).await.unwrap().len(), skip.rejects.count()), (1, 2));
}
