//! What is written: keys, values, partitions, and each row once whatever happens.

use crate::support::{PATIENCE, producer, rows, sink, topic};
use arrow::array::RecordBatch;
use azora_connect::conformance::{self, sample};
use azora_connect::{Sink, Token, WriterId};
use azora_services::Kafka;
use azora_spec::{Code, JobId};
use rdkafka::producer::{BaseRecord, Producer};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) async fn prepare(sink: &Arc<dyn Sink>, job: JobId, batches: &[RecordBatch]) -> Token {
    let id = WriterId { job, partition: 0, attempt: 0, epoch: 0 };
    let mut writer = sink.open(id, batches[0].schema()).await.unwrap();
    for batch in batches {
        writer.write(batch.clone()).await.unwrap();
    }
    writer.prepare().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_become_keys_values_partitions_and_times() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "mapped", 4).await;
    let staging = tempfile::tempdir().unwrap();
    let values = [
        json!({"k": "a", "v": {"x": 1}, "p": 3, "t": 1000, "h": [{"key": "trace", "value": "é"}, {"key": "trace", "value": null}]}),
        json!({"k": null, "v": null, "p": 1, "t": 2000, "h": null}),
    ];
    let schema = azora_connect::json::infer(&values, azora_connect::json::MixedTypes::Refuse).unwrap();
    let batch = azora_connect::json::batch(&schema, &values).unwrap();
    let config = json!({
        "topic": "mapped", "keyColumn": "k", "valueColumn": "v", "partitionColumn": "p", "timestampColumn": "t", "headersColumn": "h"
    });
    let target = sink(&kafka, staging.path(), config).await.unwrap();
    target.check().await.unwrap();
    let job = JobId::generate();
    let token = prepare(&target, job, std::slice::from_ref(&batch)).await;
    let receipt = target.commit(job, 0, batch.schema(), &[token]).await.unwrap();
    assert_eq!((receipt.rows, receipt.outputs), (2, vec![format!("kafka://{}/mapped", kafka.brokers())]));
    let mut read = rows(&kafka, json!({"topic": "mapped", "headers": true})).await.unwrap();
    read.sort();
    let read: Vec<Value> = read.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
    let id = |ordinal: usize| json!([{"key": "azora-record-id", "value": format!("{job}/0/0/{ordinal}")}]);
    let own = json!([{"key": "trace", "value": "é"}, {"key": "trace", "value": null}, id(0)[0]]);
    assert_eq!(
        read,
        [
            json!({"topic": "mapped", "partition": 1, "offset": 0, "timestamp": 2000, "key": null, "headers": id(1), "value": null}),
            json!({"topic": "mapped", "partition": 3, "offset": 0, "timestamp": 1000, "key": "a", "headers": own, "value": {"x": 1}}),
        ]
    );
    let unknown = sink(&kafka, staging.path(), json!({"topic": "mapped", "keyColumn": "nope"})).await.unwrap();
    let failure = unknown.open(WriterId { job, partition: 0, attempt: 0, epoch: 0 }, batch.schema()).await.unwrap_err();
    assert_eq!((failure.code, failure.pointer.as_deref()), (Code::ConnectorConfig, Some("/keyColumn")));
    let outside = sink(&kafka, staging.path(), json!({"topic": "mapped", "partitionColumn": "t"})).await.unwrap();
    let job = JobId::generate();
    let token = prepare(&outside, job, std::slice::from_ref(&batch)).await;
    let failure = outside.commit(job, 0, batch.schema(), std::slice::from_ref(&token)).await.unwrap_err();
    assert!(failure.message.contains("has no partition 1000"), "{failure}");
    outside.abort(job, 0, &[token]).await.unwrap();
    assert_eq!(rows(&kafka, json!({"topic": "mapped"})).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_become_avro_data() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "written_avro", 1).await;
    let staging = tempfile::tempdir().unwrap();
    let schema = json!({"type": "record", "name": "r", "fields": [
        {"name": "id", "type": "int"}, {"name": "name", "type": ["null", "string"]},
        {"name": "inner", "type": {"type": "record", "name": "i", "fields": [{"name": "x", "type": "double"}]}}]});
    let config = json!({"topic": "written_avro", "keyColumn": "k", "format": "avro", "avroSchema": schema, "avroFraming": "registry", "schemaId": 9});
    let values =
        [json!({"k": "a", "id": 1, "name": "Ann", "inner": {"x": 0.5}}), json!({"k": "b", "id": 2, "name": null, "inner": {"x": 2}})];
    let columns = azora_connect::json::infer(&values, azora_connect::json::MixedTypes::Refuse).unwrap();
    let batch = azora_connect::json::batch(&columns, &values).unwrap();
    let target = sink(&kafka, staging.path(), config).await.unwrap();
    let job = JobId::generate();
    let token = prepare(&target, job, std::slice::from_ref(&batch)).await;
    assert_eq!(target.commit(job, 0, batch.schema(), &[token]).await.unwrap().rows, 2);
    let config = json!({"topic": "written_avro", "rows": "values", "format": "avro", "avroSchema": schema, "avroFraming": "registry"});
    let read = rows(&kafka, config).await.unwrap();
    assert_eq!(read, [r#"{"id":1,"name":"Ann","inner":{"x":0.5}}"#, r#"{"id":2,"name":null,"inner":{"x":2}}"#]);
    let keys = rows(&kafka, json!({"topic": "written_avro", "format": "bytes"})).await.unwrap();
    assert!(keys[0].contains(r#""key":"a""#), "{}", keys[0]);
    // A column of objects is the record, and null is a mark of deletion.
    let values = [json!({"v": {"id": 3}}), json!({"v": null}), json!({"v": {"id": 4}})];
    let columns = azora_connect::json::infer(&values, azora_connect::json::MixedTypes::Refuse).unwrap();
    let batch = azora_connect::json::batch(&columns, &values).unwrap();
    topic(&kafka.brokers(), "written_objects", 1).await;
    let schema = json!({"type": "record", "name": "r", "fields": [{"name": "id", "type": "long"}]});
    let target =
        sink(&kafka, staging.path(), json!({"topic": "written_objects", "valueColumn": "v", "format": "avro", "avroSchema": schema}))
            .await
            .unwrap();
    let job = JobId::generate();
    let token = prepare(&target, job, std::slice::from_ref(&batch)).await;
    target.commit(job, 0, batch.schema(), &[token]).await.unwrap();
    let read = rows(&kafka, json!({"topic": "written_objects", "format": "avro", "avroSchema": schema})).await.unwrap();
    let values: Vec<Value> = read.iter().map(|row| serde_json::from_str::<Value>(row).unwrap()["value"].take()).collect();
    assert_eq!(values, [json!({"id": 3}), Value::Null, json!({"id": 4})]);
    // What the schema does not have is told before anything is staged.
    let id = WriterId { job, partition: 0, attempt: 0, epoch: 0 };
    let failure = target
        .open(id, azora_connect::json::infer(&[json!({"v": {"id": 1, "more": 2}})], azora_connect::json::MixedTypes::Refuse).unwrap())
        .await
        .unwrap_err();
    assert!(failure.pointer.as_deref() == Some("/avroSchema") && failure.message.contains("'more'"), "{failure}");
}

/// A commit that died inside of its transaction leaves an open one; one that died behind it leaves a finished one. The
/// next try must find out which.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_died_is_made_good() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "died", 2).await;
    let staging = tempfile::tempdir().unwrap();
    let target = sink(&kafka, staging.path(), json!({"topic": "died"})).await.unwrap();
    let (job, batches) = (JobId::generate(), sample::flat());
    let token = prepare(&target, job, &batches).await;
    let dead = producer(&kafka.brokers(), &[("transactional.id", &format!("azora-{job}-0"))]);
    dead.init_transactions(PATIENCE).unwrap();
    dead.begin_transaction().unwrap();
    dead.send(BaseRecord::<str, str>::to("died").payload(r#"{"id": -1}"#)).unwrap();
    dead.flush(PATIENCE).unwrap();
    let read = async || {
        let columns = json!({"id": "int64", "name": "utf8", "price": "float64", "ok": "boolean"});
        let mut read = rows(&kafka, json!({"topic": "died", "rows": "values", "columns": columns})).await.unwrap();
        read.sort();
        read
    };
    let mut expected = conformance::texts(&batches);
    expected.sort();
    target.commit(job, 0, batches[0].schema(), std::slice::from_ref(&token)).await.unwrap();
    assert_eq!(read().await, expected);
    // The dead one comes back to life, and is shut out.
    assert!(dead.commit_transaction(PATIENCE).is_err());
    let again = sink(&kafka, staging.path(), json!({"topic": "died"})).await.unwrap();
    again.commit(job, 0, batches[0].schema(), &[token]).await.unwrap();
    assert_eq!(read().await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_ends_what_a_dead_commit_left_open() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "left", 1).await;
    let staging = tempfile::tempdir().unwrap();
    let target = sink(&kafka, staging.path(), json!({"topic": "left"})).await.unwrap();
    let (job, batches) = (JobId::generate(), sample::flat());
    let token = prepare(&target, job, &batches).await;
    let dead = producer(&kafka.brokers(), &[("transactional.id", &format!("azora-{job}-0"))]);
    dead.init_transactions(PATIENCE).unwrap();
    dead.begin_transaction().unwrap();
    dead.send(BaseRecord::<str, str>::to("left").payload("1")).unwrap();
    dead.flush(PATIENCE).unwrap();
    std::fs::write(staging.path().join(job.to_string()).join("0").join("begun"), "").unwrap();
    producer(&kafka.brokers(), &[]).send(BaseRecord::<str, str>::to("left").payload("2")).unwrap();
    target.abort(job, 0, &[token]).await.unwrap();
    // Readers are held up by an open transaction; they see the second record only because it was ended.
    let behind = producer(&kafka.brokers(), &[]);
    behind.send(BaseRecord::<str, str>::to("left").payload("3")).unwrap();
    behind.flush(PATIENCE).unwrap();
    let read = rows(&kafka, json!({"topic": "left", "rows": "values"})).await.unwrap();
    assert_eq!(read.last().map(String::as_str), Some("3"));
    assert!(!read.contains(&"1".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_gone_are_no_commit() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "gone", 1).await;
    let staging = tempfile::tempdir().unwrap();
    let target = sink(&kafka, staging.path(), json!({"topic": "gone"})).await.unwrap();
    let (job, batches) = (JobId::generate(), sample::flat());
    let token = prepare(&target, job, &batches).await;
    std::fs::remove_file(staging.path().join(job.to_string()).join("0").join("0-0.arrow")).unwrap();
    let failure = target.commit(job, 0, batches[0].schema(), &[token]).await.unwrap_err();
    assert!(failure.message.contains("not there any more"), "{failure}");
    assert!(rows(&kafka, json!({"topic": "gone"})).await.unwrap().is_empty());
}
