//! Channels: what is said while a job listens.

use crate::{raw, rows_of, source};
use azora_connect::{Outcome, ReadRequest, Rejects, Source};
use azora_services::Redis;
use azora_spec::{Code, OnError};
use redis::{Commands, Connection};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Says something as soon as somebody listens.
fn say(server: &mut Connection, channel: &str, messages: &[&str]) {
    let began = Instant::now();
    for message in messages {
        while server.publish::<_, _, i64>(channel, message).unwrap() == 0 {
            assert!(began.elapsed() < Duration::from_secs(20), "nobody listens");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

async fn heard(source: &Arc<dyn Source>) -> Vec<Value> {
    rows_of(source, &ReadRequest::new(8192, 8 << 20)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_rows_until_there_are_enough() {
    let redis = Redis::start().unwrap();
    let source = source(&redis, json!({"channels": ["a", "b"], "channelPatterns": "c*", "maxRows": 5, "maxMs": 60_000})).await.unwrap();
    assert!(source.is_bounded());
    let mut server = raw(&redis);
    let speaker = std::thread::spawn(move || {
        say(&mut server, "a", &[r#"{"x": 1}"#, "plain"]);
        say(&mut server, "cats", &["[1, 2]"]);
        say(&mut server, "b", &["7"]);
        say(&mut server, "a", &["null"]);
        let _: i64 = server.publish("a", "too much").unwrap();
    });
    let rows = heard(&source).await;
    speaker.join().unwrap();
    let found: Vec<(&str, &Value)> = rows.iter().map(|row| (row["channel"].as_str().unwrap(), &row["value"])).collect();
    let expected = [("a", json!({"x": 1})), ("a", json!("plain")), ("cats", json!([1, 2])), ("b", json!(7)), ("a", Value::Null)];
    assert_eq!(found, expected.iter().map(|(channel, value)| (*channel, value)).collect::<Vec<_>>());
    assert!(rows.iter().all(|row| row["timestamp"].as_i64().unwrap() > 1_600_000_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listening_ends_in_time_and_told_columns_are_kept() {
    let redis = Redis::start().unwrap();
    let config = json!({"channel": "a", "maxMs": 1500, "columns": {"x": "int64"}, "badRecords": "skip"});
    let source = source(&redis, config).await.unwrap();
    let mut server = raw(&redis);
    let speaker = std::thread::spawn(move || say(&mut server, "a", &[r#"{"x": 1}"#, "no object", r#"{"x": 2}"#]));
    let began = Instant::now();
    let skip = ReadRequest { rejects: Rejects::new(OnError::Skip), ..ReadRequest::new(10, 1 << 20) };
    let rows = rows_of(&source, &skip).await.unwrap();
    speaker.join().unwrap();
    assert!((1..10).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    let values: Vec<&Value> = rows.iter().map(|row| &row["value"]).collect();
    assert_eq!((values, skip.rejects.count()), (vec![&json!({"x": 1}), &json!({"x": 2})], 1));
    let endless = crate::source(&redis, json!({"channel": "a"})).await.unwrap();
    assert!(!endless.is_bounded());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_and_a_flood_are_told() {
    let mut redis = Redis::start().unwrap();
    let source = source(&redis, json!({"channel": "a", "maxMs": 60_000})).await.unwrap();
    let split = source.plan(1).await.unwrap().remove(0);
    let mut reader = source.open(&split, None, ReadRequest::new(100, 64 << 20)).await.unwrap();
    let mut server = raw(&redis);
    say(&mut server, "a", &["1"]);
    assert!(matches!(reader.read().await.unwrap(), Outcome::Batch(batch, _) if batch.num_rows() == 1));
    // Nobody reads: what waits is bounded, and the job fails in place of losing some of it in silence.
    let large = "x".repeat(1 << 20);
    for _ in 0..80 {
        let _: i64 = server.publish("a", &large).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let failure = loop {
        if let Err(failure) = reader.read().await {
            break failure;
        }
    };
    // On a busy machine the server has enough of a listener that does not keep up before we have.
    let is_told = ["faster than they were read", "connection was lost"].iter().any(|told| failure.message.contains(told));
    assert!(failure.code == Code::ConnectorUnavailable && is_told, "{failure}");
    let mut reader = source.open(&split, None, ReadRequest::new(100, 1 << 20)).await.unwrap();
    redis.process.kill().unwrap();
    let began = Instant::now();
    let failure = reader.read().await.unwrap_err();
    assert!(failure.code == Code::ConnectorUnavailable && failure.message.contains("connection was lost"), "{failure}");
    assert!(began.elapsed() < Duration::from_secs(5));
}
