//! What is read: rows, offsets, formats, and only what was committed.

use crate::support::{PATIENCE, producer, read_split, rows, rows_of, send, source, topic};
use azora_connect::{Outcome, Position, ReadRequest, Rejects, conformance};
use azora_services::Kafka;
use azora_spec::{Code, OnError};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_rows_as_the_seed_had_them() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "seed", 1).await;
    let producer = producer(&kafka.brokers(), &[]);
    producer.send(BaseRecord::to("seed").key("k").payload(r#"{"a": 1, "b": {"c": [1.5]}}"#).timestamp(1_700_000_000_123)).unwrap();
    let headers = OwnedHeaders::new().insert(Header { key: "h", value: Some("v") }).insert(Header { key: "n", value: None::<&str> });
    producer.send(BaseRecord::<str, str>::to("seed").payload(r#"{"a": 2}"#).timestamp(5).headers(headers)).unwrap();
    producer.send(BaseRecord::<str, str>::to("seed").key("gone").timestamp(6)).unwrap();
    producer.flush(PATIENCE).unwrap();
    let read = rows(&kafka, json!({"topic": "seed", "brokers": [kafka.brokers()], "groupId": "g", "batchSize": 1000})).await.unwrap();
    let expected = [
        r#"{"topic":"seed","partition":0,"offset":0,"timestamp":1700000000123,"key":"k","value":{"a":1,"b":{"c":[1.5]}}}"#,
        r#"{"topic":"seed","partition":0,"offset":1,"timestamp":5,"key":null,"value":{"a":2,"b":null}}"#,
        r#"{"topic":"seed","partition":0,"offset":2,"timestamp":6,"key":"gone","value":null}"#,
    ];
    assert_eq!(read, expected);
    let read = rows(&kafka, json!({"topic": "seed", "headers": true, "startOffsets": {"0": 1}, "endOffsets": {"0": 2}})).await.unwrap();
    let row: Value = serde_json::from_str(&read[0]).unwrap();
    assert_eq!((read.len(), &row["headers"]), (1, &json!([{"key": "h", "value": "v"}, {"key": "n", "value": null}])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_are_found_as_told() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "offsets", 2).await;
    let producer = producer(&kafka.brokers(), &[]);
    for at in 0..10i64 {
        let value = at.to_string();
        producer.send(BaseRecord::<str, str>::to("offsets").partition(0).payload(&value).timestamp(1000 * (at + 1))).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let check = async |start: Value, end: Value, expect: std::ops::Range<i64>| {
        let config = json!({"topic": "offsets", "groupId": "offsets-group", "rows": "values", "startOffsets": start, "endOffsets": end});
        let expect: Vec<String> = expect.map(|at| at.to_string()).collect();
        assert_eq!(rows(&kafka, config).await.unwrap(), expect, "{start} {end}");
    };
    check(json!("earliest"), json!("latest"), 0..10).await;
    check(json!("latest"), json!("latest"), 0..0).await;
    check(json!({"0": 3}), json!({"0": 7}), 3..7).await;
    check(json!({"timestamp": 5000}), json!({"timestamp": 9000}), 4..8).await;
    check(json!({"timestamp": 4500}), json!("latest"), 4..10).await;
    check(json!({"timestamp": 999_999}), json!("latest"), 0..0).await;
    check(json!("group"), json!("latest"), 0..10).await;
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", kafka.brokers()).set("group.id", "offsets-group").create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("offsets", 0, Offset::Offset(6)).unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();
    check(json!("group"), json!("latest"), 6..10).await;
    let refused = |start: Value| {
        let kafka = std::sync::Arc::clone(&kafka);
        async move { rows(&kafka, json!({"topic": "offsets", "startOffsets": start})).await.unwrap_err() }
    };
    let gone = refused(json!({"0": 11})).await;
    assert_eq!(gone.code, Code::ConnectorMissing);
    assert!(gone.message.contains("offset 11 of offsets/0") && gone.message.contains("0 to 10"), "{gone}");
    assert!(refused(json!({"2": 0})).await.message.contains("has no partition 2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_was_committed_is_read_and_a_split_stays_what_it_was() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "transactions", 1).await;
    let producer = producer(&kafka.brokers(), &[("transactional.id", "reading-test")]);
    producer.init_transactions(PATIENCE).unwrap();
    let transact = |values: std::ops::Range<i32>, is_committed: bool| {
        producer.begin_transaction().unwrap();
        for value in values {
            producer.send(BaseRecord::<str, str>::to("transactions").payload(&value.to_string())).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
        if is_committed { producer.commit_transaction(PATIENCE).unwrap() } else { producer.abort_transaction(PATIENCE).unwrap() }
    };
    transact(0..3, true);
    transact(100..103, false);
    transact(3..5, true);
    transact(200..203, false);
    let source = source(&kafka, json!({"topic": "transactions", "rows": "values"})).await.unwrap();
    let splits = source.plan(4).await.unwrap();
    transact(5..7, true);
    let mut read = Vec::new();
    for split in &splits {
        read.extend(conformance::texts(&read_split(&source, split, None, ReadRequest::new(2, 1 << 20)).await.unwrap()));
    }
    assert_eq!(read, ["0", "1", "2", "3", "4"]);
    // From behind the third row, the aborted ones are passed over again.
    let rest = read_split(&source, &splits[0], Some(&Position("3".to_owned())), ReadRequest::new(10, 1 << 20)).await.unwrap();
    assert_eq!(conformance::texts(&rest), ["3", "4"]);
    // What stands behind an open transaction is not there yet.
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::<str, str>::to("transactions").payload("300")).unwrap();
    producer.flush(PATIENCE).unwrap();
    assert_eq!(rows(&kafka, json!({"topic": "transactions", "rows": "values"})).await.unwrap().len(), 7);
    producer.abort_transaction(PATIENCE).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn formats_become_columns() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "avro", 1).await;
    send(&kafka.brokers(), "avro", 0, &[&[6, 2, b'x'], &[8, 0], &[9]]);
    let schema = json!({"type": "record", "name": "r", "fields": [{"name": "a", "type": "long"}, {"name": "b", "type": "string"}]});
    let config = |rows: &str| json!({"topic": "avro", "format": "avro", "avroSchema": schema, "rows": rows});
    let skip = ReadRequest { rejects: Rejects::new(OnError::Skip), ..ReadRequest::new(100, 1 << 20) };
    let avro = source(&kafka, config("values")).await.unwrap();
    assert_eq!(rows_of(&avro, &skip).await.unwrap(), [r#"{"a":3,"b":"x"}"#, r#"{"a":4,"b":""}"#]);
    assert_eq!(skip.rejects.count(), 1);
    let avro = source(&kafka, config("messages")).await.unwrap();
    assert!(rows_of(&avro, &skip).await.unwrap()[0].ends_with(r#""value":{"a":3,"b":"x"}}"#));
    topic(&kafka.brokers(), "raw", 1).await;
    send(&kafka.brokers(), "raw", 0, &[b"plain", &[0xff, 0x00]]);
    let text = source(&kafka, json!({"topic": "raw", "format": "text", "rows": "values"})).await.unwrap();
    let keep = ReadRequest { rejects: Rejects::new(OnError::DeadLetter), ..ReadRequest::new(100, 1 << 20) };
    assert_eq!(rows_of(&text, &keep).await.unwrap(), [r#""plain""#]);
    let kept = keep.rejects.take().remove(0);
    assert_eq!((kept.place.as_str(), kept.payload), ("raw/0/1", vec![0xff, 0x00]));
    let bytes = source(&kafka, json!({"topic": "raw", "format": "bytes", "rows": "values", "metadata": true})).await.unwrap();
    let read = rows_of(&bytes, &ReadRequest::new(100, 1 << 20)).await.unwrap();
    assert!(read.len() == 2 && read[1].contains(r#""_offset":1"#), "{read:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_records_fail_or_are_left_out() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "bad", 1).await;
    send(
        &kafka.brokers(),
        "bad",
        0,
        &[br#"{"a": 1}"#, b"{", br#"{"a": "x"}"#, br#"{"a": 1.5}"#, br#"{"a": 2}"#, b"", br#"{"a": 3}{"a": 4}"#],
    );
    let source = source(&kafka, json!({"topic": "bad", "rows": "values", "columns": {"a": "int64"}})).await.unwrap();
    let fail = rows_of(&source, &ReadRequest::new(100, 1 << 20)).await.unwrap_err();
    assert_eq!(fail.code, Code::RecordBad);
    assert!(fail.message.starts_with("bad/0/1: not valid JSON"), "{fail}");
    let keep = ReadRequest { rejects: Rejects::new(OnError::DeadLetter), ..ReadRequest::new(100, 1 << 20) };
    assert_eq!(rows_of(&source, &keep).await.unwrap(), [r#"{"a":1}"#, r#"{"a":2}"#]);
    let places: Vec<String> = keep.rejects.take().into_iter().map(|bad| bad.place).collect();
    assert_eq!(places, ["bad/0/1", "bad/0/2", "bad/0/3", "bad/0/5", "bad/0/6"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_topic_waits_for_more() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "followed", 1).await;
    send(&kafka.brokers(), "followed", 0, &[b"1"]);
    let source = source(&kafka, json!({"topic": "followed", "rows": "values", "follow": true})).await.unwrap();
    assert!(!source.is_bounded());
    let split = source.plan(1).await.unwrap().remove(0);
    let mut reader = source.open(&split, None, ReadRequest::new(100, 1 << 20)).await.unwrap();
    let (mut read, mut idle) = (Vec::new(), 0);
    while read.len() < 2 {
        match tokio::time::timeout(Duration::from_secs(20), reader.read()).await.unwrap().unwrap() {
            Outcome::Batch(batch, _) => read.extend(conformance::texts(&[batch])),
            Outcome::Idle(_) if idle == 0 => {
                idle = 1;
                send(&kafka.brokers(), "followed", 0, &[b"2"]);
            }
            Outcome::Idle(_) => {}
            Outcome::End => panic!("it ended"),
        }
    }
    assert_eq!((read, idle), (vec!["1".to_owned(), "2".to_owned()], 1));
}
