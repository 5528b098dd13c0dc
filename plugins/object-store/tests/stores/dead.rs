//! Servers that are not there, or are and say nothing: given up within the connect time-out, and named.

use crate::server::{Kind, all, connector, setup};
use arrow::array::RecordBatch;
use azora_services::{Dead, free_port};
use azora_spec::{Code, Failure, OnError};
use serde_json::{Map, Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The connect time-out of these tests, and by when they must be over: half a minute is what retries took.
const CONNECT_TIME: Duration = Duration::from_millis(500);
const LATE: Duration = Duration::from_secs(5);

fn config(kind: Kind, port: u16, key: &str) -> Map<String, Value> {
    let endpoint = format!("http://127.0.0.1:{port}");
    let members = match kind {
        Kind::S3 => json!({"bucket": "rows", "accessKeyId": "id", "secretAccessKey": {"secret": "KEY"}}),
        Kind::Gcs => json!({"bucket": "rows", "serviceAccountKey": {"secret": "GCS"}}),
        Kind::Azure => json!({"account": "azora", "container": "rows", "accessKey": {"secret": "AZURE"}}),
    };
    let more = json!({"endpoint": endpoint, "key": key, "format": "ndjson", "connectTimeoutMs": CONNECT_TIME.as_millis() as u64});
    members.as_object().into_iter().chain(more.as_object()).flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

async fn a_server_that_is_not_there_is_told_in_time(kind: Kind) {
    let (hole, mute) = (Dead::hole().expect("a hole"), Dead::mute().expect("a mute server"));
    let connector = connector(kind.name(), &setup());
    let silence = format!("no answer within {} ms", CONNECT_TIME.as_millis());
    let cases = [
        (hole.address().port(), silence.as_str()),
        (mute.address().port(), silence.as_str()),
        (free_port().expect("a port"), "nobody listens there"),
    ];
    for (port, why) in cases {
        let check = |failure: &Failure, began: Instant, key: &str| {
            let text = format!("'{}://rows/{}", kind.name(), key.trim_end_matches('/'));
            let place = format!("at 127.0.0.1:{port} cannot be reached: {why}");
            assert_eq!(failure.code, Code::ConnectorUnavailable, "{failure}");
            assert!(failure.message.starts_with(&text) && failure.message.ends_with(&place), "{failure}");
            assert!(began.elapsed() < LATE, "{failure} after {:?}", began.elapsed());
        };
        for key in ["a.json", "a/", "a/*.json"] {
            let began = Instant::now();
            let failure = connector.source(&config(kind, port, key)).await.expect_err("nobody");
            check(&failure, began, key);
        }
        let sink = connector.sink(&config(kind, port, "a/")).await.expect("nothing is sent yet");
        let began = Instant::now();
        check(&sink.check().await.expect_err("nobody"), began, "a/");
    }
}

/// A server that answers is asked again: 503 is a wish to be left alone for a while.
async fn a_busy_server_is_asked_again(kind: Kind) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            count.fetch_add(1, Ordering::Relaxed);
            let _request = client.read(&mut [0; 16 << 10]);
            client.write_all(b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok();
        }
    });
    let connector = connector(kind.name(), &setup());
    let failure = connector.source(&config(kind, port, "a.json")).await.expect_err("busy");
    assert_eq!(failure.code, Code::ConnectorUnavailable, "{failure}");
    assert_eq!(asked.load(Ordering::Relaxed), 4, "{failure}");
}

/// A server that was there is waited for: one that is started again takes up where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_is_found() {
    const HEAD: &str =
        "HTTP/1.1 200 OK\r\nconnection: close\r\netag: \"a\"\r\nlast-modified: Thu, 26 Nov 2026 12:00:00 GMT\r\ncontent-length: 9\r\n\r\n";
    let answer = |listener: &TcpListener, body: &str| {
        let (mut client, _) = listener.accept().expect("a client");
        assert_ne!(client.read(&mut [0; 16 << 10]).expect("a request"), 0);
        client.write_all(format!("{HEAD}{body}").as_bytes()).expect("answered");
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut members = config(Kind::S3, address.port(), "a.ndjson");
    members.insert("connectTimeoutMs".to_owned(), json!(20_000));
    members.insert("schema".to_owned(), json!({"id": "int64"}));
    let first = std::thread::spawn(move || answer(&listener, ""));
    let source = connector("s3", &setup()).source(&members).await.expect("a source");
    first.join().expect("the server is gone");
    let again = std::thread::spawn(move || {
        // Later than as many tries as a server gets that was never there.
        std::thread::sleep(Duration::from_millis(700));
        answer(&TcpListener::bind(address).expect("the same port"), "{\"id\":1}\n");
    });
    let (rows, _) = all(&source, OnError::Fail).await.expect("rows");
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    again.join().expect("the server was asked");
}

crate::on_every_store!(a_server_that_is_not_there_is_told_in_time, a_busy_server_is_asked_again);
