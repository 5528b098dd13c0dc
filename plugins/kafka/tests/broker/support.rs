//! Topics, messages and rows for the tests.

use arrow::array::RecordBatch;
use azora_connect::{Connector, Outcome, Position, ReadRequest, Setup, Sink, Source, Split, conformance};
use azora_kafka::KafkaConnector;
use azora_services::Kafka;
use azora_spec::Failure;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Map, Value};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Makes a topic, where it is not there yet.
pub(crate) async fn topic(brokers: &str, name: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("max.message.bytes", "8000000");
    admin.create_topics([&topic], &AdminOptions::new().operation_timeout(Some(PATIENCE))).await.unwrap();
}

pub(crate) fn producer(brokers: &str, settings: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("message.max.bytes", "10000000").set("linger.ms", "5");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

/// Sends values to one partition, in order.
pub(crate) fn send(brokers: &str, topic: &str, partition: i32, values: &[&[u8]]) {
    let producer = producer(brokers, &[]);
    for (at, value) in values.iter().enumerate() {
        let key = format!("k{at}");
        producer.send(BaseRecord::to(topic).partition(partition).key(&key).payload(*value)).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

pub(crate) fn connector(kafka: &Kafka, staging: &Path) -> KafkaConnector {
    KafkaConnector::new(Setup::local(), vec![kafka.brokers()], staging.to_owned())
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

pub(crate) async fn source(kafka: &Kafka, config: Value) -> Result<Arc<dyn Source>, Failure> {
    connector(kafka, Path::new("/nowhere")).source(&object(config)).await
}

pub(crate) async fn sink(kafka: &Kafka, staging: &Path, config: Value) -> Result<Arc<dyn Sink>, Failure> {
    connector(kafka, staging).sink(&object(config)).await
}

/// All rows of a split.
pub(crate) async fn read_split(
    source: &Arc<dyn Source>,
    split: &Split,
    from: Option<&Position>,
    request: ReadRequest,
) -> Result<Vec<RecordBatch>, Failure> {
    let mut reader = source.open(split, from, request).await?;
    let mut batches = Vec::new();
    loop {
        match reader.read().await? {
            Outcome::Batch(batch, _) => batches.push(batch),
            Outcome::Idle(_) => panic!("a bounded source is idle"),
            Outcome::End => return Ok(batches),
        }
    }
}

/// All rows as JSON texts.
pub(crate) async fn rows_of(source: &Arc<dyn Source>, request: &ReadRequest) -> Result<Vec<String>, Failure> {
    let mut rows = Vec::new();
    for split in source.plan(2).await? {
        rows.extend(conformance::texts(&read_split(source, &split, None, request.clone()).await?));
    }
    Ok(rows)
}

pub(crate) async fn rows(kafka: &Kafka, config: Value) -> Result<Vec<String>, Failure> {
    rows_of(&source(kafka, config).await?, &ReadRequest::new(8192, 8 << 20)).await
}
