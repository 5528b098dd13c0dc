//! Streams for groups: what a job is given, and what becomes of it.

use crate::{raw, source};
use azora_connect::conformance;
use azora_connect::{Finish, Outcome, Position, ReadRequest, Source, Split};
use azora_services::Redis;
use redis::Connection;
use serde_json::{Value, json};
use std::sync::Arc;

fn add(server: &mut Connection, ids: std::ops::Range<i64>) {
    for id in ids {
        let _: String = redis::cmd("XADD").arg("s").arg(format!("{id}-1")).arg("n").arg(id).query(server).unwrap();
    }
}

fn pending(server: &mut Connection) -> i64 {
    let answer: redis::Value = redis::cmd("XPENDING").arg("s").arg("g").query(server).unwrap();
    let parts: Vec<redis::Value> = redis::from_redis_value(answer).unwrap();
    redis::from_redis_value(parts.into_iter().next().unwrap()).unwrap()
}

fn consumers(server: &mut Connection) -> usize {
    let answers: Vec<redis::Value> = redis::cmd("XINFO").arg("CONSUMERS").arg("s").arg("g").query(server).unwrap();
    answers.len()
}

async fn job(redis: &Redis, more: Value) -> (Arc<dyn Source>, Vec<Split>) {
    let mut config = json!({"stream": "s", "groupId": "g"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let source = source(redis, config).await.unwrap();
    let splits = source.plan(4).await.unwrap();
    (source, splits)
}

/// The numbers of a split's entries and the last position.
async fn read(source: &Arc<dyn Source>, split: &Split, from: Option<&Position>) -> (Vec<i64>, Option<Position>) {
    let mut reader = source.open(split, from, ReadRequest::new(100, 1 << 20)).await.unwrap();
    let (mut numbers, mut last) = (Vec::new(), None);
    while let Outcome::Batch(batch, position) = reader.read().await.unwrap() {
        let rows = conformance::texts(&[batch]);
        let number = |text: &String| serde_json::from_str::<Value>(text).unwrap()["value"]["n"].as_str().unwrap().parse::<i64>().unwrap();
        numbers.extend(rows.iter().map(number));
        last = Some(position);
    }
    (numbers, last)
}

fn start() -> (Redis, Connection) {
    let redis = Redis::start().unwrap();
    let mut server = raw(&redis);
    let _: () = redis::cmd("XGROUP").arg("CREATE").arg("s").arg("g").arg("0").arg("MKSTREAM").query(&mut server).unwrap();
    (redis, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_acknowledged_when_a_job_has_succeeded() {
    let (redis, mut server) = start();
    add(&mut server, 1..1301);
    let (source, splits) = job(&redis, json!({})).await;
    // A look at the plan takes nothing.
    assert_eq!(pending(&mut server), 0);
    let (all, _) = read(&source, &splits[0], None).await;
    assert_eq!(all, (1..1301).collect::<Vec<_>>());
    assert_eq!(pending(&mut server), 1300);
    // What comes later is not of this job, however often it is opened.
    add(&mut server, 1301..1304);
    assert_eq!(read(&source, &splits[0], None).await.0, all);
    assert_eq!(read(&source, &splits[0], Some(&Position("1200-1".to_owned()))).await.0, (1201..1301).collect::<Vec<_>>());
    // Another job at the same time gets others.
    let (second, second_splits) = job(&redis, json!({})).await;
    assert_eq!(read(&second, &second_splits[0], None).await.0, [1301, 1302, 1303]);
    source.finished(&splits, Finish::Succeeded).await.unwrap();
    source.finished(&splits, Finish::Succeeded).await.unwrap();
    assert_eq!(pending(&mut server), 3);
    second.finished(&second_splits, Finish::Succeeded).await.unwrap();
    assert_eq!((pending(&mut server), consumers(&mut server)), (0, 0));
    let (none, splits) = job(&redis, json!({})).await;
    assert!(read(&none, &splits[0], None).await.0.is_empty());
    assert_eq!(source.schema(), none.schema());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failed_job_was_given_comes_again_at_once() {
    let (redis, mut server) = start();
    add(&mut server, 1..1501);
    let (source, splits) = job(&redis, json!({"maxRows": 1200})).await;
    assert_eq!(read(&source, &splits[0], None).await.0.len(), 1200);
    source.finished(&splits, Finish::Dropped).await.unwrap();
    source.finished(&splits, Finish::Dropped).await.unwrap();
    assert_eq!(pending(&mut server), 1200);
    let (again, splits) = job(&redis, json!({})).await;
    assert_eq!(read(&again, &splits[0], None).await.0, (1..1501).collect::<Vec<_>>());
    again.finished(&splits, Finish::Succeeded).await.unwrap();
    assert_eq!(pending(&mut server), 0);
}

/// The server dies when entries were given: the job that goes on finds them, and where none goes on they are taken over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_job_was_given_is_found_again() {
    let (redis, mut server) = start();
    add(&mut server, 1..11);
    let (source, splits) = job(&redis, json!({})).await;
    assert_eq!(read(&source, &splits[0], None).await.0.len(), 10);
    drop(source);
    let (revived, _) = job(&redis, json!({})).await;
    assert_eq!(read(&revived, &splits[0], None).await.0, (1..11).collect::<Vec<_>>());
    // Not yet given up by the one that has them.
    let (other, other_splits) = job(&redis, json!({})).await;
    assert!(read(&other, &other_splits[0], None).await.0.is_empty());
    // One is deleted from the stream meanwhile: it is no row, and stays nobody's.
    let _: i64 = redis::cmd("XDEL").arg("s").arg("5-1").query(&mut server).unwrap();
    assert_eq!(read(&revived, &splits[0], None).await.0, [1, 2, 3, 4, 6, 7, 8, 9, 10]);
    std::thread::sleep(std::time::Duration::from_millis(30));
    let (heir, heir_splits) = job(&redis, json!({"claimIdleMs": 20})).await;
    assert_eq!(read(&heir, &heir_splits[0], None).await.0, [1, 2, 3, 4, 6, 7, 8, 9, 10]);
    // What the dead one says late changes nothing.
    revived.finished(&splits, Finish::Succeeded).await.unwrap();
    assert_eq!(pending(&mut server), 9);
    heir.finished(&heir_splits, Finish::Succeeded).await.unwrap();
    assert_eq!(pending(&mut server), 0);
}
