//! Faults that a real broker does not show on demand, by the client's mock of a cluster. It keeps no transactions apart, so
//! what it shows is that every row arrives, and once where no attempt was given up.

use crate::support::{object, rows_of};
use crate::writing::prepare;
use azora_connect::conformance::{self, sample};
use azora_connect::{Connector, Outcome, ReadRequest, Setup, Sink, Source};
use azora_kafka::KafkaConnector;
use azora_spec::{Code, Failure, JobId};
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Mock = MockCluster<'static, DefaultProducerContext>;

fn cluster(topics: &[&str]) -> Mock {
    let mock = MockCluster::new(3).unwrap();
    for topic in topics {
        mock.create_topic(topic, 1, 3).unwrap();
        mock.partition_leader(topic, 0, Some(1)).unwrap();
    }
    mock
}

fn connector(brokers: &str, staging: &Path) -> KafkaConnector {
    KafkaConnector::new(Setup::local(), vec![brokers.to_owned()], staging.to_owned())
}

async fn sink(brokers: &str, staging: &Path, topic: &str) -> Arc<dyn Sink> {
    let config = json!({"topic": topic, "connectTimeoutMs": 5000, "outageTimeoutMs": 5000, "options": {"socket.timeout.ms": 1500}});
    connector(brokers, staging).sink(&object(config)).await.unwrap()
}

async fn source(brokers: &str, topic: &str) -> Arc<dyn Source> {
    let columns = json!({"id": "int64", "name": "utf8", "price": "float64", "ok": "boolean"});
    let config = json!({"topic": topic, "rows": "values", "columns": columns, "options": {"fetch.message.max.bytes": 1000, "queued.min.messages": 1}});
    connector(brokers, "/nowhere".as_ref()).source(&object(config)).await.unwrap()
}

async fn rows(brokers: &str, topic: &str) -> Vec<String> {
    let mut rows = rows_of(&source(brokers, topic).await, &ReadRequest::new(100, 1 << 20)).await.unwrap();
    rows.sort();
    rows
}

/// Commits the sample, and answers how that ended and how long it took.
async fn commit(target: &Arc<dyn Sink>) -> (Result<u64, Failure>, Duration) {
    let (job, batches) = (JobId::generate(), sample::flat());
    let token = prepare(target, job, &batches).await;
    let began = Instant::now();
    let committed = target.commit(job, 0, batches[0].schema(), std::slice::from_ref(&token)).await;
    (committed.map(|receipt| receipt.rows), began.elapsed())
}

fn expected() -> Vec<String> {
    let mut texts = conformance::texts(&sample::flat());
    texts.sort();
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_that_pass_are_borne_and_others_told() {
    use RDKafkaApiKey as Key;
    use RDKafkaRespErr as E;
    let passing = [
        (Key::InitProducerId, vec![E::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS; 3]),
        (Key::InitProducerId, vec![E::RD_KAFKA_RESP_ERR_NOT_COORDINATOR, E::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS]),
        (Key::FindCoordinator, vec![E::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE; 2]),
        (Key::AddPartitionsToTxn, vec![E::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, E::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS]),
        (Key::Produce, vec![E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, E::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS]),
        (Key::AddOffsetsToTxn, vec![E::RD_KAFKA_RESP_ERR_NOT_COORDINATOR]),
        (Key::TxnOffsetCommit, vec![E::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS]),
        (Key::EndTxn, vec![E::RD_KAFKA_RESP_ERR_NOT_COORDINATOR, E::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS]),
    ];
    let names: Vec<String> = (0..passing.len()).map(|at| format!("passing{at}")).collect();
    let mut topics: Vec<&str> = names.iter().map(String::as_str).collect();
    topics.extend(["fenced", "given_up", "denied"]);
    let mock = cluster(&topics);
    let (brokers, staging) = (mock.bootstrap_servers(), tempfile::tempdir().unwrap());
    for ((key, errors), topic) in passing.into_iter().zip(&names) {
        let target = sink(&brokers, staging.path(), topic).await;
        let what = format!("{key:?} {errors:?}");
        mock.request_errors(key, &errors);
        let (committed, took) = commit(&target).await;
        assert_eq!(committed.map_err(|failure| format!("{what}: {failure}")), Ok(sample::ROWS as u64));
        assert!(took < Duration::from_secs(15), "{what}: {took:?}");
        assert_eq!(rows(&brokers, topic).await, expected(), "{what}");
    }
    // Somebody else is at it: told, and not tried again.
    let target = sink(&brokers, staging.path(), "fenced").await;
    mock.request_errors(Key::EndTxn, &[E::RD_KAFKA_RESP_ERR_PRODUCER_FENCED; 8]);
    let (fenced, _) = commit(&target).await;
    mock.clear_request_errors(Key::EndTxn);
    let fenced = fenced.unwrap_err();
    assert!(fenced.code == Code::ConnectorUnavailable && fenced.message.contains("another writer"), "{fenced}");
    // One attempt is given up, and a new producer makes it good; no row is lost.
    let target = sink(&brokers, staging.path(), "given_up").await;
    mock.request_errors(Key::AddPartitionsToTxn, &[E::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING]);
    let (again, _) = commit(&target).await;
    assert_eq!(again.map_err(|failure| failure.to_string()), Ok(sample::ROWS as u64));
    let found: BTreeSet<String> = rows(&brokers, "given_up").await.into_iter().collect();
    assert_eq!(found, expected().into_iter().collect());
    let target = sink(&brokers, staging.path(), "denied").await;
    mock.request_errors(Key::InitProducerId, &[E::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED; 4]);
    let (denied, took) = commit(&target).await;
    mock.clear_request_errors(Key::InitProducerId);
    assert_eq!(denied.unwrap_err().code, Code::ConnectorDenied);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_and_coordinators_that_move_lose_nothing() {
    let mock = cluster(&["moving", "slow"]);
    let (brokers, staging) = (mock.bootstrap_servers(), tempfile::tempdir().unwrap());
    let target = sink(&brokers, staging.path(), "moving").await;
    for (at, leader) in [2, 3, 1].into_iter().enumerate() {
        let (job, batches) = (JobId::generate(), sample::flat());
        let token = prepare(&target, job, &batches).await;
        mock.coordinator(MockCoordinator::Transaction(format!("azora-{job}-0")), leader).unwrap();
        mock.coordinator(MockCoordinator::Group(format!("azora-commit-{job}")), leader).unwrap();
        mock.partition_leader("moving", 0, Some(leader)).unwrap();
        let committed = target.commit(job, 0, batches[0].schema(), &[token]).await.unwrap();
        assert_eq!((committed.rows, rows(&brokers, "moving").await.len()), (sample::ROWS as u64, sample::ROWS * (at + 1)));
    }
    // The leader moves while the partition is read, and one broker is away.
    let from = source(&brokers, "moving").await;
    let split = from.plan(1).await.unwrap().remove(0);
    let mut reader = from.open(&split, None, ReadRequest::new(5, 1 << 20)).await.unwrap();
    let (mut read, mut at) = (0, 0);
    while let Outcome::Batch(batch, _) = reader.read().await.unwrap() {
        read += batch.num_rows();
        at += 1;
        match at {
            1 => mock.partition_leader("moving", 0, Some(2)).unwrap(),
            3 => mock.broker_down(2).unwrap(),
            _ => {}
        }
        if at == 3 {
            mock.partition_leader("moving", 0, Some(3)).unwrap();
        }
    }
    assert_eq!(read, 3 * sample::ROWS);
    mock.broker_up(2).unwrap();
    // Answers that come too late: what became of the transaction is asked by a new producer.
    let target = sink(&brokers, staging.path(), "slow").await;
    let (job, batches) = (JobId::generate(), sample::flat());
    let token = prepare(&target, job, &batches).await;
    let committing = tokio::spawn({
        let (target, batches) = (Arc::clone(&target), batches.clone());
        async move { target.commit(job, 0, batches[0].schema(), &[token]).await }
    });
    for broker in 1..=3 {
        mock.broker_round_trip_time(broker, Duration::from_millis(2500)).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    for broker in 1..=3 {
        mock.broker_round_trip_time(broker, Duration::ZERO).unwrap();
    }
    let committed = tokio::time::timeout(Duration::from_secs(40), committing).await.unwrap().unwrap();
    assert_eq!(committed.map(|receipt| receipt.rows).map_err(|failure| failure.to_string()), Ok(sample::ROWS as u64));
    let found: BTreeSet<String> = rows(&brokers, "slow").await.into_iter().collect();
    assert_eq!(found, expected().into_iter().collect());
    let unknown: Value = json!({"topic": "moving", "brokers": brokers, "rows": "values", "startOffsets": {"0": 100_000}});
    let from = connector(&brokers, "/nowhere".as_ref()).source(&object(unknown)).await.unwrap_err();
    assert_eq!(from.code, Code::ConnectorMissing, "{from}");
}
