//! One million messages of 200 bytes: a bare consumer, and the source down to columns, on the same topic in one run.
//!
//! `cargo bench -p azora-kafka` needs the jars that `cargo xtask test` fetches, or `-- --brokers HOST:PORT`.

use azora_connect::{Connector, Outcome, ReadRequest, Setup};
use azora_kafka::KafkaConnector;
use azora_services::Kafka;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::io::Write as _;
use std::time::{Duration, Instant};

const MESSAGES: usize = 1_000_000;
const TOPIC: &str = "azora-bench";
const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given = std::env::args().skip_while(|argument| argument != "--brokers").nth(1);
    let kafka = if given.is_none() { Some(Kafka::start()?) } else { None };
    let brokers = given.or_else(|| kafka.as_ref().map(Kafka::brokers)).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(fill(&brokers))?;
    let mut out = std::io::stdout().lock();
    for round in 0..ROUNDS {
        let bare = bare(&brokers)?;
        let columns = runtime.block_on(columns(&brokers))?;
        let rate = |time: Duration| MESSAGES as f64 / time.as_secs_f64() / 1e3;
        writeln!(
            out,
            "round {round}: bare {:.0}k/s, columns {:.0}k/s, ratio {:.2}",
            rate(bare),
            rate(columns),
            bare.as_secs_f64() / columns.as_secs_f64()
        )?;
    }
    Ok(())
}

async fn fill(brokers: &str) -> Result<(), Box<dyn std::error::Error>> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    admin.create_topics([&NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1))], &options).await?;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("linger.ms", "50")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.messages", "1000000")
        .create()?;
    for at in 0..MESSAGES {
        let head = format!(r#"{{"id":{at},"user":"user-{}","price":{}.25,"ok":{},"note":""#, at % 10_000, at % 1000, at % 3 == 0);
        let value = format!("{head}{}\"}}", "n".repeat(198 - head.len()));
        let mut record = BaseRecord::<str, str>::to(TOPIC).payload(&value);
        while let Err((_, back)) = producer.send(record) {
            record = back;
            producer.poll(Duration::from_millis(10));
        }
    }
    Ok(producer.flush(Duration::from_secs(60))?)
}

/// What a consumer with the same settings and nothing behind it takes.
fn bare(brokers: &str) -> Result<Duration, Box<dyn std::error::Error>> {
    let began = Instant::now();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "azora-bench")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .set("fetch.message.max.bytes", "4194304")
        .set("queued.min.messages", "200000")
        .set("queued.max.messages.kbytes", "32768")
        .create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(TOPIC, 0, Offset::Beginning)?;
    consumer.assign(&list)?;
    let mut messages = 0;
    loop {
        match consumer.poll(Duration::from_secs(10)) {
            Some(Ok(_)) => messages += 1,
            Some(Err(KafkaError::PartitionEOF(_))) | None => break,
            Some(Err(error)) => return Err(error.into()),
        }
    }
    assert_eq!(messages, MESSAGES);
    Ok(began.elapsed())
}

/// Opened, its columns inferred, planned and read, as a job does it.
async fn columns(brokers: &str) -> Result<Duration, Box<dyn std::error::Error>> {
    let began = Instant::now();
    let connector = KafkaConnector::new(Setup::local(), vec![brokers.to_owned()], std::env::temp_dir());
    let config = serde_json::json!({"topic": TOPIC, "rows": "values"});
    let source = connector.source(config.as_object().ok_or("no object")?).await?;
    let readers = source.plan(1).await?.into_iter().map(|split| {
        let source = std::sync::Arc::clone(&source);
        tokio::spawn(async move {
            let mut reader = source.open(&split, None, ReadRequest::new(8192, 8 << 20)).await?;
            let mut rows = 0;
            while let Outcome::Batch(batch, _) = reader.read().await? {
                rows += batch.num_rows();
            }
            Ok::<usize, azora_spec::Failure>(rows)
        })
    });
    let mut rows = 0;
    for reader in readers.collect::<Vec<_>>() {
        rows += reader.await??;
    }
    assert_eq!(rows, MESSAGES);
    Ok(began.elapsed())
}
