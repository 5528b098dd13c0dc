//! The suite that every connector runs.

use crate::support::{object, rows, send, sink, source, topic};
use async_trait::async_trait;
use azora_connect::conformance::{self, Expect, Promise, SinkCase, sample};
use azora_connect::{Connector, Sink};
use azora_services::Kafka;
use serde_json::json;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_source_conforms() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "conform_source", 3).await;
    let values: Vec<Vec<u8>> = sample::values().iter().map(|value| value.to_string().into_bytes()).collect();
    for partition in 0..3 {
        let of: Vec<&[u8]> = values.iter().skip(partition).step_by(3).map(Vec::as_slice).collect();
        send(&kafka.brokers(), "conform_source", i32::try_from(partition).unwrap(), &of);
    }
    let source = source(&kafka, json!({"topic": "conform_source", "rows": "values"})).await.unwrap();
    conformance::source(&source, &Expect::of(&sample::nested())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_topic_conforms() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "conform_nothing", 2).await;
    let source = source(&kafka, json!({"topic": "conform_nothing"})).await.unwrap();
    assert_eq!(source.schema().fields().len(), 6);
    conformance::source(&source, &Expect { rows: Vec::new(), columns: None }).await.unwrap();
}

struct Case {
    kafka: Arc<Kafka>,
    staging: tempfile::TempDir,
}

#[async_trait]
impl SinkCase for Case {
    async fn sink(&self, target: &str) -> Arc<dyn Sink> {
        topic(&self.kafka.brokers(), target, 2).await;
        sink(&self.kafka, self.staging.path(), json!({"topic": target})).await.unwrap()
    }

    async fn rows(&self, target: &str) -> Vec<String> {
        let columns = json!({"id": "int64", "name": "utf8", "price": "float64", "ok": "boolean"});
        rows(&self.kafka, json!({"topic": target, "rows": "values", "columns": columns})).await.unwrap()
    }

    fn promise(&self) -> Promise {
        Promise::ExactlyOnce
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sink_conforms() {
    let case = Case { kafka: Kafka::shared().unwrap(), staging: tempfile::tempdir().unwrap() };
    conformance::sink(&case).await.unwrap();
    // What was not committed was aborted; nothing is left on the disk but what dead writers of committed jobs wrote.
    assert_eq!(std::fs::read_dir(case.staging.path()).unwrap().count(), 0);
}

#[test]
fn the_schema_names_every_field() {
    let connector = azora_kafka::KafkaConnector::new(azora_connect::Setup::local(), vec!["b:1".to_owned()], "/tmp".into());
    let schema = connector.config_schema();
    let failure = connector.check(azora_connect::Half::Source, &object(json!({"topic": "t", "zzz": 1}))).remove(0);
    let known = failure.hint.unwrap();
    for name in known.rsplit("are ").next().unwrap().split(", ") {
        assert!(schema["properties"][name].is_object(), "{name}");
    }
    assert_eq!(connector.label(&object(json!({"topic": "t", "brokers": "h:1,h:2"}))), "kafka://h:1/t");
}
