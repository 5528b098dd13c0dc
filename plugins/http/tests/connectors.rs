//! The connectors against real servers: HTTP, WebSockets and lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests end a test as its assertions do")]

use arrow::array::{Array as _, AsArray as _, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use azora_connect::conformance::{self, Expect, Promise, SinkCase};
use azora_connect::{Connector, Outcome, Policy, Position, ReadRequest, Secrets, Setup, Sink, Source, WriterId, json as rows_of};
use azora_spec::{Code, Failure, JobId, Secret};
use futures::{SinkExt as _, StreamExt as _};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

const ROWS: i64 = 257;

fn setup() -> Setup {
    Setup { network: Policy::local(), secrets: Secrets::new([("TOKEN".to_owned(), Secret::new("canary-1".to_owned()))]) }
}

fn connector(setup: &Setup, name: &str) -> Arc<dyn Connector> {
    azora_http::connectors(setup).unwrap().into_iter().find(|connector| connector.name() == name).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

async fn source(name: &str, config: Value) -> Result<Arc<dyn Source>, Failure> {
    connector(&setup(), name).source(&object(config)).await
}

async fn read(source: &dyn Source, position: Option<&Position>, rows: usize) -> Result<Vec<(RecordBatch, Position)>, Failure> {
    let splits = source.plan(4).await?;
    let mut read = Vec::new();
    for split in &splits {
        let mut reader = source.open(split, position, ReadRequest::new(rows, 1 << 20)).await?;
        loop {
            match tokio::time::timeout(Duration::from_secs(20), reader.read()).await.expect("a read ends")? {
                Outcome::Batch(batch, position) => read.push((batch, position)),
                Outcome::Idle(wait) => tokio::time::sleep(wait).await,
                Outcome::End => break,
            }
        }
    }
    Ok(read)
}

fn ids(read: &[(RecordBatch, Position)]) -> Vec<i64> {
    read.iter().flat_map(|(batch, _)| batch["id"].as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn item(id: i64) -> Value {
    json!({"id": id, "name": (id % 3 != 0).then(|| format!("n{id}")), "price": id as f64 / 4.0, "tags": ["a", null]})
}

#[derive(Debug, Default)]
struct Server {
    requests: AtomicUsize,
    received: Mutex<Vec<(HeaderMap, String)>>,
}

type Shared = State<Arc<Server>>;

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn api() -> (SocketAddr, Arc<Server>) {
    let server = Arc::new(Server::default());
    let router = Router::new()
        .route("/offset", get(offset))
        .route("/cursor", get(cursor))
        .route("/link", get(link))
        .route("/busy", get(busy))
        .route("/private", get(private))
        .route("/loop", get(|| async { axum::Json(json!({"data": [{"id": 1}], "next": "same"})) }))
        .route("/text", get(|| async { "not json" }))
        .route("/take", post(take))
        .with_state(Arc::clone(&server));
    (serve(router).await, server)
}

fn page(from: i64, limit: i64) -> Vec<Value> {
    (from..(from + limit).min(ROWS)).map(item).collect()
}

async fn offset(Query(query): Query<HashMap<String, String>>) -> Response {
    axum::Json(page(query["offset"].parse().unwrap(), query["limit"].parse().unwrap())).into_response()
}

async fn cursor(Query(query): Query<HashMap<String, String>>) -> Response {
    let from: i64 = query.get("after").map_or(0, |after| after.trim_start_matches("c ").parse().unwrap());
    let next = (from + 50 < ROWS).then(|| format!("c {}", from + 50));
    axum::Json(json!({"result": {"items": page(from, 50)}, "meta": {"next": next}})).into_response()
}

async fn link(Query(query): Query<HashMap<String, String>>) -> Response {
    let number: i64 = query.get("page").map_or(0, |page| page.parse().unwrap());
    let body = axum::Json(json!({"data": page(number * 100, 100)}));
    match (number + 1) * 100 < ROWS {
        true => {
            ([(header::LINK, format!("</link?page={}>; rel=\"next\", </link?page=9>; rel=\"last\"", number + 1))], body).into_response()
        }
        false => body.into_response(),
    }
}

async fn busy(State(server): Shared) -> Response {
    match server.requests.fetch_add(1, Ordering::SeqCst) {
        0 => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], "slow down").into_response(),
        1 => StatusCode::BAD_GATEWAY.into_response(),
        _ => axum::Json(page(0, 3)).into_response(),
    }
}

async fn private(headers: HeaderMap) -> Response {
    match headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        Some("Bearer canary-1" | "Basic dTpjYW5hcnktMQ==") => axum::Json(page(0, 2)).into_response(),
        other => (StatusCode::UNAUTHORIZED, format!("{other:?}")).into_response(),
    }
}

async fn take(State(server): Shared, headers: HeaderMap, body: String) -> StatusCode {
    // The second request is refused once, after it was taken.
    let count = server.requests.fetch_add(1, Ordering::SeqCst);
    server.received.lock().unwrap().push((headers, body));
    if count == 1 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

#[tokio::test]
async fn every_way_of_paging_reads_every_row_and_goes_on_from_every_position() {
    let (address, _) = api().await;
    let url = |path: &str| format!("http://{address}/{path}");
    for config in [
        json!({"url": url("offset"), "pagination": {"type": "offset", "limit": 60}}),
        json!({"url": url("cursor"), "rows": "result.items", "pagination": {"type": "cursor", "cursorParam": "after", "cursorPath": "meta.next"}}),
        json!({"url": url("link"), "pagination": {"type": "link"}}),
    ] {
        let source = source("api", config.clone()).await.unwrap();
        let whole = read(&*source, None, 40).await.unwrap();
        assert_eq!(ids(&whole), (0..ROWS).collect::<Vec<_>>(), "{config}");
        let mut behind = 0;
        for (batch, position) in &whole {
            behind += i64::try_from(batch.num_rows()).unwrap();
            assert_eq!(
                ids(&read(&*source, Some(position), 40).await.unwrap()),
                (behind..ROWS).collect::<Vec<_>>(),
                "{config} {position:?}"
            );
        }
        let expected = rows_of::batch(&source.schema(), &page(0, ROWS)).unwrap();
        conformance::source(&source, &Expect::of(&[expected])).await.unwrap();
    }
    let two = source("api", json!({"url": url("link"), "pagination": {"type": "link", "maxPages": 2}})).await.unwrap();
    assert_eq!(read(&*two, None, 1000).await.unwrap().iter().map(|(batch, _)| batch.num_rows()).sum::<usize>(), 200);
}

#[tokio::test]
async fn servers_that_are_busy_are_waited_for() {
    let (address, server) = api().await;
    let begun = Instant::now();
    let columns = json!({"id": "int64"});
    let source = source("api", json!({"url": format!("http://{address}/busy"), "columns": columns})).await.unwrap();
    assert_eq!(ids(&read(&*source, None, 10).await.unwrap()), [0, 1, 2]);
    assert!(begun.elapsed() >= Duration::from_secs(1), "Retry-After was not waited for");
    assert_eq!(server.requests.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn secrets_are_sent_and_never_shown() {
    let (address, _) = api().await;
    let url = format!("http://{address}/private");
    for auth in
        [json!({"type": "bearer", "token": {"secret": "TOKEN"}}), json!({"type": "basic", "user": "u", "password": "${secret:TOKEN}"})]
    {
        let source = source("api", json!({"url": url, "auth": auth})).await.unwrap();
        assert_eq!(ids(&read(&*source, None, 10).await.unwrap()), [0, 1]);
        assert!(!format!("{source:?}").contains("canary"));
    }
    let failure = source("api", json!({"url": url, "headers": {"authorization": "Bearer wrong-canary"}})).await.unwrap_err();
    assert_eq!(failure.code, Code::ConnectorDenied);
    assert!(failure.message.contains("401") && !failure.to_string().contains("canary"), "{failure}");
    let failure = source("api", json!({"url": url, "auth": {"type": "bearer", "token": {"secret": "NONE"}}})).await.unwrap_err();
    assert_eq!((failure.code, failure.pointer.as_deref()), (Code::SecretUnknown, Some("/auth/token")));
}

#[tokio::test]
async fn faults_are_named() {
    let (address, _) = api().await;
    let url = |path: &str| format!("http://{address}/{path}");
    for (config, code, pointer) in [
        (json!({}), Code::ConnectorConfig, Some("")),
        (json!({"url": "http://u:p@h/"}), Code::ConnectorConfig, Some("/url")),
        (json!({"url": url("x"), "method": "TRACE"}), Code::ConnectorConfig, Some("/method")),
        (json!({"url": url("x"), "pagination": {"type": "pages"}}), Code::ConnectorConfig, Some("/pagination/type")),
        (json!({"url": url("x"), "headers": {"host": "evil"}}), Code::ConnectorConfig, Some("/headers")),
        (json!({"url": url("x"), "colums": {}}), Code::ConnectorConfig, Some("/colums")),
        (json!({"url": url("missing"), "retries": 0}), Code::ConnectorMissing, None),
        (json!({"url": url("text")}), Code::RecordBad, None),
        (json!({"url": url("link"), "rows": "items"}), Code::RecordBad, Some("/rows")),
        (json!({"url": "http://127.0.0.1:1/", "retries": 0}), Code::ConnectorUnavailable, None),
    ] {
        let failure = source("api", config.clone()).await.unwrap_err();
        assert_eq!((failure.code, failure.pointer.as_deref()), (code, pointer), "{config}: {failure}");
    }
    let endless = source("api", json!({"url": url("loop"), "pagination": {"type": "cursor"}})).await.unwrap();
    assert!(read(&*endless, None, 10).await.unwrap_err().message.contains("itself"));
}

#[tokio::test]
async fn a_sink_sends_rows_at_least_once_under_keys_that_stay() {
    let (address, server) = api().await;
    let config = object(json!({"url": format!("http://{address}/take"), "batchRows": 4, "headers": {"x-key": {"secret": "TOKEN"}}}));
    let sink = connector(&setup(), "api").sink(&config).await.unwrap();
    let batch = |ids: Vec<i64>| {
        let names: StringArray = ids.iter().map(|id| (*id != 2).then(|| format!("\"{id}"))).collect();
        RecordBatch::try_from_iter_with_nullable([
            ("id", Arc::new(Int64Array::from(ids)) as _, false),
            ("name", Arc::new(names) as _, true),
        ])
        .unwrap()
    };
    let (job, schema) = (JobId::generate(), batch(vec![]).schema());
    let id = |attempt| WriterId { job, partition: 3, attempt, epoch: 0 };
    let mut writer = sink.open(id(0), Arc::clone(&schema)).await.unwrap();
    for ids in [vec![1, 2, 3], vec![4, 5, 6], vec![7, 8, 9]] {
        writer.write(batch(ids)).await.unwrap();
    }
    let token = writer.prepare().await.unwrap();
    let receipt = sink.commit(job, 0, Arc::clone(&schema), &[token]).await.unwrap();
    assert_eq!(receipt.rows, 9);
    // Another attempt gets its rows in other batches, and makes the same requests.
    let mut writer = sink.open(id(1), Arc::clone(&schema)).await.unwrap();
    writer.write(batch((1..=9).collect())).await.unwrap();
    writer.prepare().await.unwrap();
    let received = server.received.lock().unwrap();
    let text = |at: usize| (received[at].0["idempotency-key"].to_str().unwrap().to_owned(), received[at].1.clone());
    assert_eq!(
        text(0),
        (format!("{job}-0-3-0"), r#"[{"id":1,"name":"\"1"},{"id":2,"name":null},{"id":3,"name":"\"3"},{"id":4,"name":"\"4"}]"#.to_owned())
    );
    assert_eq!(text(1), text(2), "what was refused is sent again as it was");
    assert_eq!(text(3).1, r#"[{"id":9,"name":"\"9"}]"#);
    assert_eq!([text(4), text(5), text(6)], [text(0), text(1), text(3)]);
    assert!(received.iter().all(|(headers, _)| headers["x-key"] == "canary-1"));
}

/// Keeps rows by target, those of a key that it knows already no second time.
#[derive(Debug, Default)]
struct Keeper {
    seen: Mutex<HashSet<String>>,
    rows: Mutex<HashMap<String, Vec<String>>>,
}

struct Kept {
    address: SocketAddr,
    keeper: Arc<Keeper>,
}

#[async_trait::async_trait]
impl SinkCase for Kept {
    async fn sink(&self, target: &str) -> Arc<dyn Sink> {
        let config = json!({"url": format!("http://{}/keep/{target}", self.address), "format": "ndjson", "batchRows": 7});
        connector(&setup(), "api").sink(&object(config)).await.unwrap()
    }

    async fn rows(&self, target: &str) -> Vec<String> {
        self.keeper.rows.lock().unwrap().get(target).cloned().unwrap_or_default()
    }

    fn promise(&self) -> Promise {
        Promise::AtLeastOnce
    }

    fn batches(&self) -> Vec<RecordBatch> {
        conformance::sample::nested()
    }
}

#[tokio::test]
async fn the_sink_does_what_every_sink_must() {
    let keeper = Arc::new(Keeper::default());
    let keep = async |State(keeper): State<Arc<Keeper>>, Path(target): Path<String>, headers: HeaderMap, body: String| {
        if keeper.seen.lock().unwrap().insert(headers["idempotency-key"].to_str().unwrap().to_owned()) {
            keeper.rows.lock().unwrap().entry(target).or_default().extend(body.lines().map(str::to_owned));
        }
    };
    let address = serve(Router::new().route("/keep/{target}", post(keep)).with_state(Arc::clone(&keeper))).await;
    conformance::sink(&Kept { address, keeper }).await.unwrap();
}

/// A WebSocket server that says so many rows to whoever subscribes, and then closes or waits.
async fn web(rows: i64, closes: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                let asked = socket.next().await.unwrap().unwrap();
                assert_eq!(asked.to_text().unwrap(), r#"{"op":"subscribe"}"#);
                for id in 0..rows {
                    socket.send(Message::text(item(id).to_string())).await.unwrap();
                }
                if closes {
                    socket.close(None).await.unwrap();
                }
                while let Some(Ok(_)) = socket.next().await {}
            });
        }
    });
    address
}

#[tokio::test]
async fn a_websocket_is_read_until_its_bound_or_its_end() {
    let address = web(100, false).await;
    let config = |more: Value| {
        let mut config = object(json!({"url": format!("ws://{address}/feed"), "subscribe": {"op": "subscribe"}}));
        config.extend(object(more));
        Value::Object(config)
    };
    let some = source("websocket", config(json!({"maxRows": 42}))).await.unwrap();
    assert!(some.is_bounded());
    assert_eq!(ids(&read(&*some, None, 10).await.unwrap()), (0..42).collect::<Vec<_>>());
    let begun = Instant::now();
    let timed = source("websocket", config(json!({"maxMs": 700, "columns": {"id": "int64"}}))).await.unwrap();
    assert_eq!(ids(&read(&*timed, None, 1000).await.unwrap()), (0..100).collect::<Vec<_>>());
    assert!((600..3000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    assert!(!source("websocket", config(json!({"columns": {"id": "int64"}}))).await.unwrap().is_bounded());
    let closing = web(30, true).await;
    let all = json!({"url": format!("ws://{closing}"), "subscribe": {"op": "subscribe"}, "maxMs": 10_000});
    assert_eq!(ids(&read(&*source("websocket", all).await.unwrap(), None, 1000).await.unwrap()).len(), 30);
    let large = json!({"url": format!("ws://{address}"), "subscribe": {"op": "subscribe"}, "maxMs": 5000, "maxRecordBytes": 10, "columns": {"id": "int64"}});
    assert_eq!(read(&*source("websocket", large).await.unwrap(), None, 10).await.unwrap_err().code, Code::RecordBad);
    let (http, _) = api().await;
    let failure = source("websocket", json!({"url": format!("ws://{http}/text"), "maxRows": 1})).await.unwrap_err();
    assert_eq!(failure.code, Code::ConnectorAnswer, "{failure}");
    assert!(failure.message.contains(&format!("{http}")) && failure.message.contains("/text"), "{failure}");
}

/// A server that speaks TLS under a certificate that nobody knows.
fn unknown() -> SocketAddr {
    let chain = CertificateDer::from_pem_slice(include_bytes!("../../database/tests/servers/tls/certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../../database/tests/servers/tls/key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![chain], key).unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            // It ends with the alert of a client that does not trust.
            while connection.complete_io(&mut stream).is_ok() && connection.is_handshaking() {}
        }
    });
    address
}

#[tokio::test]
async fn a_websocket_over_tls_trusts_public_authorities_alone() {
    let address = unknown();
    let failure = source("websocket", json!({"url": format!("wss://{address}/feed"), "maxRows": 1})).await.unwrap_err();
    assert_eq!(failure.code, Code::ConnectorUnavailable, "{failure}");
    assert!(failure.message.contains("certificate") && failure.message.contains(&address.to_string()), "{failure}");
}

#[tokio::test]
async fn lines_of_a_socket_are_rows() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut asked = String::new();
                stream.read_line(&mut asked).await.unwrap();
                for line in ["one\n", "two\r\n", "\n", "thr"] {
                    stream.write_all(line.as_bytes()).await.unwrap();
                    stream.flush().await.unwrap();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                stream.write_all("ee".as_bytes()).await.unwrap();
                if asked == "long\n" {
                    stream.write_all(&[b'x'; 10_000]).await.unwrap();
                }
            });
        }
    });
    let config = |more: Value| {
        let mut config = object(json!({"host": "127.0.0.1", "port": port, "maxMs": 5000}));
        config.extend(object(more));
        Value::Object(config)
    };
    let lines = source("socket", config(json!({"subscribe": "go\n"}))).await.unwrap();
    let read_lines = read(&*lines, None, 100).await.unwrap();
    let texts: Vec<String> = read_lines
        .iter()
        .flat_map(|(batch, _)| batch["value"].as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect::<Vec<_>>())
        .collect();
    assert_eq!(texts, ["one", "two", "", "three"]);
    assert_eq!(read_lines[0].0["value"].null_count(), 0);
    let long = source("socket", config(json!({"subscribe": "long\n", "maxRecordBytes": 100}))).await.unwrap();
    assert_eq!(read(&*long, None, 100).await.unwrap_err().code, Code::RecordBad);
    assert_eq!(source("socket", config(json!({"delimiter": "ab"}))).await.unwrap_err().pointer.as_deref(), Some("/delimiter"));
}

/// Ways to write this machine, its networks and the metadata of clouds.
const HOSTS: [&str; 30] = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "017700000001",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "127.0.0.1.",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "[fe80::1]",
    "[fd00:ec2::254]",
];

#[tokio::test]
async fn no_url_and_no_redirect_reaches_what_the_policy_refuses() {
    let hits = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&hits);
    let canary = serve(Router::new().fallback(any(move || {
        seen.fetch_add(1, Ordering::SeqCst);
        async { axum::Json(json!([{"id": 1}])) }
    })))
    .await;
    let port = canary.port();
    // Only this name leads to this machine: it is where the redirects come from.
    let opened = serve(Router::new().route(
        "/to",
        get(|Query(query): Query<HashMap<String, String>>| async move { (StatusCode::FOUND, [(header::LOCATION, query["url"].clone())]) }),
    ))
    .await;
    let policy = Policy::remote().allow([format!("127.0.0.1:{}", opened.port()).as_str()]).unwrap();
    let setup = Setup { network: policy, secrets: Secrets::default() };
    let api = connector(&setup, "api");
    let mut tried = 0;
    for host in HOSTS {
        let target = format!("http://{host}:{port}/");
        let mut through = azora_connect::network::Url::parse(&format!("http://127.0.0.1:{}/to", opened.port())).unwrap();
        through.query_pairs_mut().append_pair("url", &target);
        for url in [target, through.to_string()] {
            let config = object(json!({"url": url, "retries": 0, "timeoutMs": 3000}));
            let failure = api.source(&config).await.err().unwrap_or_else(|| panic!("{url} was read"));
            assert!(matches!(failure.code, Code::NetworkRefused | Code::ConnectorConfig | Code::ConnectorUnavailable), "{url}: {failure}");
            tried += 1;
        }
        let web = connector(&setup, "websocket").source(&object(json!({"url": format!("ws://{host}:{port}/"), "maxRows": 1}))).await;
        assert!(web.is_err(), "ws {host}");
        let socket = object(json!({"host": host, "port": port, "format": "json", "maxRows": 1}));
        assert!(connector(&setup, "socket").source(&socket).await.is_err(), "socket {host}");
    }
    for url in ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/", "http:///x", "http://", "data:,x"] {
        assert!(api.source(&object(json!({"url": url}))).await.is_err(), "{url}");
        tried += 1;
    }
    assert!(tried >= 60);
    assert_eq!(hits.load(Ordering::SeqCst), 0, "the canary was reached");
}
