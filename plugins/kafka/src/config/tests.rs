//! What is taken and what is refused.

use super::{Reading, Start, Writing, broker};
use azora_connect::{Policy, Setup};
use azora_spec::{Code, Failure, Secret};
use serde_json::{Value, json};

fn read(config: Value) -> Result<Reading, Failure> {
    Reading::read(config.as_object().unwrap(), &Setup::local(), &["127.0.0.1:9092".to_owned()])
}

#[test]
fn the_seed_configuration_is_taken() {
    let reading = read(json!({"topic": "analytics-events", "brokers": ["localhost:9092"], "groupId": "g", "batchSize": 1000})).unwrap();
    assert_eq!(
        (reading.cluster.label().as_str(), reading.topics[0].as_str(), reading.group.as_str()),
        ("kafka://localhost:9092", "analytics-events", "g")
    );
    let defaults = read(json!({"topic": "t"})).unwrap();
    assert_eq!((defaults.group.as_str(), defaults.cluster.brokers[0].1, defaults.start), ("azora-spark-group", 9092, Start::Earliest));
}

#[test]
fn faults_have_pointers() {
    let check = |config: Value, pointer: &str| {
        let failure = read(config.clone()).unwrap_err();
        assert_eq!((failure.code, failure.pointer.as_deref()), (Code::ConnectorConfig, Some(pointer)), "{config}: {failure}");
    };
    check(json!({}), "");
    check(json!({"topic": "a b"}), "/topic");
    check(json!({"topic": ["a", "b"], "startOffsets": {"0": 1}}), "/startOffsets");
    check(json!({"topic": "t", "startOffsets": {"x": 1}}), "/startOffsets/x");
    check(json!({"topic": "t", "startOffsets": "somewhere"}), "/startOffsets");
    check(json!({"topic": "t", "brokers": "http://x/"}), "/brokers");
    check(json!({"topic": "t", "batchSize": 0}), "/batchSize");
    check(json!({"topic": "t", "format": "xml"}), "/format");
    check(json!({"topic": "t", "format": "avro"}), "");
    check(json!({"topic": "t", "columns": {"a": "money"}}), "/columns/a");
    check(json!({"topic": "t", "security": {"protocol": "SASL_SSL", "username": "u"}}), "/security");
    check(json!({"topic": "t", "security": {"protocol": "SSL", "password": "p"}}), "/security/protocol");
    check(json!({"topic": "t", "nonsense": 1}), "/nonsense");
}

#[test]
fn faults_of_a_sink_have_pointers() {
    let check = |more: Value, pointer: &str| {
        let mut config = json!({"topic": "t"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let failure = Writing::read(config.as_object().unwrap(), &Setup::local(), &["b".to_owned()]).unwrap_err();
        assert_eq!((failure.code, failure.pointer.as_deref()), (Code::ConnectorConfig, Some(pointer)), "{config}: {failure}");
    };
    let schema = json!({"type": "record", "name": "r", "fields": []});
    check(json!({"format": "text"}), "/format");
    check(json!({"format": "avro"}), "");
    check(json!({"avroSchema": schema}), "/avroSchema");
    check(json!({"schemaId": 1}), "/schemaId");
    check(json!({"format": "avro", "avroSchema": schema, "schemaId": 1}), "/schemaId");
    check(json!({"format": "avro", "avroSchema": schema, "avroFraming": "registry"}), "");
    check(json!({"startOffsets": "earliest"}), "/startOffsets");
}

#[test]
fn options_that_reach_into_the_server_are_refused() {
    let options = [
        "plugin.library.paths",
        "ssl.ca.location",
        "ssl.key.location",
        "ssl.keystore.location",
        "ssl.engine.location",
        "ssl.crl.location",
        "https.ca.location",
        "sasl.kerberos.kinit.cmd",
        "sasl.oauthbearer.token.endpoint.url",
        "offset.store.path",
        "bootstrap.servers",
        "metadata.broker.list",
        "isolation.level",
        "transactional.id",
        "enable.idempotence",
        "test.mock.num.brokers",
        "debug",
        "statistics.interval.ms",
    ];
    for option in options {
        let failure = read(json!({"topic": "t", "options": {option: "x"}})).unwrap_err();
        assert_eq!(failure.pointer.unwrap(), format!("/options/{option}"));
    }
    read(json!({"topic": "t", "options": {"fetch.max.bytes": 1_000_000, "compression.type": "zstd"}})).unwrap();
    let failure = read(json!({"topic": "t", "options": {"fetch.max.bytes": "many"}})).unwrap_err();
    assert_eq!(failure.pointer.as_deref(), Some("/options/fetch.max.bytes"));
}

#[test]
fn the_network_policy_is_asked() {
    let setup = Setup { network: Policy::remote(), ..Setup::local() };
    for host in ["127.0.0.1:9092", "10.0.0.1:9092", "[::1]:9092", "169.254.169.254:80", "[::ffff:127.0.0.1]:9092"] {
        let config = json!({"topic": "t", "brokers": [host]});
        let failure = Reading::read(config.as_object().unwrap(), &setup, &[]).unwrap_err();
        assert_eq!(failure.code, Code::NetworkRefused, "{host}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let config =
        json!({"topic": "t", "brokers": "b", "security": {"protocol": "SASL_PLAINTEXT", "username": "u", "password": {"secret": "kafka"}}});
    let setup =
        Setup { secrets: azora_connect::Secrets::new([("kafka".to_owned(), Secret::new("canary-1".to_owned()))]), ..Setup::local() };
    let writing = Writing::read(config.as_object().unwrap(), &setup, &[]).unwrap();
    assert!(!format!("{writing:?}").contains("canary"));
    assert_eq!(writing.cluster.client("b").get("sasl.password"), Some("canary-1"));
    let failure = Writing::read(config.as_object().unwrap(), &Setup::local(), &[]).unwrap_err();
    assert_eq!((failure.code, failure.pointer.as_deref()), (Code::SecretUnknown, Some("/security/password")));
}

#[test]
fn brokers_have_hosts_and_ports() {
    let check = |text: &str, expect: Option<(&str, u16)>| assert_eq!(broker(text), expect.map(|(host, port)| (host.to_owned(), port)));
    check("a:1", Some(("a", 1)));
    check("a", Some(("a", 9092)));
    check("[::1]:7", Some(("::1", 7)));
    check("[::1]", Some(("::1", 9092)));
    for text in [":1", "a:0", "a:b", "a:70000", "u@a:1", "PLAINTEXT://a:1"] {
        check(text, None);
    }
}
