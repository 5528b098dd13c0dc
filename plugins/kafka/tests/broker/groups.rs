//! Consumer groups: where a job begins that goes on, and when the group moves.

use crate::support::{PATIENCE, connector, object, producer, read_split, rows_of, send, source, topic};
use azora_connect::{Connector, Finish, Outcome, ReadRequest, Source, Split, conformance};
use azora_services::Kafka;
use azora_spec::{Code, Failure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    let (source, splits, values) = job(&kafka, "away", json!({"connectTimeoutMs": 3000})).await;
    assert_eq!(values, [1]);
    kafka.process.kill().unwrap();
    let began = Instant::now();
    let failure = source.finished(&splits, Finish::Succeeded).await.unwrap_err();
    assert_eq!(failure.code, Code::ConnectorUnavailable, "{failure}");
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    kafka.process.again().unwrap();
    source.finished(&splits, Finish::Succeeded).await.unwrap();
    assert!(job(&kafka, "away", json!({})).await.2.is_empty());
}

/// A consumer of Kafka's own kind, which is a member of the group once it has been given partitions.
fn member(kafka: &Kafka, group: &str, topic: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.brokers()).set("group.id", group).set("enable.auto.commit", "false");
    config.set("auto.offset.reset", "earliest").set("session.timeout.ms", "6000");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while consumer.assignment().unwrap().count() == 0 {
        assert!(Instant::now() < deadline, "no partition was assigned");
        if let Some(Err(error)) = consumer.poll(Duration::from_millis(50)) {
            panic!("{error}");
        }
    }
    consumer
}

/// A consumer joins the group while a job reads, and the group is rebalanced twice. The job's records are what they were
/// when it was planned; whose the offsets are is told, and nothing is committed over the members.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_joins_and_leaves_in_the_middle_loses_and_doubles_nothing() {
    let kafka = Kafka::shared().unwrap();
    let (topic_name, group) = ("joined", "joined-group");
    topic(&kafka.brokers(), topic_name, 2).await;
    let values: Vec<String> = (0..1000).map(|at| at.to_string()).collect();
    for partition in 0..2 {
        let own: Vec<&[u8]> = values.iter().skip(partition).step_by(2).map(String::as_bytes).collect();
        send(&kafka.brokers(), topic_name, i32::try_from(partition).unwrap(), &own);
    }
    let config = json!({"topic": topic_name, "rows": "values", "groupId": group, "startOffsets": "group", "connectTimeoutMs": 5000});
    let source_of_job = source(&kafka, config.clone()).await.unwrap();
    let splits = source_of_job.plan(2).await.unwrap();
    let mut read = Vec::new();
    let mut members: Vec<BaseConsumer> = Vec::new();
    let mut changes = [100, 600, 800].into_iter().peekable();
    for split in &splits {
        let mut reader = source_of_job.open(split, None, ReadRequest::new(100, 1 << 20)).await.unwrap();
        while let Outcome::Batch(batch, _) = reader.read().await.unwrap() {
            read.extend(conformance::texts(&[batch]).iter().map(|row| row.parse::<i64>().unwrap()));
            // The second one takes a partition from the first one; then the first one leaves.
            match changes.next_if(|rows| read.len() >= *rows) {
                Some(100) => members.push(member(&kafka, group, topic_name)),
                Some(600) => members.push(shared_with(&kafka, group, topic_name, &members[0])),
                Some(_) => drop(members.remove(0)),
                None => {}
            }
        }
    }
    assert!(changes.next().is_none(), "the group was not changed often enough");
    read.sort_unstable();
    assert_eq!(read, (0..1000).collect::<Vec<_>>());
    // The end of the job does not take the group from its member, and says so; neither does the next one.
    let busy = |failure: Failure| {
        assert_eq!(failure.code, Code::ConnectorBusy, "{failure}");
        assert!(failure.message.contains(group) && failure.message.contains(&kafka.brokers()) && failure.hint.is_some(), "{failure:?}");
    };
    busy(source_of_job.finished(&splits, Finish::Succeeded).await.unwrap_err());
    busy(source(&kafka, config.clone()).await.unwrap_err());
    let left = members.remove(0);
    assert!(left.committed(PATIENCE).unwrap().elements().iter().all(|element| element.offset() == Offset::Invalid), "offsets were moved");
    left.unsubscribe();
    drop(left);
    // Nobody is in it any more: what was not moved is moved now, and the next job has nothing left to read.
    source_of_job.finished(&splits, Finish::Succeeded).await.unwrap();
    assert!(job(&kafka, topic_name, json!({"groupId": group})).await.2.is_empty());
}

/// A second member, once both have a partition.
fn shared_with(kafka: &Kafka, group: &str, topic: &str, first: &BaseConsumer) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.brokers()).set("group.id", group).set("enable.auto.commit", "false");
    let second: BaseConsumer = config.set("session.timeout.ms", "6000").create().unwrap();
    second.subscribe(&[topic]).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let has_one = |consumer: &BaseConsumer| consumer.assignment().unwrap().count() == 1;
    while !(has_one(first) && has_one(&second)) {
        assert!(Instant::now() < deadline, "the group was not rebalanced");
        // Errors of a rebalance are no ends.
        first.poll(Duration::from_millis(20));
        second.poll(Duration::from_millis(20));
    }
    second
}

/// Two jobs of one server: the second one begins where the first one ended, or is told that it cannot begin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_one_jobs_at_a_time() {
    let kafka = Kafka::shared().unwrap();
    topic(&kafka.brokers(), "shared", 1).await;
    send(&kafka.brokers(), "shared", 0, &[b"1", b"2"]);
    let connector = connector(&kafka, "/nowhere".as_ref());
    let config = |time: u64| {
        object(json!({"topic": "shared", "rows": "values", "groupId": "one", "startOffsets": "group", "connectTimeoutMs": time}))
    };
    let first = connector.source(&config(5000)).await.unwrap();
    let splits = first.plan(1).await.unwrap();
    let second = connector.source(&config(3000)).await.unwrap();
    let failure = second.plan(1).await.unwrap_err();
    assert!(failure.code == Code::ConnectorBusy && failure.message.contains("'one'"), "{failure}");
    // Who only reads the topic, or reads it for another group, is not in the way.
    let mut other = config(3000);
    other.insert("groupId".to_owned(), json!("two"));
    assert_eq!(rows_of(&connector.source(&other).await.unwrap(), &all()).await.unwrap().len(), 2);
    let waiting = tokio::spawn({
        let third = connector.source(&config(20_000)).await.unwrap();
        async move { (third.plan(1).await.unwrap(), third) }
    });
    assert_eq!(rows_of_splits(&first, &splits).await, ["1", "2"]);
    send(&kafka.brokers(), "shared", 0, &[b"3"]);
    first.finished(&splits, Finish::Succeeded).await.unwrap();
    let (splits, third) = waiting.await.unwrap();
    assert_eq!(rows_of_splits(&third, &splits).await, ["3"], "the second job reads what the first one did not");
    drop(third);
    // A job that goes away without an end gives the group back.
    assert_eq!(second.plan(1).await.unwrap().len(), 1);
}

async fn rows_of_splits(source: &Arc<dyn Source>, splits: &[Split]) -> Vec<String> {
    let mut rows = Vec::new();
    for split in splits {
        rows.extend(conformance::texts(&read_split(source, split, None, all()).await.unwrap()));
    }
    rows
}
