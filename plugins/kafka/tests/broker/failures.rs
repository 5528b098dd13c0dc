//! What is said where it does not work, and how long that takes.

use crate::support::{object, rows, send, sink, source, topic};
use crate::writing::prepare;
use azora_connect::conformance::{self, sample};
use azora_connect::{Connector, Outcome, Policy, ReadRequest, Secrets, Setup};
use azora_kafka::KafkaConnector;
use azora_services::{Kafka, free_port};
use azora_spec::{Code, Failure, JobId, Secret};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_broker_and_a_missing_topic_are_named() {
    let port = free_port().unwrap();
    let connector = KafkaConnector::new(Setup::local(), Vec::new(), "/nowhere".into());
    let ask = async |config: Value| -> (Failure, Duration) {
        let began = Instant::now();
        (connector.source(&object(config)).await.unwrap_err(), began.elapsed())
    };
    let (dead, took) = ask(json!({"topic": "t", "brokers": format!("127.0.0.1:{port}")})).await;
    assert_eq!(dead.code, Code::ConnectorUnavailable);
    assert!(dead.message.contains(&format!("127.0.0.1:{port}")) && took < Duration::from_secs(5), "{dead} {took:?}");
    // It takes connections and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap().to_string();
    let (silent, took) = ask(json!({"topic": "t", "brokers": address, "connectTimeoutMs": 1500})).await;
    assert_eq!(silent.code, Code::ConnectorUnavailable);
    assert!(silent.message.contains(&address) && took < Duration::from_secs(6), "{silent} {took:?}");
    let kafka = Kafka::shared().unwrap();
    let (missing, took) = ask(json!({"topic": "nope", "brokers": kafka.brokers()})).await;
    assert_eq!(missing.code, Code::ConnectorMissing);
    assert!(missing.message.contains("'nope'") && missing.message.contains(&kafka.brokers()), "{missing}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let target = sink(&kafka, std::path::Path::new("/nowhere"), json!({"topic": "nope"})).await.unwrap();
    assert_eq!(target.check().await.unwrap_err().code, Code::ConnectorMissing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_refused_and_never_shown() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "locked", 1).await;
    send(&kafka.brokers(), "locked", 0, &[b"1"]);
    let secrets = Secrets::new([("kafka".to_owned(), Secret::new(Kafka::PASSWORD.to_owned()))]);
    let setup = Setup { secrets, ..Setup::local() };
    let connector = KafkaConnector::new(setup, vec![kafka.sasl_brokers()], "/nowhere".into());
    let config = |password: Value| {
        let security = json!({"protocol": "SASL_PLAINTEXT", "username": Kafka::USER, "password": password});
        object(json!({"topic": "locked", "rows": "values", "security": security}))
    };
    let entered = connector.source(&config(json!({"secret": "kafka"}))).await.unwrap();
    let read = crate::support::rows_of(&entered, &ReadRequest::new(10, 1 << 20)).await.unwrap();
    assert_eq!(read, ["1"]);
    assert!(!format!("{entered:?} {:?}", entered.plan(1).await.unwrap()).contains(Kafka::PASSWORD));
    let began = Instant::now();
    let refused = connector.source(&config(json!("canary-wrong"))).await.unwrap_err();
    assert_eq!(refused.code, Code::ConnectorDenied);
    assert!(!format!("{refused:?}").contains("canary") && refused.message.contains(&kafka.sasl_brokers()), "{refused:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_are_only_advertised_are_checked_too() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "astray", 1).await;
    send(&kafka.brokers(), "astray", 0, &[b"1"]);
    let canary = TcpListener::bind(("127.0.0.1", kafka.elsewhere())).unwrap();
    canary.set_nonblocking(true).unwrap();
    let network = Policy::remote().allow([kafka.astray().as_str()]).unwrap();
    let setup = Setup { network, ..Setup::local() };
    let connector = KafkaConnector::new(setup, vec![kafka.astray()], "/nowhere".into());
    let failure = connector.source(&object(json!({"topic": "astray"}))).await.unwrap_err();
    assert_eq!(failure.code, Code::NetworkRefused, "{failure}");
    assert!(failure.message.contains(&kafka.elsewhere().to_string()), "{failure}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(canary.accept().is_err(), "the canary was connected to");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_restarted_loses_and_doubles_nothing() {
    let mut kafka = Kafka::start().unwrap();
    topic(&kafka.brokers(), "restarted", 1).await;
    let values: Vec<String> = (0..20_000).map(|at| json!({"id": at, "text": "x".repeat(1000)}).to_string()).collect();
    let bytes: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
    send(&kafka.brokers(), "restarted", 0, &bytes);
    let config = json!({"topic": "restarted", "rows": "values", "options": {"queued.max.messages.kbytes": 1024, "fetch.message.max.bytes": 100_000}});
    let source = source(&kafka, config).await.unwrap();
    let split = source.plan(1).await.unwrap().remove(0);
    let mut reader = source.open(&split, None, ReadRequest::new(1000, 1 << 20)).await.unwrap();
    let mut ids = Vec::new();
    let mut take = |outcome: Outcome| {
        let Outcome::Batch(batch, _) = outcome else { return false };
        ids.extend(conformance::texts(&[batch.project(&[0]).unwrap()]));
        true
    };
    assert!(take(reader.read().await.unwrap()));
    // A commit meets the same restart.
    topic(&kafka.brokers(), "restarted_out", 1).await;
    let staging = tempfile::tempdir().unwrap();
    let target = sink(&kafka, staging.path(), json!({"topic": "restarted_out"})).await.unwrap();
    let (job, batches) = (JobId::generate(), sample::flat());
    let token = prepare(&target, job, &batches).await;
    kafka.process.kill().unwrap();
    let began = Instant::now();
    let short = sink(&kafka, staging.path(), json!({"topic": "restarted_out", "connectTimeoutMs": 2000})).await.unwrap();
    let failure = short.commit(job, 0, batches[0].schema(), std::slice::from_ref(&token)).await.unwrap_err();
    assert_eq!(failure.code, Code::ConnectorUnavailable);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    kafka.process.again().unwrap();
    while take(reader.read().await.unwrap()) {}
    let expected: Vec<String> = (0..20_000).map(|at| json!({"id": at}).to_string()).collect();
    assert_eq!(ids, expected);
    target.commit(job, 0, batches[0].schema(), &[token]).await.unwrap();
    assert_eq!(rows(&kafka, json!({"topic": "restarted_out"})).await.unwrap().len(), sample::ROWS);
    // One that stays away is told as such.
    let config = json!({"topic": "restarted", "outageTimeoutMs": 2000, "options": {"queued.max.messages.kbytes": 100, "fetch.message.max.bytes": 10_000}});
    let source = crate::support::source(&kafka, config).await.unwrap();
    let split = source.plan(1).await.unwrap().remove(0);
    let mut reader = source.open(&split, None, ReadRequest::new(100, 1 << 20)).await.unwrap();
    reader.read().await.unwrap();
    kafka.process.kill().unwrap();
    let began = Instant::now();
    let failure = loop {
        if let Err(failure) = reader.read().await {
            break failure;
        }
    };
    assert_eq!(failure.code, Code::ConnectorUnavailable, "{failure}");
    assert!(failure.message.contains(&kafka.brokers()) && began.elapsed() < Duration::from_secs(15), "{failure} {:?}", began.elapsed());
}
