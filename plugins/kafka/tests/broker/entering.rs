//! Certificates and passwords: what lets in, what does not, and that no secret is ever told.

use crate::support::{object, rows_of, send, topic};
use crate::writing::prepare;
use azora_connect::conformance::sample;
use azora_connect::{Connector, ReadRequest, Secrets, Setup};
use azora_kafka::KafkaConnector;
use azora_services::Kafka;
use azora_spec::{Code, Failure, JobId, Secret};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Everything that must not be told.
fn canaries(kafka: &Kafka) -> Vec<String> {
    let key = kafka.authority().read("client.key").unwrap();
    vec![Kafka::PASSWORD.to_owned(), "canary-wrong".to_owned(), key.lines().nth(1).unwrap().to_owned()]
}

fn connector(kafka: &Kafka, brokers: String, staging: &std::path::Path) -> KafkaConnector {
    let read = |name: &str| Secret::new(kafka.authority().read(name).unwrap());
    let secrets = Secrets::new([
        ("password".to_owned(), Secret::new(Kafka::PASSWORD.to_owned())),
        ("wrong".to_owned(), Secret::new("canary-wrong".to_owned())),
        ("ca".to_owned(), read("ca.pem")),
        ("certificate".to_owned(), read("client.pem")),
        ("key".to_owned(), read("client.key")),
        ("other".to_owned(), read("server.pem")),
    ]);
    KafkaConnector::new(Setup { secrets, ..Setup::local() }, vec![brokers], staging.to_owned())
}

fn scram(more: &Value) -> Value {
    let mut security = json!({"protocol": "SASL_SSL", "mechanism": "SCRAM-SHA-256", "username": Kafka::USER,
        "password": {"secret": "password"}, "caPem": {"secret": "ca"}});
    security.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    security
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_with_a_password_by_scram_reads_and_writes() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "sealed", 1).await;
    send(&kafka.brokers(), "sealed", 0, &[b"1"]);
    let staging = tempfile::tempdir().unwrap();
    let connector = connector(&kafka, kafka.scram_brokers(), staging.path());
    let config = object(json!({"topic": "sealed", "rows": "values", "security": scram(&json!({}))}));
    let source = connector.source(&config).await.unwrap();
    let read = rows_of(&source, &ReadRequest::new(10, 1 << 20)).await.unwrap();
    assert_eq!(read, ["1"]);
    let target = connector.sink(&object(json!({"topic": "sealed", "security": scram(&json!({}))}))).await.unwrap();
    target.check().await.unwrap();
    let (job, batches) = (JobId::generate(), sample::flat());
    let token = prepare(&target, job, &batches).await;
    assert_eq!(target.commit(job, 0, batches[0].schema(), std::slice::from_ref(&token)).await.unwrap().rows, sample::ROWS as u64);
    let shown = format!("{source:?} {target:?} {token:?} {:?}", source.plan(1).await.unwrap());
    for canary in canaries(&kafka) {
        assert!(!shown.contains(&canary), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_a_certificate_is_let_in() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "mutual", 1).await;
    send(&kafka.brokers(), "mutual", 0, &[b"7"]);
    let connector = connector(&kafka, kafka.mutual_brokers(), "/nowhere".as_ref());
    let security =
        json!({"protocol": "SSL", "caPem": {"secret": "ca"}, "certificatePem": {"secret": "certificate"}, "keyPem": {"secret": "key"}});
    let source = connector.source(&object(json!({"topic": "mutual", "rows": "values", "security": security}))).await.unwrap();
    assert_eq!(rows_of(&source, &ReadRequest::new(10, 1 << 20)).await.unwrap(), ["7"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_let_in_is_told_in_time_and_without_secrets() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "barred", 1).await;
    let canaries = canaries(&kafka);
    let (scram_brokers, mutual_brokers) = (kafka.scram_brokers(), kafka.mutual_brokers());
    let refused = async |brokers: &str, security: Value, code: Code| -> Failure {
        let connector = connector(&kafka, brokers.to_owned(), "/nowhere".as_ref());
        let began = Instant::now();
        let config = object(json!({"topic": "barred", "connectTimeoutMs": 3000, "security": security}));
        let failure = connector.source(&config).await.unwrap_err();
        assert_eq!(failure.code, code, "{security}: {failure}");
        assert!(began.elapsed() < Duration::from_secs(8), "{security}: {:?}", began.elapsed());
        for canary in &canaries {
            assert!(!format!("{failure:?}").contains(canary), "{failure:?}");
        }
        failure
    };
    let wrong = refused(&scram_brokers, scram(&json!({"password": {"secret": "wrong"}})), Code::ConnectorDenied).await;
    assert!(wrong.message.contains(&scram_brokers), "{wrong}");
    // The broker does not offer it.
    refused(&scram_brokers, scram(&json!({"mechanism": "PLAIN"})), Code::ConnectorDenied).await;
    // Nobody who is believed vouches for the broker; a certificate that is no authority's does not either.
    let stranger = refused(&scram_brokers, scram(&json!({"caPem": null})), Code::ConnectorUnavailable).await;
    assert!(stranger.message.contains("TLS") || stranger.message.contains("certificate"), "{stranger}");
    refused(&scram_brokers, scram(&json!({"caPem": {"secret": "other"}})), Code::ConnectorUnavailable).await;
    // Not even a certificate; the key in its place must not be told.
    let broken = refused(&scram_brokers, scram(&json!({"caPem": {"secret": "password"}})), Code::ConnectorConfig).await;
    assert!(broken.message.contains("certificate"), "{broken}");
    let swapped = json!({"protocol": "SSL", "caPem": {"secret": "ca"}, "certificatePem": {"secret": "key"}, "keyPem": {"secret": "key"}});
    refused(&mutual_brokers, swapped, Code::ConnectorConfig).await;
    // No certificate where one is wanted, and no TLS at all.
    refused(&mutual_brokers, json!({"protocol": "SSL", "caPem": {"secret": "ca"}}), Code::ConnectorUnavailable).await;
    refused(&mutual_brokers, json!({"protocol": "PLAINTEXT"}), Code::ConnectorUnavailable).await;
}
