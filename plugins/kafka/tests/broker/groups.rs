//! Consumer groups: where a job begins that goes on, and when the group moves.

use crate::support::{PATIENCE, producer, rows_of, send, source, topic};
use azora_connect::{Finish, ReadRequest, Source, Split};
use azora_services::Kafka;
use rdkafka::producer::{BaseRecord, Producer};
use serde_json::{Value, json};
use std::sync::Arc;

fn all() -> ReadRequest {
    ReadRequest::new(8192, 8 << 20)
}

/// What a job reads that is planned now: its source, its splits, and the values, sorted.
async fn job(kafka: &Kafka, topic: &str, more: Value) -> (Arc<dyn Source>, Vec<Split>, Vec<i64>) {
    let mut config = json!({"topic": topic, "rows": "values", "groupId": format!("{topic}-group"), "startOffsets": "group"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let source = source(kafka, config).await.unwrap();
    let splits = source.plan(2).await.unwrap();
    let mut values: Vec<i64> = rows_of(&source, &all()).await.unwrap().iter().map(|row| row.parse().unwrap()).collect();
    values.sort_unstable();
    (source, splits, values)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_goes_on_where_the_last_job_that_succeeded_ended() {
    let kafka = Kafka::shared().unwrap();
    let topic_name = "going";
    topic(&kafka.brokers(), topic_name, 2).await;
    send(&kafka.brokers(), topic_name, 0, &[b"1", b"2"]);
    send(&kafka.brokers(), topic_name, 1, &[b"3"]);
    let (source, splits, values) = job(&kafka, topic_name, json!({})).await;
    assert_eq!(values, [1, 2, 3]);
    // A job that failed, and one that died before it could say how it ended, leave the group where it is.
    source.finished(&splits, Finish::Dropped).await.unwrap();
    assert_eq!(job(&kafka, topic_name, json!({})).await.2, [1, 2, 3]);
    source.finished(&splits, Finish::Succeeded).await.unwrap();
    source.finished(&splits, Finish::Succeeded).await.unwrap();
    assert!(job(&kafka, topic_name, json!({})).await.2.is_empty());
    send(&kafka.brokers(), topic_name, 1, &[b"4", b"5"]);
    let (later, later_splits, values) = job(&kafka, topic_name, json!({})).await;
    assert_eq!(values, [4, 5]);
    later.finished(&later_splits, Finish::Succeeded).await.unwrap();
    // What an older job says later does not take it back.
    source.finished(&splits, Finish::Succeeded).await.unwrap();
    assert!(job(&kafka, topic_name, json!({})).await.2.is_empty());
    // Other starts leave the group alone where nobody asked for more.
    let (again, splits, values) = job(&kafka, topic_name, json!({"startOffsets": "earliest", "groupId": "other"})).await;
    assert_eq!(values, [1, 2, 3, 4, 5]);
    again.finished(&splits, Finish::Succeeded).await.unwrap();
    assert_eq!(job(&kafka, topic_name, json!({"groupId": "other"})).await.2.len(), 5);
    // From the end on: also partitions without anything to read have a place.
    let (latest, splits, values) =
        job(&kafka, topic_name, json!({"startOffsets": "latest", "commitOffsets": true, "groupId": "new"})).await;
    assert!(values.is_empty());
    latest.finished(&splits, Finish::Succeeded).await.unwrap();
    send(&kafka.brokers(), topic_name, 0, &[b"6"]);
    assert_eq!(job(&kafka, topic_name, json!({"groupId": "new"})).await.2, [6]);
}

/// What a transaction that was open has to say comes after it was committed; a group must not have gone past it by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_waits_for_open_transactions() {
    let kafka = Kafka::shared().unwrap();
    let topic_name = "open";
    topic(&kafka.brokers(), topic_name, 1).await;
    send(&kafka.brokers(), topic_name, 0, &[b"1"]);
    let writer = producer(&kafka.brokers(), &[("transactional.id", "groups-test")]);
    writer.init_transactions(PATIENCE).unwrap();
    writer.begin_transaction().unwrap();
    writer.send(BaseRecord::<str, str>::to(topic_name).payload("2")).unwrap();
    writer.flush(PATIENCE).unwrap();
    send(&kafka.brokers(), topic_name, 0, &[b"3"]);
    let (source, splits, values) = job(&kafka, topic_name, json!({})).await;
    assert_eq!(values, [1]);
    source.finished(&splits, Finish::Succeeded).await.unwrap();
    writer.commit_transaction(PATIENCE).unwrap();
    let (source, splits, values) = job(&kafka, topic_name, json!({})).await;
    assert_eq!(values, [2, 3]);
    source.finished(&splits, Finish::Succeeded).await.unwrap();
    assert!(job(&kafka, topic_name, json!({})).await.2.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_whose_broker_is_gone_is_told() {
    let mut kafka = Kafka::start().unwrap();
    topic(&kafka.brokers(), "away", 1).await;
    send(&kafka.brokers(), "away", 0, &[b"1"]);
    let (source, splits, values) = job(&kafka, "away", json!({"connectTimeoutMs": 1500})).await;
    assert_eq!(values, [1]);
    kafka.process.kill().unwrap();
    let began = std::time::Instant::now();
    let failure = source.finished(&splits, Finish::Succeeded).await.unwrap_err();
    assert_eq!(failure.code, azora_spec::Code::ConnectorUnavailable, "{failure}");
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    kafka.process.again().unwrap();
    source.finished(&splits, Finish::Succeeded).await.unwrap();
    assert!(job(&kafka, "away", json!({})).await.2.is_empty());
}
