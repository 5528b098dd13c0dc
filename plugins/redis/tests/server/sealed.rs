//! TLS: who is believed, who is let in, and that no secret is told.

use crate::object;
use azora_connect::conformance::sample;
use azora_connect::{Connector, ReadRequest, Secrets, Setup, WriterId};
use azora_redis::RedisConnector;
use azora_services::Redis;
use azora_spec::{Code, JobId, Secret};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn connector(redis: &Redis) -> RedisConnector {
    let authority = redis.authority().unwrap();
    let secret = |name: &str, file: &str| (name.to_owned(), Secret::new(authority.read(file).unwrap()));
    let secrets = [secret("ca", "ca.pem"), secret("certificate", "client.pem"), secret("key", "client.key"), secret("other", "server.pem")];
    RedisConnector::new(Setup { secrets: Secrets::new(secrets), ..Setup::local() }, Some(Secret::new(redis.url())))
}

fn entering(more: Value) -> Value {
    let mut config = json!({"caPem": {"secret": "ca"}, "certificatePem": {"secret": "certificate"}, "keyPem": {"secret": "key"}});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_server_is_read_and_written() {
    let redis = Redis::sealed().unwrap();
    let connector = connector(&redis);
    let target = connector.sink(&object(entering(json!({"write": "lists", "key": "out"})))).await.unwrap();
    target.check().await.unwrap();
    let (job, batches) = (JobId::generate(), sample::flat());
    let mut writer = target.open(WriterId { job, partition: 0, attempt: 0, epoch: 0 }, batches[0].schema()).await.unwrap();
    for batch in &batches {
        writer.write(batch.clone()).await.unwrap();
    }
    let token = writer.prepare().await.unwrap();
    assert_eq!(target.commit(job, 0, batches[0].schema(), &[token]).await.unwrap().rows, sample::ROWS as u64);
    let source = connector.source(&object(entering(json!({"keys": "out"})))).await.unwrap();
    let read = crate::rows_of(&source, &ReadRequest::new(10, 1 << 20)).await.unwrap();
    assert_eq!(read[0]["value"].as_array().unwrap().len(), sample::ROWS);
    // Listening goes over the same kind of connection.
    let listening = connector.source(&object(entering(json!({"channel": "a", "maxMs": 50})))).await.unwrap();
    assert!(crate::rows_of(&listening, &ReadRequest::new(10, 1 << 20)).await.unwrap().is_empty());
    let shown = format!("{connector:?} {source:?} {target:?}");
    let key = redis.authority().unwrap().read("client.key").unwrap();
    assert!(!shown.contains(key.lines().nth(1).unwrap()), "{shown}");
    assert_eq!(connector.label(&object(json!({}))), format!("rediss://127.0.0.1:{}", redis.process.port()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_told_apart() {
    let redis = Redis::sealed().unwrap();
    let connector = connector(&redis);
    let key = redis.authority().unwrap().read("client.key").unwrap();
    let plain = redis.url().replace("rediss:", "redis:");
    let refused = async |config: Value, part: &str| {
        let began = Instant::now();
        let failure = connector.source(&object(config)).await.unwrap_err();
        assert_eq!(failure.code, Code::ConnectorUnavailable, "{failure}");
        assert!(failure.message.contains(part) && failure.message.contains(&redis.process.port().to_string()), "{failure}");
        assert!(!format!("{failure:?}").contains(key.lines().nth(1).unwrap()) && began.elapsed() < Duration::from_secs(6));
    };
    // Nobody who is believed vouches for the server; one that is no authority does not either.
    refused(json!({}), "UnknownIssuer").await;
    refused(entering(json!({"caPem": {"secret": "other"}})), "invalid peer certificate").await;
    // It wants a certificate, and TLS.
    refused(json!({"caPem": {"secret": "ca"}}), "").await;
    refused(json!({"redisUrl": plain, "connectTimeoutMs": 2000}), "").await;
    let open = Redis::start().unwrap();
    let began = Instant::now();
    let sealed = open.url().replace("redis:", "rediss:");
    let failure = connector.source(&object(json!({"redisUrl": sealed, "connectTimeoutMs": 2000}))).await.unwrap_err();
    assert!(failure.code == Code::ConnectorUnavailable && failure.message.contains("TLS"), "{failure}");
    assert!(began.elapsed() < Duration::from_secs(5));
}
